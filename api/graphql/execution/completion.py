"""Functions that complete the values of a selection, written out as Python.

A completer takes a value exactly as its GraphQL type promises it, or raises :class:`NotPlainError`. A completer of objects
is compiled from source text: it reads the attributes, checks their types in place and builds the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
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

    __slots__ = ("context",)

    def __init__(self, context: Any) -> None:
        self.context = context


@dataclass(slots=True)
class Attempt:
    """One run of a compiled query."""

    info: CallInfo
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


@dataclass(frozen=True, slots=True)
class Completer:
    """A completion as a function, and for a leaf its source: the answer is ``v`` unless ``wrong`` holds."""

    call: Complete
    wrong: str | None = None
    #: For an enum: names by the ids of its members.
    names: Mapping[int, str] | None = None
    #: For a value that may be None: the function for one that is not.
    present: Complete | None = None
    #: Whether resolvers are called, so that the answer depends on the request and may be a coroutine.
    calls: bool = False


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


@lru_cache(maxsize=len(_WRONG))
def of_scalar(kind: str) -> Completer:
    """Completer of a scalar by its name: exact types only."""
    wrong = _WRONG.get(kind)
    if wrong is None:
        raise NotPlainError(kind)
    return Completer(_compiled([f"if {wrong}: raise NotPlainError", "return v"], {}), wrong)


def of_enum(kind: GraphQLEnumType) -> Completer:
    names: dict[Any, str] = {}

    def complete(value: Any, _attempt: Attempt | None = None) -> str:
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

    # Members of an enum are the same objects for ever: their ids find their names without hashing them.
    members = [value.value for value in kind.values.values()]
    return Completer(complete, names={id(member): complete(member) for member in members if isinstance(member, Enum)})


def of_nullable(inner: Completer) -> Completer:
    """Completer of a value that may be None."""
    call = inner.call
    wrong = None if inner.wrong is None else f"v is not None and ({inner.wrong})"
    present = None if wrong is not None else call
    return Completer(lambda v, a: None if v is None else call(v, a), wrong, present=present, calls=inner.calls)


def of_list(item: Completer) -> Completer:
    call, calls = item.call, item.calls
    if item.wrong is not None:
        check = ["items = v", "for v in items:", f"    if {item.wrong}: raise NotPlainError", "return items[:]"]
        return Completer(_compiled(["if type(v) is not list: raise NotPlainError", *check], {}))

    def complete(value: Any, attempt: Attempt) -> Any:
        if type(value) is not list:
            raise NotPlainError
        answers = [call(item, attempt) for item in value]
        if calls and (places := [n for n, answer in enumerate(answers) if type(answer) is CoroutineType]):
            return together(answers, places, attempt)
        return answers

    return Completer(complete, calls=calls)


def of_text(answer: str) -> Completer:
    """Completer that gives the same text for every value."""
    return Completer(lambda _value, _attempt: answer)


def of_any(by_class: Mapping[type, Completer]) -> Completer:
    """Completer of an abstract type: objects of several classes."""

    def complete(value: Any, attempt: Attempt) -> Any:
        completer = by_class.get(type(value))
        if completer is None:
            raise NotPlainError
        return completer.call(value, attempt)

    return Completer(complete, calls=any(completer.calls for completer in by_class.values()))


def of_object(kind: type | None, entries: Iterable[Entry]) -> Completer:
    """Completer of objects that are exactly of type ``kind``; None stands for the root, whatever it is."""
    readers = {} if kind is None else _readers.get(kind, {})
    names: dict[str, Any] = {"kind": kind, "together": together, "CoroutineType": CoroutineType}
    lines = ["o = v"] if kind is None else ["if type(v) is not kind: raise NotPlainError", "o = v"]
    parts, calls = [], False
    for number, entry in enumerate(entries):
        place = str(number)
        if entry.attribute is None:
            lines.append("v = o")
        elif entry.attribute in readers:
            names[f"_r{place}"] = readers[entry.attribute]
            lines.append(f"v = _r{place}(o)")
        else:
            lines.append(f"v = o.{entry.attribute}")
        lines += _completed(entry.completer, names, place)
        if entry.completer.calls:
            calls = True
            lines.append(f"if type(_v{place}) is CoroutineType: w.append({entry.name!r})")
        parts.append(f"{entry.name!r}: _v{place}")
    answer = f"{{{', '.join(parts)}}}"
    if calls:
        lines = ["w = []", *lines, f"answers = {answer}", "return together(answers, w, a) if w else answers"]
        return Completer(_compiled(lines, names), calls=True)
    complete = _compiled([*lines, f"return {answer}"], names)
    return Completer(_remembering(complete) if kind in _constant else complete)


def _completed(completer: Completer, names: dict[str, Any], place: str) -> list[str]:
    """Lines that complete ``v`` into a variable of ``place``."""
    names[f"_c{place}"] = completer.call
    if completer.wrong is not None:
        return [f"if {completer.wrong}: raise NotPlainError", f"_v{place} = v"]
    if completer.names is not None:
        names[f"_n{place}"] = completer.names
        return [f"_v{place} = _n{place}.get(id(v)) or _c{place}(v, a)"]
    if completer.present is not None:
        names[f"_p{place}"] = completer.present
        return [f"_v{place} = None if v is None else _p{place}(v, a)"]
    return [f"_v{place} = _c{place}(v, a)"]


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


def _remembering(complete: Complete) -> Complete:
    kept: dict[int, tuple[Any, Any]] = {}
    met = 0

    def complete_once(value: Any, attempt: Attempt) -> Any:
        nonlocal met
        remembered = kept.get(id(value))
        if remembered is not None and remembered[0] is value:
            return remembered[1]
        answer = complete(value, attempt)
        if met < _MET:
            met += 1
            return answer
        if len(kept) >= _KEPT:
            kept.clear()
        # The object is kept with its answer, so that its id stays its own.
        kept[id(value)] = (value, answer)
        return answer

    return complete_once


def _compiled(lines: Iterable[str], names: Mapping[str, Any]) -> Complete:
    """A function of ``v`` and attempt ``a``. Only names of Python attributes and quoted texts come from a schema."""
    namespace: dict[str, Any] = {**names, "NotPlainError": NotPlainError}
    exec("def complete(v, a):\n" + "\n".join(f"    {line}" for line in lines), namespace)
    function: Complete = namespace["complete"]
    return function
