"""A question that the grid has no cell for: several or mixed accelerators, a draft model, a vision projector.

Placement, terms and scores are those of the grid. This module adds a split over devices that differ, memory of a draft
or projector, and the time of a step with a draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from estimator.calibration.coefficients import Calibration
from estimator.estimate import (
    cell_of,
    overrides_of,
    require_company,
    require_facts,
    require_options,
    require_sound,
    situation_of_request,
    thresholds_of,
)
from estimator.fleet import Fleet, Overrides, fleet_of, require_engine
from estimator.grid import assemble
from estimator.placement.demand import Needs, needs
from estimator.placement.hardware import choose_engine, with_wired_limit
from estimator.placement.layer_split import compute_of_cards
from estimator.placement.layer_sums import ModelTables, model_tables
from estimator.placement.placements import Placed, Placements, Rig
from estimator.placement.search import place
from estimator.speed.coefficients import CALIBRATED, SpeedCoefficients
from estimator.speed.mixed_gpus import (
    DeviceLoad,
    Layout,
    joint_rig,
    layout,
    shared_decode_seconds,
    shared_pace,
    shared_prefill_seconds,
)
from estimator.speed.own_heads import own_heads_load
from estimator.speed.roofline import decode_seconds
from estimator.speed.speculative import Draft, DraftLoad, Speculation, check_work, expected_tokens, require_draft
from estimator.speed.throughput import Pace, pace
from estimator.speed.work import DecodeWork, decode_work, prefill_work
from estimator.structure.architecture import ModelArchitecture
from estimator.types import (
    ENGINES,
    EXLLAMA_ENGINES,
    LLAMA_ENGINES,
    SERVERS,
    Accelerator,
    Estimate,
    EstimateRequest,
    EstimatorError,
    Status,
    UnsupportedError,
    Workload,
)

MAX_DEVICES = 64
_RUNNING = (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)


@dataclass(frozen=True, slots=True)
class Extras:
    """What a question has beyond one request. ``devices`` stand for the request's accelerator and count when there are
    any; ``projector_bytes`` is 0 for none and None for one of unknown size."""

    devices: tuple[Accelerator, ...] = ()
    draft: Draft | None = None
    projector_bytes: int | None = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The estimate; what each of several devices holds (empty for one, or when nothing runs); what the draft does."""

    estimate: Estimate
    devices: tuple[DeviceLoad, ...] = ()
    speculation: Speculation | None = None


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
        request = _on_all(model, request, kinds)
    require_options(model, request, require_engine(model, devices[0], request.quant, overrides_of(request)))
    draft_load = None
    if extras.draft is not None:
        require_draft(model, extras.draft, request.batch)
        draft_load = _draft_load(extras.draft, request, calibration, workload)
    draft_bytes = draft_load.bytes if draft_load else 0
    load = _ModelOnDevices(model, request, devices, calibration, workload, draft_bytes, extras.projector_bytes or 0)
    outcome = load.answer(extras.draft, draft_load)
    memory = outcome.estimate.memory
    memory = replace(
        memory,
        overhead_bytes=memory.overhead_bytes - load.reserved,
        draft_bytes=draft_bytes,
        projector_bytes=extras.projector_bytes,
    )
    return replace(outcome, estimate=replace(outcome.estimate, memory=memory))


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
        target = _ModelOnDevices(draft.model, request, (request.accelerator,), calibration, workload, 0, 0)
        return own_heads_load(draft.model, target.tables, target.need, draft)
    own = replace(request, quant=draft.quant, gpu_count=1, gpu_layers=None, cpu_moe_layers=None)
    try:
        require_engine(draft.model, own.accelerator, own.quant, overrides_of(own))
    except UnsupportedError as error:
        raise UnsupportedError(f"the draft: {error}") from None
    load = _ModelOnDevices(draft.model, own, (own.accelerator,), calibration, workload, 0, 0)
    need, placed = load.need, load.placements.whole
    held = load.placements if placed is not None else load.whole
    memory_bytes = int(held.weights[0, 0] + held.kv_cache[0, 0] + held.compute[0, 0])
    growth = float(need.full_last[0, draft.model.n_layers])
    if placed is None:
        return DraftLoad(memory_bytes, growth, None, 0.0)
    speeds = pace(draft.model, load.tables, need, load.fleet.rig, placed, load.coefs[0])
    token_s, prefill_tok_s = 1.0 / float(speeds.decode_tok_s.flat[0]), float(speeds.prefill_tok_s.flat[0])
    prompt = need.situations[0].prompt_tokens
    return DraftLoad(memory_bytes, growth, token_s, prompt / prefill_tok_s if prefill_tok_s > 0 else 0.0)


class _ModelOnDevices:
    """One model on a list of devices, at size one."""

    def __init__(
        self,
        model: ModelArchitecture,
        request: EstimateRequest,
        devices: Sequence[Accelerator],
        calibration: Calibration,
        workload: Workload | None,
        draft_bytes: int,
        projector_bytes: int,
    ) -> None:
        self.model, self.request, self.devices, self.workload = model, request, tuple(devices), workload
        self.reserved = draft_bytes + projector_bytes
        self.situation = situation_of_request(request, workload)
        self.tables: ModelTables = model_tables(model, (request.quant,))
        self.need: Needs = needs(model, (self.situation,))
        self.overrides = replace(overrides_of(request), reserved_bytes=self.reserved)
        self.mixed = len(set(devices)) > 1
        self.fleet, self.rigs = self._fleet()
        self.coefs, self.losses = self._coefficients(calibration), calibration.losses
        self.placements = self._place(self.fleet.rig, self.overrides.gpu_layers, self.overrides.cpu_moe_layers)
        self.layout: Layout | None = None

    @property
    def whole(self) -> Placements:
        """The placements with unlimited room: the bytes of everything on the device."""
        rig = replace(self.fleet.rig, usable=np.full_like(self.fleet.rig.usable, float(2**50)), cards=None)
        return self._place(rig, None, None)

    def _fleet(self) -> tuple[Fleet, tuple[Rig, ...]]:
        """The devices together, and each alone."""
        model, request = self.model, self.request
        host = request.host
        assert host is not None

        def fleet(device: Accelerator, overrides: Overrides) -> Fleet:
            return fleet_of(model.architecture, model.is_moe, (device,), (request.quant,), (host,), overrides)

        alone = replace(self.overrides, gpu_count=1, reserved_bytes=0)
        rigs = tuple(fleet(device, alone).rig for device in self.devices)
        if not self.mixed:
            return fleet(self.devices[0], self.overrides), rigs
        first = fleet(self.devices[0], alone)
        return replace(first, rig=joint_rig(rigs, self.reserved)), rigs

    def _coefficients(self, calibration: Calibration) -> tuple[SpeedCoefficients, ...]:
        """Of each device, at its only pair."""
        model, request = self.model, self.request
        alone = replace(self.overrides, gpu_count=1, reserved_bytes=0)
        known: dict[Accelerator, SpeedCoefficients] = {}
        for device in self.devices if self.mixed else self.devices[:1]:
            if device not in known:
                assert request.host is not None
                own = fleet_of(model.architecture, model.is_moe, (device,), (request.quant,), (request.host,), alone)
                choices = own.choices if self.mixed else self.fleet.choices
                flash = request.flash_attention is not False
                known[device] = calibration.table(model, choices, request.build_age_years, flash_attention=flash)
        return tuple(known[device] for device in self.devices if device in known)

    def _place(self, rig: Rig, gpu_layers: int | None, cpu_moe_layers: int | None) -> Placements:
        choices = self.fleet.choices
        return place(
            self.model, self.tables, self.need, rig, self.fleet.available, choices.engine, choices.backend,
            gpu_layers, cpu_moe_layers,
        )  # fmt: skip

    def answer(self, draft: Draft | None, load: DraftLoad | None) -> Outcome:
        """The estimate with what each device holds and what the draft does."""
        lays_out = len(self.devices) > 1 and ENGINES[int(self.fleet.choices.engine[0, 0])] not in SERVERS
        if lays_out and (part := self._part()) is not None:
            self.layout = layout(self.model, self.tables, self.need, part, self._free())
        speculation: list[Speculation] = []

        def pace_of(
            model: ModelArchitecture,
            tables: ModelTables,
            need: Needs,
            rig: Rig,
            placed: Placed,
            coef: SpeedCoefficients,
        ) -> Pace:
            work = decode_work(model, tables, need, rig, placed)
            if self.mixed:
                speeds = self._shared(work, placed)
            else:
                speeds = pace(model, tables, need, rig, placed, coef)
            if draft is None or load is None or not load.runs:
                return speeds
            found = self._speculation(draft, load, work, speeds, coef)
            speculation.append(found)
            return _drafted(speeds, found, load.prefill_s)

        block = assemble(
            self.model, self.tables, self.need, self.fleet, self.placements, self.coefs[0],
            thresholds_of(self.workload, self.situation), self.losses, pace_of,
        )  # fmt: skip
        estimate = cell_of(block, 0, 0, 0, self.situation.context_tokens, self.request.host)
        if (load is not None and not load.runs) or (lays_out and self.layout is None):
            estimate = _does_not_run(estimate)
        if estimate.status not in _RUNNING:
            return Outcome(estimate)
        loads = self._loads(estimate) if lays_out else ()
        return Outcome(self._with_context(estimate, load), loads, speculation[0] if speculation else None)

    def _part(self) -> Placed | None:
        return self.placements.split or self.placements.whole

    def _computes(self) -> Any:
        """Compute buffer of each device; the first one also holds room for weights that are copied over."""
        part = self._part()
        pipelined = part is not None and bool(np.asarray(part.pipelined).flat[0])
        each = compute_of_cards(self.need, len(self.devices), pipelined=pipelined)[:, 0].copy()
        each[0] += float(self.placements.compute[0, 0]) - each.sum()
        return each

    def _overheads(self) -> Any:
        each = np.array([float(rig.overhead[0, 0]) for rig in self.rigs])
        each[0] += self.reserved
        return each

    def _usable(self) -> Any:
        return np.array([float(rig.usable[0, 0]) for rig in self.rigs])

    def _free(self) -> Any:
        return self._usable() - self._computes() - self._overheads()

    def _loads(self, estimate: Estimate) -> tuple[DeviceLoad, ...]:
        found = self.layout
        assert found is not None
        computes, overheads, usable = self._computes(), self._overheads(), self._usable()
        loads = []
        for index, device in enumerate(self.devices):
            start = found.ends[index - 1] if index else 0
            weights, cache = found.of(index, found.weights), found.of(index, found.cache)
            loads.append(
                DeviceLoad(
                    accelerator=device,
                    layers=found.ends[index] - start,
                    weights_bytes=int(weights),
                    kv_cache_bytes=int(cache),
                    compute_bytes=int(computes[index]),
                    overhead_bytes=int(overheads[index]),
                    total_bytes=int(weights) + int(cache) + int(computes[index]) + int(overheads[index]),
                    usable_bytes=int(usable[index]),
                )
            )
        return tuple(loads)

    def _with_context(self, estimate: Estimate, draft: DraftLoad | None) -> Estimate:
        """The estimate with the context that a draft, which grows along, leaves."""
        safe, context = float(estimate.safe_context_tokens), float(estimate.context_tokens)
        if draft is not None and safe > context:
            own = float(self.need.full_last[0, self.model.n_layers])
            share = own / max(own + draft.bytes_per_token, 1e-9)
            safe = context + float(np.floor((safe - context) * share / 256.0)) * 256.0
        return estimate if safe == estimate.safe_context_tokens else replace(estimate, safe_context_tokens=int(safe))

    def _shared(self, work: DecodeWork, placed: Placed) -> Pace:
        found = self.layout
        if found is None:
            # Not a load that runs; its numbers are taken back afterwards.
            return pace(self.model, self.tables, self.need, self.fleet.rig, placed, self.coefs[0])
        prompt = prefill_work(self.model, self.tables, self.need, self.fleet.rig, placed)
        return shared_pace(
            shared_decode_seconds(work, found, self.coefs),
            shared_prefill_seconds(prompt, found, self.coefs),
            work,
            prompt,
            bool(np.any(np.asarray(placed.on_host) > 0)),
            self.coefs,
        )

    def _speculation(
        self, draft: Draft, load: DraftLoad, work: DecodeWork, speeds: Pace, coef: SpeedCoefficients
    ) -> Speculation:
        checked = check_work(work, draft.tokens + 1)
        if self.mixed and self.layout is not None:
            seconds = shared_decode_seconds(checked, self.layout, self.coefs)
        else:
            seconds = decode_seconds(checked, coef)
        plain_token_s = 1.0 / float(np.asarray(speeds.decode_tok_s).flat[0])
        return Speculation(
            drafted=draft.tokens,
            tokens_per_step=expected_tokens(draft.acceptance_rate, draft.tokens),
            draft_token_s=load.seconds(plain_token_s),
            check_s=float(np.asarray(seconds).flat[0]),
            plain_token_s=plain_token_s,
            draft_bytes=load.bytes,
        )


def _drafted(speeds: Pace, found: Speculation, draft_prefill_s: float) -> Pace:
    """Speeds with a draft; the first token comes from the prompt, which both models read."""
    known = speeds.ttft_ms > 0
    return replace(
        speeds,
        decode_tok_s=speeds.decode_tok_s * found.speedup,
        ttft_ms=np.where(known, speeds.ttft_ms + draft_prefill_s * 1000.0, speeds.ttft_ms),
        # No pair of models has been measured together.
        decode_evidence=np.maximum(speeds.decode_evidence, CALIBRATED),
    )


def _does_not_run(estimate: Estimate) -> Estimate:
    return replace(
        estimate, status=Status.DOES_NOT_FIT, decode=None, prefill=None, ttft_ms=None, safe_context_tokens=0, score=0.0,
        grade="F",
    )  # fmt: skip
