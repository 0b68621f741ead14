"""Derivatives: one line each, checked at the door, resolved to their base without cells of their own."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from db.entries.derivatives import check_derivatives
from db.entries.files import CATALOG_ROOT, load_catalog

CATALOG = load_catalog()
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
        ({"format": "q9"}, "format"),
        ({"repository": "no owner"}, "repository"),
        ({"repository": "Qwen/Qwen3-32B"}, "repository"),
        ({"known_by": "hearsay"}, "known_by"),
        ({"date": "yesterday"}, "date"),
        ({"downloads": 5}, "downloads"),
    ],
)
def test_a_broken_line_is_found(tmp_path: Path, change: dict[str, object], field: str) -> None:
    assert faults(tmp_path, "qwen3", orjson.dumps(ROW | change)) == [field]


def test_a_repository_has_one_line(tmp_path: Path) -> None:
    again = ROW | {"repository": "Org/qwen3-32b-tuned"}
    assert faults(tmp_path, "qwen3", orjson.dumps(ROW), orjson.dumps(again), b"{") == ["repository", "-"]


def test_a_derivative_means_its_base_and_says_so() -> None:
    meaning = CATALOG.meaning("model", "OBLITERATUS/Qwen3.8-27B-OBLITERATED")
    assert meaning.slug == "qwen3.8-27b"
    assert meaning.note == "OBLITERATUS/Qwen3.8-27B-OBLITERATED is estimated as Qwen3.8 27B, which its name states."
    alike = CATALOG.meaning("model", "HuggingFaceH4/zephyr-7b-beta")
    assert alike.note == "HuggingFaceH4/zephyr-7b-beta is estimated as Mistral 7B v0.1, which has the same shape."

    towers = CATALOG.meaning("model", "zai-org/GLM-4.5V")
    assert (towers.slug, towers.note) == (
        "glm-4.5-air",
        "zai-org/GLM-4.5V is estimated as GLM-4.5 Air, whose shape its text model has; its towers are not counted.",
    )


def test_a_file_of_a_derivative_states_its_quantization() -> None:
    meaning = CATALOG.meaning("model", "mradermacher/Qwen3.8-27B-OBLITERATED-i1-GGUF:IQ4_XS")
    assert (meaning.slug, meaning.quant) == ("qwen3.8-27b", "iq4-xs")
    assert CATALOG.meaning("model", "mlx-community/Hermes-3-Llama-3.1-8B-4bit").quant == "mlx-4bit"


def test_every_derivative_resolves_to_its_base() -> None:
    for path in (CATALOG_ROOT / "derivatives").glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            row = orjson.loads(line)
            assert CATALOG.resolve("model", row["repository"]) == row["base"], row["repository"]
