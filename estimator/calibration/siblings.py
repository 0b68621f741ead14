"""The order of siblings: parts of one chip, or of one family, of which one states at least as much of everything as the other.

What rows have shown of two such parts may contradict what the parts state: rigs differ by more than the parts do. Then both
have what the rows of both have shown together, so that the better part is never estimated to be the slower one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from estimator.calibration.effects import die_of, effect_name, family_of, unit_clocks_s
from estimator.speed.arithmetic import matrix_peak
from estimator.types import Accelerator

#: Facts of which more never makes a part slower; links and the size of the memory are not felt on one device.
_FACTS: tuple[str, ...] = (
    "bandwidth_bytes_s", "compute_units", "boost_hz", "matrix_flops", "half_flops", "int8_ops", "fp8_flops", "fp4_flops",
    "fp32_flops", "tdp_w",
)  # fmt: skip
#: Weight of a part without rows beside that of one row.
_WITHOUT_ROWS = 1e-3
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Siblings:
    """Parts of one chip or family by slug, with the pairs of them (better, lesser) whose facts have an order."""

    parts: Mapping[str, Accelerator]
    pairs: Sequence[tuple[str, str]]


def chip_line(accelerator: Accelerator) -> str | None:
    """Key of the parts of one chip, or of chips as alike: generation, last cache and kind; None for processors."""
    if accelerator.kind == "cpu":
        return None
    return f"{accelerator.architecture} {accelerator.last_level_cache_bytes} {accelerator.kind}"


def is_at_least(part: Accelerator, other: Accelerator) -> bool:
    """Whether a part states at least as much as another one of everything that either states."""
    return _is_more((getattr(part, name) for name in _FACTS), (getattr(other, name) for name in _FACTS))


def is_better(part: Accelerator, other: Accelerator) -> bool:
    """Whether a part is of the family of another one and reads and computes at least as fast by what both state."""
    kinds = [(family_of(one), one.compute_capability) for one in (part, other)]
    if kinds[0] != kinds[1] or part.inline_checks > other.inline_checks:
        return False
    mine, theirs = (
        (one.bandwidth_bytes_s, unit_clocks_s(one), one.matrix_flops, one.fp32_flops) for one in (part, other)
    )
    return _is_more(mine, theirs)


def _is_more(mine: Iterable[float | None], theirs: Iterable[float | None]) -> bool:
    return all(a == b or (a is not None and b is not None and a > b) for a, b in zip(mine, theirs, strict=True))


def siblings_of(accelerators: Iterable[Accelerator]) -> list[Siblings]:
    """The lines of parts of one chip that have parts in an order."""
    return _lines(accelerators, chip_line, is_at_least)


def families_of(accelerators: Iterable[Accelerator]) -> list[Siblings]:
    """The families that have parts in an order."""
    known = (part for part in accelerators if part.kind != "cpu" and part.bandwidth_bytes_s)
    return _lines((part for part in known if not math.isnan(matrix_peak(part))), family_of, is_better)


def _lines(
    accelerators: Iterable[Accelerator],
    line_of: Callable[[Accelerator], str | None],
    is_before: Callable[[Accelerator, Accelerator], bool],
) -> list[Siblings]:
    lines: dict[str, list[Accelerator]] = defaultdict(list)
    for part in sorted(accelerators, key=lambda part: part.slug):
        line = line_of(part)
        if line is not None:
            lines[line].append(part)
    out = []
    for parts in lines.values():
        pairs = [
            (better.slug, lesser.slug)
            for better in parts
            for lesser in parts
            if better is not lesser and is_before(better, lesser)
        ]
        if pairs:
            out.append(Siblings({part.slug: part for part in parts}, pairs))
    return out


def ordered(values: Mapping[str, float], rows: Mapping[str, int], siblings: Siblings) -> dict[str, float]:
    """Logs of seconds by part in the order of the parts: as near to ``values`` as ``rows`` weigh, to six digits."""
    out = dict(values)
    weight = {slug: rows.get(slug, 0) or _WITHOUT_ROWS for slug in out}
    for _ in range(_ROUNDS):
        contrary = [(better, lesser) for better, lesser in siblings.pairs if out[better] > out[lesser] + 1e-9]
        if not contrary:
            break
        for better, lesser in contrary:
            both = weight[better] + weight[lesser]
            out[better] = out[lesser] = (out[better] * weight[better] + out[lesser] * weight[lesser]) / both
    better_of: dict[str, list[str]] = defaultdict(list)
    for better, lesser in siblings.pairs:
        better_of[lesser].append(better)
    # Pooling comes near to an order; from the best part down, none is quicker than those above it.
    for slug in sorted(out, key=lambda slug: len(better_of[slug])):
        out[slug] = max([out[slug], *(out[better] for better in better_of[slug])])
    return {slug: round(value, 6) for slug, value in out.items()}


def of_parts(
    effects: Mapping[str, float], terms: Iterable[str], rows: Mapping[str, int], lines: Sequence[Siblings]
) -> dict[str, float]:
    """``effects`` with those of single parts (``gpu``) changed so that every term keeps the order of siblings."""
    out = dict(effects)
    for term in terms:
        for siblings in lines:
            shared = {
                slug: effects.get(effect_name(term, "chip", die_of(part)), 0.0) for slug, part in siblings.parts.items()
            }
            names = {slug: effect_name(term, "gpu", slug) for slug in siblings.parts}
            values = {slug: shared[slug] + effects.get(names[slug], 0.0) for slug in siblings.parts}
            for slug, value in ordered(values, rows, siblings).items():
                own = round(value - shared[slug], 6)
                if own or names[slug] in out:
                    out[names[slug]] = own
    return out
