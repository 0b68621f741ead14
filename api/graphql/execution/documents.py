"""Parsed, measured and validated documents, kept by their text: a repeated document costs a dictionary look-up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    get_named_type,
    visit,
)

from api.errors import ApiError, ErrorCode, LimitExceededError, bad_input
from api.graphql.core.errors import graphql_error
from api.graphql.core.strawberry_internals import validate_document
from api.graphql.execution.compiled import CompiledDocument
from api.graphql.execution.core_internals import LeanParser
from api.graphql.execution.limits import CostWalker, FieldCost
from api.graphql.execution.limits_shape import check_shape
from api.graphql.execution.value_rules import RULES
from api.settings import QueryLimits

#: Longest document text kept in the cache, characters; longer ones are prepared anew each time.
_MAX_CACHED_TEXT = 20_000


@dataclass(slots=True)
class PreparedDocument:
    """A document as far as it can be judged without variables: its tree, or the errors that refuse it."""

    document: DocumentNode | None
    errors: list[GraphQLError] = field(default_factory=list)
    #: False when the answer may change within a generation (progress of runs, state of the catalog).
    cacheable: bool = False
    #: Its compiled queries; None when it has errors.
    compiled: CompiledDocument | None = None
    #: Costs of selections that no variable changes, by the id of their node.
    costs: dict[int, int] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation to run. Raises ``BAD_USER_INPUT`` when the name does not settle it."""
        operations = (
            [d for d in self.document.definitions if isinstance(d, OperationDefinitionNode)] if self.document else []
        )
        if name is None and len(operations) == 1:
            return operations[0]
        for operation in operations:
            if name is not None and operation.name is not None and operation.name.value == name:
                return operation
        if name is not None:
            raise bad_input(f"The document has no operation called {name[:80]!r}.")
        if not operations:
            raise bad_input("The document has no operation.")
        raise bad_input("The document has several operations; operationName must say which one to run.")


class Documents:
    """Prepares documents for one schema; keeps the most recently used."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: QueryLimits,
        field_costs: Mapping[str, FieldCost],
        volatile_types: frozenset[str],
        size: int = 512,
        *,
        introspection: bool = True,
        allowed: frozenset[str] | None = None,
    ) -> None:
        """``allowed`` are the only documents that may be run; None for all."""
        self._schema = schema
        self._field_costs = field_costs
        self._volatile_types = volatile_types
        self._size = size
        self._rules = (*RULES, *(() if introspection else (NoSchemaIntrospectionCustomRule,)))
        self._kept: OrderedDict[str, PreparedDocument] = OrderedDict()
        self.limits = limits
        self._allowed = allowed

    def prepare(self, text: str) -> PreparedDocument:
        """Parse, measure and validate; errors are part of the result, so that a bad document is cheap when repeated."""
        kept = self._kept.get(text)
        if kept is not None:
            self._kept.move_to_end(text)
            return kept
        prepared = self._prepare(text)
        for error in prepared.errors:
            # Where it was raised holds on to everything that was at hand there, and nodes to the tree; places are known.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            error.nodes = None
        if len(text) <= _MAX_CACHED_TEXT:
            self._kept[text] = prepared
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return prepared

    def cost(self, prepared: PreparedDocument, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> int:
        """Cost of an operation with its variables. Raises :class:`LimitExceededError` over the maximum."""
        assert prepared.document is not None
        walker = CostWalker(self._schema, prepared.document, variables, self._field_costs, self.limits, prepared.costs)
        cost = walker.operation(operation)
        if cost > self.limits.cost:
            raise LimitExceededError("cost", min(cost, 2**53 - 1), self.limits.cost)
        return cost

    def _prepare(self, text: str) -> PreparedDocument:
        if self._allowed is not None and text not in self._allowed:
            refusal = ApiError(
                ErrorCode.FORBIDDEN, "This server runs trusted documents only; name one by `documentId`."
            )
            return PreparedDocument(None, [graphql_error(refusal)])
        try:
            document = self._parse(text)
            check_shape(document, self.limits)
        except GraphQLSyntaxError as error:
            return PreparedDocument(None, _coded([error], ErrorCode.GRAPHQL_PARSE_FAILED))
        except ApiError as error:
            return PreparedDocument(None, [graphql_error(error)])
        errors = validate_document(self._schema, document, self._rules)
        if errors:
            return PreparedDocument(None, _coded(errors, ErrorCode.GRAPHQL_VALIDATION_FAILED))
        finder = _Finder(TypeInfo(self._schema), self._volatile_types)
        visit(document, TypeInfoVisitor(finder.types, finder))
        compiled = CompiledDocument(self._schema, document, frozenset(finder.conditions))
        return PreparedDocument(document, [], not finder.volatile, compiled)

    def _parse(self, text: str) -> DocumentNode:
        parser = LeanParser(text, max_tokens=self.limits.tokens)
        try:
            return parser.parse_document()
        except GraphQLSyntaxError as error:
            if parser.token_count > self.limits.tokens:
                raise LimitExceededError(
                    "tokens",
                    parser.token_count,
                    self.limits.tokens,
                    f"The document has more than {self.limits.tokens} tokens.",
                ) from error
            raise
        except RecursionError as error:
            raise LimitExceededError(
                "depth", self.limits.tokens, self.limits.depth, "The document nests too deeply."
            ) from error
        finally:
            parser.unlink()


def _coded(errors: list[GraphQLError], code: ErrorCode) -> list[GraphQLError]:
    """The errors, with a code where they have none."""
    for error in errors:
        error.extensions = error.extensions or {"code": code.value}
    return errors


class _Finder(Visitor):
    """Finds types whose answers change within a generation, and the variables in directives."""

    def __init__(self, types: TypeInfo, volatile: frozenset[str]) -> None:
        super().__init__()
        self.types = types
        self.volatile = False
        self.conditions: set[str] = set()
        self._types = volatile

    def enter_operation_definition(self, node: OperationDefinitionNode, *_args: Any) -> None:
        if node.operation is not OperationType.QUERY:
            self.volatile = True

    def enter_field(self, _node: FieldNode, *_args: Any) -> None:
        kind = self.types.get_type()
        parent = self.types.get_parent_type()
        if kind is not None and get_named_type(kind).name in self._types:
            self.volatile = True
        if parent is not None and parent.name in self._types:
            self.volatile = True

    def enter_directive(self, node: DirectiveNode, *_args: Any) -> None:
        values = [argument.value for argument in node.arguments or ()]
        self.conditions |= {value.name.value for value in values if isinstance(value, VariableNode)}
