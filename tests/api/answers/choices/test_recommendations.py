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
    answer: dict[str, Any] = (await data(QUERY, **{"for": asked}, **options))["recommendations"]
    return answer


async def ranked(data: Any, asked: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """Every recommendation, best first."""
    answer = await page(data, asked, **{"first": 100, **options})
    nodes: list[dict[str, Any]] = answer["nodes"]
    assert [row["rank"] for row in nodes] == list(range(1, len(nodes) + 1))
    return nodes


def is_usable(row: dict[str, Any], use: Workload) -> bool:
    wait = row["fit"]["ttftMs"]
    return bool(
        row["tokensPerSecond"] >= use.minimum_decode_tok_s
        and (wait is None or wait <= use.usable_ttft_ms)
        and row["answerSeconds"] <= use.usable_answer_s
    )


def price(fit: dict[str, Any]) -> float:
    today = fit["gpu"]["currentPrice"]
    return float("inf") if today is None else float(today["usd"])


async def test_a_fit_tells_the_loss_that_its_setup_is_judged_by(data: Any) -> None:
    asked = {"model": "llama-3.1-8b", "gpu": "rtx-4090"}
    query = """query($for: RecommendationInput!) { recommendations(input: $for, first: 50) { nodes {
      thinking worth { loss { points low high } } fit { loss { points low high evidence } } } } }"""
    nodes = (await data(query, **{"for": asked}))["recommendations"]["nodes"]
    assert {row["fit"]["loss"].pop("evidence") for row in nodes} <= {"MEASURED", "ANCHORED", "PREDICTED"}
    for row in nodes:
        assert not row["thinking"]
        assert row["fit"]["loss"] == pytest.approx(row["worth"]["loss"], rel=1e-5, abs=1e-6)


async def test_accelerators_for_a_model_by_rating(data: Any, catalog: Catalog) -> None:
    rows = await ranked(data, {"model": "qwen3-30b-a3b"})
    assert len({row["fit"]["gpu"]["slug"] for row in rows}) == len(rows) > 1
    ratings = [row["rating"] for row in rows]
    assert ratings == sorted(ratings, reverse=True)
    use = specs.workload(catalog.workloads["coding"])
    for row in rows:
        assert row["fit"]["source"] == "PUBLISHED"
        assert row["fit"]["workload"]["kind"] == "CODING"
        assert is_usable(row, use)
        cheaper = [other for other in rows if price(other["fit"]) <= price(row["fit"])]
        assert row["onFrontier"] == (row["rating"] >= max(other["rating"] for other in cheaper))


@pytest.mark.parametrize(
    ("aim", "read"),
    [
        ("FASTEST", lambda fit: -fit["decode"]["tokensPerSecond"]),
        ("CHEAPEST", price),
        ("EFFICIENT", lambda fit: -fit["decode"]["tokensPerSecond"] / fit["gpu"]["powerWatts"]),
    ],
)
async def test_aims(data: Any, aim: str, read: Any) -> None:
    rows = await ranked(data, {"model": "llama-2-7b", "aim": aim, "workload": "CHAT"})
    keys = [read(row["fit"]) for row in rows]
    assert keys == sorted(keys)
    assert rows


async def test_limits_of_a_buyer(data: Any) -> None:
    rows = await ranked(
        data,
        {
            "model": "llama-2-7b",
            "budgetUsd": 1500,
            "maxPowerWatts": 355,
            "vendors": ["NVIDIA", "AMD"],
            "workload": "CHAT",
        },
    )
    assert {row["fit"]["gpu"]["slug"] for row in rows} == {"rtx-3090", "rx-7900-xtx"}


async def test_a_target_must_be_reached(data: Any) -> None:
    target = {"decodeTokensPerSecond": 60, "safeContextTokens": 20_000, "ttftMs": 3000, "bitsPerWeight": 4.5}
    rows = await ranked(data, {"model": "llama-3.1-8b", "target": target})
    assert rows
    for row in rows:
        fit = row["fit"]
        assert fit["decode"]["tokensPerSecond"] >= 60
        assert fit["safeContextTokens"] >= 20_000
        assert fit["ttftMs"] <= 3000


async def test_models_for_an_accelerator(data: Any) -> None:
    rows = await ranked(data, {"gpu": "rtx-3090", "workload": "CHAT"})
    assert len({row["fit"]["model"]["slug"] for row in rows}) == len(rows) > 1
    ratings = [row["rating"] for row in rows]
    assert ratings == sorted(ratings, reverse=True)
    for row in rows:
        worth = row["worth"]
        assert worth["low"] < worth["value"] < worth["high"]
        assert worth["value"] == pytest.approx(worth["capability"]["value"] - worth["loss"]["points"])
        assert row["reason"]["message"].endswith(".")
        assert row["tokensPerSecond"] == pytest.approx(row["fit"]["decode"]["tokensPerSecond"])


async def test_a_list_is_paged_to_its_end(data: Any) -> None:
    asked = {"gpu": "rtx-3090", "workload": "CHAT"}
    every, after, nodes = await ranked(data, asked), None, []
    while True:
        part = await page(data, asked, first=2, after=after)
        nodes += part["nodes"]
        assert part["totalCount"] == len(every)
        if not part["pageInfo"]["hasNextPage"]:
            break
        after = part["pageInfo"]["endCursor"]
    assert nodes == every
    assert (await page(data, asked, last=2))["nodes"] == every[-2:]


async def test_the_pick_is_the_first_on_the_frontier(data: Any) -> None:
    for asked in ({"gpu": "rtx-3090"}, {"model": "qwen3-30b-a3b"}, {"gpu": "rtx-3090", "model": "llama-3.1-8b"}):
        for mode in ("BALANCED", "INTERACTIVE"):
            answer = await page(data, {**asked, "workload": "CHAT"}, first=100, mode=mode)
            first = next(row for row in answer["nodes"] if row["onFrontier"])
            assert answer["pick"] == {key: first[key] for key in ("rank", "rating", "answerSeconds")}


async def test_filters_of_models(data: Any, catalog: Catalog) -> None:
    traits = model_traits(catalog)
    asked = {"gpu": "rtx-4090", "workload": "CHAT"}
    every = {row["fit"]["model"]["slug"] for row in await ranked(data, asked)}
    for change, keeps in (
        ({"license": "apache-2.0"}, lambda slug: catalog.models[slug]["license"] == "apache-2.0"),
        ({"releasedFrom": "2025"}, lambda slug: (catalog.models[slug]["release_date"] or "") >= "2025"),
        ({"modelKind": "REASONING"}, lambda slug: traits[slug].thinking != "never"),
    ):
        slugs = {row["fit"]["model"]["slug"] for row in await ranked(data, {**asked, **change})}
        assert slugs == {slug for slug in every if keeps(slug)}


async def test_quantizations_for_a_pairing(data: Any) -> None:
    rows = await ranked(data, {"model": "llama-3.1-8b", "gpu": "rtx-3090", "workload": "CHAT"})
    quants = [row["fit"]["quant"]["slug"] for row in rows]
    assert len(set(quants)) == len(rows) > 5
    assert quants[0] not in ("f16", "bf16-safetensors")
    # What is never chosen is last: needlessly wide, or ruined.
    never = {"f16", "bf16-safetensors", "q2-k", "iq2-xxs"}
    assert max(map(quants.index, ("q3-k-m", "q4-k-m", "q8-0"))) < min(map(quants.index, never))


async def test_nothing_is_recommended_that_nobody_is_known_to_publish(data: Any) -> None:
    for aim in ("SCORE", "FASTEST", "EFFICIENT"):
        for mode in ("BALANCED", "LIGHT_API"):
            for asked in ({"gpu": "rtx-4090"}, {"model": "llama-3.1-8b"}, {"gpu": "rtx-4090", "model": "llama-3.1-8b"}):
                rows = await ranked(data, {**asked, "aim": aim, "workload": "CHAT"}, mode=mode)
                assert rows
                assert all(row["fit"]["weightsKnown"] for row in rows)


async def test_a_mode_changes_no_fit(data: Any) -> None:
    asked = {"model": "llama-3.1-8b", "gpu": "rtx-3090", "workload": "CHAT"}
    balanced = {row["fit"]["quant"]["slug"]: row["fit"] for row in await ranked(data, asked)}
    rows = await ranked(data, asked, mode="LIGHT_API")
    assert rows
    for row in rows:
        assert row["fit"] == balanced[row["fit"]["quant"]["slug"]]
        assert row["tokensPerSecond"] < row["fit"]["decode"]["tokensPerSecond"]
        assert row["fit"]["status"] in ("FITS", "FITS_TIGHTLY")


async def test_first_bounds_the_list(data: Any) -> None:
    asked = {"model": "llama-2-7b", "workload": "CHAT"}
    assert len((await page(data, asked, first=2))["nodes"]) == 2
    assert (await page(data, asked, first=0))["nodes"] == []


async def test_recommendations_before_any_publication_are_live(live: Any) -> None:
    answer = (await live(QUERY, **{"for": {"model": "llama-2-7b", "workload": "CHAT"}}))["data"]["recommendations"]
    assert {row["fit"]["source"] for row in answer["nodes"]} == {"LIVE"}


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
    errors = (await client.post("/graphql", json=body)).json()["errors"]
    assert [error["extensions"]["code"] for error in errors] == [code]


RANKED = """query($gpu: String!, $name: String!, $setting: String, $first: Int) {
  rankedModels(gpu: $gpu, benchmark: $name, setting: $setting, first: $first) {
    rank fit { model { slug benchmarks { name value setting source } } score } quality { name value setting source } } }"""


async def test_models_rank_by_published_quality_and_unknown_is_said(data: Any, catalog: Catalog) -> None:
    rows = (await data(RANKED, gpu="rtx-4090", name="mmlu", first=100))["rankedModels"]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    known = [row for row in rows if row["quality"]]
    assert 0 < len(known) < len(rows)
    assert rows[: len(known)] == known
    values = [row["quality"]["value"] for row in known]
    assert values == sorted(values, reverse=True)
    for row in known:
        stated = catalog.models[row["fit"]["model"]["slug"]]["benchmarks"]["MMLU"]
        assert (row["quality"]["value"], row["quality"]["source"]) == (stated["value"], stated["source"])
    rest = [row["fit"]["model"]["slug"] for row in rows[len(known) :]]
    order = [row["fit"]["model"]["slug"] for row in await ranked(data, {"gpu": "rtx-4090"})]
    assert rest == [slug for slug in order if slug in rest]
    other = (await data(RANKED, gpu="rtx-4090", name="MMLU", setting="no such setting"))["rankedModels"]
    assert all(row["quality"] is None for row in other)
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
    rows = await ranked(data, {"gpu": "rtx-4090", "workload": "CODING", "target": target})
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
            row = answer.estimate
            bits = model_tables(answer.facts.model, (answer.facts.quant,)).bits_per_weight[0]
            on_devices = row.status in (Status.FITS, Status.FITS_TIGHTLY) and not answer.waiting_streams
            if row.decode is None or row.ttft_ms is None or bits < 4.3 or (users and not on_devices):
                continue
            tokens = [use.answer_tokens + use.thinking_tokens * thinks for thinks in way_flags(traits)]
            seconds = row.ttft_ms / 1000 + min(tokens) / row.decode.value
            fast = row.decode.value >= use.minimum_decode_tok_s and row.ttft_ms <= use.usable_ttft_ms
            if fast and seconds <= use.usable_answer_s and has_weights(answer.facts.quant, answer.facts.model):
                usable.add(model)
    assert usable
    assert {row["fit"]["model"]["slug"] for row in rows} == usable


def way_flags(traits: ModelTraits) -> list[bool]:
    """Whether the model thinks, for each way that it has."""
    return [way == 1 for way, row in enumerate(ways(traits, CapabilityTable.load().of(traits)["coding"])) if row]


async def test_accelerators_that_serve_many_users_of_a_model(data: Any, catalog: Catalog) -> None:
    target = {"users": 16, "decodeTokensPerSecond": 25}
    rows = await ranked(data, {"model": "llama-3.1-8b", "workload": "CHAT", "target": target})
    assert rows
    answerer = Answerer(catalog, Calibration.load())
    for row in rows:
        question = {
            "model": "llama-3.1-8b", "gpu": row["fit"]["gpu"]["slug"], "quant": row["fit"]["quant"]["slug"],
            "workload": "chat", "batch": 16, "is_occupancy_expected": True,
        }  # fmt: skip
        estimate = answerer.answer(question).estimate
        assert estimate.status in (Status.FITS, Status.FITS_TIGHTLY)
        assert estimate.decode is not None
        assert estimate.decode.value == pytest.approx(row["tokensPerSecond"], rel=1e-5)
        assert estimate.decode.value >= 25


@pytest.mark.parametrize("aim", ["SCORE", "FASTEST"])
async def test_first_models_for_several_users_are_those_of_the_whole_list(data: Any, aim: str) -> None:
    for gpu in ("rtx-4090", "rtx-3090"):
        asked = {"gpu": gpu, "aim": aim, "target": {"users": 6}}
        some, complete = await page(data, asked, first=2), await page(data, asked, first=100)
        assert len(complete["nodes"]) > 2
        assert some["pageInfo"]["hasNextPage"]
        assert some["nodes"] == complete["nodes"][:2]
        assert (some["pick"], some["totalCount"]) == (complete["pick"], len(complete["nodes"]))
        rest = await page(data, asked, first=100, after=some["pageInfo"]["endCursor"])
        assert rest["nodes"] == complete["nodes"][2:]


@pytest.mark.parametrize("users", [0, -3, 1025])
async def test_a_number_of_users_has_bounds(client: Any, users: int) -> None:
    body = {"query": QUERY, "variables": {"for": {"model": "llama-2-7b", "target": {"users": users}}}}
    (error,) = (await client.post("/graphql", json=body)).json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "1 to 1,024" in error["message"]
