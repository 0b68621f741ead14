"""The outcome of a source: a model, a derivative, known, or set aside."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from db.entries import specs
from db.entries.files import Catalog
from db.ingest.batch import assess_all
from db.ingest.gate import compare
from db.ingest.outcomes import Outcome, assess
from db.ingest.snapshots import Card, CheckpointCount, Snapshot
from tests.support.catalogs import CATALOG
from tests.support.hub_repositories.configs import LLAMA, LLAMA_PARAMETERS

DAY = "2026-11-29"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


def snapshot(parameters: int | None = LLAMA_PARAMETERS, card: Card | None = None, **config: object) -> Snapshot:
    return Snapshot(
        "acme/Tiny-1B-Instruct",
        "acme/Tiny-1B-Instruct",
        "a" * 40,
        config=LLAMA | config,
        checkpoint=None if parameters is None else CheckpointCount(parameters, "the hub's count"),
        card=card or Card(license="mit", created="2026-11-20", downloads=12),
    )


def aside(outcome: Outcome) -> str:
    assert outcome.kind == "set-aside"
    return outcome.reason or ""


def test_a_new_structure_becomes_a_model_that_can_be_estimated(catalog: Catalog) -> None:
    outcome = assess(snapshot(), catalog, DAY)
    assert (outcome.kind, outcome.slug) == ("model", "tiny-1b-instruct")
    entry = outcome.entry or {}
    assert specs.architecture(entry).total_parameters == LLAMA_PARAMETERS
    assert specs.missing_facts(entry) == ()
    assert entry["params_computed"]["embedding"] == entry["params_computed"]["lm_head"] == 500 * 64
    assert entry["params_computed"]["norms"] == 5 * 64
    assert (entry["family"], entry["publisher"], entry["license"]) == ("Tiny", "acme", "mit")
    assert entry["source"].endswith(f"blob/{'a' * 40}/config.json")


def test_the_day_of_creation_is_no_release(catalog: Catalog) -> None:
    entry = assess(snapshot(), catalog, DAY).entry or {}
    assert entry["release_date"] is None
    assert entry["repository_state"] | {"read_on": DAY} == {
        "revision": "a" * 40, "read_on": DAY, "created": "2026-11-20", "base_models": [],
    }  # fmt: skip
    assert entry["downloads"] | {"source": ""} == {"count": 12, "as_of": DAY, "source": ""}


def test_every_field_says_how_it_is_known(catalog: Catalog) -> None:
    known = (assess(snapshot(), catalog, DAY).entry or {})["known_by"]
    assert known["hidden_size"] == "config"
    assert known["license"] == "card"
    assert known["params_exact_checkpoint"] == "checkpoint"
    config = {key: value for key, value in LLAMA.items() if key != "max_position_embeddings"}
    left_out = replace(snapshot(), config=config)
    assert (assess(left_out, catalog, DAY).entry or {})["known_by"]["context_length"] == "class default"


def test_facts_of_a_card_and_a_configuration_are_verified(catalog: Catalog) -> None:
    entry = assess(snapshot(), catalog, DAY).entry or {}
    assert specs.unverified_fields(entry) == ()
    assert "license" in specs.unverified_fields({**entry, "known_by": {}})


@pytest.mark.parametrize(("parameters", "passes"), [(1.0, True), (1.0004, True), (1.001, False), (0.999, False)])
def test_the_gate_is_a_twentieth_of_a_percent(catalog: Catalog, parameters: float, passes: bool) -> None:
    outcome = assess(snapshot(round(LLAMA_PARAMETERS * parameters)), catalog, DAY)
    assert (outcome.kind == "model") is passes
    if not passes:
        assert f"{LLAMA_PARAMETERS:,}" in aside(outcome)


def test_tied_embeddings_may_be_stored_twice(catalog: Catalog) -> None:
    assert assess(snapshot(LLAMA_PARAMETERS, tie_word_embeddings=True), catalog, DAY).kind == "model"


def test_without_a_count_nothing_passes(catalog: Catalog) -> None:
    assert "states the count" in aside(assess(snapshot(None), catalog, DAY))


def test_an_unknown_class_is_set_aside_with_its_name(catalog: Catalog) -> None:
    assert "NoSuchForCausalLM" in aside(
        assess(snapshot(architectures=["NoSuchForCausalLM"], model_type="x"), catalog, DAY)
    )


def test_a_packed_checkpoint_without_a_base_is_set_aside(catalog: Catalog) -> None:
    packed = snapshot(1000, quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    assert "packed as INT4 (awq)" in aside(assess(packed, catalog, DAY))


def tuned(base: str, **config: object) -> Snapshot:
    card = Card(license="mit", base_models=(base,), created="2026-11-21")
    return replace(snapshot(card=card, **config), repository="other/Tuned", source="other/Tuned", revision="b" * 40)


def test_a_base_of_the_same_import_makes_one_line(catalog: Catalog) -> None:
    line, model = assess_all([tuned("acme/Tiny-1B-Instruct"), snapshot()], catalog, DAY)
    assert (line.kind, model.kind) == ("derivative", "model")
    assert line.entry == {
        "repository": "other/Tuned", "base": "tiny-1b-instruct", "known_by": "card", "license": "mit",
        "date": "2026-11-21", "format": None, "revision": "b" * 40,
    }  # fmt: skip


def test_a_quantized_copy_has_the_format_of_its_configuration(catalog: Catalog) -> None:
    copy = tuned("acme/Tiny-1B-Instruct", quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    line, _ = assess_all([copy, snapshot()], catalog, DAY)
    assert (line.entry or {})["format"] == "awq-int4"


def test_a_named_base_of_another_structure_is_no_base(catalog: Catalog) -> None:
    assert assess(tuned("Qwen/Qwen3-8B"), catalog, DAY).kind == "model"


@pytest.mark.parametrize(("created", "base"), [("2024-07-01", "qwen2-7b"), ("2025-07-01", "qwen2.5-7b")])
def test_of_bases_of_one_shape_the_newest_of_its_day_is_taken(catalog: Catalog, created: str, base: str) -> None:
    model = catalog.models["qwen2-7b"]
    config = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 152064,
        "max_position_embeddings": 32768, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    source = snapshot(model["params_exact_checkpoint"], Card(created=created))
    outcome = assess(replace(source, config=config), catalog, DAY)
    assert (outcome.kind, outcome.slug, (outcome.entry or {})["known_by"]) == ("derivative", base, "shape")


def test_gguf_copies_need_a_base_that_is_known_by_repository(catalog: Catalog) -> None:
    copies = Snapshot("a/B-GGUF", "a/B-GGUF", unread="no config.json", is_gguf_only=True)
    line = assess(replace(copies, card=Card(base_models=("Qwen/Qwen3-8B",))), catalog, DAY)
    assert (line.kind, line.slug, (line.entry or {})["format"]) == ("derivative", "qwen3-8b", "gguf")
    assert "the base that its card names" in aside(assess(copies, catalog, DAY))


def test_a_known_repository_is_compared_and_not_written(catalog: Catalog) -> None:
    assert [change.field for change in _known(catalog, max_position_embeddings=8192).changes] == ["context_length"]
    assert _known(catalog).changes == ()


def _known(catalog: Catalog, **config: object) -> Outcome:
    entry = assess(snapshot(), catalog, DAY).entry or {}
    grown = replace(catalog, models=catalog.models | {entry["slug"]: entry})
    outcome = assess(snapshot(**config), grown, DAY)
    assert (outcome.kind, outcome.entry) == ("known", None)
    return outcome


def test_a_taken_slug_is_said(catalog: Catalog) -> None:
    entry = assess(snapshot(), catalog, DAY).entry or {}
    grown = replace(catalog, models=catalog.models | {entry["slug"]: entry})
    wider = replace(snapshot(LLAMA_PARAMETERS + 4 * 64, vocab_size=502), repository="umbrella/Tiny-1B-Instruct")
    assert "of the repository acme/Tiny-1B-Instruct" in aside(assess(wider, grown, DAY))


def test_every_checkpoint_of_the_catalog_is_its_inventory() -> None:
    for slug, entry in CATALOG.models.items():
        if entry["params_exact_checkpoint"] is None or entry["params_computed"] is None:
            continue
        comparison = compare(entry, entry["params_exact_checkpoint"])
        assert comparison.passes, slug
        is_stored_twice = "a copy of the embeddings" in comparison.parts
        assert is_stored_twice == bool(
            re.search("lm_head twice|duplicated tied head", f"{entry['verification']} {entry['param_check']}")
        ), slug
