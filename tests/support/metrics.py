"""Expositions of Prometheus, and the part of PromQL that alert rules and dashboard use, evaluated over scrapes of a test.

A vector maps label sets to values. Supported: selectors with ``=`` and ``=~``, ranges, ``rate``, ``increase``, ``changes``,
``sum by``, ``topk``, ``histogram_quantile``, arithmetic, comparisons, ``and`` and ``unless``, with ``on (...)``. Other
syntax raises SyntaxError.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
_TOKEN = re.compile(r'\s*(>=|<=|==|!=|=~|[\w:]+(?:\.\d+)?|"(?:[^"\\]|\\.)*"|[-+*/(){}\[\],=<>])')
_COMPARE = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
_ARITHMETIC = {"*": operator.mul, "/": operator.truediv, "+": operator.add, "-": operator.sub}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and label values, these in the order of their labels' names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@dataclass
class Scrape:
    """One scrape of a target: its time in seconds and its samples by name; None: it did not answer."""

    at_s: float
    text: str | None
    job: str = "fitgraph"
    instance: str = "server:8000"

    @functools.cached_property
    def samples(self) -> list[tuple[str, Labels, float]]:
        """Samples with the labels of the target, and ``up``."""
        target = {"job": self.job, "instance": self.instance}
        made = [("up", frozenset(target.items()), float(self.text is not None))]
        for family in text_string_to_metric_families(self.text or ""):
            made += [
                (sample.name, frozenset({**sample.labels, **target}.items()), sample.value) for sample in family.samples
            ]
        return made


def evaluate(expression: str, scrapes: list[Scrape]) -> Vector:
    """Value of ``expression`` at the last of ``scrapes``."""
    parser = _Parser(expression, [(scrape.at_s, scrape.samples) for scrape in scrapes])
    value = parser.logic()
    if parser.tokens:
        raise SyntaxError(f"{parser.tokens[0]!r} is not understood in {expression}")
    return value if isinstance(value, dict) else {frozenset(): value}


def names_of(expression: str) -> set[str]:
    """Names of the metrics that ``expression`` selects."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|\b(by|on)\s*\([^)]*\)|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    return set(re.findall(r"[a-z]\w+\b(?!\s*\()", bare)) - {"and", "unless"}


class _Parser:
    """Recursive descent; each rule consumes tokens and returns a number or a vector."""

    def __init__(self, expression: str, scrapes: list[tuple[float, list[tuple[str, Labels, float]]]]) -> None:
        self.tokens = _TOKEN.findall(expression)
        if "".join(self.tokens) != re.sub(r'\s+(?=(?:[^"]*"[^"]*")*[^"]*$)', "", expression):
            raise SyntaxError(f"unknown signs in {expression}")
        self.scrapes = scrapes

    def take(self, *expected: str) -> str:
        token: str = self.tokens.pop(0)
        if expected and token not in expected:
            raise SyntaxError(f"{token!r} instead of {expected}")
        return token

    def sees(self, *tokens: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in tokens

    def logic(self) -> Vector | float:
        value = self.comparison()
        while self.sees("and", "unless"):
            wanted, on = self.take() == "and", self.on()
            left, right = _vector(value), _vector(self.comparison())
            keys = {_key(labels, on) for labels in right}
            value = {labels: number for labels, number in left.items() if (_key(labels, on) in keys) == wanted}
        return value

    def comparison(self) -> Vector | float:
        value = self.sum()
        while self.sees(*_COMPARE):
            compare, bound = _COMPARE[self.take()], self.sum()
            if isinstance(bound, dict):
                raise SyntaxError("a comparison is with a number")
            value = {labels: number for labels, number in _vector(value).items() if compare(number, bound)}
        return value

    def sum(self) -> Vector | float:
        return self.arithmetic(("+", "-"), lambda: self.arithmetic(("*", "/"), self.primary))

    def arithmetic(self, signs: tuple[str, ...], part: Callable[[], Vector | float]) -> Vector | float:
        value = part()
        while self.sees(*signs):
            apply, on = _ARITHMETIC[self.take()], self.on()
            value = _combined(apply, value, part(), on)
        return value

    def on(self) -> list[str] | None:
        if not self.sees("on"):
            return None
        self.take()
        return self.names()

    def names(self) -> list[str]:
        self.take("(")
        names = []
        while not self.sees(")"):
            names.append(self.take())
            if self.sees(","):
                self.take()
        self.take(")")
        return names

    def primary(self) -> Vector | float:
        token = self.take()
        if token == "(":
            value = self.logic()
            self.take(")")
            return value
        if re.fullmatch(r"[\d.]+", token):
            return float(token)
        if token in ("rate", "increase", "changes"):
            return self.over_range(token)
        if token == "sum":
            self.take("by")
            return _summed(self.names(), _vector(self.argument()))
        if token == "topk":
            self.take("(")
            count = int(self.take())
            self.take(",")
            ranked = sorted(_vector(self.logic()).items(), key=lambda item: -item[1])[:count]
            self.take(")")
            return dict(ranked)
        if token == "histogram_quantile":
            self.take("(")
            quantile = float(self.take())
            self.take(",")
            value = _vector(self.logic())
            self.take(")")
            return _quantiles(quantile, value)
        matches = self.matchers(token)
        return {labels: number for name, labels, number in self.scrapes[-1][1] if matches(name, labels)}

    def argument(self) -> Vector | float:
        self.take("(")
        value = self.logic()
        self.take(")")
        return value

    def over_range(self, function: str) -> Vector:
        self.take("(")
        matches = self.matchers(self.take())
        self.take("[")
        window = self.take()
        self.take("]")
        self.take(")")
        since = self.scrapes[-1][0] - int(window[:-1]) * _UNITS[window[-1]]
        series: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
        for at_s, samples in self.scrapes:
            for name, labels, number in samples:
                if at_s >= since and matches(name, labels):
                    series[labels].append((at_s, number))
        return {labels: _over(function, points) for labels, points in series.items() if len(points) > 1}

    def matchers(self, wanted: str) -> Callable[[str, Labels], bool]:
        """Whether a sample is selected by a name and the matchers in braces after it."""
        tests: list[tuple[str, re.Pattern[str]]] = []
        if self.sees("{"):
            self.take()
            while not self.sees("}"):
                label, sign, text = self.take(), self.take("=", "=~"), self.take()[1:-1]
                tests.append((label, re.compile(text if sign == "=~" else re.escape(text))))
                if self.sees(","):
                    self.take()
            self.take("}")
        return lambda name, labels: (
            name == wanted and all(test.fullmatch(dict(labels).get(label, "")) for label, test in tests)
        )


def _vector(value: Vector | float) -> Vector:
    return value if isinstance(value, dict) else {frozenset(): value}


def _key(labels: Labels, on: list[str] | None) -> Labels:
    return frozenset(pair for pair in labels if pair[0] in on) if on is not None else labels


def _combined(
    apply: Callable[[float, float], float], left: Vector | float, right: Vector | float, on: list[str] | None
) -> Vector | float:
    def safely(left_value: float, other: float) -> float:
        return math.nan if apply is operator.truediv and not other else apply(left_value, other)

    if not isinstance(right, dict):
        if not isinstance(left, dict):
            return safely(left, right)
        return {labels: safely(number, right) for labels, number in left.items()}
    others = {_key(labels, on): number for labels, number in right.items()}
    return {
        labels: safely(number, others[_key(labels, on)])
        for labels, number in _vector(left).items()
        if _key(labels, on) in others
    }


def _over(function: str, points: list[tuple[float, float]]) -> float:
    values = [number for _, number in points]
    if function == "changes":
        return float(sum(before != after for before, after in itertools.pairwise(values)))
    # A counter that fell began again at 0.
    grown = sum(after - before if after >= before else after for before, after in itertools.pairwise(values))
    return grown if function == "increase" else grown / (points[-1][0] - points[0][0])


def _summed(names: list[str], vector: Vector) -> Vector:
    sums: dict[Labels, float] = defaultdict(float)
    for labels, number in vector.items():
        sums[_key(labels, names)] += number
    return dict(sums)


def _quantiles(quantile: float, vector: Vector) -> Vector:
    buckets: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, number in vector.items():
        rest = frozenset(pair for pair in labels if pair[0] != "le")
        buckets[rest].append((float(dict(labels)["le"]), number))
    return {labels: _quantile(quantile, sorted(counts)) for labels, counts in buckets.items()}


def _quantile(quantile: float, counts: list[tuple[float, float]]) -> float:
    rank = quantile * counts[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in counts:
        if count >= rank and count > below:
            return lower if math.isinf(bound) else lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return math.nan
