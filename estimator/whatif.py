"""A question that the grid has no cell for: several or mixed accelerators, a draft model, a vision projector.

A question is checked here, and :mod:`estimator.joint_load` answers it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from estimator.calibration.coefficients import Calibration
from estimator.estimate import (
    overrides_of,
    require_company,
    require_facts,
    require_options,
    require_sound,
)
from estimator.fleet import require_engine
from estimator.grid import FitBlock
from estimator.joint_load import JointLoad, Outcome
from estimator.placement.hardware import choose_engine, with_wired_limit
from estimator.server_options import SplitMode
from estimator.speed.own_heads import own_heads_load
from estimator.speed.speculative import Draft, DraftLoad, require_draft
from estimator.speed.throughput import pace
from estimator.structure.architecture import ModelArchitecture
from estimator.types import (
    EXLLAMA_ENGINES,
    LLAMA_ENGINES,
    Accelerator,
    EstimateRequest,
    EstimatorError,
    Quant,
    UnsupportedError,
    Workload,
)

MAX_DEVICES = 64


@dataclass(frozen=True, slots=True)
class Extras:
    """Parts of a question beyond one request. ``devices`` stand for the request's accelerator and count when there are
    any; ``projector_bytes`` is 0 for none and None for one of unknown size."""

    devices: tuple[Accelerator, ...] = ()
    draft: Draft | None = None
    projector_bytes: int | None = 0


def what_if(
    model: ModelArchitecture,
    request: EstimateRequest,
    extras: Extras,
    calibration: Calibration,
    workload: Workload | None = None,
) -> Outcome:
    """Answer one request with extras.

    Raises:
        MissingFactError: a fact that the estimate needs is unknown.
        UnsupportedError: no engine runs this on all of the devices.
        EstimatorError: the question contradicts itself.
    """
    devices = extras.devices or (request.accelerator,) * request.gpu_count
    if len(devices) > MAX_DEVICES:
        raise EstimatorError(f"at most {MAX_DEVICES} accelerators are laid out, not {len(devices)}")
    if request.host is None:
        raise EstimatorError("an estimate needs a host: the memory and bandwidth that offloaded weights would use")
    require_sound(request)
    for device in devices:
        require_facts(device)
    devices = tuple(with_wired_limit(device, request.wired_limit_bytes) for device in devices)
    kinds = tuple(dict.fromkeys(devices))
    request = replace(request, accelerator=devices[0], gpu_count=len(devices))
    if len(devices) > 1:
        require_company(devices)
        if len(kinds) > 1 and request.split_mode not in (None, SplitMode.LAYER):
            raise EstimatorError("accelerators that differ share whole layers; leave split_mode out")
        request = _on_all(model, request, kinds)
    require_options(model, request, require_engine(model, devices[0], request.quant, overrides_of(request)))
    draft_load = None
    if extras.draft is not None:
        require_draft(model, extras.draft, request.batch)
        draft_load = _draft_load(extras.draft, request, calibration, workload)
    draft_bytes = draft_load.bytes if draft_load else 0
    reserved = draft_bytes + (extras.projector_bytes or 0)
    load = JointLoad(model, request, (request.quant,), devices, calibration, workload, reserved)
    outcome = load.answer(extras.draft, draft_load)
    memory = outcome.estimate.memory
    memory = replace(
        memory,
        overhead_bytes=memory.overhead_bytes - load.reserved,
        draft_bytes=draft_bytes,
        projector_bytes=extras.projector_bytes,
    )
    return replace(outcome, estimate=replace(outcome.estimate, memory=memory))


def mixed_blocks(
    model: ModelArchitecture,
    request: EstimateRequest,
    quants: Sequence[Quant],
    devices: tuple[Accelerator, ...],
    calibration: Calibration,
    workload: Workload,
) -> Iterator[tuple[list[int], FitBlock]]:
    """Positions of ``quants`` that one engine and backend runs on all of ``devices``, which differ, and their block.

    The request's own quantization and accelerator are not looked at; what no engine runs is left out.
    """
    kinds, groups = tuple(dict.fromkeys(devices)), dict[EstimateRequest, list[int]]()
    for q, quant in enumerate(quants):
        quant_request = replace(request, quant=quant, accelerator=devices[0], gpu_count=len(devices))
        with suppress(UnsupportedError):
            groups.setdefault(replace(_on_all(model, quant_request, kinds), quant=quants[0]), []).append(q)
    for quant_request, positions in groups.items():
        own = tuple(quants[q] for q in positions)
        yield positions, JointLoad(model, quant_request, own, devices, calibration, workload).block()


def _on_all(model: ModelArchitecture, request: EstimateRequest, kinds: Sequence[Accelerator]) -> EstimateRequest:
    """``request`` with the engine and backend that all kinds of devices share.

    Raises:
        UnsupportedError: there is none.
    """
    if len(kinds) == 1:
        return request
    names = " and ".join(device.name for device in kinds)
    for backend in (request.backend,) if request.backend else kinds[0].backends:
        chosen = [
            choose_engine(model.architecture, device, request.quant, request.engine, backend, is_moe=model.is_moe)
            for device in kinds
        ]
        if None in chosen:
            continue
        engine = chosen[0][0] if chosen[0] else None
        if engine not in (*LLAMA_ENGINES, *EXLLAMA_ENGINES):
            raise UnsupportedError(
                f"{request.quant.name} runs on {names} with {engine.value if engine else 'no engine'}, which splits a model "
                "evenly; accelerators that differ need a GGUF file type"
            )
        return replace(request, engine=engine, backend=backend)
    raise UnsupportedError(f"no engine drives {names} through one backend for {request.quant.name}")


def _draft_load(
    draft: Draft, request: EstimateRequest, calibration: Calibration, workload: Workload | None
) -> DraftLoad:
    """The draft whole on the first device, in the same process, so without an overhead of its own."""
    if draft.own_heads:
        target = JointLoad(draft.model, request, (request.quant,), (request.accelerator,), calibration, workload)
        return own_heads_load(draft.model, target.tables, target.need, draft)
    own = replace(request, quant=draft.quant, gpu_count=1, gpu_layers=None, cpu_moe_layers=None)
    try:
        require_engine(draft.model, own.accelerator, own.quant, overrides_of(own))
    except UnsupportedError as error:
        raise UnsupportedError(f"the draft: {error}") from None
    load = JointLoad(draft.model, own, (draft.quant,), (own.accelerator,), calibration, workload)
    need, placed = load.need, load.placements.whole
    placements = load.placements if placed is not None else load.whole
    memory_bytes = int(placements.weights[0, 0] + placements.kv_cache[0, 0] + placements.compute[0, 0])
    growth = float(need.full_last[0, draft.model.n_layers])
    if placed is None:
        return DraftLoad(memory_bytes, growth, None, 0.0)
    speeds = pace(draft.model, load.tables, need, load.fleet.rig, placed, load.coefs[0])
    token_s, prefill_tok_s = 1.0 / float(speeds.decode_tok_s.flat[0]), float(speeds.prefill_tok_s.flat[0])
    prompt = need.situations[0].prompt_tokens
    return DraftLoad(memory_bytes, growth, token_s, prompt / prefill_tok_s if prefill_tok_s > 0 else 0.0)
