"""Recommendations: ordered by their aim, within the limits, the same fits in every mode."""

from __future__ import annotations

from typing import Any

import pytest

from api.answers.questions import Answerer
from api.errors import QuestionError
from db.entries import specs
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration
from estimator.placement.layer_sums import model_tables
from estimator.types import Estimate, Status

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERY = """query($for: RecommendationInput!, $mode: OperatingMode, $first: Int) {
  recommendations(for: $for, mode: $mode, first: $first) { rank score
    fit { source score model { slug } gpu { slug priceUsd powerWatts vendor } quant { slug } workload { kind }
      decode { tokensPerSecond } modeScore(mode: SCALE_OUT) ttftMs safeContextTokens } } }"""


async def ranked(data: Any, asked: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await data(QUERY, **{"for": asked}, **options))["recommendations"]
    assert [one["rank"] for one in found] == list(range(1, len(found) + 1))
    return found


async def test_accelerators_for_a_model_by_score(data: Any) -> None:
    found = await ranked(data, {"model": "qwen3-30b-a3b"})
    assert len({one["fit"]["gpu"]["slug"] for one in found}) == len(found) == 5
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    for one in found:
        assert one["fit"]["source"] == "PUBLISHED"
        assert one["score"] == pytest.approx(one["fit"]["score"], abs=0.01)
        assert one["fit"]["workload"]["kind"] == "CODING"


@pytest.mark.parametrize(
    ("aim", "read"),
    [
        ("FASTEST", lambda fit: -fit["decode"]["tokensPerSecond"]),
        ("CHEAPEST", lambda fit: fit["gpu"]["priceUsd"]),
        ("EFFICIENT", lambda fit: -fit["decode"]["tokensPerSecond"] / fit["gpu"]["powerWatts"]),
    ],
)
async def test_aims(data: Any, aim: str, read: Any) -> None:
    found = await ranked(data, {"model": "llama-2-7b", "aim": aim})
    keys = [read(one["fit"]) for one in found]
    assert keys == sorted(keys)
    assert found


async def test_limits_of_a_buyer(data: Any) -> None:
    found = await ranked(
        data, {"model": "llama-2-7b", "budgetUsd": 1500, "maxPowerWatts": 355, "vendors": ["NVIDIA", "AMD"]}
    )
    assert {one["fit"]["gpu"]["slug"] for one in found} == {"rtx-3090", "rx-7900-xtx"}


async def test_a_target_must_be_reached(data: Any) -> None:
    target = {"decodeTokensPerSecond": 60, "safeContextTokens": 20_000, "ttftMs": 3000}
    found = await ranked(data, {"model": "llama-3.1-8b", "target": target})
    for one in found:
        fit = one["fit"]
        assert fit["decode"]["tokensPerSecond"] >= 60
        assert fit["safeContextTokens"] >= 20_000
        assert fit["ttftMs"] <= 3000


async def test_models_for_an_accelerator(data: Any) -> None:
    found = await ranked(data, {"gpu": "rtx-3090", "workload": "CHAT"})
    assert len({one["fit"]["model"]["slug"] for one in found}) == len(found)
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    assert {one["fit"]["workload"]["kind"] for one in found} == {"CHAT"}


async def test_quantizations_for_a_pairing(data: Any) -> None:
    found = await ranked(data, {"model": "llama-3.1-8b", "gpu": "rtx-3090"}, first=100)
    best = (await data('{ fit(model: "llama-3.1-8b", gpu: "rtx-3090") { quant { slug } } }'))["fit"]["quant"]
    assert found[0]["fit"]["quant"] == best
    assert len({one["fit"]["quant"]["slug"] for one in found}) == len(found) > 5


KNOWN = """query($model: String!, $gpu: String!, $workload: WorkloadKind!) {
  fit(model: $model, gpu: $gpu, workload: $workload) { weightsKnown quant { slug }
    quantOptions { weightsKnown recommended score status quant { slug } } } }"""


async def test_nothing_is_recommended_that_nobody_is_known_to_publish(data: Any, live: Any, catalog: Catalog) -> None:
    left_out = 0
    for model in catalog.models:
        for gpu in ("rtx-4090", "rtx-3090"):
            for workload in ("CHAT", "CODING", "RAG"):
                asked = {"model": model, "gpu": gpu, "workload": workload}
                fit = (await data(KNOWN, **asked))["fit"]
                assert fit == (await live(KNOWN, **asked))["data"]["fit"]
                running = [
                    one for one in fit["quantOptions"] if one["status"] in ("FITS", "FITS_TIGHTLY", "FITS_WITH_OFFLOAD")
                ]
                best = next((one for one in fit["quantOptions"] if one["recommended"]), None)
                if best is None:
                    assert not running
                    continue
                assert fit["weightsKnown"] is best["weightsKnown"] is True
                assert fit["quant"] == best["quant"]
                assert best["score"] == max(one["score"] for one in running if one["weightsKnown"])
                left_out += any(not one["weightsKnown"] for one in running)
                for mode in ("BALANCED", "SCALE_OUT"):
                    found = await ranked(data, asked, first=100, mode=mode)
                    chosen = {one["fit"]["quant"]["slug"] for one in found}
                    assert chosen == {one["quant"]["slug"] for one in running if one["weightsKnown"]}
    assert left_out


async def test_models_for_an_accelerator_by_any_aim_are_in_known_weights(data: Any) -> None:
    query = QUERY.replace("fit { source", "fit { weightsKnown source")
    for aim in ("SCORE", "FASTEST", "EFFICIENT"):
        for mode in ("BALANCED", "SCALE_OUT"):
            for asked in ({"gpu": "rtx-4090"}, {"model": "llama-2-7b"}):
                found = (await data(query, **{"for": {**asked, "aim": aim}, "mode": mode}))["recommendations"]
                assert found
                assert all(one["fit"]["weightsKnown"] for one in found)


async def test_a_mode_ranks_by_its_own_score_and_changes_no_fit(data: Any) -> None:
    asked = {"model": "llama-3.1-8b", "gpu": "rtx-3090"}
    balanced = {one["fit"]["quant"]["slug"]: one["fit"] for one in await ranked(data, asked, first=100)}
    found = await ranked(data, asked, first=100, mode="SCALE_OUT")
    for one in found:
        assert one["fit"] == balanced[one["fit"]["quant"]["slug"]]
        assert one["score"] == pytest.approx(one["fit"]["modeScore"])
    by_model = await ranked(data, {"model": "llama-3.1-8b"}, mode="SCALE_OUT")
    for one in by_model:
        assert one["score"] == pytest.approx(one["fit"]["modeScore"], abs=0.01)


async def test_first_bounds_the_list(data: Any) -> None:
    assert len(await ranked(data, {"model": "llama-2-7b"}, first=2)) == 2
    assert await ranked(data, {"model": "llama-2-7b"}, first=0) == []


async def test_recommendations_before_any_publication_are_live(live: Any) -> None:
    found = (await live(QUERY, **{"for": {"model": "llama-2-7b"}}))["data"]["recommendations"]
    assert {one["fit"]["source"] for one in found} == {"LIVE"}


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
    scores = [one["fit"]["score"] for one in found[len(known) :]]
    assert scores == sorted(scores, reverse=True)
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


def reaches_with(one: Estimate, target: dict[str, Any], comfortable_tok_s: float) -> bool:
    """Whether an estimate of a batch of all users reaches a target."""
    asked = target.get("decodeTokensPerSecond", comfortable_tok_s)
    patient = target.get("ttftMs") is None or (one.ttft_ms is not None and one.ttft_ms <= target["ttftMs"])
    whole = one.status in (Status.FITS, Status.FITS_TIGHTLY)
    return whole and patient and one.decode is not None and one.decode.value >= asked


@pytest.mark.parametrize("aim", ["SCORE", "FASTEST"])
@pytest.mark.parametrize(
    "target", [{"decodeTokensPerSecond": 90}, {"users": 6}, {"users": 3, "bitsPerWeight": 4.3, "ttftMs": 20_000}]
)
async def test_models_for_an_accelerator_equal_brute_force_over_all_quantizations(
    data: Any, catalog: Catalog, aim: str, target: dict[str, Any]
) -> None:
    asked = {"gpu": "rtx-4090", "workload": "CODING", "target": target, "aim": aim}
    found = await ranked(data, asked, first=100)
    answerer = Answerer(catalog, Calibration.load())
    use = specs.workload(catalog.workloads["coding"])
    best: dict[str, float] = {}
    for model in catalog.models:
        for quant in (slug for slug, entry in catalog.quants.items() if specs.is_precomputed(entry)):
            question = {"model": model, "gpu": "rtx-4090", "quant": quant, "workload": "coding"}
            try:
                answer = answerer.answer(question)
            except QuestionError:
                continue
            alone = answer.estimate
            bits = model_tables(answer.facts.model, (answer.facts.quant,)).bits_per_weight[0]
            if alone.decode is None or bits < target.get("bitsPerWeight", 0.0):
                continue
            if "users" in target:
                crowd = answerer.answer({**question, "batch": target["users"]}).estimate
                if not reaches_with(crowd, target, use.comfortable_decode_tok_s):
                    continue
            elif alone.decode.value < target["decodeTokensPerSecond"]:
                continue
            value = alone.score if aim == "SCORE" else alone.decode.value
            best[model] = max(best.get(model, 0.0), value)
    assert best
    assert {one["fit"]["model"]["slug"] for one in found} == set(best)
    values = [one["score"] if aim == "SCORE" else one["fit"]["decode"]["tokensPerSecond"] for one in found]
    assert values == pytest.approx(sorted(best.values(), reverse=True), rel=1e-4)


async def test_models_are_ranked_in_a_mode_by_their_best_quantization_in_it(data: Any, catalog: Catalog) -> None:
    found = await ranked(data, {"gpu": "rtx-3090"}, first=100, mode="SCALE_OUT")
    for one in found:
        asked = {"model": one["fit"]["model"]["slug"], "gpu": "rtx-3090"}
        best = (await ranked(data, asked, first=1, mode="SCALE_OUT"))[0]
        assert one["score"] == pytest.approx(best["score"])
        assert one["score"] == pytest.approx(one["fit"]["modeScore"], abs=0.01)


async def test_accelerators_that_serve_many_users_of_a_model(data: Any, catalog: Catalog) -> None:
    target = {"users": 16, "decodeTokensPerSecond": 25}
    found = await ranked(data, {"model": "llama-3.1-8b", "workload": "CHAT", "target": target})
    assert found
    answerer = Answerer(catalog, Calibration.load())
    for one in found:
        question = {
            "model": "llama-3.1-8b", "gpu": one["fit"]["gpu"]["slug"], "quant": one["fit"]["quant"]["slug"],
            "workload": "chat", "batch": 16,
        }  # fmt: skip
        assert reaches_with(answerer.answer(question).estimate, target, 0.0)


@pytest.mark.parametrize("users", [0, -3, 1025])
async def test_a_number_of_users_has_bounds(client: Any, users: int) -> None:
    body = {"query": QUERY, "variables": {"for": {"model": "llama-2-7b", "target": {"users": users}}}}
    (error,) = (await client.post("/graphql", json=body)).json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "1 to 1,024" in error["message"]
