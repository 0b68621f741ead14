"""Functions that complete plain values, written out as Python for each selection.

A completer takes a value exactly as its GraphQL type promises it, or raises :class:`NotPlainError`. Those of objects are
compiled from source text: one function that reads the attributes, checks their types in place and builds the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
)

Complete: TypeAlias = Callable[[Any], Any]
#: Completed objects that one selection of a document keeps, once it has met so many: most documents come once.
_KEPT = 128
_MET = 256
_WHOLE = "type(v) is not int or not -2147483648 <= v <= 2147483647"
#: Scalars by name: when a value ``v`` is not exactly one. Comparisons with NaN are false.
_WRONG = {
    GraphQLInt.name: _WHOLE,
    GraphQLFloat.name: "type(v) is not float or not -1.8e308 < v < 1.8e308",
    GraphQLString.name: "type(v) is not str",
    GraphQLID.name: "type(v) is not str",
    GraphQLBoolean.name: "type(v) is not bool",
    "Int64": "type(v) is not int",
    "Date": "type(v) is not str",
}
_readers: dict[type, Mapping[str, Complete]] = {}
_constant: set[type] = set()


class NotPlainError(Exception):
    """A value that only the general path may complete."""


@dataclass(frozen=True, slots=True)
class Completer:
    """A completion as a function, and where it changes nothing, as the condition under which ``v`` is not plain."""

    call: Complete
    wrong: str | None = None
    #: Of an enum: names by the ids of its members.
    names: Mapping[int, str] | None = None
    #: Of what may be None: the function for what is not.
    present: Complete | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a completed object: its name in the answer, the attribute it is read from, its completion."""

    name: str
    attribute: str
    completer: Completer


def read_by(kind: type, readers: Mapping[str, Complete]) -> None:
    """Read attributes of ``kind``, whose objects never change, with functions of the object."""
    _readers[kind] = readers


def reader_of(kind: type, attribute: str) -> Complete:
    """Function that reads an attribute of objects of ``kind``."""
    return _readers.get(kind, {}).get(attribute) or attrgetter(attribute)


def never_changes(*kinds: type) -> None:
    """Say that objects of these types stay as they are, so that they are completed once a selection."""
    _constant.update(kinds)


def of_scalar(kind: GraphQLScalarType) -> Completer | None:
    """Completer of a scalar: exact types only."""
    wrong = _WRONG.get(kind.name)
    return None if wrong is None else Completer(_compiled([f"if {wrong}: raise NotPlainError", "return v"], {}), wrong)


def of_enum(kind: GraphQLEnumType) -> Completer:
    """Completer of an enum."""
    names: dict[Any, str] = {}

    def complete(value: Any) -> str:
        try:
            return names[value]
        except (KeyError, TypeError):
            pass
        try:
            name = kind.coerce_output_value(value)
        except Exception as error:
            raise NotPlainError from error
        if not isinstance(name, str):
            raise NotPlainError
        names[value] = name
        return name

    members = [value.value for value in kind.values.values()]
    by_id = {id(member): complete(member) for member in members if isinstance(member, Enum)}
    return Completer(complete, names=by_id)


def of_nullable(inner: Completer) -> Completer:
    """Completer of a value that may be None."""
    call = inner.call
    wrong = None if inner.wrong is None else f"v is not None and ({inner.wrong})"
    present = None if wrong is not None else call
    return Completer(lambda value: None if value is None else call(value), wrong, present=present)


def of_list(item: Completer) -> Completer:
    """Completer of a list."""
    call = item.call
    if item.wrong is not None:
        check = ["items = v", "for v in items:", f"    if {item.wrong}: raise NotPlainError", "return items[:]"]
        return Completer(_compiled(["if type(v) is not list: raise NotPlainError", *check], {}))

    def complete(value: Any) -> list[Any]:
        if type(value) is not list:
            raise NotPlainError
        return [call(one) for one in value]

    return Completer(complete)


def of_constant(answer: str) -> Completer:
    """Completer that gives the same text for every value."""
    return Completer(lambda _value: answer)


def of_object(kind: type, entries: Iterable[Entry]) -> Completer:
    """Completer of objects that are exactly of type ``kind``."""
    readers = _readers.get(kind, {})
    names: dict[str, Any] = {"kind": kind}
    lines, parts = ["if type(v) is not kind: raise NotPlainError", "o = v"], []
    for number, entry in enumerate(entries):
        place = str(number)
        names[f"_r{place}"] = readers.get(entry.attribute)
        value = f"_r{place}(o)" if entry.attribute in readers else f"o.{entry.attribute}"
        lines += [f"v = {value}", *_completed(entry.completer, names, place)]
        parts.append(f"{entry.name!r}: _v{place}")
    complete = _compiled([*lines, f"return {{{', '.join(parts)}}}"], names)
    return Completer(_remembering(complete) if kind in _constant else complete)


def _completed(completer: Completer, names: dict[str, Any], place: str) -> list[str]:
    """Lines that complete ``v`` into a variable of ``place``."""
    names[f"_c{place}"] = completer.call
    if completer.wrong is not None:
        return [f"if {completer.wrong}: raise NotPlainError", f"_v{place} = v"]
    if completer.names is not None:
        # Members of an enum are the same objects for ever: their ids find their names without hashing them.
        names[f"_n{place}"] = completer.names
        return [f"_v{place} = _n{place}.get(id(v)) or _c{place}(v)"]
    if completer.present is not None:
        names[f"_p{place}"] = completer.present
        return [f"_v{place} = None if v is None else _p{place}(v)"]
    return [f"_v{place} = _c{place}(v)"]


def _remembering(complete: Complete) -> Complete:
    kept: dict[int, tuple[Any, Any]] = {}
    met = 0

    def complete_once(value: Any) -> Any:
        nonlocal met
        found = kept.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        made = complete(value)
        if met < _MET:
            met += 1
            return made
        if len(kept) >= _KEPT:
            kept.clear()
        # The object is kept with its answer, so that its id stays its own.
        kept[id(value)] = (value, made)
        return made

    return complete_once


def _compiled(lines: Iterable[str], names: Mapping[str, Any]) -> Complete:
    """A function of ``v`` with the given body. Only names of Python attributes and quoted texts come from a schema."""
    namespace: dict[str, Any] = {**names, "NotPlainError": NotPlainError}
    exec("def complete(v):\n" + "\n".join(f"    {line}" for line in lines), namespace)
    function: Complete = namespace["complete"]
    return function
