"""`fitgraph schema-diff`: what a change of the schema means for clients: breaking, dangerous or safe.

The kinds are those of graphql-core. A breaking change passes when the released schema announced it: the field, argument
or enum value was deprecated there with a reason that names a day (``2027-01-31``), and that day has come.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)
from graphql.utilities import find_breaking_changes, find_dangerous_changes

_DAY = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
_PATH = re.compile(r"\b([_A-Za-z]\w*(?:\.[_A-Za-z]\w*)+)\b")


class Impact(StrEnum):
    """Consequence of a change for clients."""

    BREAKING = "breaking"
    ANNOUNCED = "announced"
    DANGEROUS = "dangerous"
    SAFE = "safe"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: its impact, the kind of graphql-core (``ADDED`` for safe additions), and a sentence."""

    impact: Impact
    kind: str
    text: str


class SchemaFileError(ValueError):
    """A file that holds no GraphQL schema."""


def read_schema(path: Path) -> GraphQLSchema:
    """The schema of an SDL file. Raises SchemaFileError when it is none."""
    try:
        return build_schema(path.read_text(encoding="utf-8"), assume_valid=True)
    except OSError as error:
        raise SchemaFileError(f"{path}: {error.strerror}") from None
    except (GraphQLError, TypeError) as error:
        raise SchemaFileError(f"{path} is no GraphQL schema: {str(error).splitlines()[0]}") from None


def classify(old: GraphQLSchema, new: GraphQLSchema, today: dt.date) -> list[Change]:
    """Every change from ``old`` to ``new``, the worst first."""
    changes = []
    for breaking in find_breaking_changes(old, new):
        announced = any(_is_due(old, path, today) for path in _PATH.findall(breaking.description))
        impact = Impact.ANNOUNCED if announced else Impact.BREAKING
        changes.append(Change(impact, breaking.type.name, breaking.description))
    changes += [
        Change(Impact.DANGEROUS, change.type.name, change.description) for change in find_dangerous_changes(old, new)
    ]
    known = set(_elements(old))
    changes += [Change(Impact.SAFE, "ADDED", f"{name} was added.") for name in _elements(new) if name not in known]
    return sorted(changes, key=lambda change: list(Impact).index(change.impact))


def _is_due(old: GraphQLSchema, path: str, today: dt.date) -> bool:
    """Whether ``Type.element`` was deprecated with a day that has come."""
    type_name, element = path.split(".")[:2]
    owner = old.type_map.get(type_name)
    if isinstance(owner, GraphQLEnumType):
        node = owner.values.get(element)
    elif isinstance(owner, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        node = owner.fields.get(element)
    else:
        return False
    day = _DAY.search(node.deprecation_reason or "") if node is not None else None
    return day is not None and dt.date.fromisoformat(day.group(1)) <= today


def _elements(schema: GraphQLSchema) -> Iterator[str]:
    """Names of all types and of their fields, arguments and values."""
    for name, owner in schema.type_map.items():
        if name.startswith("__"):
            continue
        yield name
        if isinstance(owner, GraphQLEnumType):
            yield from (f"{name}.{value}" for value in owner.values)
        elif isinstance(owner, GraphQLInputObjectType):
            yield from (f"{name}.{field}" for field in owner.fields)
        elif isinstance(owner, GraphQLObjectType | GraphQLInterfaceType):
            for field, definition in owner.fields.items():
                yield f"{name}.{field}"
                yield from (f"{name}.{field}({argument}:)" for argument in definition.args)


def schema_diff_command(old: Path, new: Path, *, verbose: bool, today: dt.date | None = None) -> int:
    """Print the classified changes. Returns 1 when one breaks clients unannounced, 2 when a file is no schema."""
    try:
        changes = classify(read_schema(old), read_schema(new), today or dt.datetime.now(dt.UTC).date())
    except SchemaFileError as error:
        print(error)
        return 2
    for change in changes:
        if verbose or change.impact is not Impact.SAFE:
            print(f"{change.impact}: {change.text}")
    counts = {impact: sum(change.impact is impact for change in changes) for impact in Impact}
    print(", ".join(f"{count} {impact}" for impact, count in counts.items()))
    if counts[Impact.BREAKING]:
        print("a breaking change needs a deprecation in a release before, with a reason that names the day of removal")
        return 1
    return 0
