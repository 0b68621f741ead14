"""Computers and price lists: the bundled ones are sound, faults are named, and prices reach the estimator's types."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from pathlib import Path
from statistics import median

import pytest

from db.entries import market
from db.entries.check import check_catalog
from db.entries.files import CATALOG_ROOT, Catalog
from db.entries.rules import RULES
from estimator.judgement.market import REST_OF_COMPUTER_W, PriceKind


def test_every_price_has_a_source_and_suspects_are_kept(bundled_catalog: Catalog) -> None:
    rows = [row for entry in bundled_catalog.prices.values() for row in entry["prices"]]
    assert len(rows) == 593
    assert all(row["source"] for row in rows)
    assert sum(row["suspect"] for row in rows) == 122


def test_every_mac_and_strix_halo_is_a_computer(bundled_catalog: Catalog) -> None:
    built_in = {entry["gpu"] for entry in bundled_catalog.computers.values()}
    expected = {slug for slug in bundled_catalog.gpus if slug.startswith(("apple-", "strix-halo"))}
    assert expected <= built_in
    assert "dgx-spark" in built_in


def test_the_rest_of_a_computer_is_what_boards_suggest(bundled_catalog: Catalog) -> None:
    gaps = [
        entry["board"]["suggested_supply_w"] - bundled_catalog.gpus[slug]["tdp_w"]
        for slug, entry in bundled_catalog.prices.items()
        if entry["board"] and entry["board"]["suggested_supply_w"] and bundled_catalog.gpus[slug]["tdp_w"]
    ]
    assert median(gaps) == pytest.approx(REST_OF_COMPUTER_W, abs=25)


def test_a_computer_has_the_memory_of_its_file(bundled_catalog: Catalog) -> None:
    desktop = market.computer(bundled_catalog, "desktop-1-card-650w-32gb")
    assert desktop.host is not None
    assert desktop.host.memory_bytes == desktop.memory_bytes == 32 * 2**30
    assert desktop.prices[0].kind is PriceKind.SYSTEM


def test_the_launch_price_of_an_accelerators_file_stands_in(bundled_catalog: Catalog) -> None:
    launch = market.prices(bundled_catalog, "rtx-2060")[0]
    assert (launch.kind, launch.usd) == (PriceKind.MSRP, bundled_catalog.gpus["rtx-2060"]["msrp_usd"])
    listed = [slug for slug, entry in bundled_catalog.prices.items() if entry["gpu"] and entry["prices"]]
    for slug in listed:
        launches = [price for price in market.prices(bundled_catalog, slug) if price.kind is PriceKind.MSRP]
        stated = [row for row in bundled_catalog.prices[slug]["prices"] if row["kind"] == "msrp"]
        assert len(launches) == max(len(stated), bundled_catalog.gpus[slug]["msrp_usd"] is not None)


def test_a_computer_that_takes_cards_needs_a_host(bundled_catalog: Catalog) -> None:
    entry = bundled_catalog.computers["desktop-1-card-650w-32gb"] | {"host": None}
    assert [field for rule in RULES["computer"] for field, _ in rule(entry)] == ["host"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "system"}, "prices.0.kind"),
        ({"spot": True, "kind": "msrp"}, "prices.0.spot"),
    ],
)
def test_rules_name_the_price(bundled_catalog: Catalog, change: dict[str, object], field: str) -> None:
    entry = copy.deepcopy(bundled_catalog.prices["rtx-3090"])
    entry["prices"][0] |= change
    assert field in [fault[0] for rule in RULES["price"] for fault in rule(entry)]


def test_names_of_other_entities_are_checked(tmp_path: Path) -> None:
    root = tmp_path / "catalog"
    shutil.copytree(CATALOG_ROOT, root, ignore=shutil.ignore_patterns("measurements", "capability", "quality"))
    path = root / "computers" / "nvidia" / "nvidia-dgx-spark.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"gpu": "no-such-gpu"}))
    (root / "computers" / "generic" / "gb10-partner.json").rename(root / "computers" / "nvidia" / "gb10-partner.json")
    faults = {(fault.entry, fault.field) for fault in check_catalog(root)}
    assert faults == {("nvidia-dgx-spark", "gpu"), ("gb10-partner", "maker")}


def test_today_is_the_newest_date(bundled_catalog: Catalog) -> None:
    assert market.newest_date(bundled_catalog) == "2026-11-09"
    assert market.newest_date(dataclasses.replace(bundled_catalog, prices={})) == ""


def test_a_board_that_an_older_release_stored_has_no_known_cooling(bundled_catalog: Catalog) -> None:
    slug, prices = next((slug, prices) for slug, prices in bundled_catalog.prices.items() if prices["board"])
    facts = {name: value for name, value in prices["board"].items() if name != "cooling"}
    stored = dataclasses.replace(bundled_catalog, prices={slug: {**prices, "board": facts}})
    read = market.board(stored, slug)
    assert read is not None
    assert read.cooling is None
