"""Writes random valid queries over the schema."""

from __future__ import annotations

import random
from typing import Any

from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_leaf_type

from api.graphql.schema import FitSchema

#: Fields whose text takes milliseconds each; their own tests cover them.
_SLOW = {"Fit.faq", "Query.estimates", "Query.recommendations", "Query.run"} | {
    f"{kind}.{name}" for kind in ("Prediction", "Fit") for name in ("advice", "limits", "summary")
}
_ENDS = ["(last: 2)", "(first: 1, last: 1)", "(first: 2, filter: {minimumGrade: B, engine: {in: [LLAMA_CPP]}})"]
#: Few models or accelerators may be asked at once; lists of all fits are refused.
_ORDERS = [
    "(first: 2, orderBy: [{field: MEMORY}])",
    "(last: 1, orderBy: [{field: PRICE}, {field: PREFILL, direction: ASC}])",
]
_PAGES = ["(first: 1)", "(first: 2)", "(first: 3)", "(first: 0)", "(first: 1000)", '(first: 1, after: "bad")']
_ARGUMENTS = {
    "fits": [*_PAGES, *_ENDS, *_ORDERS],
    "models": [*_PAGES, '(first: 2, filter: {search: "lama"})', "(last: 2, orderBy: [{field: NAME}])"],
    "gpus": [*_PAGES, "(first: 3, orderBy: [{field: PRICE, direction: DESC}])"],
    "runs": _PAGES,
    "measurements": [
        *_PAGES[:3],
        "(last: 2)",
        "(first: 2, filter: {phase: DECODE, exact: true}, orderBy: [{field: DATE}])",
    ],
    "Query.model": ['(slug: "llama-2-7b")', '(slug: "nope")', '(slug: "kimi-linear-48b-a3b")'],
    "Query.gpu": ['(slug: "rtx-4090")', '(slug: "nope")', '(slug: "apple-m3-max-30c-36gb")'],
    "Query.quant": ['(slug: "q4-k-m")', '(slug: "nope")'],
    "Query.fit": [
        '(model: "llama-2-7b", gpu: "rtx-4090")',
        '(model: "qwen3-30b-a3b", gpu: "rtx-3090", quant: "q8-0", workload: RAG)',
        '(model: "llama-2-7b", gpu: "rtx-3090", quant: "mlx-4bit")',
        '(model: "nope", gpu: "rtx-4090")',
    ],
    "Query.comparison": [
        '(input: {models: ["llama-2-7b"], gpus: ["rtx-4090", "nope"]})',
        '(input: {models: ["llama-2-7b"], gpus: "rtx-3090", gpuCounts: [1, 2]})',
        '(input: {models: ["llama-2-7b"], gpus: []})',
    ],
    "Query.node": ['(id: "bad")'],
    "Query.nodes": ["(ids: [])", '(ids: ["bad"])'],
    "Query.estimate": [
        '(input: {model: {slug: "llama-2-7b"}, machine: {gpu: "rtx-4090"}, quant: "q4-k-m"})',
        '(input: {model: {slug: "llama-2-7b"}, machine: {gpu: "rtx-4090"}, quant: "nope"})',
    ],
    "Fit.modeScore": ["(mode: SCALE_OUT)"],
}


class Writer:
    """Writes random valid queries over the schema, and sometimes names that do not exist."""

    def __init__(self, schema: FitSchema, seed: int) -> None:
        self._core = schema._schema
        self._random = random.Random(seed)
        self._fragments: list[str] = []

    def document(self) -> str:
        assert self._core.query_type is not None
        body = self._selection(self._core.query_type, 0)
        return "\n".join([f"query Q {body}", *self._fragments])

    def _selection(self, kind: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        chance = self._random
        names = [name for name in kind.fields if f"{kind.name}.{name}" not in _SLOW]
        chosen = chance.sample(names, min(len(names), chance.randint(1, 6 if depth else 3)))
        parts = [part for name in chosen if (part := self._field(kind, name, depth))]
        if chance.random() < 0.2:
            parts.append("__typename")
        parts = parts or ["__typename"]
        if chance.random() < 0.2 and depth:
            name = f"F{len(self._fragments)}"
            self._fragments.append("")
            place = len(self._fragments) - 1
            self._fragments[place] = f"fragment {name} on {kind.name} {{ {' '.join(parts)} }}"
            return f"{{ ...{name} {'' if chance.random() < 0.5 else '__typename'} }}"
        if chance.random() < 0.15:
            return f"{{ ... on {kind.name} {{ {' '.join(parts)} }} }}"
        return f"{{ {' '.join(parts)} }}"

    def _field(self, kind: Any, name: str, depth: int) -> str:
        chance = self._random
        field = kind.fields[name]
        inner_type: Any = get_named_type(field.type)
        if not is_leaf_type(inner_type) and depth >= 6:
            return ""
        arguments = self._arguments(kind.name, name)
        if arguments is None:
            return ""
        alias = f"a{chance.randint(0, 10**6)}: " if chance.random() < 0.3 or arguments else ""
        directive = chance.choice(["", "", "", "", " @skip(if: false)", " @include(if: true)", " @include(if: false)"])
        if is_leaf_type(inner_type):
            return f"{alias}{name}{arguments}{directive}"
        return f"{alias}{name}{arguments}{directive} {self._selection(inner_type, depth + 1)}"

    def _arguments(self, kind: str, name: str) -> str | None:
        chance = self._random
        options = _ARGUMENTS.get(f"{kind}.{name}") or _ARGUMENTS.get(name)
        if options is not None:
            return chance.choice(options)
        field: Any = self._core.type_map[kind].fields[name]  # type: ignore[attr-defined]
        required = [argument for argument in field.args.values() if str(argument.type).endswith("!")]
        return None if required else ""
