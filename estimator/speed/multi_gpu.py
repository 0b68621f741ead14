"""Several devices on one model: what they add to, and take from, the time that one device would need.

Two ways to share a model. *Layers split* (llama.cpp and its forks): devices take turns on whole layers, so memory adds up
and decode gains nothing; every boundary costs a hop. A long prompt is cut into micro-batches that the devices work on at
once like an assembly line: m micro-batches on n devices take (m + n - 1) / (n m) of one device's time where the backend can
queue copies. *Tensor parallel* (vLLM, and llama.cpp where it is asked to): every matrix is cut, so each device reads and
computes its share, and twice a layer the devices add up their partial sums over the link between them, or through the host's
memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from estimator.speed.coefficients import SpeedCoefficients
from estimator.speed.work import DecodeWork, PrefillWork
from estimator.structure.arrays import Floats
from estimator.types import SERVERS, Backend

#: Nominal scales of a hop between devices and of one sum over two devices, seconds; fitted coefficients multiply them.
HOP_S = 1e-4
SUM_S = 1e-5
#: Sums over all devices per layer: after the mixer and after the feed-forward part.
SUMS_PER_LAYER = 2.0
#: Bytes of an activation that devices exchange.
ACTIVATION_BYTES = 2.0
#: Loss of a link against its peak, which no measured row gives: sums over eight A100 SXM4 reach 230 of 300 GB/s one way
#: (docs.alayanew.com, "NCCL-tests in practice", 2026-05-06).
LINK_LOSS = 1.3
#: Times that a byte crosses PCIe between cards that do not reach each other: to the host's memory, and from it.
HOST_CROSSINGS = 2.0
#: Cards that share their way to the host's memory at most: computers for more have several ways.
SHARING_CARDS = 4.0
#: Backends whose copies between devices can be queued, which llama.cpp's assembly line needs.
PIPELINED_BACKENDS = frozenset({Backend.CUDA, Backend.ROCM})
TENSOR_PARALLEL_ENGINES = frozenset(SERVERS)
#: The ways, as ``calibration.json`` names them; the last one is tensor parallel by llama.cpp.
MODES: tuple[str, ...] = ("layers", "tensor", "cut")


def decode_shares(work: DecodeWork, coef: SpeedCoefficients) -> tuple[Floats, Floats]:
    """Share of the weights and of the cache that one device reads per step; more devices than KV heads keep copies."""
    cut = np.where(coef.tensor_parallel, work.gpu_count, 1.0)
    return 1.0 / cut, 1.0 / np.minimum(cut, work.kv_heads)


def hop_seconds(count: Any, coef: SpeedCoefficients) -> Any:
    """Seconds that activations take over all boundaries of a layer split, once."""
    return (count - 1.0) * HOP_S * coef.parallel.hop


def decode_exchange_seconds(work: DecodeWork, coef: SpeedCoefficients) -> Floats:
    """Seconds per step that several devices spend on hops or sums; 0 on one."""
    hops = hop_seconds(work.gpu_count, coef)
    return np.asarray(np.where(coef.tensor_parallel, _sums(work, work.batch, 1.0, coef), hops))


def line_seconds(work: PrefillWork, coef: SpeedCoefficients, whole: Any, slowest: Any, pipelines: Any) -> Floats:
    """Seconds of a prompt under a layer split: ``whole`` are those of all devices in turn, ``slowest`` of the longest.

    The first micro-batch passes every device, each further one waits for the slowest. llama.cpp lets devices work at once
    only with every weight on them, and with room for copies of the inputs.
    """
    steps = np.ceil(work.prompt_tokens / work.micro_batch_tokens)
    line = whole / steps + (steps - 1.0) / steps * slowest
    line = np.where(pipelines & work.pipelined & (work.host_weight_bytes <= 0), line, whole)
    return np.asarray(line + coef.parallel.unpipelined * (whole - line) + steps * hop_seconds(work.gpu_count, coef))


def prefill_seconds_of(work: PrefillWork, coef: SpeedCoefficients, whole: Floats, cut: Floats) -> Floats:
    """Seconds of a prompt on several devices; ``whole`` and ``cut`` are one device's, and what tensor parallel cuts."""
    count = work.gpu_count
    steps = np.ceil(work.prompt_tokens / work.micro_batch_tokens)
    layers = line_seconds(work, coef, whole, whole / count, coef.pipelines)
    tensor = whole - cut * (1.0 - 1.0 / count) + _sums(work, work.prompt_tokens, steps, coef)
    return np.asarray(np.where(coef.tensor_parallel, tensor, layers))


def packed_seconds_of(work: PrefillWork, coef: SpeedCoefficients, whole: Floats) -> Floats:
    """Seconds of a prompt in full steps under tensor parallel; ``whole`` are one device's."""
    steps = work.prompt_tokens / work.micro_batch_tokens
    return np.asarray(whole / work.gpu_count + _sums(work, work.prompt_tokens, steps, coef))


def _sums(work: DecodeWork | PrefillWork, tokens: Any, steps: Any, coef: SpeedCoefficients) -> Floats:
    """Seconds of all sums over ``tokens`` in ``steps``: a ring moves 2 (n - 1) / n of the bytes over each link; links to the
    host's memory share their way. A short sum goes up and down a tree, whose height is the log of n (NCCL 2.4)."""
    each_way = 2.0 * (work.gpu_count - 1.0) / work.gpu_count
    crossings = np.where(coef.direct, 1.0, HOST_CROSSINGS * np.minimum(work.gpu_count, SHARING_CARDS))
    moved = tokens * work.hidden * ACTIVATION_BYTES * each_way / coef.peer_bytes_s * LINK_LOSS * crossings
    sums = SUMS_PER_LAYER * work.layers
    hops = np.log2(np.maximum(work.gpu_count, 2.0))
    started = SUM_S * hops * np.where(coef.direct, coef.parallel.sum, coef.parallel.host_sum)
    alone = work.gpu_count <= 1.0
    return np.asarray(np.where(alone, 0.0, sums * (steps * started + moved)))


def on_several(coef: SpeedCoefficients, *, cuts: bool = False) -> SpeedCoefficients:
    """``coef`` for several devices: what rows on one have shown of a model says nothing of tensor parallel.

    ``cuts``: llama.cpp is asked for it, with the kernels that it runs on one device.
    """
    own = {
        f"{kind}_overall": getattr(coef, f"{kind}_overall")
        * np.exp(np.where(coef.tensor_parallel, -getattr(coef, f"{kind}_shift"), 0.0))
        for kind in ("decode", "prefill")
    }
    return replace(coef, **own, tensor_parallel=coef.tensor_parallel | cuts)


def ranges_of(coef: SpeedCoefficients, *, cuts: bool = False) -> dict[str, Any]:
    """Log ends of the ranges of tok/s on several devices by the way that each cell shares the model, as fields of ``coef``.

    They include how well measured devices are known; one that was never measured is no surer in company than alone.
    """
    out: dict[str, Any] = {}
    for kind in ("decode", "prefill"):
        layers, tensor, cut = (coef.parallel.ranges[f"{kind} {mode}"] for mode in MODES)
        unserved = cut if cuts else layers
        for end, (name, wider) in enumerate((("low", np.minimum), ("high", np.maximum))):
            field = f"{kind}_{name}"
            own = np.log(np.where(coef.tensor_parallel, tensor[end], unserved[end]))
            out[field] = np.where(coef.seen, own, wider(getattr(coef, field), own))
    return out
