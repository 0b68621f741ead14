"""Derivatives: one line each, checked at the door, resolved to their base without cells of their own."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest

from db.entries import specs
from db.entries.derivatives import check_derivatives, other_release, other_size, other_width
from db.entries.files import CATALOG_ROOT
from db.entries.names.derivatives import checkpoints_of
from db.entries.names.resolver import Resolver
from estimator.structure.checkpoints import has_weights
from tests.support.catalogs import CATALOG

ROW = {"repository": "org/Qwen3-32B-tuned", "base": "qwen3-32b", "known_by": "name", "license": None, "date": "2026-01-01",
       "format": None}  # fmt: skip


def faults(root: Path, family: str, *lines: bytes) -> list[str]:
    (root / "derivatives").mkdir()
    (root / "derivatives" / f"{family}.jsonl").write_bytes(b"\n".join(lines))
    return [fault.field for fault in check_derivatives(root, CATALOG.models, CATALOG.quants)]


def test_the_lists_are_sound() -> None:
    assert check_derivatives(CATALOG_ROOT, CATALOG.models, CATALOG.quants) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"base": "qwen9-9b"}, "base"),
        ({"base": "llama-3.1-8b"}, "base"),
        ({"repository": "org/Qwen3-8B-tuned"}, "base"),
        ({"repository": "org/Qwen3-8B-VL", "known_by": "text"}, None),
        ({"repository": "org/Qwen3-32B-VL"}, "known_by"),
        ({"format": "q9"}, "format"),
        ({"repository": "no owner"}, "repository"),
        ({"repository": "Qwen/Qwen3-32B"}, "repository"),
        ({"known_by": "hearsay"}, "known_by"),
        ({"known_by": "recalled"}, None),
        ({"known_by": "card"}, "revision"),
        ({"known_by": "card", "revision": "0" * 40}, None),
        ({"date": "yesterday"}, "date"),
        ({"downloads": 5}, "downloads"),
    ],
)
def test_a_broken_line_is_found(tmp_path: Path, change: dict[str, object], field: str | None) -> None:
    assert faults(tmp_path, "qwen3", orjson.dumps(ROW | change)) == ([] if field is None else [field])


@pytest.mark.parametrize(
    ("known_by", "found"), [("name", ["base"]), ("shape", ["base"]), ("recalled", []), ("card", ["revision"])]
)
def test_a_base_that_is_known_beside_a_short_name_is_kept(tmp_path: Path, known_by: str, found: list[str]) -> None:
    row = ROW | {"repository": "org/Llama-3-8B-tuned", "base": "llama-3.1-8b", "known_by": known_by}
    assert faults(tmp_path, "llama-3", orjson.dumps(row)) == found


@pytest.mark.parametrize(
    ("repository", "base", "sibling"),
    [
        ("allenai/Llama-3.1-Tulu-3-8B-DPO", "llama-3-8b", "llama-3.1-8b"),
        ("org/Qwen2.5-7B-tuned", "qwen2-7b", "qwen2.5-7b"),
        ("org/Llama-3.3-8B-tuned", "llama-3-8b", None),
        ("org/Llama-3-8B-tuned", "llama-3-8b", None),
    ],
)
def test_a_name_of_another_release_of_the_shape_is_found(repository: str, base: str, sibling: str | None) -> None:
    assert other_release(repository, CATALOG.models[base], CATALOG.models) == sibling


@pytest.mark.parametrize(
    ("repository", "base", "size"),
    [
        ("org/Outlier-40B", "qwen2.5-14b", "40b"),
        ("org/xLAM-2-1b-fc-r", "qwen2-1.5b", None),
        ("org/DarkQwen3_5_0_8B", "qwen3.5-0.8b", None),
        ("org/tuned-4B-1M", "gemma-4-e4b", None),
        ("org/tuned-8x7B", "mixtral-8x7b", None),
    ],
)
def test_a_size_in_a_name_is_one_of_its_base(repository: str, base: str, size: str | None) -> None:
    assert other_size(repository, CATALOG.models[base]) == size


@pytest.mark.parametrize(
    ("repository", "format_", "bits"),
    [
        ("org/Tuned-GPTQ-W8A16", "gptq-int4", "8"),
        ("org/Tuned-awq8", "awq-int4", "8"),
        ("org/Tuned-W4A16", "gptq-int4", None),
        ("org/Tuned-4bit-16bit-lora", "mlx-4bit", None),
        ("org/Tuned-AWQ", "awq-int4", None),
    ],
)
def test_bits_in_a_name_are_those_of_its_format(repository: str, format_: str, bits: str | None) -> None:
    assert other_width(repository, format_) == bits


def test_a_repository_has_one_line(tmp_path: Path) -> None:
    again = ROW | {"repository": "Org/qwen3-32b-tuned"}
    assert faults(tmp_path, "qwen3", orjson.dumps(ROW), orjson.dumps(again), b"{") == ["repository", "-"]


def test_a_derivative_means_its_base_and_says_so() -> None:
    meaning = CATALOG.meaning("model", "OBLITERATUS/Qwen3.8-27B-OBLITERATED")
    assert meaning.slug == "qwen3.8-27b"
    assert meaning.note == (
        "OBLITERATUS/Qwen3.8-27B-OBLITERATED is estimated as Qwen3.8 27B, which its name states. "
        "Its abilities are taken from there, too: its own tuning is not judged."
    )
    alike = CATALOG.meaning("model", "HuggingFaceH4/zephyr-7b-beta")
    assert (alike.note or "").startswith(
        "HuggingFaceH4/zephyr-7b-beta is estimated as Mistral 7B v0.1, which has the same shape. That shape is also that of "
        "mistral-7b-v0.2. Its abilities are"
    )
    assert alike.choices == ("mistral-7b-v0.2",)
    copy = CATALOG.meaning("model", "nvidia/Qwen2.5-VL-7B-Instruct-NVFP4")
    assert "Its abilities" not in (copy.note or "")
    towers = CATALOG.meaning("model", "zai-org/GLM-4.5V")
    assert towers.slug == "glm-4.5-air"
    assert (towers.note or "").startswith(
        "zai-org/GLM-4.5V is estimated as GLM-4.5 Air, whose shape its text model has; its towers are not counted."
    )


def test_weights_are_had_where_a_copy_of_the_base_is_listed() -> None:
    model = CATALOG.models["qwen2.5-vl-7b"]
    assert specs.checkpoint_repository(model, "awq-int4") == "Qwen/Qwen2.5-VL-7B-Instruct-AWQ"
    assert specs.checkpoint_repository(model, "nvfp4") == "nvidia/Qwen2.5-VL-7B-Instruct-NVFP4"
    quant = specs.quant(CATALOG.quants["awq-int4"])
    assert has_weights(quant, specs.architecture(model))
    own = CATALOG.models["llama-3.1-8b"]["checkpoint_repos"]
    assert len({repository["repo"] for repository in own.values()}) == len(own)


def line(repository: str, quant: str | None = "awq-int4", known_by: str = "name") -> bytes:
    return orjson.dumps(ROW | {"repository": repository, "format": quant, "known_by": known_by}) + b"\n"


def test_a_fine_tune_is_no_copy_and_the_publisher_comes_first(tmp_path: Path) -> None:
    models = {"qwen3-32b": {"hf_repo": "Qwen/Qwen3-32B"}}
    several = [
        line("a/Qwen3-32B-AWQ"), line("b/Qwen3-32B-awq"), line("b/Other", "nvfp4"), line("b/Qwen3-32B-Tuned-AWQ"),
        line("c/Qwen3-32B-FP8", "fp8", "shape"), line("c/Qwen3-32B-W4A8", "gptq-int4"), line("c/Qwen3-32B", None),
    ]  # fmt: skip
    (tmp_path / "qwen3.jsonl").write_bytes(b"".join(several))
    assert checkpoints_of(tmp_path, models) == {"qwen3-32b": {"awq-int4": "b/Qwen3-32B-awq"}}
    (tmp_path / "qwen3.jsonl").write_bytes(b"".join([*several, line("Qwen/Qwen3-32B-AWQ")]))
    assert checkpoints_of(tmp_path, models) == {"qwen3-32b": {"awq-int4": "Qwen/Qwen3-32B-AWQ"}}


def test_a_repository_of_gguf_files_has_no_one_quantization(tmp_path: Path) -> None:
    (tmp_path / "derivatives").mkdir()
    (tmp_path / "derivatives" / "qwen3.jsonl").write_bytes(line("some/Thing-1", "gguf", "recalled"))
    resolver = Resolver({"model": CATALOG.models, "quant": CATALOG.quants, "engine": CATALOG.engines}, tmp_path)
    meaning = resolver.meaning("model", "some/Thing-1")
    assert (meaning.slug, meaning.quant) == ("qwen3-32b", None)
    assert meaning.note == "some/Thing-1 is estimated as Qwen3 32B, as is recalled of it; its card was not read."


def test_a_file_of_a_derivative_states_its_quantization() -> None:
    meaning = CATALOG.meaning("model", "mradermacher/Qwen3.8-27B-OBLITERATED-i1-GGUF:IQ4_XS")
    assert (meaning.slug, meaning.quant) == ("qwen3.8-27b", "iq4-xs")
    assert CATALOG.meaning("model", "mlx-community/Hermes-3-Llama-3.1-8B-4bit").quant == "mlx-4bit"


def test_derivatives_resolve_to_their_base() -> None:
    files = sorted((CATALOG_ROOT / "derivatives").glob("*.jsonl"))
    lines = [line for path in files for line in path.read_bytes().splitlines()]
    for row in map(orjson.loads, random.Random(22).sample(lines, 1_500)):
        assert CATALOG.resolve("model", row["repository"]) == row["base"], row["repository"]
