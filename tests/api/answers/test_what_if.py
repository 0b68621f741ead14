"""Mixed cards, drafts and projectors: the same in GraphQL and on the command line, mistakes typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from api.answers.output import as_json
from api.answers.questions import Answerer
from api.cli.app import app
from api.errors import ErrorCode, QuestionError
from db.entries import specs
from db.entries.files import Catalog
from estimator.calibration.coefficients import Calibration
from tests.api.answers.test_own_hardware import LLAMA
from tests.api.conftest import nested
from tests.support.catalogs import CATALOG

ANSWERER = Answerer(CATALOG, Calibration.load())
DRAFT = {"model": "llama-3.2-1b", "quant": "Q8_0", "tokens": 5, "acceptance_rate": 0.8}


def answer(**question: Any) -> dict[str, Any]:
    asked = {"model": "llama-3.1-8b", "quant": "Q4_K_M", **question}
    return as_json(ANSWERER.answer({key: value for key, value in asked.items() if value is not None}))


def test_a_laptop_may_have_a_card_in_an_enclosure() -> None:
    estimate = answer(gpus=["rtx-4070-laptop", "rtx-3090"], workload="coding")
    assert [device["gpu"] for device in estimate["devices"]] == ["rtx-4070-laptop", "rtx-3090"]


def test_one_card_in_the_list_is_that_card() -> None:
    assert answer(gpus=["RTX 3090"]) == answer(gpu="rtx-3090")


def test_two_equal_cards_in_the_list_are_a_count() -> None:
    listed, counted = (
        answer(gpus=["rtx-3090"] * 2, workload="coding"),
        answer(gpu="rtx-3090", gpu_count=2, workload="coding"),
    )
    devices = listed.pop("devices")
    assert listed == counted
    assert [device["gpu"] for device in devices] == ["rtx-3090"] * 2
    assert sum(device["total_bytes"] for device in devices) == listed["memory"]["total_bytes"]


def test_mixed_cards_hold_what_one_cannot() -> None:
    question = {"model": "qwen3-32b", "workload": "coding"}
    assert answer(**question, gpu="rtx-4060-ti-16-gb")["status"] == "FITS_WITH_OFFLOAD"
    estimate = answer(**question, gpus=["rtx-3090", "rtx-4060-ti-16-gb"])
    assert estimate["status"] in ("FITS", "FITS_TIGHTLY")
    assert [device["layers"] for device in estimate["devices"]] == sorted(
        (device["layers"] for device in estimate["devices"]), reverse=True
    )


def test_a_draft_is_said_with_its_memory_and_speed() -> None:
    drafted, plain = (
        answer(model="llama-3.3-70b", gpu="h100-sxm5-80-gb", draft=DRAFT),
        answer(model="llama-3.3-70b", gpu="h100-sxm5-80-gb"),
    )
    done = drafted["speculation"]
    assert drafted["decode_tok_s"]["value"] == pytest.approx(plain["decode_tok_s"]["value"] * done["speedup"], rel=1e-3)
    assert done["plain_tok_s"] == pytest.approx(plain["decode_tok_s"]["value"], rel=1e-3)
    assert drafted["memory"]["total_bytes"] - plain["memory"]["total_bytes"] == drafted["memory"]["draft_bytes"] > 0


#: Sizes of published 16-bit mmproj files, bytes: unslothai/unsloth#5849, joryirving/home-ops#9075 (887 MiB),
#: tetherto/qvac#2780 and #2432 (MB).
PUBLISHED = {
    "qwen3.5-0.8b": 207_346_528,
    "qwen3.8-27b": 887 * 2**20,
    "qwen3.5-2b": 668_000_000,
    "gemma-4-e2b": 986_000_000,
}


@pytest.mark.parametrize("slug", PUBLISHED)
def test_a_known_projector_is_within_some_percent_of_its_file(slug: str) -> None:
    projector_bytes = specs.projector_bytes(CATALOG.models[slug])
    assert projector_bytes is not None
    assert 0.96 < projector_bytes / PUBLISHED[slug] <= 1.0


def test_a_projector_is_counted_known_given_or_said_to_be_unknown() -> None:
    plain = answer(model="gemma-3-27b", gpu="rtx-4090")
    known = answer(model="gemma-3-27b", gpu="rtx-4090", vision=True)
    assert known["memory"]["projector_bytes"] == 2 * CATALOG.models["gemma-3-27b"]["params_vision_and_other"]
    assert known["memory"]["total_bytes"] - plain["memory"]["total_bytes"] == known["memory"]["projector_bytes"]
    stated = answer(model="gemma-3-27b", gpu="rtx-4090", projector_bytes=1000)
    assert stated["memory"]["projector_bytes"] == 1000
    assert answer(model="gemma-3-27b", gpu="rtx-4090", vision=False) == plain
    unknown = answer(model="kimi-k3", gpu="rtx-4090", vision=True)
    assert unknown["memory"]["projector_bytes"] is None
    assert "not known" in unknown["notes"][0]


@pytest.mark.parametrize(
    ("question", "match"),
    [
        ({"gpus": []}, "1 to 64"),
        ({"gpus": ["rtx-3090"] * 65}, "1 to 64"),
        ({"gpus": "rtx-3090"}, "list"),
        ({"gpus": ["rtx-3090", 7]}, "names"),
        ({"gpus": ["rtx-3090", "rtx-9999 ultra"]}, "rtx-9999"),
        ({"gpus": ["rtx-3090"], "gpu": "rtx-3090"}, "not both"),
        ({"gpus": ["rtx-3090"], "gpu_facts": {}}, "not both"),
        ({"gpus": ["rtx-3090"], "gpu_count": 2}, "not both"),
        ({"gpus": ["rtx-3090", "apple-m3-max-40c-64gb"]}, "memory of their own"),
        ({"gpu": "apple-m3-max-40c-64gb", "gpu_count": 2}, "memory of their own.* 1 is allowed"),
        ({"gpu": "dgx-spark", "gpu_count": 2}, "computers that a network joins are not estimated"),
        ({"gpu": "rtx-4070-laptop", "gpu_count": 2}, "built into a laptop.* 1 is allowed"),
        ({"gpus": ["rtx-4070-laptop"] * 2}, "built into a laptop.* 1 is allowed"),
        ({"gpus": ["rtx-4070-laptop", "rtx-3090", "rtx-4090-laptop"]}, "built into a laptop.* 1 is allowed"),
        ({"gpu": "rtx-3090", "draft": {}}, "acceptance_rate"),
        ({"gpu": "rtx-3090", "draft": "x"}, "acceptance_rate"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "more": 1}}, "acceptance_rate"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "tokens": 0}}, "1 to 64"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "tokens": 1.5}}, "1 to 64"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "acceptance_rate": float("nan")}}, "0 to 1"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "acceptance_rate": True}}, "0 to 1"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "model": "nobody's model"}}, "nobody"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "model": None}}, "name"),
        ({"gpu": "rtx-3090", "draft": {**DRAFT, "model": "qwen3-0.6b"}}, "vocabulary"),
        ({"gpu": "rtx-3090", "draft": DRAFT, "batch": 2}, "one sequence"),
        ({"gpu": "rtx-3090", "draft": DRAFT, "kv_cache_type": "q8_0", "flash_attention": False}, "flash attention"),
        ({"gpu": "rtx-3090", "vision": True}, "reads no images"),
        ({"gpu": "rtx-3090", "vision": 1}, "true or false"),
        ({"gpu": "rtx-3090", "projector_bytes": -1}, "integer"),
        ({"gpu": "rtx-3090", "projector_bytes": 10**13}, "integer"),
        ({"gpu": "rtx-3090", "projector_bytes": 10, "vision": False}, "leaves out"),
    ],
)
def test_a_mistake_is_a_typed_error(question: dict[str, Any], match: str) -> None:
    with pytest.raises(QuestionError, match=match):
        answer(**question)


QUERY = """query($q: EstimateInput!) { estimate(input: $q) { status gpu { slug } commands { tool text } notes { message }
  memory { totalBytes draftBytes projectorBytes overheadBytes } decode { tokensPerSecond }
  devices { gpu { slug } layers weightsBytes kvCacheBytes computeBytes overheadBytes totalBytes usableBytes }
  speculation { tokensPerStep speedup plainTokensPerSecond draftTokensPerSecond checkMs } } }"""


@pytest.mark.asyncio(loop_scope="session")
async def test_graphql_says_the_same(data: Any, catalog: Catalog) -> None:
    asked = {"model": "qwen3-30b-a3b", "quant": "Q4_K_M", "workload": "CODING", "gpus": ["rtx-3090", "rtx-4090"]}
    draft = {"model": "qwen3-30b-a3b", "quant": "q2-k", "tokens": 3, "acceptanceRate": 0.5}
    estimate = (await data(QUERY, q=nested({**asked, "draft": draft, "projectorBytes": 3_000_000_000})))["estimate"]
    same = {"model": "qwen3-30b-a3b", "quant": "Q4_K_M", "workload": "coding", "gpus": ["rtx-3090", "rtx-4090"],
            "draft": {"model": "qwen3-30b-a3b", "quant": "q2-k", "tokens": 3, "acceptance_rate": 0.5},
            "projector_bytes": 3_000_000_000}  # fmt: skip
    expected = as_json(Answerer(catalog, Calibration.load()).answer(same))
    assert estimate["status"] == expected["status"]
    assert estimate["gpu"]["slug"] == "rtx-3090"
    assert estimate["memory"]["totalBytes"] == expected["memory"]["total_bytes"]
    assert estimate["memory"]["projectorBytes"] == 3_000_000_000
    assert [device["layers"] for device in estimate["devices"]] == [device["layers"] for device in expected["devices"]]
    assert sum(device["totalBytes"] for device in estimate["devices"]) == estimate["memory"]["totalBytes"]
    assert estimate["speculation"]["speedup"] == pytest.approx(expected["speculation"]["speedup"], abs=1e-3)
    assert [note["message"] for note in estimate["notes"]] == expected["notes"]
    assert estimate["commands"] == expected["commands"]
    assert "-ts " in estimate["commands"][0]["text"]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("change", "code", "name"),
    [
        ({"gpus": ["rtx-3090", "rtx-9999 ultra"]}, "NOT_FOUND", "rtx-9999 ultra"),
        ({"gpus": ["rtx-3090", "rtx-4090"], "gpuCount": 2}, "BAD_USER_INPUT", None),
        ({"gpus": ["rtx-3090", "apple-m3-max-30c-36gb"]}, "UNSUPPORTED", None),
        ({"gpu": "rtx-3090", "vision": True}, "UNSUPPORTED", None),
    ],
)
async def test_graphql_errors_are_typed(ask: Any, change: dict[str, Any], code: str, name: str | None) -> None:
    answer = await ask(QUERY, q=nested({"model": "llama-3.1-8b", "quant": "Q4_K_M", **change}))
    assert answer["errors"][0]["extensions"]["code"] == code
    assert answer["errors"][0]["extensions"].get("name") == name


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["estimate", *arguments])
    return result.exit_code, result.output


def test_the_command_line_lays_several_cards_out() -> None:
    code, text = run("qwen3-32b", "RTX 3090", "--also", "RTX 4060 Ti 16GB", "--quant", "Q4_K_M", "--json")
    assert code == 0
    printed = orjson.loads(text)
    assert printed == answer(
        model="qwen3-32b", gpus=["rtx-3090", "rtx-4060-ti-16-gb"], quant="Q4_K_M", workload="coding"
    )


def test_the_command_line_takes_what_a_question_may_ask() -> None:
    asked = ("--count", "2", "--context", "32000", "--kv-cache", "Q8_0", "--streams", "2", "--host-memory-gb", "128",
             "--host-bandwidth-gbps", "300")  # fmt: skip
    code, text = run("llama-3.3-70b", "RTX 3090", "--quant", "Q4_K_M", "--json", *asked)
    assert code == 0
    assert orjson.loads(text) == answer(
        model="llama-3.3-70b", gpu="rtx-3090", workload="coding", gpu_count=2, context_tokens=32_000,
        kv_cache_type="Q8_0", batch=2, host_memory_gb=128.0, host_bandwidth_gbps=300.0,
    )  # fmt: skip
    code, text = run("llama-3.3-70b", "RTX 3090", "--count", "2", "--quant", "Q4_K_M")
    assert code == 0
    assert "on 2 x GeForce RTX 3090" in text
    assert run("llama-3.3-70b", "RTX 3090", "--count", "2", "--also", "RTX 3090")[0] == 2
    for option, value in (("--count", "0"), ("--count", "1025"), ("--context", "0"), ("--kv-cache", "F64"),
                          ("--streams", "-1"), ("--host", "moon"), ("--host-memory-gb", "nan"),
                          ("--host-bandwidth-gbps", "inf")):  # fmt: skip
        code, text = run("llama-3.1-8b", "RTX 3090", "--quant", "Q4_K_M", "--json", option, value)
        assert code == 3, option
        assert orjson.loads(text)["error"]["code"] in ("BAD_USER_INPUT", "NOT_FOUND")


def test_the_command_line_chooses_a_quantization_for_all_accelerators_together() -> None:
    code, text = run("llama-3.3-70b", "RTX 3090", "--count", "4", "--json")
    assert code == 0
    printed = orjson.loads(text)
    # One of them holds no more than three bits a weight.
    assert run("llama-3.3-70b", "RTX 3090", "--count", "1", "--json")[1] != text
    narrow = answer(model="llama-3.3-70b", gpu="rtx-3090", gpu_count=4, workload="coding", quant="Q3_K_M")
    assert printed["score"] > narrow["score"]
    assert printed["status"] == "FITS"
    code, text = run("llama-3.3-70b", "RTX 3090", "--also", "RTX 4090", "--also", "RTX 3090", "--json")
    assert code == 0
    assert orjson.loads(text)["status"] == "FITS"


def test_the_command_line_takes_a_draft_and_a_projector() -> None:
    drafted = ("--draft", "Qwen3 0.6B", "--draft-quant", "Q8_0", "--draft-tokens", "4", "--acceptance", "0.7")
    code, text = run("qwen3-32b", "RTX 4090", *drafted)
    assert code == 0
    assert "tokens a check of" in text
    assert run("qwen3-32b", "RTX 4090", *drafted[:4])[0] == 2
    code, text = run("kimi-k2.5", "H200", "--vision", "--quant", "Q2_K")
    assert code == 0
    assert "projector" in text
    code, text = run("llama-3.1-8b", "RTX 4090", "--vision", "--json")
    assert code == 3
    assert orjson.loads(text)["error"]["code"] == "UNSUPPORTED"


def test_the_command_line_takes_a_file_with_extras(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(orjson.dumps(LLAMA))
    code, text = run(str(path), "RTX 3090", "--also", "RTX 3090", "--quant", "Q4_K_M", "--json")
    assert code == 0
    of_file, named = orjson.loads(text), answer(gpus=["rtx-3090"] * 2, workload="coding")
    assert of_file["devices"] == named["devices"]
    assert run(str(path), "RTX 3090", "--also", "RTX 3090")[0] == 0


def test_a_count_in_a_name_is_that_many_accelerators() -> None:
    assert answer(gpu="2x 3090", workload="coding") == answer(gpu="rtx-3090", gpu_count=2, workload="coding")
    devices = answer(gpus=["2x 3090", "rtx 4090"], workload="coding")["devices"]
    assert [device["gpu"] for device in devices] == ["rtx-3090", "rtx-3090", "rtx-4090"]
    with pytest.raises(QuestionError, match="'gpu' names 2 accelerators and 'gpu_count' is 4"):
        answer(gpu="2x 3090", gpu_count=4)
    with pytest.raises(QuestionError, match="'gpus' names 200 accelerators"):
        answer(gpus=["100x 3090", "100x 4090"])


def test_a_quantization_in_a_name_is_that_of_the_answer() -> None:
    file = "Llama-3.1-8B-Instruct-Q5_K_M.gguf"
    assert answer(model=file, quant=None, gpu="rtx 3090")["quant"] == "q5-k-m"
    other = answer(model=file, quant="Q8_0", gpu="rtx 3090")
    assert other["quant"] == "q8-0"
    assert other["notes"] == ["The model's name states q5-k-m; the estimate is in q8-0, as asked."]


def test_an_answer_states_what_a_name_was_taken_as() -> None:
    assert answer(gpu="rtx 3090").get("notes") is None
    assert answer(gpu="v100 32gb")["notes"] == [
        "'v100 32gb' is taken as Tesla V100 SXM2 32 GB; it also fits tesla-v100-pcie-32-gb, tesla-v100s-pcie-32-gb, "
        "tesla-v100-sxm3-32-gb."
    ]
    with pytest.raises(QuestionError, match="'rtx 6000' fits several entries") as caught:
        answer(gpu="rtx 6000")
    assert caught.value.code is ErrorCode.AMBIGUOUS_NAME
    assert "rtx-6000-ada-generation" in caught.value.suggestions


def test_the_command_line_reads_counts_and_quantizations_in_names() -> None:
    printed = CliRunner().invoke(app, ["estimate", "Llama-3.1-8B-Instruct-Q5_K_M.gguf", "2x 3090", "--json"])
    assert printed.exit_code == 0, printed.output
    estimate = orjson.loads(printed.stdout)
    assert (estimate["quant"], estimate["gpu"]) == ("q5-k-m", "rtx-3090")
    asked = answer(gpu="rtx-3090", gpu_count=2, quant="Q5_K_M", workload="coding")
    assert estimate["decode_tok_s"] == asked["decode_tok_s"]
