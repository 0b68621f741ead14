"""The numbers and names that texts, limits, advice and commands of one fit are derived from.

Built from a stored fit or from a live answer alike, so that both say the same. Nothing here is stored as text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from estimator.speed.mixed_gpus import DeviceLoad
from estimator.speed.speculative import Draft
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import has_weights
from estimator.structure.context import ContextExtension
from estimator.structure.kv_cache import narrower
from estimator.types import (
    Accelerator,
    CacheType,
    Estimate,
    EstimateRequest,
    Host,
    Quant,
    Status,
    Workload,
)
from estimator.usability import answer_seconds, wait_ms, written_tokens

#: Statuses in which an engine really runs the model.
RUNNING = frozenset({Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD})


@dataclass(frozen=True, slots=True)
class DraftFacts:
    """The draft model of a plan, with its repositories as :class:`FitFacts` has those of the model."""

    draft: Draft
    hf_repository: str | None = None
    gguf_repository: str | None = None
    checkpoint_repository: str | None = None


@dataclass(frozen=True, slots=True)
class FitFacts:
    """One fit with everything that was asked (``request``) and answered (``estimate``).

    ``workload`` is None for a free question. Repositories are ``owner/name`` on the Hugging Face Hub, None when no
    published one is recorded; ``checkpoint_repository`` is of this very quantization. ``accelerators`` are several that
    were listed one by one, ``devices`` what each holds (none when nothing runs); ``reads_images`` says that the model has
    a vision projector, ``vision`` that the plan loads it; ``context_extension`` is the model's.
    """

    model: ModelArchitecture
    model_name: str
    request: EstimateRequest
    estimate: Estimate
    workload: Workload | None = None
    hf_repository: str | None = None
    gguf_repository: str | None = None
    ollama_tag: str | None = None
    checkpoint_repository: str | None = None
    reads_images: bool = False
    vision: bool = False
    accelerators: tuple[Accelerator, ...] = ()
    devices: tuple[DeviceLoad, ...] = ()
    draft: DraftFacts | None = None
    context_extension: ContextExtension | None = None

    @property
    def accelerator(self) -> Accelerator:
        """The device that was asked about."""
        return self.request.accelerator

    @property
    def quant(self) -> Quant:
        """The quantization that was asked about."""
        return self.request.quant

    @property
    def runs(self) -> bool:
        """Whether an engine runs this at all, with or without offload."""
        return self.estimate.status in RUNNING

    def answer_seconds(self, use: Workload) -> float:
        """Time to a whole answer of ``use``, with the thinking that the model cannot leave out; infinite where nothing runs."""
        decode, wait = self.estimate.decode, wait_ms(use, self.estimate.ttft_ms or 0.0)
        tokens = written_tokens(use, self.model.training.least_thinking)
        return float(answer_seconds(wait, 0.0 if decode is None else decode.value, tokens))

    @property
    def has_weights(self) -> bool:
        """Whether weights of the model in this quantization are known to be had."""
        return has_weights(self.quant, self.model)

    @property
    def is_mixed(self) -> bool:
        """Whether the plan spreads over accelerators that differ."""
        return len({device.slug for device in self.accelerators}) > 1

    @property
    def is_plain(self) -> bool:
        """Whether the request alone states the plan: no accelerators that differ, draft model or vision projector."""
        return not self.is_mixed and self.draft is None and not self.vision

    @property
    def memory_name(self) -> str:
        """The memory that the device runs from, in a sentence: a processor has no other than the computer's."""
        return "memory" if self.accelerator.kind == "cpu" else "device memory"

    @property
    def device_name(self) -> str:
        """The device as a sentence names it: ``RTX 3090``, ``2 x RTX 3090`` or ``RTX 3090 + 2 x RTX 3060``."""
        devices = self.accelerators or (self.accelerator,) * self.request.gpu_count
        counts = Counter(device.name for device in devices)
        return " + ".join(name if count == 1 else f"{count} x {name}" for name, count in counts.items())

    @property
    def design_power_w(self) -> float | None:
        """Design power of all accelerators, watts; None when one is unknown."""
        powers = [device.tdp_w for device in self.accelerators or (self.accelerator,) * self.request.gpu_count]
        return None if None in powers else sum(power for power in powers if power is not None)

    @property
    def workload_name(self) -> str:
        """The workload as a sentence names it."""
        if self.workload is None:
            return "this setup"
        name = self.workload.name
        return name if name.isupper() else name.lower()


def request_of(quant: Quant, accelerator: Accelerator, host: Host) -> EstimateRequest:
    """The request that, asked with a workload, is the precomputed cell of (accelerator, quant, workload)."""
    return EstimateRequest(quant=quant, accelerator=accelerator, host=host)


def cache_type(request: EstimateRequest) -> CacheType:
    """Element type of the KV cache that the request is computed with: that of its keys."""
    return request.kv_cache_type or CacheType.F16


def value_cache_type(request: EstimateRequest) -> CacheType:
    """Element type of the values in the KV cache."""
    return request.v_cache_type or cache_type(request)


def narrower_cache_type(request: EstimateRequest) -> CacheType:
    """The narrower of both cache types; it stands for the loss of both, as no cache of two types was measured."""
    return narrower(cache_type(request), value_cache_type(request))
