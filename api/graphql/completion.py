"""Functions that complete plain values, written out as Python for each selection.

A completer takes a value exactly as its GraphQL type promises it, or raises :class:`NotPlainError`. Those of objects are
compiled from source text: one function that reads the attributes, checks their types in place and builds the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
#: Completed objects that one selection of a document keeps.
_KEPT = 128
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


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a completed object: its name in the answer, the attribute it is read from, its completion."""

    name: str
    attribute: str
    completer: Completer


def read_by(kind: type, readers: Mapping[str, Complete]) -> None:
    """Let attributes of ``kind``, which must not be changed once made, be read by functions of the object."""
    _readers[kind] = readers


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

    return Completer(complete)


def of_nullable(inner: Completer) -> Completer:
    """Completer of a value that may be None."""
    call = inner.call
    wrong = None if inner.wrong is None else f"v is not None and ({inner.wrong})"
    return Completer(lambda value: None if value is None else call(value), wrong)


def of_list(item: Completer) -> Completer:
    """Completer of a list."""
    call = item.call

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
    readers, names = _readers.get(kind, {}), {"kind": kind}
    lines, parts = ["if type(v) is not kind: raise NotPlainError", "o = v"], []
    for number, entry in enumerate(entries):
        reader, completer = readers.get(entry.attribute), entry.completer
        if reader is None:
            lines.append(f"v = o.{entry.attribute}")
        else:
            names[f"r{number}"] = reader  # type: ignore[assignment]
            lines.append(f"v = r{number}(o)")
        if completer.wrong is not None:
            lines += [f"if {completer.wrong}: raise NotPlainError", f"v{number} = v"]
        else:
            names[f"c{number}"] = completer.call  # type: ignore[assignment]
            lines.append(f"v{number} = c{number}(v)")
        parts.append(f"{entry.name!r}: v{number}")
    complete = _compiled([*lines, f"return {{{', '.join(parts)}}}"], names)
    return Completer(_remembering(complete) if kind in _constant else complete)


def _remembering(complete: Complete) -> Complete:
    kept: dict[int, tuple[Any, Any]] = {}

    def complete_once(value: Any) -> Any:
        found = kept.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        made = complete(value)
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
