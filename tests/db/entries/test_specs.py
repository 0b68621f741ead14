"""From datasheet units to base units, and what counts as a change."""

from __future__ import annotations

from copy import deepcopy

import pytest

from db.entries import specs
from db.entries.files import Catalog
from estimator.fact_words import FACT_WORDS
from estimator.placement.hardware import choose_engine, usable_bytes
from estimator.types import Backend, Engine, MissingFactError, QuantFormat, missing_fact
from tests.support.catalogs import CATALOG


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return CATALOG


def test_an_accelerator_in_base_units(catalog: Catalog) -> None:
    card = specs.accelerator(catalog.gpus["rtx-4090"])
    assert card.memory_bytes == 24564 * 1024**2
    assert card.bandwidth_bytes_s == 1008e9
    assert card.matrix_flops == pytest.approx(165.15e12)
    assert card.compute_capability == 8.9
    assert card.pcie_bytes_s == pytest.approx(16 * 1.969e9)
    assert card.link_bytes_s is None
    assert card.last_level_cache_bytes == 72 * 1024**2
    assert card.backends == (Backend.CUDA, Backend.VULKAN)
    assert card.engines[:2] == (Engine.LLAMA_CPP, Engine.VLLM)
    assert set(Engine) - set(card.engines) == {Engine.MLX}


def test_peaks_without_matrix_units_are_those_of_the_shaders(catalog: Catalog) -> None:
    pascal = specs.accelerator(catalog.gpus["gtx-1080-ti"])
    assert pascal.matrix_flops == pascal.fp32_flops
    apple = specs.accelerator(catalog.gpus["apple-m2-ultra-76c-192gb"])
    assert apple.matrix_flops == apple.fp32_flops


@pytest.mark.parametrize(
    ("slug", "nominal_gib"),
    [("jetson-agx-orin-64-gb", 64), ("jetson-thor-t5000", 128), ("jetson-orin-nano-super-8-gb", 8), ("dgx-spark", 128)],
)
def test_a_board_has_the_memory_that_its_driver_reports(catalog: Catalog, slug: str, nominal_gib: int) -> None:
    usable = usable_bytes(specs.accelerator(catalog.gpus[slug]))
    assert usable is not None
    assert 0.9 * nominal_gib * specs.GIB < usable < nominal_gib * specs.GIB


def test_unknown_facts_stay_unknown(catalog: Catalog) -> None:
    cpu = specs.accelerator(catalog.gpus["cpu-ddr5-5600-2ch"])
    assert cpu.memory_bytes is None
    assert cpu.matrix_flops is None
    assert cpu.backends == (Backend.CPU,)


def test_the_faster_of_the_16_bit_types_counts(catalog: Catalog) -> None:
    """Gaudi emulates FP16."""
    assert specs.accelerator(catalog.gpus["gaudi-3-128-gb"]).matrix_flops == 1835e12


def test_an_engine_runs_on_every_accelerator_of_the_catalog(catalog: Catalog) -> None:
    assert not [slug for slug, entry in catalog.gpus.items() if not specs.accelerator(entry).engines]


def test_what_is_not_known_is_said_in_words(catalog: Catalog) -> None:
    no_engine = {**catalog.gpus["snapdragon-x-elite"], "engines": ["opencl"]}
    thin = [(entry, field) for kind in (catalog.models.values(), catalog.gpus.values(), [no_engine]) for entry in kind
            for field in specs.missing_facts(entry)]  # fmt: skip
    assert {field for _, field in thin} >= {"engines", "bandwidth_gbps", "attention.layer_pattern"}
    for entry, field in thin:
        text = missing_fact(entry["name"], field)
        assert text.startswith(entry["name"])
        assert field == "engines" or FACT_WORDS[field] in text
        assert "_" not in text.removeprefix(entry["name"]).replace(Engine.IK_LLAMA_CPP.value, "")


def test_every_fact_that_the_structure_needs_has_words(catalog: Catalog) -> None:
    """Every fact of every kind of model taken away in turn: what the refusal names is in the list of words."""
    refused = set()
    for slug in ("qwen3-30b-a3b", "llama-3.1-8b", "gemma-3-27b", "kimi-linear-48b-a3b"):
        entry = catalog.models[slug]
        paths = [(key,) for key in entry] + [
            (key, inner) for key in ("attention", "moe", "params_computed") for inner in entry[key] or ()
        ]
        for path in paths:
            facts = deepcopy(entry)
            (facts if len(path) == 1 else facts[path[0]])[path[-1]] = None
            for field in specs.missing_facts(facts):
                refused.add(field)
    assert len(refused) > 10
    assert refused <= set(FACT_WORDS)


def test_every_entry_becomes_an_estimator_type(catalog: Catalog) -> None:
    for entry in catalog.gpus.values():
        assert specs.accelerator(entry).slug == entry["slug"]
    for entry in catalog.quants.values():
        assert specs.quant(entry).format in QuantFormat
    for entry in catalog.workloads.values():
        assert specs.workload(entry).context_tokens > 0
    for slug, entry in catalog.models.items():
        if specs.missing_facts(entry):
            with pytest.raises(MissingFactError, match=slug):
                specs.architecture(entry)
        else:
            assert specs.architecture(entry).n_layers == entry["n_layers"]


def test_a_host_in_base_units(catalog: Catalog) -> None:
    host = specs.host(catalog.hosts[catalog.default_host])
    assert host.slug == "desktop-ddr5-5600-64gb"
    assert (host.memory_bytes, host.bandwidth_bytes_s, host.flops) == (64 * 1024**3, 89.6e9, 1152e9)


def test_a_rename_changes_no_fingerprint_and_a_fact_does(catalog: Catalog) -> None:
    entry = dict(catalog.gpus["rtx-4090"])
    before = specs.fingerprint(specs.accelerator(entry))
    renamed = {**entry, "slug": "ada-flagship", "name": "Ada flagship", "msrp_usd": 1.0}
    assert specs.fingerprint(specs.accelerator(renamed)) == before
    # Peaks with both accumulations, the power limit and the clock set how fast a prompt is.
    for fact in ("bandwidth_gbps", "int8_tops", "fp16_tensor_fp16acc_tflops", "tdp_w", "boost_mhz", "compute_units"):
        assert specs.fingerprint(specs.accelerator({**entry, fact: entry[fact] + 1})) != before, fact
    model = dict(catalog.models["qwen3-8b"])
    unlike = specs.fingerprint(specs.architecture({**model, "hidden_size": 4224}))
    same = specs.fingerprint(specs.architecture({**model, "license": "mit", "name": "Q"}))
    assert same == specs.fingerprint(specs.architecture(model)) != unlike
    # Which quantization is recommended depends on the checkpoints that are known.
    checkpoint = {"awq-int4": {"repo": "a/b", "source": "https://example.org"}}
    assert specs.fingerprint(specs.architecture({**model, "checkpoint_repos": checkpoint})) not in (same, unlike)


def test_the_bulk_grid_is_about_twenty_million_cells(catalog: Catalog) -> None:
    cards = [specs.accelerator(entry) for entry in catalog.gpus.values()]
    quants = [specs.quant(entry) for entry in catalog.quants.values() if specs.is_precomputed(entry)]
    runnable = {
        moe: sum(
            choose_engine("LlamaForCausalLM", card, quant, is_moe=moe) is not None for card in cards for quant in quants
        )
        for moe in (True, False)
    }
    routed = sum(entry["moe"] is not None for entry in catalog.models.values())
    pairs = routed * runnable[True] + (len(catalog.models) - routed) * runnable[False]
    assert 18_000_000 < pairs * len(catalog.workloads) < 21_000_000
