"""The cost of a document, measured in one pass over it.

The measure is linear in the document: a fragment is measured once, however often it is spread, so nested fragments
that would expand to billions of fields cost no more time than their text. The cost needs types and page sizes, so it is
computed after validation.

The cost of an operation is the number of values that its answer may hold: each field counts once, times the page size
or list length of every list above it, plus a surcharge where the database or the estimator works. The fields of a
connection beside its rows (`totalCount`, `pageInfo`) count once a connection. A field that
`@skip` or `@include` leaves out costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, NamedTuple

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

from api.graphql.execution.limits_introspection import VALUES_PER_POINT, introspection_lengths
from api.settings import QueryLimits
from db.fits.query import NARROW_IDS

#: Fields of a connection that hold its rows.
_ROWS = frozenset({"nodes", "edges"})
#: Fields of a connection for which no page is read, and arguments for which one is in any case.
_COUNTED = frozenset({"totalCount", "__typename"})
_READ_FOR = frozenset({"after", "before", "onePer"})


@dataclass(frozen=True, slots=True)
class When:
    """More work of a field, by the argument at a path: ``most`` without it, else ``per_entry`` for each of its entries, or for
    all of them together where it is ``shared``.

    A path leads through the first entry of a list. With ``values`` only these names of an enum count, each together with the
    name at the path ``beside`` where there is one. It is no work where one of the lists ``unless`` names few models or
    accelerators.
    """

    path: str
    per_entry: int
    most: int = 0
    values: frozenset[tuple[str | None, ...]] | None = None
    beside: str = ""
    unless: tuple[str, ...] = ()
    shared: bool = False


@dataclass(frozen=True, slots=True)
class FieldCost:
    """Cost of one field: ``once`` for the work of the field, ``surcharge`` for that of each item, and how many items its
    subtree is answered for.

    ``lists`` are the paths of arguments whose lengths multiply to the items; an absent one counts once. ``items`` stands for
    them where their first is not known. ``when`` adds the work of the argument that asks for most, ``rows`` where a
    connection is asked for more than its `totalCount`, and ``total`` where it is asked for that.
    """

    surcharge: int = 0
    once: int = 0
    items: int = 1
    page: bool = False
    lists: tuple[str, ...] = ()
    when: tuple[When, ...] = ()
    rows: tuple[When, ...] = ()
    total: tuple[When, ...] = ()


def _is_count(field: FieldNode) -> bool:
    """Whether nothing but `totalCount` is asked of a connection, by name. A cursor, and one fit a group, are read for."""
    selections = () if field.selection_set is None else field.selection_set.selections
    if any(argument.name.value in _READ_FOR for argument in field.arguments or ()):
        return False
    return all(isinstance(node, FieldNode) and node.name.value in _COUNTED for node in selections)


class _Connection(NamedTuple):
    """A connection around a selection: its rows, and the work of its total."""

    rows: int = 1
    total: int = 0


_NONE = _Connection()


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
        #: Costs of fragments and how many variables these took, by name and by the connection around them.
        self._known: dict[tuple[str, _Connection], tuple[int, int]] = {}
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

    def _selections(
        self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None, around: _Connection = _NONE
    ) -> int:
        """Cost of a selection of ``parent``, which is the connection ``around`` where it is one."""
        if around != _NONE:
            return self._sum(selection_set, parent, around)
        cost = self._settled.get(id(selection_set))
        if cost is None:
            before = self._reads
            cost = self._sum(selection_set, parent, around)
            if self._reads == before:
                self._settled[id(selection_set)] = cost
        return cost

    def _sum(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None, around: _Connection) -> int:
        total = 0
        for selection in selection_set.selections:
            if self._is_left_out(selection):
                continue
            if isinstance(selection, FieldNode):
                name = selection.name.value
                total += self._field(selection, parent, around.rows if name in _ROWS else 1)
                total += around.total if name == "totalCount" else 0
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                total += self._selections(selection.selection_set, inner, around)
            elif isinstance(selection, FragmentSpreadNode):
                total += self._fragment(selection.name.value, around)
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

    def _fragment(self, name: str, around: _Connection) -> int:
        known = self._known.get((name, around))
        if known is None:
            definition = self._fragments[name]
            parent = self._schema.get_type(definition.type_condition.name.value)
            before = self._reads
            cost = self._selections(definition.selection_set, parent, around)
            known = self._known[name, around] = cost, self._reads - before
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
            total = sum(self._asked(field, when) for when in field_cost.total)
            around = _Connection(items, total) if is_connection else _NONE
            inner = self._selections(field.selection_set, kind, around)
        inner = inner if is_connection else inner * items
        asked = field_cost.when if _is_count(field) else (*field_cost.when, *field_cost.rows)
        once = field_cost.once + max((self._asked(field, when) for when in asked), default=0)
        return (1 + once + field_cost.surcharge * items + inner) * rows

    def _asked(self, field: FieldNode, when: When) -> int:
        """Work that an argument asks for."""
        if any(0 < (_length_of(self._at(field, path)) or 0) <= NARROW_IDS for path in when.unless):
            return 0
        if when.values is not None:
            names = tuple(_name_of(self._at(field, path)) for path in (when.path, when.beside) if path)
            return when.per_entry if names in when.values else 0
        entries = _length_of(self._at(field, when.path))
        return when.most if entries is None else when.per_entry * (min(entries, 1) if when.shared else entries)

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
            entries = value.values if isinstance(value, ListValueNode) else value
            value = self._resolved(entries[0]) if isinstance(entries, list | tuple) and entries else entries
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


def _name_of(value: Any) -> str | None:
    """Name of a value of an enum; None for none, and for a variable of another type, which is refused later."""
    name = value.value if isinstance(value, EnumValueNode) else value
    return name if isinstance(name, str) else None


def _length_of(value: Any) -> int | None:
    """Length of a list, as a literal or a variable has it; None where there is none."""
    if isinstance(value, ListValueNode):
        return len(value.values)
    if isinstance(value, list):
        return len(value)
    # One value stands for a list of one.
    return None if value is None or isinstance(value, NullValueNode) else 1
