"""Models that a question brings along: read exactly, and refused with a typed error whatever is wrong in them."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from api.answers.files.models import is_model_file, source_of_file, source_of_pasted
from api.answers.output import as_json
from api.answers.pairing import estimate_pairing
from api.answers.questions import Answerer
from api.cli import estimate
from api.errors import QuestionError
from db.imports.errors import ImportFactsError
from estimator.calibration.coefficients import Calibration
from tests.api.answers.test_own_hardware import LLAMA
from tests.support.catalogs import CATALOG
from tests.support.gguf_files.files import llama, llama_parts

ANSWERER = Answerer(CATALOG, Calibration.load())
INDEX: dict[str, Any] = {"metadata": {"total_size": 5_730_000_000}, "weight_map": {"a": "1.safetensors"}}


def pasted(data: bytes) -> str:
    return b64encode(data).decode()


def answer(**question: Any) -> dict[str, Any]:
    return as_json(ANSWERER.answer({"gpu": "rtx-3090", **question}))


def test_a_pasted_header_has_the_bytes_of_its_tensors() -> None:
    data = llama(4)
    reply = answer(model_gguf=pasted(data))
    stored = source_of_pasted(pasted(data)).stored
    assert stored is not None
    assert (reply["model"], reply["quant"], reply["status"]) == ("custom", "q4-k-m", "FITS")
    assert reply["file_size_bytes"] == stored.file
    assert reply["memory"]["weights_bytes"] == sum(stored.layers) + stored.output
    assert answer(model_gguf=pasted(data), quant="Q4_K_M") == reply


def test_another_quantization_of_a_file_follows_the_recipe() -> None:
    data = llama(4)
    assert (
        answer(model_gguf=pasted(data), quant="Q8_0")["file_size_bytes"]
        > answer(model_gguf=pasted(data))["file_size_bytes"]
    )


def test_a_file_without_a_known_type_needs_a_quantization() -> None:
    data = pasted(llama(2, **{"general.file_type": 1024}))
    with pytest.raises(QuestionError, match="'quant'"):
        answer(model_gguf=data)
    assert answer(model_gguf=data, quant="Q4_K_M")["status"] == "FITS"


@pytest.mark.parametrize(
    ("question", "match"),
    [
        ({"model_gguf": 7}, "base64"),
        ({"model_gguf": "not base64!"}, "not valid base64"),
        ({"model_gguf": "A" * 1_000_001}, "at most 1,000,000"),
        ({"model_gguf": pasted(b"{}")}, "the magic"),
        ({"model_gguf": pasted(llama(1)[:400])}, "give more of the file"),
        ({"model_gguf": pasted(llama(1)), "model": "llama-3.1-8b"}, "not both"),
        ({"model_gguf": pasted(llama(1)), "model_config": LLAMA}, "not both"),
        ({"model_url": "https://example.org/a.gguf"}, "fetched"),
        ({"model": "llama-3.1-8b", "quant": "awq-int4", "model_index": []}, "JSON object"),
        ({"model": "llama-3.1-8b", "quant": "awq-int4", "model_index": {"weight_map": {}}}, "weight_map"),
        ({"model": "llama-3.1-8b", "quant": "q4-k-m", "model_index": INDEX}, "GGUF"),
        ({"model": "llama-3.1-70b", "quant": "awq-int4", "model_index": INDEX}, "belong together"),
        ({"model": "llama-3.1-8b"}, "quant"),
    ],
)
def test_a_mistake_is_a_typed_error(question: dict[str, Any], match: str) -> None:
    with pytest.raises(QuestionError, match=match):
        answer(**question)


def test_a_local_file_is_read_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA))
    assert is_model_file(str(path))
    assert source_of_file(path).model.total_parameters == 8_030_261_248
    assert not is_model_file(str(tmp_path / "absent.json"))
    assert not is_model_file("llama-3.1-8b")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF\0\0")
    for bad in ("bad.gguf", "absent.gguf", "."):
        with pytest.raises(ImportFactsError):
            source_of_file(tmp_path / bad)


def test_a_local_gguf_file_is_estimated_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(llama(4) + b"\0" * 1000)
    pairing = estimate_pairing(CATALOG, Calibration.load(), str(path), "rtx-3090", None, "chat")
    assert pairing.quants[pairing.chosen_quant].slug == "q4-k-m"
    assert pairing.chosen.file_size_bytes == answer(model_gguf=pasted(llama(4)))["file_size_bytes"]
    assert estimate.print_header(path) == 0
    assert answer(model_gguf=capsys.readouterr().out.strip())["memory"] == answer(model_gguf=pasted(llama(4)))["memory"]
    assert estimate.print_header(tmp_path / "absent.gguf") == 3


def test_a_local_file_of_several_parts_is_read_wholly(tmp_path: Path) -> None:
    paths = [tmp_path / f"tiny-0000{number}-of-00002.gguf" for number in (1, 2)]
    for path, part in zip(paths, llama_parts(4, 2), strict=True):
        path.write_bytes(part)
    assert source_of_file(paths[1]).model == source_of_file(paths[0]).model
    assert source_of_file(paths[0]).model.total_parameters == source_of_pasted(pasted(llama(4))).model.total_parameters
    paths[1].unlink()
    with pytest.raises(ImportFactsError, match="cannot read tiny-00002"):
        source_of_file(paths[0])


def test_an_empty_gguf_file_is_named_as_one(tmp_path: Path) -> None:
    path = tmp_path / "download.gguf"
    path.write_bytes(b"")
    with pytest.raises(ImportFactsError, match="the GGUF file is empty"):
        source_of_file(path)


@pytest.mark.parametrize(
    ("stated", "gpu", "quant"),
    [
        ({}, "rtx-4090", "bf16-safetensors"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "rtx-4090", "bnb-nf4"),
        ({"quantization": {"bits": 3, "group_size": 64}}, "apple-m3-max-40c-64gb", "mlx-3bit"),
    ],
)
def test_a_local_checkpoint_is_estimated_in_its_own_format(
    tmp_path: Path, stated: dict[str, Any], gpu: str, quant: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | stated))
    pairing = estimate_pairing(CATALOG, Calibration.load(), str(tmp_path / "config.json"), gpu, None, "coding")
    assert pairing.quants[pairing.chosen_quant].slug == quant


def test_bits_between_those_of_the_catalog_are_the_files_own(tmp_path: Path) -> None:
    files = []
    for bits in (3, 3.25, 3.5):
        stated = {"quantization_config": {"quant_method": "exl3", "bits": bits, "head_bits": 6}}
        (tmp_path / "config.json").write_text(json.dumps(LLAMA | stated))
        pairing = estimate_pairing(
            CATALOG, Calibration.load(), str(tmp_path / "config.json"), "rtx-4090", None, "coding"
        )
        files.append(pairing.estimate(pairing.chosen_quant, 0).file_size_bytes)
    assert files[1] == pytest.approx((files[0] + files[2]) / 2, rel=1e-6)


def test_the_bits_of_an_output_head_are_the_files_own(tmp_path: Path) -> None:
    files = []
    for bits in (6, 8):
        stated = {"quantization_config": {"quant_method": "exl3", "bits": 4.0, "head_bits": bits}}
        (tmp_path / "config.json").write_text(json.dumps(LLAMA | stated))
        pairing = estimate_pairing(
            CATALOG, Calibration.load(), str(tmp_path / "config.json"), "rtx-4090", None, "coding"
        )
        files.append(pairing.estimate(pairing.chosen_quant, 0).file_size_bytes)
    assert files[1] - files[0] == LLAMA["vocab_size"] * LLAMA["hidden_size"] * 2 // 8


def test_sixteen_bits_that_nothing_serves_are_quantized(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    pairing = estimate_pairing(CATALOG, Calibration.load(), str(tmp_path / "config.json"), "rx-6700-xt", None, "coding")
    assert pairing.quants[pairing.chosen_quant].slug != "bf16-safetensors"
