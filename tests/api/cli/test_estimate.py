"""Estimates and comparisons: the same numbers as the command line, errors one by one, winners and deltas."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from api.answers.explained import explained
from api.answers.output import as_json
from api.answers.pairing import estimate_pairing
from api.answers.questions import Answerer
from api.cli.card import render_card
from api.cli.estimate import run_extras
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration
from tests.api.conftest import MODELS, nested

pytestmark = pytest.mark.asyncio(loop_scope="session")

ESTIMATE = """query($q: EstimateInput!) { estimate(input: $q) { model { slug } gpu { slug } quant { slug } engine { slug }
  backend status fileSizeBytes
  memory { weightsBytes kvCacheBytes computeBytes overheadBytes totalBytes usableBytes hostBytes }
  placement { strategy gpuLayers cpuMoeLayers offloadFraction } decode { tokensPerSecond low high evidence }
  prefill { tokensPerSecond low high evidence } ttftMs safeContextTokens contextTokens score grade } }"""


async def test_an_estimate_says_what_the_command_line_says(data: Any, catalog: Catalog) -> None:
    asked = {
        "model": "Kimi Linear 48B A3B",
        "gpu": "V100 32GB",
        "quant": "Q4_K_M",
        "promptTokens": 4000,
        "outputTokens": 500,
    }
    estimate = (await data(ESTIMATE, q=nested(asked)))["estimate"]
    same = {"prompt_tokens": 4000, "output_tokens": 500}
    expected = as_json(
        Answerer(catalog, Calibration.load()).answer(
            {"model": asked["model"], "gpu": asked["gpu"], "quant": asked["quant"], **same}
        )
    )
    assert estimate["status"] == expected["status"]
    assert estimate["fileSizeBytes"] == expected["file_size_bytes"]
    assert estimate["memory"]["totalBytes"] == expected["memory"]["total_bytes"]
    assert estimate["decode"]["tokensPerSecond"] == pytest.approx(expected["decode_tok_s"]["value"], abs=1e-3)
    assert estimate["prefill"]["low"] == pytest.approx(expected["prefill_tok_s"]["low"], abs=1e-3)
    assert estimate["ttftMs"] == pytest.approx(expected["ttft_ms"], abs=1e-3)
    assert estimate["engine"]["slug"] == expected["engine"]


async def test_every_setting_is_accepted(data: Any) -> None:
    asked = {
        "model": "qwen3-30b-a3b",
        "gpu": "rtx-3090",
        "quant": "q4-k-m",
        "gpuCount": 2,
        "engine": "LLAMA_CPP",
        "backend": "CUDA",
        "promptTokens": 2000,
        "outputTokens": 100,
        "depth": 1000,
        "contextTokens": 8192,
        "kvCacheType": "Q8_0",
        "flashAttention": True,
        "batch": 2,
        "microBatch": 512,
        "gpuLayers": 49,
        "cpuMoeLayers": 0,
    }
    estimate = (await data(ESTIMATE, q=nested(asked)))["estimate"]
    assert (estimate["contextTokens"], estimate["backend"]) == (8192, "CUDA")
    assert estimate["placement"]["cpuMoeLayers"] == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "nope"}, "NOT_FOUND"),
        ({"quant": "mlx-4bit"}, "UNSUPPORTED"),
        ({"promptTokens": -1}, "BAD_USER_INPUT"),
        ({"batch": 100_000}, "BAD_USER_INPUT"),
        ({"kvCacheType": "Q4_0", "flashAttention": False}, "BAD_USER_INPUT"),
    ],
)
async def test_a_question_without_an_answer_is_a_typed_error(ask: Any, change: dict[str, Any], code: str) -> None:
    asked = {"model": "llama-2-7b", "gpu": "rtx-3090", "quant": "q4-k-m"} | change
    answer = await ask("query($q: EstimateInput!) { estimate(input: $q) { status } }", q=nested(asked))
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hostMemoryGb": -1}, "'hostMemoryGb' must be a number from 0.5 to 65536, not -1.0"),
        ({"model": " "}, "'model.slug' must be a non-empty name (a slug or an alias), not ' '"),
        ({"gpu": None, "gpus": []}, "'machine.gpus' must be a list of 1 to 64 accelerators"),
        ({"quant": None}, "give 'quant' (a slug or an alias)"),
        ({"quant": " "}, "'quant' must be a non-empty name (a slug or an alias), not ' '"),
        (
            {"draft": {"model": "llama-2-7b", "quant": "q4-k-m", "tokens": 4, "acceptanceRate": 2}},
            "'draft.acceptanceRate' must be a number from 0 to 1, not 2.0",
        ),
    ],
)
async def test_messages_name_fields_as_the_schema_does(ask: Any, change: dict[str, Any], message: str) -> None:
    asked = {"model": "llama-2-7b", "gpu": "rtx-3090", "quant": "q4-k-m"} | change
    answer = await ask("query($q: EstimateInput!) { estimate(input: $q) { status } }", q=nested(asked))
    assert answer["errors"][0]["message"] == message
    both = await ask("query($q: EstimateInput!) { estimates(inputs: [$q]) { error { message } } }", q=nested(asked))
    assert both["data"]["estimates"][0]["error"]["message"] == message


@pytest.mark.parametrize("part", ["model", "machine"])
async def test_a_reference_names_one_thing(ask: Any, part: str) -> None:
    both = {"model": {"slug": "llama-2-7b", "config": {}}, "machine": {"gpu": "rtx-3090", "gpus": ["rtx-3090"]}}
    good = {"model": {"slug": "llama-2-7b"}, "machine": {"gpu": "rtx-3090"}, "quant": "q4-k-m"}
    for wrong in (both[part], {}):
        answer = await ask("query($q: EstimateInput!) { estimate(input: $q) { status } }", q={**good, part: wrong})
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_batch_answers_in_order_and_fails_one_by_one(data: Any) -> None:
    good = {"model": "llama-2-7b", "gpu": "rtx-3090", "quant": "q4-k-m"}
    inputs = [nested(question) for question in (good, good | {"gpu": "rtx 309"}, good | {"quant": "f16"})] * 10
    query = """query($inputs: [EstimateInput!]!) { estimates(inputs: $inputs) {
      estimate { quant { slug } } error { code message field suggestions } } }"""
    items = (await data(query, inputs=inputs))["estimates"]
    assert len(items) == 30
    for place, item in enumerate(items):
        if place % 3 == 1:
            assert item["estimate"] is None
            assert (item["error"]["code"], item["error"]["field"]) == ("NOT_FOUND", ["machine", "gpu"])
            assert item["error"]["suggestions"]
        else:
            assert item["error"] is None
            assert item["estimate"]["quant"]["slug"] == ("q4-k-m" if place % 3 == 0 else "f16")


async def test_a_batch_is_bounded(client: Any) -> None:
    good = nested({"model": "llama-2-7b", "gpu": "rtx-3090", "quant": "q4-k-m"})
    query = "query($inputs: [EstimateInput!]!) { estimates(inputs: $inputs) { error { code } } }"
    body = {"query": query, "variables": {"inputs": [good] * 1001}}
    extensions = (await client.post("/graphql", json=body)).json()["errors"][0]["extensions"]
    assert (extensions["code"], extensions["maximum"]) == ("LIMIT_EXCEEDED", 1000)


COMPARE = """{ winner workload { kind } warnings { code columns }
  columns { model { slug } gpu { slug } quant { slug } gpuCount contextTokens error { code suggestions }
    prediction { __typename score contextTokens memory { kvCacheBytes } } }
  rows { measure unit higherIsBetter values deltas winner } }"""


async def compared(data: Any, **question: Any) -> Any:
    fields = await data("query($i: ComparisonInput!) { comparison(input: $i) " + COMPARE + " }", i=question)
    return fields["comparison"]


async def test_many_models_on_many_accelerators_come_model_by_model(data: Any) -> None:
    comparison = await compared(data, models=["llama-3.1-8b", "qwen3-30b-a3b"], gpus=["rtx-4090", "rtx-3090"])
    names = [(column["model"]["slug"], column["gpu"]["slug"]) for column in comparison["columns"]]
    assert names == [(m, g) for m in ("llama-3.1-8b", "qwen3-30b-a3b") for g in ("rtx-4090", "rtx-3090")]
    alone = await compared(data, models=["qwen3-30b-a3b"], gpus=["rtx-4090", "rtx-3090"])
    assert comparison["columns"][2:] == alone["columns"]


async def test_one_model_on_many_accelerators(data: Any) -> None:
    comparison = await compared(
        data, models="llama-3.1-8b", gpus=["RTX 4090", "rx-7900-xtx", "rtx-3090"], quants="Q8_0"
    )
    assert [column["gpu"]["slug"] for column in comparison["columns"]] == ["rtx-4090", "rx-7900-xtx", "rtx-3090"]
    assert {column["quant"]["slug"] for column in comparison["columns"]} == {"q8-0"}
    assert {column["prediction"]["__typename"] for column in comparison["columns"]} == {"Fit"}
    rows = {row["measure"]: row for row in comparison["rows"]}
    assert rows["SCORE"]["values"] == [column["prediction"]["score"] for column in comparison["columns"]]
    for row in comparison["rows"]:
        assert len(row["values"]) == len(row["deltas"]) == 3
        known = [value for value in row["values"] if value is not None]
        if known:
            best = max(known) if row["higherIsBetter"] else min(known)
            assert row["values"][row["winner"]] == best
            assert row["deltas"][row["winner"]] in (0, None)
    assert rows["PRICE"]["values"] == [1599, 999, 1499]
    assert rows["PRICE"]["winner"] == 1
    assert rows["PRICE"]["deltas"][0] == pytest.approx(1599 / 999 - 1, abs=1e-6)
    speeds, prices = rows["DECODE"]["values"], rows["PRICE"]["values"]
    assert rows["VALUE"]["values"] == pytest.approx([1000 * s / p for s, p in zip(speeds, prices, strict=True)])
    assert comparison["winner"] == rows["SCORE"]["winner"]
    assert comparison["warnings"] == []


async def test_quantizations_contexts_and_counts_make_columns(data: Any) -> None:
    question = {"models": "llama-3.1-8b", "gpus": "rtx-3090", "quants": ["q4-k-m", "q8-0"], "gpuCounts": [1, 2]}
    comparison = await compared(data, **question, contextTokens=[4096, 8192])
    setups = [
        (column["quant"]["slug"], column["gpuCount"], column["contextTokens"]) for column in comparison["columns"]
    ]
    assert setups == [(q, n, c) for q in ("q4-k-m", "q8-0") for n in (1, 2) for c in (4096, 8192)]
    assert {column["prediction"]["__typename"] for column in comparison["columns"]} == {"Estimate"}
    caches = [column["prediction"]["memory"]["kvCacheBytes"] for column in comparison["columns"]]
    assert caches[1] == 2 * caches[0]
    rows = {row["measure"]: row["values"] for row in comparison["rows"]}
    assert rows["PRICE"][2] == 2 * rows["PRICE"][0]
    plain = await compared(data, **{**question, "gpuCounts": [1]})
    assert {column["prediction"]["__typename"] for column in plain["columns"]} == {"Fit"}


async def test_the_name_of_an_accelerator_may_state_how_many(data: Any) -> None:
    question = {"models": "qwen3-30b-a3b", "gpus": ["2x rtx-3090", "rtx-3090"]}
    comparison = await compared(data, **question)
    assert [column["gpuCount"] for column in comparison["columns"]] == [2, 1]
    # Each in what is best on it, and not in what is best on one of them.
    two, one = (column["quant"]["slug"] for column in comparison["columns"])
    assert two != one
    counted = await compared(data, **{**question, "gpus": "rtx-3090", "gpuCounts": [2]})
    assert counted["columns"][0] == comparison["columns"][0]
    both = await compared(data, **question, gpuCounts=[2])
    assert [column["error"] and column["error"]["code"] for column in both["columns"]] == ["NOT_FOUND", None]


async def test_recommended_quantizations_that_differ_are_warned_of(data: Any) -> None:
    comparison = await compared(data, models=list(MODELS), gpus="apple-m3-max-30c-36gb", workload="CHAT")
    assert [column["model"]["slug"] for column in comparison["columns"]] == list(MODELS)
    assert comparison["workload"]["kind"] == "CHAT"
    assert len({column["quant"]["slug"] for column in comparison["columns"]}) > 1
    assert comparison["warnings"] == [{"code": "QUANTS_DIFFER", "columns": [0, 1, 2, 3]}]


async def test_what_cannot_run_takes_no_part(data: Any) -> None:
    comparison = await compared(
        data, models="llama-2-7b", gpus=["rtx-3090", "apple-m3-max-30c-36gb"], quants="MLX 4-bit"
    )
    assert all(row["values"][0] is None for row in comparison["rows"])
    assert comparison["winner"] == 1


async def test_a_bad_name_empties_its_column_alone(data: Any) -> None:
    comparison = await compared(data, models="llama-2-7b", gpus=["rtx-3090", "rtx-4091"], gpuCounts=[1, 0])
    codes = [column["error"] and column["error"]["code"] for column in comparison["columns"]]
    assert codes == [None, "BAD_USER_INPUT", "NOT_FOUND", "NOT_FOUND"]
    assert "rtx-4090" in comparison["columns"][2]["error"]["suggestions"]
    assert comparison["columns"][0]["prediction"]["score"] > 0
    assert comparison["columns"][2]["prediction"] is None
    assert comparison["winner"] == 0


@pytest.mark.parametrize("count", [0, 1025, 2**31 - 1])
async def test_a_count_beyond_those_of_a_question_empties_its_column(data: Any, count: int) -> None:
    comparison = await compared(data, models="llama-2-7b", gpus="rtx-3090", gpuCounts=[2, count])
    assert comparison["columns"][0]["prediction"]["score"] > 0
    assert comparison["columns"][1]["error"]["code"] == "BAD_USER_INPUT"


async def test_a_comparison_reads_all_columns_at_once(data: Any, statements: Any) -> None:
    counts = []
    for gpus in (["rtx-3090"], ["rtx-4090", "rtx-3090", "rx-7900-xtx", "apple-m3-max-30c-36gb"]):
        query = """query($g: [String!]!) { comparison(input: {models: "qwen3-30b-a3b", gpus: $g}) {
          columns { prediction { score ... on Fit { quantOptions { score } } } } } }"""
        with statements() as executed:
            await data(query, g=gpus)
        counts.append(len(executed))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("gpus", "code"), [([], "BAD_USER_INPUT"), (["rtx-3090"] * 51, "LIMIT_EXCEEDED")])
async def test_a_bad_comparison_fails_its_field_alone(client: Any, gpus: list[str], code: str) -> None:
    compared = 'comparison(input: {models: "llama-2-7b", gpus: $g}) { winner }'
    query = f'query($g: [String!]!) {{ {compared} model(slug: "llama-2-7b") {{ slug }} }}'
    answer = (await client.post("/graphql", json={"query": query, "variables": {"g": gpus}})).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert answer["data"] == {"comparison": None, "model": {"slug": "llama-2-7b"}}


EXPLAINED = """query($model: String!, $gpu: String!, $quant: String!) { fit(model: $model, gpu: $gpu, quant: $quant) {
  headline summary capacityMessage limits { code share message } advice { code message gain { score statusAfter } } } }"""


@pytest.mark.parametrize(
    ("model", "gpu", "quant"),
    [
        ("kimi-linear-48b-a3b", "tesla-v100-sxm2-32-gb", "q8-0"),
        ("llama-3.1-8b", "apple-m3-max-30c-36gb", "f16"),
        ("qwen3-30b-a3b", "rtx-4090", "f16"),
    ],
)
async def test_the_command_line_explains_a_pairing_as_the_api_does(
    data: Any, catalog: Catalog, model: str, gpu: str, quant: str
) -> None:
    fit = (await data(EXPLAINED, model=model, gpu=gpu, quant=quant))["fit"]
    calibration = Calibration.load()
    pairing = estimate_pairing(catalog, calibration, model, gpu, quant, "coding")
    explanation = explained(pairing, catalog, calibration)
    printed = explanation.to_json()
    assert (printed["headline"], printed["summary"]) == (fit["headline"], fit["summary"])
    assert printed["capacity_message"] == fit["capacityMessage"]
    assert [(limit["code"], limit["message"]) for limit in printed["limits"]] == [
        (limit["code"], limit["message"]) for limit in fit["limits"]
    ]
    assert [item["message"] for item in printed["advice"]] == [item["message"] for item in fit["advice"]]
    for ours, theirs in zip(printed["advice"], fit["advice"], strict=True):
        assert ours["gain"]["status_after"] == theirs["gain"]["statusAfter"]
        assert ours["gain"]["score"] == pytest.approx(theirs["gain"]["score"], abs=0.01)
    out = Console(record=True, width=300, file=io.StringIO())
    render_card(pairing, explanation, out)
    text = out.export_text()
    assert fit["headline"] in text
    assert fit["limits"][0]["message"] in text
    assert fit["advice"][0]["message"] in text


async def test_every_face_says_what_a_configuration_left_to_its_class(
    data: Any, catalog: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"model_type": "mistral", "hidden_size": 1024, "num_hidden_layers": 4, "vocab_size": 32000}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    asked = {"modelConfig": config, "gpu": "rtx-3090", "quant": "q4-k-m"}
    query = "query($q: EstimateInput!) { estimate(input: $q) { notes { message } } }"
    notes = [note["message"] for note in (await data(query, q=nested(asked)))["estimate"]["notes"]]
    assert any("num_key_value_heads" in note for note in notes)
    calibration = Calibration.load()
    pairing = estimate_pairing(catalog, calibration, str(path), "rtx-3090", "q4-k-m", "coding")
    assert pairing.to_json()["notes"] == notes
    out = Console(record=True, width=2000, file=io.StringIO())
    render_card(pairing, explained(pairing, catalog, calibration), out)
    assert all(note in out.export_text(clear=False) for note in notes)
    assert run_extras(str(path), "rtx-3090", "q4-k-m", "coding", {"batch": 2}, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == notes
