"""The choice among quantizations of a pairing: the smallest loss that time allows, and how customary a format is.

Loss in points of capability, time in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimator.calibration.divergence import form_of
from estimator.types import GGUF_FORMATS, Accelerator, OperatingMode, Quant, QuantFormat

Floats: TypeAlias = Any  # an array of floats, or a float: every function broadcasts
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TimeCharge:
    """Points of capability that a doubling of the time costs, within the comfortable time and beyond it.

    ``users`` are answered at once.
    """

    within: float
    beyond: float
    users: int = 1


#: Judgements, not measurements. Nine points are about the step from a model to one of twice its size and date.
CHARGES: Mapping[OperatingMode, TimeCharge] = {
    OperatingMode.BALANCED: TimeCharge(0.4, 5.0),
    OperatingMode.INTERACTIVE: TimeCharge(1.5, 7.0),
    OperatingMode.LIGHT_API: TimeCharge(1.0, 5.0, users=4),
    OperatingMode.SCALE_OUT: TimeCharge(2.5, 6.0, users=32),
}
#: Weights of this many bits and more answer alike within the noise of any benchmark, so the faster ones are chosen.
WIDE_BITS = 8.0
#: How much faster they must be.
NOTICEABLY_FASTER = 1.15
#: Setups of one model whose ratings differ by less are called alike.
ALIKE_POINTS = 0.3
#: Cost of a memory filled to the last twentieth: one more program, or a longer prompt, and the model does not run.
TIGHT_POINTS = 2.0
#: Cost of experts in host memory: other programs lack it, and their work slows the answers; and of layers of a dense model,
#: which every token of prompt and answer passes.
OFFLOAD_POINTS, DENSE_OFFLOAD_POINTS = 1.0, 5.0
#: Cost of an engine without paged memory where people are served: each holds the longest context, and nothing is shared;
#: and what each doubling of the people adds, as the prompt of one stops the answers of all others. A server of several
#: accelerators is there for as many people at least.
UNPAGED_POINTS, UNPAGED_POINTS_PER_DOUBLING = 4.0, 2.0
#: Formats of such engines.
_UNPAGED = (*GGUF_FORMATS, QuantFormat.MLX, QuantFormat.EXL2, QuantFormat.EXL3)
#: Year from which accelerators of data centres are there to serve; older ones are bought used, for one user.
_SERVES_FROM = 2020
#: Families of formats that models are trained in.
_TRAINED_IN = ("fp8", "mxfp4", "nvfp4", "int4-group")
#: Weights of at least so many bits are not called narrow.
_NARROW_BITS = 15.0
#: Points from which a loss shows as broken answers, such as loops and wrong syntax: from there each counts twice.
BROKEN_POINTS = 3.0
#: Nats that scores feel from which weights are never chosen: as many as i-quants cost that write one token in seven another
#: way; a smaller model is sound.
RUINED_NATS = 0.2
#: Below any rating.
_NEVER = -1e9
#: Families of formats by how customary they are: what publishers offer first and most users run comes first.
_CUSTOM = ("mlx", "k-quant", "fp8", "mxfp4", "legacy", "int4-group", "i-quant", "nvfp4", "int8")


@lru_cache(maxsize=512)
def customary(quant: Quant) -> float:
    """How customary a quantization is, more being more; 16 bits, and families that are not listed, are last."""
    form = form_of(quant)
    return float(len(_CUSTOM) - _CUSTOM.index(form.family)) if form is not None and form.family in _CUSTOM else 0.0


def broken(loss_points: Floats) -> Floats:
    """Charge for answers that are not only weaker but broken, points: of the upper end of a loss where it is known."""
    return np.maximum(loss_points - BROKEN_POINTS, 0.0)


def unpaged_points(
    quants: Sequence[Quant], devices: Sequence[Accelerator], users: int = 1, count: int = 1
) -> NDArray[np.float64]:
    """Charge for engines without paged memory on ``count`` devices that serve people, points, (devices, quants)."""
    serves = [
        users > 1 or (device.kind == "datacenter" and (device.generation_year or 0) >= _SERVES_FROM)
        for device in devices
    ]
    # MLX runs plain checkpoints, too, and no engine with paged memory runs on Apple's chips.
    formats = [quant.format in _UNPAGED for quant in quants]
    unpaged = np.logical_or.outer([device.vendor == "apple" for device in devices], formats)
    points = UNPAGED_POINTS + UNPAGED_POINTS_PER_DOUBLING * np.log2(max(users, count))
    return np.asarray(points * (np.array(serves)[:, None] & unpaged))


def drawbacks(tight: Floats, offloaded: Floats, unpaged: Floats, is_mixture: Floats) -> Floats:
    """Charge for a full memory, for weights in host memory and for an engine that does not page (``unpaged``), points."""
    return TIGHT_POINTS * tight + np.where(is_mixture, OFFLOAD_POINTS, DENSE_OFFLOAD_POINTS) * offloaded + unpaged


def charged(worth: Floats, seconds: Floats, comfortable_s: Floats, mode: OperatingMode) -> NDArray[np.float64]:
    """Worth less the charge for time: no setup gains by being slower or worse."""
    charge = CHARGES[mode]
    doublings = np.log2(np.maximum(seconds, 1e-3) / comfortable_s)
    return np.asarray(worth - np.where(doublings > 0, charge.beyond, charge.within) * doublings)


def needlessly_wide(bits: Floats, decode_tok_s: Floats, eligible: Flags) -> Flags:
    """Cells (models or accelerators, quants, ...) of wide weights beside which other wide ones are noticeably faster."""
    wide = eligible & (bits >= WIDE_BITS)
    fastest = np.where(wide, decode_tok_s, 0.0).max(axis=1, keepdims=True, initial=0.0)
    return np.asarray(wide & (fastest >= NOTICEABLY_FASTER * decode_tok_s))


def native_quants(quants: Sequence[Quant], native_bits: float, nats: Floats) -> Flags:
    """The quantizations, (Q,), that narrowly trained weights were trained in, or the like of it; ``nats`` lost in each.

    Those of as many whole bits are alike: parts of a file that have more do not make another format of it.
    """
    if native_bits >= _NARROW_BITS:
        return np.zeros(len(quants), dtype=np.bool_)
    away = np.abs(np.round([quant.nominal_bits for quant in quants]) - round(native_bits))
    forms = [form_of(quant) for quant in quants]
    trained = np.array([form is not None and form.family in _TRAINED_IN for form in forms], dtype=np.bool_)
    trained &= np.asarray(nats) == 0
    return np.asarray(trained & (away == away[trained].min(initial=np.inf)))


def rewritten(usable: Flags, native: Flags, nats: Floats, axis: int) -> Flags:
    """Cells of narrowly trained weights in another format of no less bits, where those run as they were trained.

    All broadcast; ``axis`` is that of the quantizations.
    """
    return np.asarray((usable & native).any(axis=axis, keepdims=True) & (np.asarray(nats) == 0) & ~native)


def best_quants(rating: Floats, eligible: Flags, custom: Floats) -> Flags:
    """The chosen quantization of each (accelerator, situation) as a flag; all (G, Q, S), none where none is eligible.

    Among ``eligible`` ones that are rated alike the most customary one comes first (``custom``, one value a quant), then
    the best rated, then the first.
    """
    # Few cells are eligible: each (situation, accelerator) is a group of them.
    by_group = eligible.transpose(2, 0, 1)
    out = np.zeros(by_group.shape, dtype=np.bool_)
    group, quant = np.nonzero(by_group.reshape(-1, by_group.shape[2]))
    if len(group):
        begins = np.flatnonzero(np.diff(group, prepend=-1))
        sizes = np.diff(begins, append=len(group))
        rated = np.broadcast_to(rating, eligible.shape).transpose(2, 0, 1).reshape(-1, by_group.shape[2])[group, quant]
        behind = np.repeat(np.maximum.reduceat(rated, begins), sizes) - rated
        # Ratings that count as alike differ by less than one.
        rank = np.where(behind <= ALIKE_POINTS, custom[quant] - behind, _NEVER)
        best = np.flatnonzero(rank == np.repeat(np.maximum.reduceat(rank, begins), sizes))
        best = best[np.diff(group[best], prepend=-1) > 0]
        out.reshape(-1, by_group.shape[2])[group[best], quant[best]] = True
    return out.transpose(1, 2, 0)
