"""Limits of a document, measured in one pass over it.

Every measure is linear in the document: a fragment is measured once, however often it is spread, so nested fragments
that would expand to billions of fields cost no more time than their text. Shape limits (tokens, fields, depth,
aliases, directives, repeated fields) are checked before validation, whose overlap rule is quadratic; the cost, which
needs types and page sizes, after it.

The cost of an operation is the number of values that its answer may hold: each field counts once, times the page size
or list length of every list above it, plus a surcharge where the database or the estimator works. The fields of a
connection beside its rows (`totalCount`, `pageInfo`) count once a connection. A field that
`@skip` or `@include` leaves out costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from graphql import (
    BooleanValueNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionNode,
    SelectionSetNode,
    TypeMetaFieldDef,
    VariableNode,
    get_named_type,
)

from api.errors import LimitExceededError
from api.graphql.execution.limits_introspection import VALUES_PER_POINT, introspection_lengths
from api.settings import QueryLimits

#: Fields of a connection that hold its rows.
_ROWS = frozenset({"nodes", "edges"})


@dataclass(frozen=True, slots=True)
class When:
    """More work of a field, by the argument at a path: ``most`` without it, else ``per_entry`` for each of its entries.

    With ``values``, names of an enum, only these count.
    """

    path: str
    per_entry: int
    most: int = 0
    values: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class FieldCost:
    """Cost of one field: ``once`` for the work of the field, ``surcharge`` for that of each item, and how many items its
    subtree is answered for.

    ``lists`` are the paths of arguments whose lengths multiply to the items; an absent one counts once. ``items`` stands for
    them where their first is not known. ``when`` adds to the work where an argument asks for more of it.
    """

    surcharge: int = 0
    once: int = 0
    items: int = 1
    page: bool = False
    lists: tuple[str, ...] = ()
    when: tuple[When, ...] = ()


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


class CostWalker:
    """Adds up the cost of a validated operation with its variables. Each fragment is measured once."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        variables: Mapping[str, Any],
        field_costs: Mapping[str, FieldCost],
        limits: QueryLimits,
        settled: dict[int, int] | None = None,
    ) -> None:
        """``settled`` keeps the costs that no variable changes for further requests of the document, by the ids of nodes."""
        self._schema = schema
        self._variables = variables
        self._settled = {} if settled is None else settled
        #: How often a variable was looked at.
        self._reads = 0
        self._field_costs = field_costs
        self._limits = limits
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        #: Costs of fragments and how many variables these took, by name and by the rows of the connection around them.
        self._known: dict[tuple[str, int], tuple[int, int]] = {}
        self._lengths: Mapping[str, float] = {}

    def operation(self, operation: OperationDefinitionNode) -> int:
        """Cost of the operation: at least 1."""
        settled = self._settled.get(id(operation.selection_set))
        if settled is not None:
            return max(1, settled)
        root = self._schema.get_root_type(operation.operation)
        defaults = {
            definition.variable.name.value: definition.default_value
            for definition in operation.variable_definitions or ()
            if definition.default_value is not None
        }
        self._defaults = defaults
        return max(1, self._selections(operation.selection_set, root))

    def _selections(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None, rows: int = 1) -> int:
        """Cost of a selection; ``rows`` are those of the connection that ``parent`` is."""
        if rows != 1:
            return self._sum(selection_set, parent, rows)
        cost = self._settled.get(id(selection_set))
        if cost is None:
            before = self._reads
            cost = self._sum(selection_set, parent, rows)
            if self._reads == before:
                self._settled[id(selection_set)] = cost
        return cost

    def _sum(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None, rows: int) -> int:
        total = 0
        for selection in selection_set.selections:
            if self._is_left_out(selection):
                continue
            if isinstance(selection, FieldNode):
                total += self._field(selection, parent, rows if selection.name.value in _ROWS else 1)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                total += self._selections(selection.selection_set, inner, rows)
            elif isinstance(selection, FragmentSpreadNode):
                total += self._fragment(selection.name.value, rows)
        return total

    def _is_left_out(self, selection: SelectionNode) -> bool:
        """Whether ``@skip`` or ``@include`` keeps the selection out of the answer."""
        for directive in selection.directives or ():
            leaves_out = {"skip": True, "include": False}.get(directive.name.value)
            if leaves_out is not None and directive.arguments:
                value = self._resolved(directive.arguments[0].value)
                if (value.value if isinstance(value, BooleanValueNode) else value) is leaves_out:
                    return True
        return False

    def _fragment(self, name: str, rows: int) -> int:
        known = self._known.get((name, rows))
        if known is None:
            definition = self._fragments[name]
            parent = self._schema.get_type(definition.type_condition.name.value)
            before = self._reads
            cost = self._selections(definition.selection_set, parent, rows)
            known = self._known[name, rows] = cost, self._reads - before
        else:
            self._reads += known[1]
        return known[0]

    def _field(self, field: FieldNode, parent: GraphQLNamedType | None, rows: int = 1) -> int:
        name = field.name.value
        if name.startswith("__"):
            return 1 if field.selection_set is None else self._introspection(field)
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return 1
        definition = parent.fields[name]
        field_cost = self._field_costs.get(f"{parent.name}.{name}", _PLAIN)
        kind = get_named_type(definition.type)
        items = self._items(field, field_cost)
        is_connection = isinstance(kind, GraphQLObjectType) and not _ROWS.isdisjoint(kind.fields)
        inner = 0
        if field.selection_set is not None:
            inner = self._selections(field.selection_set, kind, items if is_connection else 1)
        inner = inner if is_connection else inner * items
        once = field_cost.once + sum(self._asked(field, when) for when in field_cost.when)
        return (1 + once + field_cost.surcharge * items + inner) * rows

    def _asked(self, field: FieldNode, when: When) -> int:
        """Work that an argument asks for."""
        value = self._at(field, when.path)
        if when.values is not None:
            name = value.value if isinstance(value, EnumValueNode) else value
            return when.per_entry if name in when.values else 0
        entries = _length_of(value)
        return when.most if entries is None else when.per_entry * entries

    def _introspection(self, field: FieldNode) -> int:
        self._lengths = self._lengths or introspection_lengths(self._schema)
        kind = SchemaMetaFieldDef if field.name.value == "__schema" else TypeMetaFieldDef
        assert field.selection_set is not None
        values = self._described(field.selection_set, get_named_type(kind.type), {})
        return 1 + ceil(values / VALUES_PER_POINT)

    def _described(
        self, selections: SelectionSetNode, parent: GraphQLNamedType | None, known: dict[str, float]
    ) -> float:
        """Values of a selection of introspection; ``known`` keeps those of fragments."""
        total = 0.0
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name not in known:
                    definition = self._fragments[name]
                    inner = self._schema.get_type(definition.type_condition.name.value)
                    known[name] = self._described(definition.selection_set, inner, known)
                total += known[name]
            elif isinstance(selection, InlineFragmentNode):
                total += self._described(selection.selection_set, parent, known)
            elif isinstance(selection, FieldNode) and isinstance(parent, GraphQLObjectType):
                inner_values = 0.0
                if selection.selection_set is not None:
                    named = get_named_type(parent.fields[selection.name.value].type)
                    inner_values = self._described(selection.selection_set, named, known)
                total += 1 + inner_values * self._lengths.get(f"{parent.name}.{selection.name.value}", 1)
        return total

    def _items(self, field: FieldNode, field_cost: FieldCost) -> int:
        if field_cost.page:
            for argument in field.arguments or ():
                if argument.name.value in ("first", "last"):
                    value = self._value(argument.value)
                    if isinstance(value, int) and not isinstance(value, bool):
                        return max(0, min(value, self._limits.page_size))
            return self._limits.default_page_size
        if field_cost.lists:
            lengths = [_length_of(self._at(field, path)) for path in field_cost.lists]
            return field_cost.items if lengths[0] is None else prod(max(1, length or 1) for length in lengths)
        return field_cost.items

    def _at(self, field: FieldNode, path: str) -> Any:
        """The value at a path into the arguments; None where there is none."""
        first, *others = path.split(".")
        arguments = {argument.name.value: argument.value for argument in field.arguments or ()}
        value = self._resolved(arguments.get(first))
        for name in others:
            if isinstance(value, ObjectValueNode):
                value = next((field.value for field in value.fields if field.name.value == name), None)
            else:
                value = value.get(name) if isinstance(value, Mapping) else None
            value = self._resolved(value)
        return value

    def _value(self, node: Any) -> int | None:
        """An integer literal, or that of a variable."""
        value = self._resolved(node)
        if isinstance(value, IntValueNode):
            return int(value.value) if len(value.value) < 12 else self._limits.page_size
        return value if isinstance(value, int) else None

    def _resolved(self, value: Any) -> Any:
        """The value of a variable, or its default; any other value as it is."""
        if not isinstance(value, VariableNode):
            return value
        self._reads += 1
        name = value.name.value
        return self._variables[name] if name in self._variables else self._defaults.get(name)


_PLAIN = FieldCost()


def _length_of(value: Any) -> int | None:
    """Length of a list, as a literal or a variable has it; None where there is none."""
    if isinstance(value, ListValueNode):
        return len(value.values)
    if isinstance(value, list):
        return len(value)
    # One value stands for a list of one.
    return None if value is None or isinstance(value, NullValueNode) else 1


def _refuse(limit: str, value: int, maximum: int) -> None:
    if value > maximum:
        # A count of doubled fragments may have hundreds of digits; clients need to know only that it is too large.
        raise LimitExceededError(limit, min(value, 2**53 - 1), maximum)
