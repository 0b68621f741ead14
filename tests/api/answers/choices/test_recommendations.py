"""Recommendations: usable ones by their aim, within the limits, the same fits in every mode."""

from __future__ import annotations

from typing import Any

import pytest

from api.answers.questions import Answerer
from api.errors import QuestionError
from db.entries import specs
from db.entries.files import Catalog
from db.entries.traits import model_traits
from estimator.calibration.capability_prior import ModelTraits
from estimator.calibration.coefficients import Calibration
from estimator.judgement.capability import CapabilityTable
from estimator.judgement.worth import ways
from estimator.placement.layer_sums import model_tables
from estimator.structure.checkpoints import has_weights
from estimator.types import Status, Workload

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERY = """query($for: RecommendationInput!, $mode: OperatingMode, $first: Int, $after: String, $last: Int) {
  recommendations(input: $for, mode: $mode, first: $first, after: $after, last: $last) {
    totalCount pageInfo { hasNextPage endCursor } pick { rank rating answerSeconds }
    nodes { rank rating thinking answerSeconds tokensPerSecond onFrontier reason { code message values }
      worth { value low high capability { value low high evidence results } loss { points low high } }
      fit { source status weightsKnown model { slug } gpu { slug currentPrice { usd } powerWatts vendor } quant { slug }
        workload { kind } decode { tokensPerSecond } ttftMs safeContextTokens } } } }"""


async def page(data: Any, asked: dict[str, Any], **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await data(QUERY, **{"for": asked}, **options))["recommendations"]
    return found


async def ranked(data: Any, asked: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Every recommendation, best first."""
    found = await page(data, asked, **{"first": 100, **options})
    nodes: list[dict[str, Any]] = found["nodes"]
    assert [one["rank"] for one in nodes] == list(range(1, len(nodes) + 1))
    return nodes


def is_usable(one: dict[str, Any], use: Workload) -> bool:
    wait = one["fit"]["ttftMs"]
    return bool(
        one["tokensPerSecond"] >= use.minimum_decode_tok_s
        and (wait is None or wait <= use.usable_ttft_ms)
        and one["answerSeconds"] <= use.usable_answer_s
    )


def price(fit: dict[str, Any]) -> float:
    today = fit["gpu"]["currentPrice"]
    return float("inf") if today is None else float(today["usd"])


async def test_a_fit_tells_the_loss_that_its_setup_is_judged_by(data: Any) -> None:
    asked = {"model": "llama-3.1-8b", "gpu": "rtx-4090"}
    query = """query($for: RecommendationInput!) { recommendations(input: $for, first: 50) { nodes {
      thinking worth { loss { points low high } } fit { loss { points low high evidence } } } } }"""
    nodes = (await data(query, **{"for": asked}))["recommendations"]["nodes"]
    assert {one["fit"]["loss"].pop("evidence") for one in nodes} <= {"MEASURED", "ANCHORED", "PREDICTED"}
    for one in nodes:
        assert not one["thinking"]
        assert one["fit"]["loss"] == pytest.approx(one["worth"]["loss"], rel=1e-5, abs=1e-6)


async def test_accelerators_for_a_model_by_rating(data: Any, catalog: Catalog) -> None:
    found = await ranked(data, {"model": "qwen3-30b-a3b"})
    assert len({one["fit"]["gpu"]["slug"] for one in found}) == len(found) > 1
    ratings = [one["rating"] for one in found]
    assert ratings == sorted(ratings, reverse=True)
    use = specs.workload(catalog.workloads["coding"])
    for one in found:
        assert one["fit"]["source"] == "PUBLISHED"
        assert one["fit"]["workload"]["kind"] == "CODING"
        assert is_usable(one, use)
        cheaper = [other for other in found if price(other["fit"]) <= price(one["fit"])]
        assert one["onFrontier"] == (one["rating"] >= max(other["rating"] for other in cheaper))


@pytest.mark.parametrize(
    ("aim", "read"),
    [
        ("FASTEST", lambda fit: -fit["decode"]["tokensPerSecond"]),
        ("CHEAPEST", price),
        ("EFFICIENT", lambda fit: -fit["decode"]["tokensPerSecond"] / fit["gpu"]["powerWatts"]),
    ],
)
async def test_aims(data: Any, aim: str, read: Any) -> None:
    found = await ranked(data, {"model": "llama-2-7b", "aim": aim, "workload": "CHAT"})
    keys = [read(one["fit"]) for one in found]
    assert keys == sorted(keys)
    assert found


async def test_limits_of_a_buyer(data: Any) -> None:
    found = await ranked(
        data,
        {
            "model": "llama-2-7b",
            "budgetUsd": 1500,
            "maxPowerWatts": 355,
            "vendors": ["NVIDIA", "AMD"],
            "workload": "CHAT",
        },
    )
    assert {one["fit"]["gpu"]["slug"] for one in found} == {"rtx-3090", "rx-7900-xtx"}


async def test_a_target_must_be_reached(data: Any) -> None:
    target = {"decodeTokensPerSecond": 60, "safeContextTokens": 20_000, "ttftMs": 3000, "bitsPerWeight": 4.5}
    found = await ranked(data, {"model": "llama-3.1-8b", "target": target})
    assert found
    for one in found:
        fit = one["fit"]
        assert fit["decode"]["tokensPerSecond"] >= 60
        assert fit["safeContextTokens"] >= 20_000
        assert fit["ttftMs"] <= 3000


async def test_models_for_an_accelerator(data: Any) -> None:
    found = await ranked(data, {"gpu": "rtx-3090", "workload": "CHAT"})
    assert len({one["fit"]["model"]["slug"] for one in found}) == len(found) > 1
    ratings = [one["rating"] for one in found]
    assert ratings == sorted(ratings, reverse=True)
    for one in found:
        worth = one["worth"]
        assert worth["low"] < worth["value"] < worth["high"]
        assert worth["value"] == pytest.approx(worth["capability"]["value"] - worth["loss"]["points"])
        assert one["reason"]["message"].endswith(".")
        assert one["tokensPerSecond"] == pytest.approx(one["fit"]["decode"]["tokensPerSecond"])


async def test_a_list_is_paged_to_its_end(data: Any) -> None:
    asked = {"gpu": "rtx-3090", "workload": "CHAT"}
    every, after, seen = await ranked(data, asked), None, []
    while True:
        part = await page(data, asked, first=2, after=after)
        seen += part["nodes"]
        assert part["totalCount"] == len(every)
        if not part["pageInfo"]["hasNextPage"]:
            break
        after = part["pageInfo"]["endCursor"]
    assert seen == every
    assert (await page(data, asked, last=2))["nodes"] == every[-2:]


async def test_the_pick_is_the_first_on_the_frontier(data: Any) -> None:
    for asked in ({"gpu": "rtx-3090"}, {"model": "qwen3-30b-a3b"}, {"gpu": "rtx-3090", "model": "llama-3.1-8b"}):
        for mode in ("BALANCED", "INTERACTIVE"):
            found = await page(data, {**asked, "workload": "CHAT"}, first=100, mode=mode)
            first = next(one for one in found["nodes"] if one["onFrontier"])
            assert found["pick"] == {key: first[key] for key in ("rank", "rating", "answerSeconds")}


async def test_filters_of_models(data: Any, catalog: Catalog) -> None:
    traits = model_traits(catalog)
    asked = {"gpu": "rtx-4090", "workload": "CHAT"}
    every = {one["fit"]["model"]["slug"] for one in await ranked(data, asked)}
    for change, keeps in (
        ({"license": "apache-2.0"}, lambda slug: catalog.models[slug]["license"] == "apache-2.0"),
        ({"releasedFrom": "2025"}, lambda slug: (catalog.models[slug]["release_date"] or "") >= "2025"),
        ({"modelKind": "REASONING"}, lambda slug: traits[slug].thinking != "never"),
    ):
        found = {one["fit"]["model"]["slug"] for one in await ranked(data, {**asked, **change})}
        assert found == {slug for slug in every if keeps(slug)}


async def test_quantizations_for_a_pairing(data: Any) -> None:
    found = await ranked(data, {"model": "llama-3.1-8b", "gpu": "rtx-3090", "workload": "CHAT"})
    quants = [one["fit"]["quant"]["slug"] for one in found]
    assert len(set(quants)) == len(found) > 5
    assert quants[0] not in ("f16", "bf16-safetensors")
    assert set(quants[-2:]) == {"f16", "bf16-safetensors"}


async def test_nothing_is_recommended_that_nobody_is_known_to_publish(data: Any) -> None:
    for aim in ("SCORE", "FASTEST", "EFFICIENT"):
        for mode in ("BALANCED", "LIGHT_API"):
            for asked in ({"gpu": "rtx-4090"}, {"model": "llama-3.1-8b"}, {"gpu": "rtx-4090", "model": "llama-3.1-8b"}):
                found = await ranked(data, {**asked, "aim": aim, "workload": "CHAT"}, mode=mode)
                assert found
                assert all(one["fit"]["weightsKnown"] for one in found)


async def test_a_mode_changes_no_fit(data: Any) -> None:
    asked = {"model": "llama-3.1-8b", "gpu": "rtx-3090", "workload": "CHAT"}
    balanced = {one["fit"]["quant"]["slug"]: one["fit"] for one in await ranked(data, asked)}
    found = await ranked(data, asked, mode="LIGHT_API")
    assert found
    for one in found:
        assert one["fit"] == balanced[one["fit"]["quant"]["slug"]]
        assert one["tokensPerSecond"] < one["fit"]["decode"]["tokensPerSecond"]
        assert one["fit"]["status"] in ("FITS", "FITS_TIGHTLY")


async def test_first_bounds_the_list(data: Any) -> None:
    asked = {"model": "llama-2-7b", "workload": "CHAT"}
    assert len((await page(data, asked, first=2))["nodes"]) == 2
    assert (await page(data, asked, first=0))["nodes"] == []


async def test_recommendations_before_any_publication_are_live(live: Any) -> None:
    found = (await live(QUERY, **{"for": {"model": "llama-2-7b", "workload": "CHAT"}}))["data"]["recommendations"]
    assert {one["fit"]["source"] for one in found["nodes"]} == {"LIVE"}


@pytest.mark.parametrize(
    ("asked", "first", "code"),
    [
        ({}, None, "BAD_USER_INPUT"),
        ({"model": "nope"}, None, "NOT_FOUND"),
        ({"model": "llama-2-7b"}, -1, "BAD_USER_INPUT"),
        ({"model": "llama-2-7b"}, 101, "LIMIT_EXCEEDED"),
    ],
)
async def test_bad_questions(client: Any, asked: Any, first: int | None, code: str) -> None:
    body = {"query": QUERY, "variables": {"for": asked, "first": first}}
    found = (await client.post("/graphql", json=body)).json()["errors"]
    assert [error["extensions"]["code"] for error in found] == [code]


RANKED = """query($gpu: String!, $name: String!, $setting: String, $first: Int) {
  rankedModels(gpu: $gpu, benchmark: $name, setting: $setting, first: $first) {
    rank fit { model { slug benchmarks { name value setting source } } score } quality { name value setting source } } }"""


async def test_models_rank_by_published_quality_and_unknown_is_said(data: Any, catalog: Catalog) -> None:
    found = (await data(RANKED, gpu="rtx-4090", name="mmlu", first=100))["rankedModels"]
    assert [one["rank"] for one in found] == list(range(1, len(found) + 1))
    known = [one for one in found if one["quality"]]
    assert 0 < len(known) < len(found)
    assert found[: len(known)] == known
    values = [one["quality"]["value"] for one in known]
    assert values == sorted(values, reverse=True)
    for one in known:
        stated = catalog.models[one["fit"]["model"]["slug"]]["benchmarks"]["MMLU"]
        assert (one["quality"]["value"], one["quality"]["source"]) == (stated["value"], stated["source"])
    rest = [one["fit"]["model"]["slug"] for one in found[len(known) :]]
    order = [one["fit"]["model"]["slug"] for one in await ranked(data, {"gpu": "rtx-4090"})]
    assert rest == [slug for slug in order if slug in rest]
    other = (await data(RANKED, gpu="rtx-4090", name="MMLU", setting="no such setting"))["rankedModels"]
    assert all(one["quality"] is None for one in other)
    assert len((await data(RANKED, gpu="rtx-4090", name="MMLU", first=1))["rankedModels"]) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [({"name": "Vibes"}, "NOT_FOUND"), ({"first": -1}, "BAD_USER_INPUT"), ({"first": 101}, "LIMIT_EXCEEDED")],
)
async def test_a_ranking_that_cannot_be_is_a_typed_error(ask: Any, change: dict[str, Any], code: str) -> None:
    answer = await ask(RANKED, **{"gpu": "rtx-4090", "name": "MMLU", **change})
    assert answer["errors"][0]["extensions"]["code"] == code


@pytest.mark.parametrize(
    ("name", "near"),
    [("MMLU Pro", "MMLU-Pro"), ("nope", None), ("x" * 5_000, None)],
)
async def test_an_unknown_benchmark_is_answered_with_near_names_alone(ask: Any, name: str, near: str | None) -> None:
    (error,) = (await ask(RANKED, gpu="rtx-4090", name=name))["errors"]
    suggestions = error["extensions"]["suggestions"]
    assert suggestions[:1] == ([] if near is None else [near])
    assert len(suggestions) <= 5
    assert ("Did you mean" in error["message"]) == (near is not None)


@pytest.mark.parametrize("users", [None, 6])
async def test_models_for_an_accelerator_equal_brute_force_over_all_quantizations(
    data: Any, catalog: Catalog, users: int | None
) -> None:
    target = {"bitsPerWeight": 4.3} | ({} if users is None else {"users": users})
    found = await ranked(data, {"gpu": "rtx-4090", "workload": "CODING", "target": target})
    answerer = Answerer(catalog, Calibration.load())
    use = specs.workload(catalog.workloads["coding"])
    usable = set()
    for model, traits in model_traits(catalog).items():
        for quant in (slug for slug, entry in catalog.quants.items() if specs.is_precomputed(entry)):
            question = {
                "model": model, "gpu": "rtx-4090", "quant": quant, "workload": "coding", "batch": users or 1,
                "is_occupancy_expected": True,
            }  # fmt: skip
            try:
                answer = answerer.answer(question)
            except QuestionError:
                continue
            one = answer.estimate
            bits = model_tables(answer.facts.model, (answer.facts.quant,)).bits_per_weight[0]
            whole = one.status in (Status.FITS, Status.FITS_TIGHTLY) and not answer.waiting_streams
            if one.decode is None or one.ttft_ms is None or bits < 4.3 or (users and not whole):
                continue
            tokens = [use.answer_tokens + use.thinking_tokens * thinks for thinks in way_flags(traits)]
            seconds = one.ttft_ms / 1000 + min(tokens) / one.decode.value
            fast = one.decode.value >= use.minimum_decode_tok_s and one.ttft_ms <= use.usable_ttft_ms
            if fast and seconds <= use.usable_answer_s and has_weights(answer.facts.quant, answer.facts.model):
                usable.add(model)
    assert usable
    assert {one["fit"]["model"]["slug"] for one in found} == usable


def way_flags(traits: ModelTraits) -> list[bool]:
    """Whether the model thinks, for each way that it has."""
    return [way == 1 for way, one in enumerate(ways(traits, CapabilityTable.load().of(traits)["coding"])) if one]


async def test_accelerators_that_serve_many_users_of_a_model(data: Any, catalog: Catalog) -> None:
    target = {"users": 16, "decodeTokensPerSecond": 25}
    found = await ranked(data, {"model": "llama-3.1-8b", "workload": "CHAT", "target": target})
    assert found
    answerer = Answerer(catalog, Calibration.load())
    for one in found:
        question = {
            "model": "llama-3.1-8b", "gpu": one["fit"]["gpu"]["slug"], "quant": one["fit"]["quant"]["slug"],
            "workload": "chat", "batch": 16, "is_occupancy_expected": True,
        }  # fmt: skip
        estimate = answerer.answer(question).estimate
        assert estimate.status in (Status.FITS, Status.FITS_TIGHTLY)
        assert estimate.decode is not None
        assert estimate.decode.value == pytest.approx(one["tokensPerSecond"], rel=1e-5)
        assert estimate.decode.value >= 25


@pytest.mark.parametrize("aim", ["SCORE", "FASTEST"])
async def test_first_models_for_several_users_are_those_of_the_whole_list(data: Any, aim: str) -> None:
    for gpu in ("rtx-4090", "rtx-3090"):
        asked = {"gpu": gpu, "aim": aim, "target": {"users": 6}}
        some, whole = await page(data, asked, first=2), await page(data, asked, first=100)
        assert len(whole["nodes"]) > 2
        assert some["pageInfo"]["hasNextPage"]
        assert some["nodes"] == whole["nodes"][:2]
        assert (some["pick"], some["totalCount"]) == (whole["pick"], len(whole["nodes"]))
        rest = await page(data, asked, first=100, after=some["pageInfo"]["endCursor"])
        assert rest["nodes"] == whole["nodes"][2:]


@pytest.mark.parametrize("users", [0, -3, 1025])
async def test_a_number_of_users_has_bounds(client: Any, users: int) -> None:
    body = {"query": QUERY, "variables": {"for": {"model": "llama-2-7b", "target": {"users": users}}}}
    (error,) = (await client.post("/graphql", json=body)).json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "1 to 1,024" in error["message"]
