"""The precompute policy: what it covers, what a change of it plans, and what is wrong with a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from db.entries.files import Catalog
from db.fits.generations import current_generation_sync
from db.fits.layout import SLOT_COUNT
from db.session import sync_engine
from db.settings import Precompute, Settings
from tests.support.runs import run_in_process
from workers.plan import Plan, plan_run
from workers.policy import PolicyError, covered_models
from workers.runs import start_run

COUNTED = {"count": 200, "as_of": "2026-11-01", "source": "a test"}


def listed(settings: Settings, path: Path, *lines: str) -> Settings:
    path.write_text("\n".join(lines))
    return settings.model_copy(update={"precompute": Precompute.LISTED, "precompute_list": path})


def planned(settings: Settings, catalog: Catalog) -> Plan:
    with sync_engine(settings.resolved_database_url).connect() as connection:
        return plan_run(catalog, connection, settings)


def models_with_rows(settings: Settings) -> set[str]:
    """Slugs of the models that the newest generation has fits of; its counts are those of its rows."""
    with sync_engine(settings.resolved_database_url).connect() as connection:
        generation = current_generation_sync(connection)
        assert generation is not None
        rows = connection.execute(
            text(
                f"SELECT m.slug, count(*) FROM {generation.table} f JOIN model m ON m.id = f.model_id WHERE f.born <= :g "
                "AND (f.died = 0 OR f.died > :g) GROUP BY m.slug"
            ),
            {"g": generation.id},
        ).all()
    product = generation.models * generation.gpus * generation.quants * SLOT_COUNT
    assert (generation.rows, generation.models) == (sum(row[1] for row in rows), len(rows))
    assert generation.cells + generation.unsupported_cells == product
    return {row[0] for row in rows}


def test_popular_models_have_enough_counted_downloads(small_catalog: Catalog, edited: Callable[..., Catalog]) -> None:
    uncounted = edited(small_catalog, "models", "gemma-3-27b", downloads=None)
    catalog = edited(uncounted, "models", "llama-3-8b", downloads=COUNTED)
    others = {slug for slug, entry in catalog.models.items() if (entry.get("downloads") or COUNTED)["count"] > 200}
    assert others
    for least, covered in ((201, others), (200, {*others, "llama-3-8b"})):
        popular = Settings(precompute=Precompute.POPULAR, precompute_downloads=least)
        assert covered_models(catalog, popular) == covered
    # No count is not a count of none.
    assert "gemma-3-27b" not in covered_models(catalog, Settings(precompute=Precompute.POPULAR, precompute_downloads=0))


def test_a_change_of_the_policy_plans_the_difference(
    settings: Settings, small_catalog: Catalog, edited: Callable[..., Catalog], tmp_path: Path
) -> None:
    every = set(small_catalog.models)
    rest = every - {"llama-3-8b"}
    most = listed(settings, tmp_path / "models.txt", "# not the old one", *sorted(rest), "")
    run_in_process(most, small_catalog)
    assert models_with_rows(settings) == rest
    assert planned(most, small_catalog).is_empty
    # A fact of a model outside the policy is published, and nothing is computed.
    changed = edited(small_catalog, "models", "llama-3-8b", n_layers=31)
    assert (planned(most, changed).cells, planned(most, changed).is_empty) == (0, False)
    more = planned(settings, small_catalog)
    assert ({slug for block in more.blocks for slug in block.models}, more.retired) == ({"llama-3-8b"}, ())
    assert not more.rebuild
    run_in_process(settings, small_catalog)
    assert models_with_rows(settings) == every
    less = planned(most, small_catalog)
    assert (less.blocks, less.retired, less.changed["model"]) == ((), ("llama-3-8b",), {})
    assert "llama-3-8b" in less.describe()
    run = run_in_process(most, small_catalog)
    assert run is not None
    assert run.cells_done == 0
    assert models_with_rows(settings) == rest


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["llama-3-8b", "no-such-model"], r"models.txt:2: no model is called 'no-such-model'"),
        (["Llama 3 8B"], "'Llama 3 8B' is no slug; write 'llama-3-8b'"),
        (["# nothing"], "names none"),
    ],
)
def test_a_wrong_list_starts_nothing(
    settings: Settings, small_catalog: Catalog, tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        start_run(listed(settings, tmp_path / "models.txt", *lines), small_catalog, enqueue=False)


def test_a_list_that_is_not_there_is_named(settings: Settings, small_catalog: Catalog, tmp_path: Path) -> None:
    gone = settings.model_copy(update={"precompute": Precompute.LISTED, "precompute_list": tmp_path / "gone"})
    with pytest.raises(PolicyError, match=r"cannot be read: .*gone"):
        covered_models(small_catalog, gone)
