"""The schema: current on disk, described everywhere, named by the rules, and as the contract says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    get_named_type,
    is_specified_scalar_type,
)

import api
from api.graphql.schema import schema

CORE = schema._schema
ROOT = Path(api.__file__).parent.parent

#: What clients and checks depend on: type -> fields with their types.
CONTRACT = {
    "Query": {
        "node": "Node",
        "nodes": "[Node]",
        "model": "Model",
        "models": "ModelConnection",
        "gpu": "Gpu",
        "gpus": "GpuConnection",
        "quant": "Quant",
        "quants": "[Quant!]!",
        "workloads": "[Workload!]!",
        "engines": "[Engine!]!",
        "fit": "Fit",
        "fits": "FitConnection",
        "comparison": "Comparison",
        "recommendations": "RecommendationConnection",
        "estimate": "Estimate",
        "estimates": "[EstimateResult!]",
        "catalog": "Catalog!",
        "run": "Run",
        "runs": "RunConnection",
    },
    "Mutation": {
        "upsertModel": "UpsertModelPayload!",
        "upsertGpu": "UpsertGpuPayload!",
        "recompute": "RecomputePayload!",
        "cancelRun": "CancelRunPayload!",
    },
    "Subscription": {"runProgress": "Run!", "decodeStream": "Token!"},
    "Fit": {
        "id": "ID!",
        "model": "Model!",
        "gpu": "Gpu!",
        "quant": "Quant!",
        "workload": "Workload!",
        "engine": "Engine",
        "generation": "Int",
        "status": "FitStatus!",
        "headline": "String!",
        "summary": "String!",
        "memory": "FitMemory",
        "placement": "FitPlacement!",
        "decode": "SpeedEstimate",
        "prefill": "SpeedEstimate",
        "ttftMs": "Float",
        "safeContextTokens": "Int!",
        "contextTokens": "Int!",
        "score": "Float!",
        "grade": "Grade!",
        "scoreParts": "[FitScorePart!]!",
        "limits": "[FitLimit!]!",
        "advice": "[FitAdvice!]!",
        "commands": "[FitCommand!]!",
        "workloadOptions": "[Fit!]!",
        "quantOptions": "[Fit!]!",
        "recommended": "Boolean!",
        "faq": "[FitQuestion!]!",
        "embed": "FitEmbed!",
        "measurements": "MeasurementConnection",
    },
    "FitMemory": dict.fromkeys(
        (
            "weightsBytes",
            "kvCacheBytes",
            "computeBytes",
            "overheadBytes",
            "totalBytes",
            "usableBytes",
            "capacityBytes",
            "headroomBytes",
            "hostBytes",
        ),
        "Int64!",
    ),
    "FitPlacement": {
        "gpuLayers": "Int!",
        "cpuMoeLayers": "Int!",
        "offloadFraction": "Float!",
        "strategy": "PlacementStrategy!",
    },
    "SpeedEstimate": {"tokensPerSecond": "Float!", "low": "Float!", "high": "Float!", "evidence": "Evidence!"},
    "FitScorePart": {"name": "ScoreTerm!", "value": "Float!", "weight": "Float!"},
    "FitLimit": {"code": "LimitCode!", "share": "Float!", "message": "String!"},
    "FitAdvice": {"code": "AdviceCode!", "message": "String!", "gain": "FitGain!"},
    "FitCommand": {"engine": "Engine!", "text": "String!"},
    "FitQuestion": {"question": "String!", "answer": "String!"},
    "FitEmbed": {"url": "String!", "html": "String!"},
    "Model": {"fits": "FitConnection", "quants": "[ModelQuant!]!"},
    "ModelQuant": {"fileSizeBytes": "Int64!", "weightsBytes": "Int64!"},
    "Gpu": {"fits": "FitConnection"},
    "UserError": {"code": "ErrorCode!", "message": "String!", "field": "[String!]"},
}
ARGUMENTS = {
    "Query.fit": {"model": "String!", "gpu": "String!", "quant": "String", "workload": "WorkloadKind"},
    "Query.models": {
        "filter": "ModelFilter",
        "orderBy": "[ModelOrder!]",
        "first": "Int",
        "after": "String",
        "last": "Int",
        "before": "String",
    },
    "Query.comparison": {"input": "ComparisonInput!"},
    "Query.recommendations": {
        "input": "RecommendationInput!",
        "mode": "OperatingMode",
        "first": "Int",
        "after": "String",
        "last": "Int",
        "before": "String",
    },
    "Query.estimates": {"inputs": "[EstimateInput!]!"},
    "Mutation.upsertModel": {"input": "UpsertModelInput!"},
    "Subscription.decodeStream": {"model": "String!", "gpu": "String!", "quant": "String"},
}
#: Every kind of thing that fits belong to lists its own.
OWNERS = ("Query", "Model", "Gpu", "Quant", "Workload", "Engine", "Host")
ARGUMENTS |= {
    f"{owner}.fits": ARGUMENTS["Query.models"] | {"filter": "FitFilter", "orderBy": "[FitOrder!]", "onePer": "FitGroup"}
    for owner in OWNERS
}
ERROR_CODES = {
    "NOT_FOUND",
    "BAD_USER_INPUT",
    "LIMIT_EXCEEDED",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "STALE_CURSOR",
    "UNAVAILABLE",
    "INTERNAL",
}


def own_types() -> Iterator[GraphQLNamedType]:
    for name, kind in CORE.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(kind):
            yield kind


def members() -> Iterator[tuple[str, str | None]]:
    """Every type, field, argument and enum value with its description."""
    for kind in own_types():
        yield kind.name, kind.description
        if isinstance(kind, GraphQLEnumType):
            for name, value in kind.values.items():
                yield f"{kind.name}.{name}", value.description
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in kind.fields.items():
                yield f"{kind.name}.{name}", field.description
                for argument_name, argument in field.args.items():
                    yield f"{kind.name}.{name}({argument_name})", argument.description
        elif isinstance(kind, GraphQLInputObjectType):
            for name, entry in kind.fields.items():
                yield f"{kind.name}.{name}", entry.description


def test_the_printed_schema_is_current() -> None:
    assert (ROOT / "schema.graphql").read_text() == schema.as_str() + "\n", "run `make schema`"


def test_everything_is_described_in_a_sentence() -> None:
    bad = [name for name, text in members() if not text or not text.strip().endswith((".", "`", ")"))]
    assert bad == []


@pytest.mark.parametrize("type_name", sorted(CONTRACT))
def test_the_contract_holds(type_name: str) -> None:
    kind = CORE.type_map[type_name]
    assert isinstance(kind, GraphQLObjectType)
    assert {name: str(kind.fields[name].type) for name in CONTRACT[type_name]} == CONTRACT[type_name]


@pytest.mark.parametrize("field", sorted(ARGUMENTS))
def test_the_arguments_of_the_contract(field: str) -> None:
    type_name, field_name = field.split(".")
    kind = CORE.type_map[type_name]
    assert isinstance(kind, GraphQLObjectType)
    assert {name: str(argument.type) for name, argument in kind.fields[field_name].args.items()} == ARGUMENTS[field]


def test_fit_asks_for_coding_when_nothing_is_said() -> None:
    assert "workload: WorkloadKind = CODING" in schema.as_str()


def test_error_codes_are_an_enum() -> None:
    kind = CORE.type_map["ErrorCode"]
    assert isinstance(kind, GraphQLEnumType)
    assert set(kind.values) >= ERROR_CODES


def test_names_leak_no_database_and_no_verbs() -> None:
    for name, _ in members():
        parts = name.split(".")
        last = parts[-1].split("(")[0]
        assert not re.match(r"get[A-Z]", last), name
        assert not last.endswith("Id") or last == "clientMutationId", name
        assert "_" not in last or last.isupper() or last[0].isupper(), name


def test_bytes_are_never_int() -> None:
    for kind in own_types():
        for name, field in getattr(kind, "fields", {}).items():
            if name.endswith("Bytes"):
                assert str(field.type).strip("!") in ("Int64", "Int64Range"), f"{kind.name}.{name}"


def test_every_connection_is_a_relay_connection() -> None:
    for kind in own_types():
        if kind.name.endswith("Connection") and isinstance(kind, GraphQLObjectType):
            assert str(kind.fields["pageInfo"].type) == "PageInfo!"
            assert str(kind.fields["totalCount"].type) == "Int!"
            assert re.fullmatch(r"\[\w+Edge!\]!", str(kind.fields["edges"].type))
            edge = CORE.type_map[str(kind.fields["edges"].type).strip("[]!")]
            assert isinstance(edge, GraphQLObjectType)
            assert str(edge.fields["cursor"].type) == "String!"


def test_mutations_take_one_input_and_return_errors_as_data() -> None:
    mutation = CORE.mutation_type
    assert mutation is not None
    for name, field in mutation.fields.items():
        expected = name[0].upper() + name[1:]
        assert {key: str(value.type) for key, value in field.args.items()} == {"input": f"{expected}Input!"}
        payload = CORE.type_map[f"{expected}Payload"]
        assert isinstance(payload, GraphQLObjectType)
        assert str(payload.fields["userErrors"].type) == "[UserError!]!"


def test_every_major_thing_is_a_node() -> None:
    node = CORE.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    node_names = {kind.name for kind in CORE.get_possible_types(node)}
    assert node_names == {
        "Model",
        "Gpu",
        "Quant",
        "Workload",
        "Engine",
        "Host",
        "Computer",
        "Fit",
        "Run",
        "Measurement",
    }


#: Endings of names of numbers, and what their description must say.
UNITS = {
    "bytes": "byte",
    "gb": r"GB|GiB",
    "gbps": "bytes per second",
    "per_second": "per second",
    "per_token": "joule|dollar|experts",
    "ms": "millisecond",
    "tokens": "token",
    "usd": "dollar",
    "watts": "watt",
    "fraction": "0 to 1",
    "share": r"0 to 1|percent",
    "score": "0 to 100|points",
    "seconds": "second",
    "bits": "bit",
    "min": "unit|[a-z] per second|byte",
    "max": "unit|[a-z] per second|byte",
}


def _numbers() -> Iterator[tuple[str, str, str]]:
    """Name with its place, own name in snake case and description of every number that a client gives or gets."""
    for kind in CORE.type_map.values():
        if kind.name.startswith("__") or not isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            continue
        for name, field in kind.fields.items():
            for own, element in {name: field, **getattr(field, "args", {})}.items():
                if get_named_type(element.type).name in ("Int", "Float", "Int64"):
                    yield (
                        f"{kind.name}.{name}({own})",
                        re.sub("([A-Z])", r"_\1", own).lower(),
                        element.description or "",
                    )


def test_every_quantity_says_its_unit() -> None:
    met = set()
    for place, name, description in _numbers():
        ending = next((unit for unit in UNITS if name == unit or name.endswith(f"_{unit}")), None)
        if ending is not None:
            met.add(ending)
            assert re.search(UNITS[ending], description, re.IGNORECASE), f"{place}: {description!r}"
    assert met == set(UNITS)


def test_lists_of_things_are_connections_or_say_their_bound() -> None:
    query = CORE.query_type
    assert query is not None
    met = set()
    for name, field in query.fields.items():
        if "[" not in str(field.type):
            continue
        text, first = str(field.description), field.args.get("first")
        if first is not None:
            assert "at most 100" in text.lower(), name
            assert "0 to 100" in str(first.description), name
            met.add(name)
        else:
            assert re.search(r"closed list|at most \d+|up to [\d,]+", text, re.IGNORECASE), name
    assert met == {"smallestSetups", "upgradeGains", "rankedModels"}
