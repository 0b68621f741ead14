"""Coefficients of the speed model, as plain numbers and arrays; the calibration fills them in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.types import EVIDENCES, Evidence

CALIBRATED = EVIDENCES.index(Evidence.CALIBRATED)
#: Most streams of the first of two regimes, whose ranges differ.
FEW_STREAMS = 32
REGIMES: tuple[str, ...] = ("few", "many")
#: Depth at which the slope has reached log 2, tokens.
DEPTH_SCALE_TOKENS = 4096.0


@dataclass(frozen=True, slots=True)
class Parallel:
    """Fitted constants. ``hop``, ``sum`` and ``host_sum`` multiply their nominal seconds, the last one between devices that
    do not reach each other; ``unpipelined`` is the share of a prompt's time that the assembly line does not cut (0 to 1).

    ``ranges``: kind and mode (``decode layers``) -> multipliers of tok/s.
    """

    hop: float
    sum: float
    host_sum: float
    unpipelined: float
    ranges: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, constants: Mapping[str, Any]) -> Parallel:
        """Those of a calibration."""
        ranges = {name: (float(low), float(high)) for name, (low, high) in constants["ranges"].items()}
        return cls(
            **{name: float(constants[name]) for name in ("hop", "sum", "host_sum", "unpipelined")}, ranges=ranges
        )


@dataclass(frozen=True, slots=True)
class SpeedCoefficients:
    """Constants of the speed model for a device, a quant and a model: numbers, or arrays of one common shape.

    Each term has a coefficient on its ideal seconds; ``*_overall`` multiply the whole time on the device, and
    ``*_shift`` are the logs of what rows of the very configuration have added to them; ``host*`` and ``link`` are those
    of system memory (layers, experts, and fixed per layer) and the link. ``*_low`` and ``*_high``
    are logs of the ends of a range of tok/s at an empty context (``offload_*`` where weights are in system memory);
    deeper ones widen it by ``*_depth`` (:mod:`estimator.calibration.intervals`). ``parallel`` are the constants of several devices,
    ``tensor_parallel`` and ``pipelines`` tell how they share the model, ``direct`` how they reach each other, and ``seen`` whether
    the device was measured. ``unit_splits`` is the share of a device's units that read the cache of one wide
    head. ``step_tokens`` are the prompt tokens that a pair's engine takes at a time by default.
    ``stream_*`` are those of several streams at once (:mod:`estimator.speed.streams`): the peak of the precision of their
    products, the fewest columns of such a product, fitted constants, and the log ends of a range by the regimes of
    :data:`REGIMES`, shape (pairs, 2); ``stream_unpacks`` tells whether a server unpacks weights of 4 bits for them.
    """

    bandwidth_bytes_s: Any
    peak_flops: Any
    attention_peak_flops: Any
    step_tokens: Any
    unit_clocks_s: Any
    dense: Any
    routed: Any
    cache: Any
    attend: Any
    unpack: Any
    layer: Any
    expert_layer: Any
    token: Any
    decode_overall: Any
    linear: Any
    attention: Any
    read: Any
    step: Any
    thinness: Any
    prefill_overall: Any
    decode_shift: Any
    prefill_shift: Any
    host: Any
    host_layer: Any
    host_expert: Any
    host_expert_layer: Any
    link: Any
    default_link_bytes_s: Any
    ttft_fixed_s: Any
    offload_decode_low: Any
    offload_decode_high: Any
    offload_prefill_low: Any
    offload_prefill_high: Any
    decode_low: Any
    decode_high: Any
    prefill_low: Any
    prefill_high: Any
    decode_depth: Any
    prefill_depth: Any
    decode_evidence: Any
    prefill_evidence: Any
    parallel: Any
    tensor_parallel: Any
    pipelines: Any
    peer_bytes_s: Any
    direct: Any
    seen: Any
    unit_splits: Any
    stream_peak_flops: Any
    stream_tile: Any
    stream_unpacks: Any
    stream_cache: Any
    stream_arithmetic: Any
    stream_unpack: Any
    stream_four_bits: Any
    stream_sample_s: Any
    stream_s: Any
    stream_step_s: Any
    stream_prompt: Any
    stream_low: Any
    stream_high: Any

    def take(self, pairs: NDArray[np.int64], unread: frozenset[str] = frozenset()) -> SpeedCoefficients:
        """The coefficients of cells, gathered by index of their pair; NaN for those that are ``unread``."""
        return SpeedCoefficients(*(
            value if np.ndim(value) == 0 else math.nan if name in unread else value[pairs]
            for name, value in ((name, getattr(self, name)) for name in _FIELDS)
        ))  # fmt: skip


_FIELDS = tuple(field.name for field in fields(SpeedCoefficients))
#: Fields that only several streams or devices read, and those that only loads on a device alone do.
OF_SEVERAL = frozenset(name for name in _FIELDS if name.startswith("stream_")) | {
    "pipelines", "peer_bytes_s", "direct", "seen", "decode_shift", "prefill_shift",
}  # fmt: skip
RANGES = frozenset({"decode_low", "decode_high", "prefill_low", "prefill_high", "decode_depth", "prefill_depth"})


def depth_log(depth_tokens: Any) -> Any:
    """Factor of the depth slope, 0 at an empty context; elementwise."""
    return np.log1p(np.maximum(depth_tokens, 0.0) / DEPTH_SCALE_TOKENS)
