"""Names and shapes of the schema against its rules: every finding is a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_specified_scalar_type,
)

from api.graphql.schema import schema

CORE = schema.core
#: Words that are the same in the plural, or name a mass.
UNCOUNTED = ("people", "decode", "prefill", "advice", "faq", "serving", "memory", "embed", "in")
#: Beginnings and endings of names of questions that are answered by true or false.
QUESTIONS = re.compile(
    r"^(has|is|on|include|leaves|newly|sold|unified|importance|mixture|flash|expert|latent|higher)[A-Z]|"
    r"(Known|[Ss]pot|[Ss]uspect|[Rr]ecommended|[Vv]erified|[Ee]xact|[Dd]efault|[Uu]sed|[Ee]stimable|[Tt]hinking|[Tt]hinks|"
    r"[Ee]verything|[Vv]ision|[Dd]ryRun|[Uu]nchanged)$"
)


def objects() -> Iterator[Any]:
    for name, kind in CORE.type_map.items():
        if not name.startswith("__") and isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            yield kind


def inputs() -> Iterator[GraphQLInputObjectType]:
    for kind in CORE.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            yield kind


def fields() -> Iterator[tuple[str, str, Any]]:
    """Place, name and type of every field, argument and input field."""
    for kind in objects():
        for name, field in kind.fields.items():
            yield f"{kind.name}.{name}", name, field.type
            for own, argument in field.args.items():
                yield f"{kind.name}.{name}({own})", own, argument.type
    for kind_ in inputs():
        for name, entry in kind_.fields.items():
            yield f"{kind_.name}.{name}", name, entry.type


def is_list(kind: Any) -> bool:
    return isinstance(get_nullable_type(kind), GraphQLList)


def test_names_have_their_case() -> None:
    for kind in CORE.type_map.values():
        if kind.name.startswith("__") or is_specified_scalar_type(kind):
            continue
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", kind.name), kind.name
        if isinstance(kind, GraphQLEnumType):
            assert [name for name in kind.values if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name)] == [], kind.name
    assert [place for place, name, _ in fields() if not re.fullmatch(r"[a-z][A-Za-z0-9]*", name)] == []


def test_no_name_begins_with_a_verb_of_reading() -> None:
    assert [place for place, name, _ in fields() if re.match(r"(get|fetch|list|find|load)[A-Z]", name)] == []


def test_lists_have_plural_names() -> None:
    singular = [
        place
        for place, name, kind in fields()
        if is_list(kind)
        and not re.search(r"(s|[Ss]haredBy|[Ff]or)$", name)
        and name not in (*UNCOUNTED, "field", "or")
        # Parts of a set, and the order of a list.
        and name not in ("notIn", "orderBy", "meeting", "unpriced", "notEstimated", "leftOut")
    ]
    assert singular == []


def test_single_things_have_no_plural_names() -> None:
    plural = {
        place
        for place, name, kind in fields()
        if not is_list(kind)
        and re.search(r"(models|gpus|quants|fits|engines|nodes|edges|prices|sources)$", name)
        and not get_named_type(kind).name.endswith(("Connection", "Purchases"))
    }
    assert plural == set()


def test_booleans_are_named_as_questions() -> None:
    odd = [
        place for place, name, kind in fields() if get_named_type(kind).name == "Boolean" and not QUESTIONS.search(name)
    ]
    assert odd == []


def test_what_a_client_can_get_wrong_fails_alone() -> None:
    """A root that takes arguments may fail by them: it is nullable, and the other roots keep their answers."""
    query = CORE.query_type
    assert query is not None
    strict = [name for name, field in query.fields.items() if field.args and isinstance(field.type, GraphQLNonNull)]
    assert strict == []


def test_payloads_have_one_shape() -> None:
    for kind in objects():
        if kind.name.endswith("Payload"):
            assert str(kind.fields["userErrors"].type) == "[UserError!]!", kind.name
            assert str(kind.fields["clientMutationId"].type) == "String", kind.name
            assert CORE.type_map[kind.name.replace("Payload", "Input")], kind.name


def test_one_word_has_one_type() -> None:
    """A field of an answer with one of these names has this type wherever it is."""
    words = {
        "model": "Model", "gpu": "Gpu", "quant": "Quant", "engine": "Engine", "workload": "Workload", "host": "Host",
        "computer": "Computer", "models": "Model", "gpus": "Gpu", "quants": "Quant", "workloads": "Workload",
        "fits": "Fit", "grade": "Grade", "status": "FitStatus", "evidence": "Evidence", "phase": "MeasurementPhase",
        "releaseDate": "PartialDate", "date": "PartialDate", "backend": "BackendKind", "estimate": "Estimate",
    }  # fmt: skip
    excused = {
        # A list of the pages, or of the links, of the same thing; a judgement rests on results, not on a speed.
        "Model.quants", "FitServing.engines", "Capability.evidence", "FitLoss.evidence",
    }  # fmt: skip
    odd = []
    for kind in objects():
        for name, field in kind.fields.items():
            expected = words.get(name)
            type_name = get_named_type(field.type).name.removesuffix("Connection")
            if expected is not None and type_name != expected and f"{kind.name}.{name}" not in excused:
                odd.append(f"{kind.name}.{name}: {type_name}")
    assert odd == []


def test_a_code_stands_beside_every_message() -> None:
    silent = [kind.name for kind in objects() if "message" in kind.fields and "code" not in kind.fields]
    assert silent == []


def test_a_prediction_has_the_same_type_in_a_fit_and_in_an_estimate() -> None:
    shared = CORE.type_map["Prediction"]
    assert isinstance(shared, GraphQLInterfaceType)
    for name, field in shared.fields.items():
        own = {str(CORE.type_map[kind].fields[name].type) for kind in ("Fit", "Estimate")}  # type: ignore[attr-defined]
        if name in ("model", "gpu", "workload"):
            assert own == {str(field.type), f"{field.type}!"}
        else:
            assert own == {str(field.type)}, name


def test_a_list_that_takes_a_cursor_may_be_null() -> None:
    """A stale cursor fails its own field, and not the objects around it."""
    lists = [
        f"{kind.name}.{name}" for kind in objects() for name, field in kind.fields.items()
        if "after" in field.args and isinstance(field.type, GraphQLNonNull)
    ]  # fmt: skip
    assert lists == []
