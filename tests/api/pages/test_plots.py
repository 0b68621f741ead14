"""Plots put values where they belong, and escape what they write."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from api.pages.plots import HEIGHT, WIDTH, Axis, Plot, axis


def test_a_linear_and_a_logarithmic_axis_place_values() -> None:
    assert Axis("a", 0, 10).at(5) == pytest.approx(0.5)
    assert Axis("a", 1, 100, log=True).at(10) == pytest.approx(0.5)
    assert Axis("a", 0, 50).ticks() == [0, 10, 20, 30, 40, 50]
    assert Axis("a", 1, 100, log=True).ticks() == [1, 2, 5, 10, 20, 50, 100]
    around = axis("a", [3, 7, float("inf")])
    assert around.low < 3
    assert 7 < around.high < 8
    assert axis("a", []).high > axis("a", []).low


def test_a_drawing_is_well_formed_and_inside_its_frame() -> None:
    plot = Plot(Axis("tokens", 0, 100), Axis("tok/s", 0, 50), 'Speed of "<b>"')
    points = [(0.0, 50.0), (50.0, 30.0), (100.0, 10.0)]
    plot.band([(x, y - 5) for x, y in points], [(x, y) for x, y in points])
    plot.curve(points)
    plot.steps(points)
    plot.dots(points)
    plot.limit(25, "usable & <wanted>", across=True)
    plot.names([(point, "<script>") for point in points])
    text = plot.svg()
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == 'Speed of "<b>"'
    assert "<script>" not in text
    curve = next(element for element in root if element.get("class") == "curve")
    places = [tuple(map(float, pair.split(","))) for pair in (curve.get("points") or "").split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted(y for _, y in places)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)


def test_names_that_would_overlap_are_left_out() -> None:
    plot = Plot(Axis("x", 0, 1), Axis("y", 0, 1), "names")
    plot.names([((0.5, 0.5), f"name {number}") for number in range(40)])
    shown = re.findall(r">name (\d+)<", plot.svg())
    assert shown[0] == "0"
    assert 1 < len(shown) < 8


def test_the_name_of_an_axis_is_clear_of_its_highest_tick() -> None:
    letters_high = 13.0
    text = Plot(Axis("tokens", 0, 100), Axis("tok/s", 0, 50), "speed").svg()
    (name,), (tick,) = (
        [float(y) for y in re.findall(rf'y="([\d.]+)"[^>]*>{word}</text>', text)] for word in ("tok/s", "50")
    )
    assert letters_high <= name <= tick - letters_high
