"""Limits of a document's shape: fields, depth, aliases, directives, fragments, repeated fields.

They are checked before validation, whose overlap rule is quadratic. Each is linear in the document: a fragment is measured
once, however often it is spread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from api.errors import LimitExceededError
from api.settings import QueryLimits


@dataclass(frozen=True, slots=True)
class Shape:
    """Depth and counts of a selection, fragments expanded."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0


def check_shape(document: DocumentNode, limits: QueryLimits) -> None:
    """Raise :class:`LimitExceededError` for the first measure of shape over its maximum. Safe on cyclic fragments."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    _refuse("fragments", len(fragments), limits.fragments)
    walker = _ShapeWalker(fragments, limits)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            shape = walker.measure(definition.selection_set)
            _refuse("depth", shape.depth, limits.depth)
            _refuse("aliases", shape.aliases, limits.aliases)
            _refuse("fields", shape.fields, limits.fields)
            walker.count_directives(definition)
    _refuse("directives", walker.directives, limits.directives)


class _ShapeWalker:
    """Measures selection sets; keeps each fragment's measure."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], limits: QueryLimits) -> None:
        self._fragments = fragments
        self._limits = limits
        self._known: dict[str, Shape] = {}
        self.directives = 0

    def measure(self, selection_set: SelectionSetNode) -> Shape:
        self._refuse_repeated(selection_set)
        depth = fields = aliases = 0
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                shape = self._field(selection)
            elif isinstance(selection, InlineFragmentNode):
                shape = self.measure(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                shape = self._fragment(selection.name.value)
            else:
                continue
            depth = max(depth, shape.depth)
            fields += shape.fields
            aliases += shape.aliases
        return Shape(depth, fields, aliases)

    def count_directives(self, definition: OperationDefinitionNode | FragmentDefinitionNode) -> None:
        pending: list[Any] = [definition]
        while pending:
            node = pending.pop()
            self.directives += len(node.directives or ())
            self.directives += sum(
                len(variable.directives or ()) for variable in getattr(node, "variable_definitions", None) or ()
            )
            inner = getattr(node, "selection_set", None)
            if inner is not None:
                pending.extend(inner.selections)

    def _field(self, field: FieldNode) -> Shape:
        aliased = 1 if field.alias is not None else 0
        if field.selection_set is None:
            return Shape(1, 1, aliased)
        inner = self.measure(field.selection_set)
        if field.name.value.startswith("__"):
            # Introspection is deep by nature, and graphql-core bounds how deep.
            return Shape(1, inner.fields + 1, inner.aliases + aliased)
        return Shape(inner.depth + 1, inner.fields + 1, inner.aliases + aliased)

    def _fragment(self, name: str) -> Shape:
        known = self._known.get(name)
        if known is None:
            self._known[name] = Shape()  # a cycle measures as nothing here; validation refuses it afterwards
            definition = self._fragments.get(name)
            known = self.measure(definition.selection_set) if definition is not None else Shape()
            self._known[name] = known
        return known

    def _refuse_repeated(self, selection_set: SelectionSetNode) -> None:
        if len(selection_set.selections) <= self._limits.repeated_fields:
            return
        names = Counter(
            selection.alias.value if selection.alias else selection.name.value
            for selection in selection_set.selections
            if isinstance(selection, FieldNode)
        )
        if names:
            _refuse("repeated fields", max(names.values()), self._limits.repeated_fields)


def _refuse(limit: str, value: int, maximum: int) -> None:
    if value > maximum:
        # A count of doubled fragments may have hundreds of digits; clients need to know only that it is too large.
        raise LimitExceededError(limit, min(value, 2**53 - 1), maximum)
