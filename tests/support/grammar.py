"""Random requests from a schema: half are valid, half contain hostile values; all argument types occur."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

TEXTS = (
    "", " ", "x", "' OR 1=1 --", "\"; DROP TABLE run; --", "\x00", "\u202e\ufeff", "💥" * 40, "a" * 5000, "../../etc/passwd",
    "<script>alert(1)</script>", "{{7*7}}", "%s%n%x", "${jndi:ldap://x}", "null", "-1", "1e999", "2025-13-45", "2025-02", "\ud7ff",
    "\\", "%00", "Σ", "ſ", "İ",
)  # fmt: skip
INTEGERS = (
    0, 1, 2, 3, 5, 20, 50, 100, 101, -1, -(2**31), 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30,
)  # fmt: skip
FLOATS = (0.0, -0.0, 0.5, 1.0, 25.0, -1.0, 1e-320, 1e15, 1e308, -1e308, 3.4028236e38)
_MOST_FIELDS = 5


@dataclass(slots=True)
class _Document:
    """Variables, fragments and field count of the document in progress."""

    variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    fields: int = 0


class Grammar:
    """Writes requests; ``names`` holds known slugs and ids by the name of the argument or input field."""

    def __init__(self, schema: GraphQLSchema, seed: int, names: Mapping[str, Sequence[str]]) -> None:
        self._schema = schema
        self._chance = random.Random(seed)
        self._names = names
        self._hostility = 1.0

    def request(self) -> dict[str, Any]:
        chance, document = self._chance, _Document()
        # Half of the requests are valid, so that the code behind the checks runs too.
        self._hostility = 0.0 if chance.random() < 0.5 else 1.0
        roots = {"query": self._schema.query_type, "mutation": self._schema.mutation_type}
        kind = "mutation" if chance.random() < 0.06 else "query"
        root = roots[kind]
        assert root is not None
        body = self._selection(root, chance.randint(1, 6), document)
        declared = ", ".join(f"${name}: {kind_of}" for name, (kind_of, _) in document.variables.items())
        text = "\n".join([f"{kind} Fuzz{f'({declared})' if declared else ''} {body}", *document.fragments])
        variables = {
            name: value for name, (_, value) in document.variables.items() if chance.random() > 0.03 * self._hostility
        }
        request: dict[str, Any] = {"query": self._damaged(text), "variables": variables}
        if chance.random() < 0.1 * self._hostility:
            request["operationName"] = chance.choice(["Fuzz", "Fuzz", "Other", None, ""])
        return request

    def _damaged(self, text: str) -> str:
        chance = self._chance
        if chance.random() > 0.1 * self._hostility:
            return text
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(text) + 1)
            junk = chance.choice(
                ["", "{", "}", "(", ")", "!", "@skip", "...", '"', "\x00", "#", "$x", "1e9", "fragment F on"]
            )
            text = text[:place] + junk + text[place + chance.randint(0, 6) :]
        return text

    def _selection(self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int, document: _Document) -> str:
        chance = self._chance
        leaves = [name for name, node in kind.fields.items() if is_leaf_type(get_named_type(node.type))]
        others = [name for name in kind.fields if name not in leaves]
        names = chance.sample(leaves, min(len(leaves), chance.randint(1, _MOST_FIELDS)))
        if depth and others:
            names += chance.sample(others, min(len(others), chance.randint(1, 2)))
        chance.shuffle(names)
        parts = [self._field(kind, name, depth, document) for name in names] or ["__typename"]
        if isinstance(kind, GraphQLInterfaceType):
            possible = chance.choice(self._schema.get_possible_types(kind))
            parts.append(f"... on {possible.name} {self._selection(possible, max(depth - 1, 0), document)}")
        if chance.random() < 0.05 * self._hostility:
            parts.append(chance.choice(["__typename", "a: __typename", "... on Node { id }", "nope", "...Nope"]))
        text = f"{{ {' '.join(parts)} }}"
        if chance.random() < 0.07:
            name = f"F{len(document.fragments)}"
            document.fragments.append(f"fragment {name} on {kind.name} {text}")
            return f"{{ ...{name} }}"
        return f"{{ ... {self._directive(document)} {text} }}" if chance.random() < 0.05 else text

    def _field(self, kind: Any, name: str, depth: int, document: _Document) -> str:
        chance, node = self._chance, kind.fields[name]
        document.fields += 1
        # A valid page starts from one end, and its cursor comes from an answer.
        invalid = () if self._hostility else ("after", "before", chance.choice(("first", "last")))
        arguments = [
            f"{name_of}: {self._argument(name_of, argument.type, document)}"
            for name_of, argument in node.args.items()
            if isinstance(argument.type, GraphQLNonNull) or (chance.random() < 0.35 and name_of not in invalid)
        ]
        alias = f"a{document.fields}: " if arguments or chance.random() < 0.15 else ""
        text = f"{alias}{name}{'(' + ', '.join(arguments) + ')' if arguments else ''} {self._directive(document)}"
        inner = get_named_type(node.type)
        if isinstance(inner, GraphQLObjectType | GraphQLInterfaceType):
            return f"{text} {self._selection(inner, max(depth - 1, 0), document)}"
        return f"{text} {{ __typename }}" if isinstance(inner, GraphQLUnionType) else text

    def _directive(self, document: _Document) -> str:
        chance = self._chance
        if chance.random() > 0.06:
            return ""
        name = (
            "deprecated" if chance.random() < 0.1 * self._hostility else chance.choice(["skip", "include", "include"])
        )
        return f"@{name}(if: {self._argument('if', self._schema.type_map['Boolean'], document)})"

    def _argument(self, name: str, kind: Any, document: _Document) -> str:
        value = self._value(name, kind, 0)
        if self._chance.random() < 0.5:
            variable = f"v{len(document.variables)}"
            document.variables[variable] = (str(kind), value)
            return f"${variable}"
        return _literal(value, kind)

    def _value(self, name: str, kind: Any, depth: int) -> Any:
        """A JSON value, usually of the type of the argument."""
        chance = self._chance
        if isinstance(kind, GraphQLNonNull):
            return self._value(name, kind.of_type, depth) if chance.random() > 0.01 * self._hostility else None
        if chance.random() < 0.04 * self._hostility:
            return chance.choice([None, {}, [], [[]], {"a": 1}, chance.choice(TEXTS), chance.choice(INTEGERS), True])
        if isinstance(kind, GraphQLList):
            size = chance.choice([0, 1, 1, 2, 3, 3, 40]) if depth < 3 else 1
            return [self._value(name, kind.of_type, depth + 1) for _ in range(size)]
        if isinstance(kind, GraphQLInputObjectType):
            chosen = [
                key
                for key, item in kind.fields.items()
                if isinstance(item.type, GraphQLNonNull) or chance.random() < (0.3 if depth < 2 else 0.1)
            ]
            return {key: self._value(key, kind.fields[key].type, depth + 1) for key in chosen}
        if isinstance(kind, GraphQLEnumType):
            return chance.choice([*kind.values]) if chance.random() > 0.03 * self._hostility else "NOPE"
        return self._scalar(name, kind)

    def _scalar(self, name: str, kind: GraphQLScalarType) -> Any:
        chance = self._chance
        if kind.name in ("Int", "Int64"):
            return chance.choice(INTEGERS) if chance.random() < 0.3 * self._hostility else chance.randint(0, 20)
        if kind.name == "Float":
            hostile = chance.random() < 0.4 * self._hostility
            return chance.choice([*FLOATS, *INTEGERS]) if hostile else chance.uniform(0, 100)
        if kind.name == "Boolean":
            return chance.random() < 0.5
        if kind.name == "PartialDate":
            hostile = chance.random() < 0.3 * self._hostility
            return chance.choice(TEXTS if hostile else ("2024", "2024-05", "2024-05-06"))
        if kind.name == "DateTime":
            valid = ("2024-05-06T07:08:09", "2030-01-01T00:00:00+14:00", "2026-11-23T12:00:00.000001Z")
            hostile = chance.random() < 0.3 * self._hostility
            return chance.choice((*TEXTS, "0001-01-01T00:00:00+10:00") if hostile else valid)
        if kind.name == "JSON":
            return chance.choice([{}, {"slug": "x"}, [], None, "x", 1, {"a": {"b": [{"c": None}] * 50}}])
        known = self._names.get(name) or self._names["*"]
        return chance.choice(known) if chance.random() > 0.2 * self._hostility else chance.choice(TEXTS)


def _literal(value: Any, kind: Any) -> str:
    """A value as GraphQL text; enum members without quotes."""
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(inner, GraphQLEnumType) and isinstance(value, str):
        return value
    if isinstance(value, list):
        item = inner.of_type if isinstance(inner, GraphQLList) else inner
        return f"[{', '.join(_literal(element, item) for element in value)}]"
    if isinstance(value, dict):
        fields = inner.fields if isinstance(inner, GraphQLInputObjectType) else {}
        types = {key: item.type for key, item in fields.items()}
        return f"{{{', '.join(f'{key}: {_literal(element, types.get(key))}' for key, element in value.items())}}}"
    return json.dumps(value)


def names_of(
    models: Sequence[str], gpus: Sequence[str], quants: Sequence[str], ids: Sequence[str]
) -> dict[str, Sequence[str]]:
    """Known slugs and ids by the name of the argument."""
    every = [*models[:5], *gpus[:5], *quants[:5], *ids]
    return {
        "*": every, "model": models, "models": models, "slug": [*models, *gpus, *quants], "gpu": gpus, "gpus": gpus,
        "quant": quants, "quants": quants, "id": ids, "ids": ids, "search": ["lama", "rtx 4090", "kimi", "h100", "qwen 3"],
        "in": every, "after": ids, "before": ids,
    }  # fmt: skip
