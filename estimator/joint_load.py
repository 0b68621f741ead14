"""One model on a list of accelerators that work on it together, equal or not, in one quantization or in several.

Placement, terms and scores are those of the grid. A split over devices that differ, and the time of a step with a draft, are
added here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from estimator import verdict
from estimator.calibration.coefficients import Calibration
from estimator.estimate import cell_of, overrides_of, situation_of_request, thresholds_of
from estimator.fleet import Fleet, Overrides, fleet_of
from estimator.grid import FitBlock, assemble
from estimator.placement.demand import Needs, needs
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
from estimator.speed.roofline import decode_seconds
from estimator.speed.speculative import Draft, DraftLoad, Speculation, check_work, expected_tokens
from estimator.speed.throughput import Pace, pace
from estimator.speed.work import DecodeWork, decode_work, prefill_work
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.arrays import Floats
from estimator.types import ENGINES, SERVERS, Accelerator, Estimate, EstimateRequest, Quant, Status, Workload

_RUNNING = (Status.FITS, Status.FITS_TIGHTLY, Status.FITS_WITH_OFFLOAD)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The estimate; what each of several devices holds (empty for one, or when nothing runs); what the draft does."""

    estimate: Estimate
    devices: tuple[DeviceLoad, ...] = ()
    speculation: Speculation | None = None


class JointLoad:
    """One model on a list of devices, in the quantizations ``quants``, all of one engine and backend."""

    def __init__(
        self,
        model: ModelArchitecture,
        request: EstimateRequest,
        quants: tuple[Quant, ...],
        devices: Sequence[Accelerator],
        calibration: Calibration,
        workload: Workload | None,
        reserved_bytes: int = 0,
    ) -> None:
        self.model, self.request, self.quants, self.devices = model, request, quants, tuple(devices)
        self.workload, self.reserved = workload, reserved_bytes
        self.situation = situation_of_request(request, workload)
        self.tables: ModelTables = model_tables(model, quants)
        self.need: Needs = needs(model, (self.situation,))
        self.overrides = replace(overrides_of(request), reserved_bytes=self.reserved)
        self.mixed = len(set(devices)) > 1
        self.fleet, self.rigs = self._fleet()
        self.coefs, self.losses = self._coefficients(calibration), calibration.losses
        self.placements = self._place(self.fleet.rig, self.overrides.gpu_layers, self.overrides.cpu_moe_layers)
        engine = ENGINES[int(self.fleet.choices.engine.max(where=self.fleet.available, initial=0))]
        self.lays_out = len(self.devices) > 1 and engine not in SERVERS and not self.fleet.rig.cuts
        self.layouts: list[tuple[Placed, Layout]] = []
        self.speculations: list[Speculation] = []

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
            return fleet_of(model.architecture, model.is_moe, (device,), self.quants, (host,), overrides)

        alone = replace(self.overrides, gpu_count=1, reserved_bytes=0)
        rigs = tuple(fleet(device, alone).rig for device in self.devices)
        if not self.mixed:
            return fleet(self.devices[0], self.overrides), rigs
        first = fleet(self.devices[0], alone)
        return replace(first, rig=joint_rig(rigs, self.reserved)), rigs

    def _coefficients(self, calibration: Calibration) -> tuple[SpeedCoefficients, ...]:
        """Coefficients of each device at its only pair."""
        model, request = self.model, self.request
        alone = replace(self.overrides, gpu_count=1, reserved_bytes=0)
        known: dict[Accelerator, SpeedCoefficients] = {}
        for device in self.devices if self.mixed else self.devices[:1]:
            if device not in known:
                assert request.host is not None
                own = fleet_of(model.architecture, model.is_moe, (device,), self.quants, (request.host,), alone)
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

    def block(self, draft: Draft | None = None, load: DraftLoad | None = None) -> FitBlock:
        """The estimate of each quantization, arrays (1, Q, 1); what the devices hold is in ``layouts`` then."""
        self.layouts, self.speculations = [], []

        def pace_of(
            model: ModelArchitecture,
            tables: ModelTables,
            need: Needs,
            rig: Rig,
            placed: Placed,
            coef: SpeedCoefficients,
        ) -> Pace:
            work = decode_work(model, tables, need, rig, placed)
            laid = None
            if self.lays_out:
                laid = layout(model, tables, need, placed, self._free(placed))
                self.layouts.append((placed, laid))
            if self.mixed and laid is not None:
                speeds = self._shared(work, placed, laid)
            else:
                speeds = pace(model, tables, need, rig, placed, coef)
            if draft is None or load is None or not load.runs:
                return speeds
            speculation = self._speculation(draft, load, work, speeds, placed, laid, coef)
            self.speculations.append(speculation)
            return _drafted(speeds, speculation, load.prefill_s)

        block = assemble(
            self.model, self.tables, self.need, self.fleet, self.placements, self.coefs[0],
            thresholds_of(self.workload, self.situation), self.losses, pace_of,
        )  # fmt: skip
        status = block.status.copy()
        for placed, laid in self.layouts:
            part = status[0, placed.p, 0]
            running = True if placed.runs is None else placed.runs[0]
            status[0, placed.p, 0] = np.where(running & ~laid.fits, verdict.DOES_NOT_FIT, part)
        return replace(block, status=status)

    def answer(self, draft: Draft | None, load: DraftLoad | None) -> Outcome:
        """The estimate of the only quantization, with what each device holds and what the draft does."""
        estimate = cell_of(self.block(draft, load), 0, 0, 0, self.situation.context_tokens)
        if (load is not None and not load.runs) or not all(layout.fits.all() for _, layout in self.layouts):
            estimate = _does_not_run(estimate)
        if estimate.status not in _RUNNING:
            return Outcome(estimate)
        loads = self._loads(*self.layouts[0]) if self.lays_out else ()
        return Outcome(self._with_context(estimate, load), loads, next(iter(self.speculations), None))

    def _computes(self, placed: Placed) -> Floats:
        """Compute buffer of each device, (D, C); the first one also holds room for weights that are copied over."""
        buffers = [compute_of_cards(self.need, len(self.devices), pipelined=pipelined) for pipelined in (False, True)]
        computes = np.where(np.asarray(placed.pipelined).ravel(), buffers[1], buffers[0]) + np.zeros(len(placed.p))
        computes[0] += self.placements.compute[0, placed.p] - computes.sum(axis=0)
        return computes

    def _overheads(self, placed: Placed) -> Floats:
        overheads = np.array([rig.overhead[0, placed.p] for rig in self.rigs])
        overheads[0] += self.reserved
        return overheads

    def _usable(self, placed: Placed) -> Floats:
        return np.array([rig.usable[0, placed.p] for rig in self.rigs])

    def _free(self, placed: Placed) -> Floats:
        return self._usable(placed) - self._computes(placed) - self._overheads(placed)

    def _loads(self, placed: Placed, layout: Layout) -> tuple[DeviceLoad, ...]:
        """Parts of the only cell on each device."""
        computes, overheads, usable = (
            per_device(placed)[:, 0] for per_device in (self._computes, self._overheads, self._usable)
        )
        loads = []
        for index, device in enumerate(self.devices):
            layers, weights, cache = (
                int(layout.of(index, share)[0]) for share in (layout.held, layout.weights, layout.cache)
            )
            compute, overhead = int(computes[index]), int(overheads[index])
            loads.append(
                DeviceLoad(
                    accelerator=device,
                    layers=layers,
                    weights_bytes=weights,
                    kv_cache_bytes=cache,
                    compute_bytes=compute,
                    overhead_bytes=overhead,
                    total_bytes=weights + cache + compute + overhead,
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

    def _shared(self, work: DecodeWork, placed: Placed, layout: Layout) -> Pace:
        prompt = prefill_work(self.model, self.tables, self.need, self.fleet.rig, placed)
        coefs = [coef.take(placed.p) for coef in self.coefs]
        return shared_pace(
            shared_decode_seconds(work, layout, coefs),
            shared_prefill_seconds(prompt, layout, coefs),
            work,
            prompt,
            np.asarray(placed.on_host) > 0,
            coefs,
        )

    def _speculation(
        self,
        draft: Draft,
        load: DraftLoad,
        work: DecodeWork,
        speeds: Pace,
        placed: Placed,
        layout: Layout | None,
        coef: SpeedCoefficients,
    ) -> Speculation:
        checked = check_work(work, draft.tokens + 1)
        if self.mixed and layout is not None:
            seconds = shared_decode_seconds(checked, layout, [coef.take(placed.p) for coef in self.coefs])
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


def _drafted(speeds: Pace, speculation: Speculation, draft_prefill_s: float) -> Pace:
    """Speeds with a draft; the first token comes from the prompt, which both models read."""
    known = speeds.ttft_ms > 0
    return replace(
        speeds,
        decode_tok_s=speeds.decode_tok_s * speculation.speedup,
        ttft_ms=np.where(known, speeds.ttft_ms + draft_prefill_s * 1000.0, speeds.ttft_ms),
        # No pair of models has been measured together.
        decode_evidence=np.maximum(speeds.decode_evidence, CALIBRATED),
    )


def _does_not_run(estimate: Estimate) -> Estimate:
    return replace(
        estimate, status=Status.DOES_NOT_FIT, decode=None, prefill=None, ttft_ms=None, safe_context_tokens=0, score=0.0,
        grade="F",
    )  # fmt: skip
