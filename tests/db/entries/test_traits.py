"""Facts of models that their expected capability depends on."""

from __future__ import annotations

from db.entries import specs
from db.entries.traits import judgement_entries, model_traits
from tests.support.catalogs import CATALOG


def test_every_model_has_traits() -> None:
    catalog = CATALOG
    traits = model_traits(catalog)
    assert traits.keys() == catalog.models.keys()
    assert all(model.total_b >= model.active_b > 0 for model in traits.values())
    assert all(2019 <= model.released < 2030 for model in traits.values())
    assert traits["qwen3-32b"].thinking == "hybrid"
    assert traits["deepseek-r1"].thinking == "always"
    assert traits["qwen2.5-coder-32b"].specialty == "coder"


def test_only_what_always_thinks_cannot_leave_it_out() -> None:
    catalog = CATALOG
    for slug, traits in model_traits(catalog).items():
        if not specs.missing_facts(catalog.models[slug]):
            least = specs.architecture(catalog.models[slug]).training.least_thinking
            assert least == (traits.thinking_length if traits.thinking == "always" else 0.0), slug


def test_what_no_list_tells_the_post_training_of_thinks_as_its_nearest_relative() -> None:
    traits = model_traits(CATALOG)
    listed = {entry["slug"] for entry in judgement_entries(None, "post-training")}
    told = {slug: model for slug, model in traits.items() if slug in listed and not model.base}
    alike = 0
    for slug, model in traits.items():
        relatives = [other for other in told.values() if other.family == model.family]
        if slug not in listed and relatives:
            nearest = min(abs(other.released - model.released) for other in relatives)
            assert model.thinking in {r.thinking for r in relatives if abs(r.released - model.released) == nearest}, (
                slug
            )
            alike += model.thinking != "never"
    assert alike, "no such relative thinks"
