"""Functions that complete the values of a selection, written out as Python.

A completer takes a value exactly as its GraphQL type promises it, or raises :class:`NotPlainError`. It is source text that
reads attributes, checks their types in place and builds the answer. The text of what an object or a list holds stands
inside that of its holder, unless it calls resolvers: so a page of objects is completed without a call for each part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache, partial
from types import CoroutineType
from typing import Any, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLString,
    VariableValues,
)
from strawberry.types.nodes import SelectedField

#: Completed objects that one selection keeps, once it has met so many: most documents come once.
_KEPT = 128
_MET = 256
#: Scalars by name: the condition under which a value ``v`` is not exactly one. Comparisons with NaN are false.
_WRONG = {
    GraphQLInt.name: "type(v) is not int or not -2147483648 <= v <= 2147483647",
    GraphQLFloat.name: "type(v) is not float or not -1.8e308 < v < 1.8e308",
    GraphQLString.name: "type(v) is not str",
    GraphQLID.name: "type(v) is not str",
    GraphQLBoolean.name: "type(v) is not bool",
    "Int64": "type(v) is not int",
    "PartialDate": "type(v) is not str",
}
_readers: dict[type, Mapping[str, Callable[[Any], Any]]] = {}
_constant: set[type] = set()


class NotPlainError(Exception):
    """A value, or a field, that only graphql-core may complete."""


class CallInfo:
    """The part of a resolver's ``info`` that is known here; to ask for more ends the attempt."""

    __slots__ = ("context", "selected_fields")

    def __init__(self, context: Any, selected_fields: list[SelectedField] | None = None) -> None:
        self.context = context
        if selected_fields is not None:
            self.selected_fields = selected_fields


@dataclass(slots=True)
class Attempt:
    """One run of a compiled query."""

    context: Any
    variables: VariableValues
    #: Every coroutine, to be closed when nobody awaits it.
    begun: list[Any] = field(default_factory=list)
    #: Functions that report how long a resolver took, called when the attempt succeeds.
    reports: list[Callable[[], None]] = field(default_factory=list)

    def noted(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """``coroutine``, remembered in ``begun``."""
        self.begun.append(coroutine)
        return coroutine


#: Completes a value: the answer, or a coroutine that gives it.
Complete: TypeAlias = Callable[[Any, Attempt], Any]


#: Writes the lines that complete ``v`` into the variable ``_v`` with a suffix, and puts what they need among the names.
Write: TypeAlias = Callable[[dict[str, Any], str], list[str]]


class Completer:
    """A completion, as source and as a function."""

    def __init__(self, write: Write, *, calls: bool = False) -> None:
        self.write = write
        #: Whether resolvers are called, so that the answer depends on the request and may be a coroutine.
        self.calls = calls

    @cached_property
    def call(self) -> Complete:
        names: dict[str, Any] = {}
        return _compiled([*self.write(names, ""), "return _v"], names)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a completed object. Without an attribute, the completer takes the object itself."""

    name: str
    attribute: str | None
    completer: Completer


def read_by(kind: type, readers: Mapping[str, Callable[[Any], Any]]) -> None:
    """Read attributes of ``kind``, whose objects never change, with functions of the object."""
    _readers[kind] = readers


def never_changes(*kinds: type) -> None:
    """Say that objects of these types never change, so that a selection completes each of them once."""
    _constant.update(kinds)


def of_call(call: Complete, *, calls: bool = False) -> Completer:
    """Completer that calls a function."""

    def write(names: dict[str, Any], place: str) -> list[str]:
        names[f"_c{place}"] = call
        return [f"_v{place} = _c{place}(v, a)"]

    return Completer(write, calls=calls)


@lru_cache(maxsize=len(_WRONG))
def of_scalar(kind: str) -> Completer:
    """Completer of a scalar by its name: exact types only."""
    wrong = _WRONG.get(kind)
    if wrong is None:
        raise NotPlainError(kind)
    return Completer(lambda _, place: [f"if {wrong}: raise NotPlainError", f"_v{place} = v"])


def of_enum(kind: GraphQLEnumType) -> Completer:
    known: dict[Any, str] = {}

    def complete(value: Any, _attempt: Attempt | None = None) -> str:
        try:
            return known[value]
        except (KeyError, TypeError):
            pass
        try:
            name = kind.coerce_output_value(value)
        except Exception as error:
            raise NotPlainError from error
        if not isinstance(name, str):
            raise NotPlainError
        known[value] = name
        return name

    # Members of an enum are the same objects for ever: their ids find their names without hashing them.
    members = [value.value for value in kind.values.values()]
    by_id = {id(member): complete(member) for member in members if isinstance(member, Enum)}

    def write(names: dict[str, Any], place: str) -> list[str]:
        names[f"_n{place}"], names[f"_c{place}"] = by_id, complete
        return [f"_v{place} = _n{place}.get(id(v)) or _c{place}(v, a)"]

    return Completer(write)


def of_nullable(inner: Completer) -> Completer:
    """Completer of a value that may be None."""

    def write(names: dict[str, Any], place: str) -> list[str]:
        return [f"if v is None: _v{place} = None", "else:", *_inside(inner.write(names, place))]

    return Completer(write, calls=inner.calls)


def of_list(item: Completer) -> Completer:
    if item.calls:
        return of_call(_list_of_calls(item.call), calls=True)

    def write(names: dict[str, Any], place: str) -> list[str]:
        lines = item.write(names, f"{place}i")
        return [
            "if type(v) is not list: raise NotPlainError",
            f"_l{place} = []",
            "for v in v:",
            *_inside([*lines, f"_l{place}.append(_v{place}i)"]),
            f"_v{place} = _l{place}",
        ]

    return Completer(write)


def _list_of_calls(call: Complete) -> Complete:
    def complete(value: Any, attempt: Attempt) -> Any:
        if type(value) is not list:
            raise NotPlainError
        answers = [call(item, attempt) for item in value]
        if places := [place for place, answer in enumerate(answers) if type(answer) is CoroutineType]:
            return together(answers, places, attempt)
        return answers

    return complete


def of_text(answer: str) -> Completer:
    """Completer that gives the same text for every value."""
    return Completer(lambda _, place: [f"_v{place} = {answer!r}"])


def of_any(by_class: Mapping[type, Completer]) -> Completer:
    """Completer of an abstract type: objects of several classes."""

    def complete(value: Any, attempt: Attempt) -> Any:
        completer = by_class.get(type(value))
        if completer is None:
            raise NotPlainError
        return completer.call(value, attempt)

    return of_call(complete, calls=any(completer.calls for completer in by_class.values()))


def of_object(kind: type | None, entries: Sequence[Entry]) -> Completer:
    """Completer of objects that are exactly of type ``kind``; None stands for the root, whatever it is."""
    calls = any(entry.completer.calls for entry in entries)
    completer = Completer(partial(_write_object, kind, entries), calls=calls)
    if calls:
        return of_call(completer.call, calls=True)
    return _remembering(completer.call) if kind in _constant else completer


def _write_object(kind: type | None, entries: Sequence[Entry], names: dict[str, Any], place: str) -> list[str]:
    readers = {} if kind is None else _readers.get(kind, {})
    names |= {f"_k{place}": kind, "together": together, "CoroutineType": CoroutineType}
    lines = [f"_o{place} = v"]
    if kind is not None:
        lines.insert(0, f"if type(v) is not _k{place}: raise NotPlainError")
    parts, waits, awaited = [], f"_w{place}", []
    for number, entry in enumerate(entries):
        at = f"{place}_{number}"
        if entry.attribute is None:
            lines.append(f"v = _o{place}")
        elif entry.attribute in readers:
            names[f"_r{at}"] = readers[entry.attribute]
            lines.append(f"v = _r{at}(_o{place})")
        else:
            lines.append(f"v = _o{place}.{entry.attribute}")
        lines += entry.completer.write(names, at)
        if entry.completer.calls:
            awaited.append(f"if type(_v{at}) is CoroutineType: {waits}.append({entry.name!r})")
        parts.append(f"{entry.name!r}: _v{at}")
    lines.append(f"_v{place} = {{{', '.join(parts)}}}")
    if awaited:
        lines += [f"{waits} = []", *awaited, f"if {waits}: _v{place} = together(_v{place}, {waits}, a)"]
    return lines


def _inside(lines: Iterable[str]) -> list[str]:
    return [f" {line}" for line in lines]


def together(answers: Any, keys: list[Any], attempt: Attempt) -> Coroutine[Any, Any, Any]:
    """Await the coroutines that an object or a list holds side by side, so that loaders batch their reads."""
    return attempt.noted(_gathered(answers, keys))


async def _gathered(answers: Any, keys: list[Any]) -> Any:
    if len(keys) == 1:
        answers[keys[0]] = await answers[keys[0]]
        return answers
    results = await asyncio.gather(*(answers[key] for key in keys), return_exceptions=True)
    for key, answer in zip(keys, results, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        answers[key] = answer
    return answers


def _remembering(complete: Complete) -> Completer:
    kept: dict[int, tuple[Any, Any]] = {}
    met = 0

    def complete_once(value: Any, attempt: Attempt) -> Any:
        nonlocal met
        answer = complete(value, attempt)
        if met < _MET:
            met += 1
            return answer
        if len(kept) >= _KEPT:
            kept.clear()
        # The object is kept with its answer, so that its id stays its own.
        kept[id(value)] = (value, answer)
        return answer

    def write(names: dict[str, Any], place: str) -> list[str]:
        names[f"_m{place}"], names[f"_c{place}"] = kept, complete_once
        known = f"_e{place}"
        return [
            f"{known} = _m{place}.get(id(v))",
            f"_v{place} = {known}[1] if {known} is not None and {known}[0] is v else _c{place}(v, a)",
        ]

    return Completer(write)


def _compiled(lines: Iterable[str], names: Mapping[str, Any]) -> Complete:
    """A function of ``v`` and attempt ``a``. Only names of Python attributes and quoted texts come from a schema."""
    namespace: dict[str, Any] = {**names, "NotPlainError": NotPlainError}
    exec("def complete(v, a):\n" + "\n".join(_inside(lines)), namespace)
    function: Complete = namespace["complete"]
    return function
