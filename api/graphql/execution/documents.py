"""Parsed, measured and validated documents, kept by their text: a repeated document costs a dictionary look-up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Location,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    Token,
    TokenKind,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    get_named_type,
    specified_rules,
    visit,
)
from graphql.language.parser import Parser
from strawberry.schema.schema import validate_document

from api.errors import ApiError, LimitExceededError, bad_input
from api.graphql.core.errors import graphql_error
from api.graphql.execution.limits import CostWalker, FieldCost, check_shape
from api.graphql.execution.plain import Plans
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
    #: Compiled selections of the document; None when directives make them depend on variables.
    plans: Plans | None = None
    #: Costs of operations that no variable changes, by the id of their node.
    costs: dict[int, int] = field(default_factory=dict)

    def plans_of_queries(self) -> list[Any]:
        """What is known of the operations as wholes: how often one was met, its function, or None."""
        return [] if self.plans is None else list(self.plans.queries.values())

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
        prices: Mapping[str, FieldCost],
        volatile_types: frozenset[str],
        size: int = 512,
        *,
        introspection: bool = True,
    ) -> None:
        self._schema = schema
        self._prices = prices
        self._volatile_types = volatile_types
        self._size = size
        self._rules = (*specified_rules, *(() if introspection else (NoSchemaIntrospectionCustomRule,)))
        self._kept: OrderedDict[str, PreparedDocument] = OrderedDict()
        self.limits = limits

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
        cost = prepared.costs.get(id(operation))
        if cost is None:
            watched = _Watched(variables)
            cost = CostWalker(self._schema, prepared.document, watched, self._prices, self.limits).operation(operation)
            if not watched.read:
                prepared.costs[id(operation)] = cost
        if cost > self.limits.cost:
            raise LimitExceededError("cost", min(cost, 2**53 - 1), self.limits.cost)
        return cost

    def _prepare(self, text: str) -> PreparedDocument:
        try:
            document = self._parse(text)
            check_shape(document, self.limits)
        except GraphQLSyntaxError as error:
            return PreparedDocument(None, [error])
        except ApiError as error:
            return PreparedDocument(None, [graphql_error(error)])
        errors = validate_document(self._schema, document, self._rules)
        if errors:
            return PreparedDocument(None, errors)
        finder = _Finder(TypeInfo(self._schema), self._volatile_types)
        visit(document, TypeInfoVisitor(finder.types, finder))
        return PreparedDocument(document, [], not finder.volatile, None if finder.conditional else Plans())

    def _parse(self, text: str) -> DocumentNode:
        parser = _Parser(text, max_tokens=self.limits.tokens)
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


class _Parser(Parser):
    """Parses into nodes that know their place but no token: tokens are half of a tree's memory, and chained in cycles."""

    def loc(self, start_token: Token) -> Location | None:
        found = super().loc(start_token)
        if found is not None:
            found.start_token = found.end_token = _NO_TOKEN
        return found

    def unlink(self) -> None:
        """Undo the links back through what was read, so that it goes without the garbage collector."""
        token = self._lexer.token
        # The parser may have looked further.
        while token.next is not None:
            token = token.next
        while token.prev is not None:
            before, token.prev = token.prev, None
            token = before


_NO_TOKEN = Token(TokenKind.SOF, 0, 0, 0, 0)


class _Watched(Mapping[str, Any]):
    """Variables, and whether any of them was looked at."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self.read = False

    def __getitem__(self, name: str) -> Any:
        self.read = True
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        self.read = True
        return iter(self._variables)

    def __len__(self) -> int:
        self.read = True
        return len(self._variables)


class _Finder(Visitor):
    """Looks for what makes an answer change within a generation, and for directives that depend on variables."""

    def __init__(self, types: TypeInfo, volatile: frozenset[str]) -> None:
        super().__init__()
        self.types = types
        self.volatile = False
        self.conditional = False
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
        # What is written into the document leaves the same fields out every time.
        self.conditional |= any(isinstance(each.value, VariableNode) for each in node.arguments or ())
