"""All that this project takes from graphql-core's inside; read from the version below, whose next minor is not allowed."""

from __future__ import annotations

from inspect import CORO_CREATED, getcoroutinestate
from types import CoroutineType
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    Location,
    OperationDefinitionNode,
    Token,
    TokenKind,
    VariableValues,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.language.parser import Parser
from graphql.pyutils.suggestion_list import LexicalDistance

from api.graphql.core.strawberry_internals import StrawberryExecutor

READ_FROM = "3.3.2"
Details: TypeAlias = list[FieldDetails]
Coroutine: TypeAlias = "CoroutineType[Any, Any, Any]"
_NO_TOKEN = Token(TokenKind.SOF, 0, 0, 0, 0)
_init_distance = LexicalDistance.__init__


def mend() -> None:
    """Mend a fault that a client could bring about; doing it twice changes nothing."""
    LexicalDistance.__init__ = _init_with_room  # type: ignore[method-assign]


def _init_with_room(self: LexicalDistance, input_: str) -> None:
    """Rows as long as the lower-case text, which may be longer than the text: the lower case of "İ" has two characters.

    Without it, a wrong enum member or name with such a letter ends in an IndexError instead of a suggestion.
    """
    _init_distance(self, input_)
    size = len(self._input_list) + 1
    self._rows = [[0] * size for _ in range(3)]


class LeanParser(Parser):
    """Parses into nodes that know their place but no token: tokens are half of a tree's memory, and chained in cycles."""

    def loc(self, start_token: Token) -> Location | None:
        """Place of a node."""
        location = super().loc(start_token)
        if location is not None:
            location.start_token = location.end_token = _NO_TOKEN
        return location

    def unlink(self) -> None:
        """Cut the links between the tokens that were read, so that they go without the garbage collector."""
        token = self._lexer.token
        # The parser may have looked further.
        while token.next is not None:
            token = token.next
        while token.prev is not None:
            before, token.prev = token.prev, None
            token = before


class Selections:
    """The fields of an operation's selections, with the fragments and directives applied for given variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: VariableValues,
    ) -> None:
        self._context = (
            schema,
            {
                node.name.value: FragmentDetails(node)
                for node in document.definitions
                if isinstance(node, FragmentDefinitionNode)
            },
            variables,
        )
        self._operation = operation

    def of_root(self, kind: GraphQLObjectType) -> dict[str, Details]:
        """Fields of the operation by their names in the answer."""
        return collect_fields(*self._context, kind, self._operation).grouped_field_set

    def of_field(self, kind: GraphQLObjectType, details: Details) -> dict[str, Details]:
        """Fields below a field whose objects are of type ``kind``, by their names in the answer."""
        return collect_subfields(*self._context, self._operation, kind, details).grouped_field_set


class ClosingExecutor(StrawberryExecutor):
    """Notes every coroutine in ``begun`` of the context, to be closed when nobody awaits it.

    When a field fails, graphql-core cancels its siblings, whose coroutines may not have begun. The garbage collector
    warns of each in the log.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check, begun = self.is_awaitable, getattr(self.context_value, "begun", [])

        def is_awaitable(value: Any) -> Any:
            if type(value) is CoroutineType:
                begun.append(value)
                return True
            return check(value)

        self.is_awaitable = is_awaitable  # type: ignore[assignment]


def close_unstarted(begun: list[Coroutine]) -> None:
    """Close the coroutines that nobody awaited."""
    for coroutine in begun:
        if getcoroutinestate(coroutine) == CORO_CREATED:
            coroutine.close()
    begun.clear()
