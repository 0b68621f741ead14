"""Plots as SVG inside a page: axes, curves with their range, points with names. Colours are those of the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

#: Size of a plot and of its margins, units of the drawing. A character is a bit over half as wide as high, and names have
#: the room that they need on a phone, where the letters are larger.
WIDTH, HEIGHT = 460.0, 280.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 12.0, 28.0, 38.0
_CHARACTER, _LINE = 7.0, 15.0
_MOST_TICKS = 6
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, linear or logarithmic, with a name and the unit of its ticks."""

    name: str
    low: float
    high: float
    log: bool = False
    unit: str = ""

    def at(self, value: float) -> float:
        """Place of a value from 0 to 1, also beyond them."""
        if self.log:
            return math.log(max(value, 1e-12) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values within the range, at most ``_MOST_TICKS`` of them where it is linear."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            few = self.high / self.low > 300
            values = [step * 10.0**power for power in powers for step in ((1,) if few else (1, 2, 5))]
        else:
            step = _round_step((self.high - self.low) / _MOST_TICKS)
            first = math.ceil(self.low / step - 1e-9)
            values = [step * number for number in range(first, first + _MOST_TICKS + 3)]
        return [value for value in values if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]

    def text(self, value: float) -> str:
        """A tick as people read it."""
        if abs(value) >= 10_000:
            return f"{self.unit}{value / 1000:,.0f}K"
        return f"{self.unit}{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{self.unit}{value:g}"


def axis(name: str, values: Iterable[float], *, log: bool = False, zero: bool = False, unit: str = "") -> Axis:
    """An axis around values, with a little room; ``zero`` begins it at 0."""
    known = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
    low, high = min(known), max(known)
    if log:
        return Axis(name, low / 1.15, max(high * 1.15, low * 1.5), log, unit)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(name, 0.0 if zero else low - room, high + room, log, unit)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(least, 1e-12)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))


class Plot:
    """A drawing of one pair of axes; ``label`` says in a sentence what it shows."""

    def __init__(self, x: Axis, y: Axis, label: str) -> None:
        self._x, self._y, self._label = x, y, label
        self._parts: list[str] = []
        self._boxes: list[tuple[float, float, float, float]] = []

    def _at(self, point: Point) -> Point:
        across, up = self._x.at(point[0]), self._y.at(point[1])
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)

    def _path(self, points: Iterable[Point]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in map(self._at, points))

    def curve(self, points: Sequence[Point], kind: str = "curve") -> None:
        """A line through points; ``kind`` is its class in the style sheet."""
        self._parts.append(f'<polyline class="{kind}" points="{self._path(points)}"/>')

    def band(self, low: Sequence[Point], high: Sequence[Point], kind: str = "band") -> None:
        """The area between two lines."""
        self._parts.append(f'<polygon class="{kind}" points="{self._path([*low, *reversed(high)])}"/>')

    def steps(self, points: Sequence[Point], kind: str = "edge") -> None:
        """A staircase through points that go from left to right."""
        corners = [points[0]] if points else []
        for before, after in pairwise(points):
            corners += [(after[0], before[1]), after]
        self.curve(corners, kind)

    def dots(self, points: Iterable[Point], kind: str = "dot", radius: float = 2.5) -> None:
        """Points; names keep off those with a ``radius`` of more than 3."""
        for x, y in map(self._at, points):
            if radius > 3:
                self._boxes.append((x - radius, y - radius, x + radius, y + radius))
            self._parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>')

    def names(self, named: Iterable[tuple[Point, str]]) -> None:
        """Names beside points, as many as have room; earlier ones first."""
        for point, text in named:
            x, y = self._at(point)
            wide = _CHARACTER * len(text)
            for left, top in ((x - wide / 2, y - 19), (x + 6, y - 9), (x - 6 - wide, y - 9), (x - wide / 2, y + 5)):
                box = (left, top, left + wide, top + _LINE)
                if (
                    left >= _LEFT
                    and box[2] <= WIDTH
                    and top >= 0
                    and not any(_cross(box, taken) for taken in self._boxes)
                ):
                    self._boxes.append(box)
                    self._parts.append(f'<text class="name" x="{left:.1f}" y="{top + 11:.1f}">{escape(text)}</text>')
                    break

    def limit(self, value: float, text: str, *, across: bool) -> None:
        """A dashed line at a value: of the vertical axis when it goes ``across``."""
        points = (
            [(self._x.low, value), (self._x.high, value)] if across else [(value, self._y.low), (value, self._y.high)]
        )
        self.curve(points, "curve limit")
        x, y = self._at(points[0] if across else points[1])
        place = f'x="{x + 4:.1f}" y="{y - 4:.1f}"' if across else f'text-anchor="end" x="{x - 5:.1f}" y="{y + 10:.1f}"'
        self._parts.append(f'<text class="name" {place}>{escape(text)}</text>')

    def svg(self) -> Markup:
        """The drawing with its axes."""
        body = "".join([*self._axes(), *self._parts])
        return Markup(
            f'<svg class="plot" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{escape(self._label)}">{body}</svg>'
        )

    def _axes(self) -> list[str]:
        bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
        parts = []
        for value in self._y.ticks():
            _, y = self._at((self._x.low, value))
            parts.append(f'<line class="grid" x1="{_LEFT:g}" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 6:g}" y="{y + 4:.1f}" text-anchor="end">{self._y.text(value)}</text>')
        last = -math.inf
        for value in self._x.ticks():
            x, _ = self._at((value, self._y.low))
            text = self._x.text(value)
            if x - last > _CHARACTER * len(text) + 8:
                parts.append(f'<text x="{x:.1f}" y="{bottom + 15:g}" text-anchor="middle">{text}</text>')
                last = x
        parts.append(f'<line class="axis" x1="{_LEFT:g}" x2="{right:g}" y1="{bottom:g}" y2="{bottom:g}"/>')
        parts.append(f'<text x="{right:g}" y="{HEIGHT - 6:g}" text-anchor="end">{escape(self._x.name)}</text>')
        parts.append(f'<text x="4" y="{_TOP - _LINE:g}">{escape(self._y.name)}</text>')
        return parts


def _cross(box: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
