"""From an address to fits: ``{model}-on-{gpu}``, and the quantization, workload and mode of the query string."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from api.answers.story import pair_slug
from api.catalog.fit_reads import FitReads
from api.catalog.fits import FitRecord
from api.catalog.live import require_facts
from api.catalog.setting import ASSUMED, Setting, cells_under
from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode, NotFoundError
from api.pages.readings import TYPED, Reading, of_typed, readings
from db.entries.names.meanings import Meaning
from db.fits.cells import AnyCell
from db.fits.layout import SLOTS
from estimator.placement.hardware import choose_engine
from estimator.types import ENGINE_NAMES, Engine, OperatingMode, Status, WorkloadKind

SEPARATOR = "-on-"
#: Longest accepted part of an address; real ones have at most 70 characters.
MAX_ADDRESS_CHARACTERS = 200
#: Fewest and most tokens of a context.
CONTEXT_LIMITS = 512, 16_777_216


@dataclass(frozen=True, slots=True)
class Pair:
    """The fits of a page about one pairing, all of one generation."""

    view: CatalogView
    chosen: FitRecord
    fits: list[FitRecord]
    mode: OperatingMode
    setting: Setting = ASSUMED
    #: Which entity a name of the address was taken as, where it left something open.
    notes: tuple[Reading, ...] = ()

    @property
    def workloads(self) -> list[FitRecord]:
        """The chosen quantization in every workload, in their order."""
        own = [fit for fit in self.fits if fit.quant is self.chosen.quant]
        return sorted(own, key=lambda fit: fit.cell.workload_id)

    @property
    def options(self) -> list[FitRecord]:
        """The chosen workload in every quantization that an engine runs, fewest bits first; the chosen one always."""
        own = [fit for fit in self.fits if fit.workload is self.chosen.workload]
        return [fit for fit in own if fit.is_supported or fit.quant is self.chosen.quant]

    @property
    def best(self) -> FitRecord | None:
        """The recommended quantization for the chosen workload; None when nothing runs."""
        return next((fit for fit in self.options if fit.cell.recommended), None)

    def runs_in(self, engine: Engine) -> bool:
        """Whether an engine runs the model here in any quantization that may be chosen."""
        model, device = self.view.architecture(self.chosen.model), self.chosen.gpu.accelerator
        quants = (*(record.spec for record in self.view.listed_quants(self.chosen.model)), self.chosen.quant.spec)
        return engine in device.engines and any(
            choose_engine(model.architecture, device, quant, engine, None, is_moe=model.is_moe) for quant in quants
        )


def resolve_pair(view: CatalogView, address: str) -> tuple[Meaning, Meaning]:
    """Model and accelerator of ``{model}-on-{gpu}``; either may be an alias with dashes for blanks.

    Raises:
        ApiError: the address has no ``-on-``, is too long, or names something unknown.
    """
    if len(address) > MAX_ADDRESS_CHARACTERS:
        raise ApiError(
            ErrorCode.BAD_USER_INPUT, f"an address may have {MAX_ADDRESS_CHARACTERS} characters, not {len(address)}"
        )
    cuts = [at for at in range(len(address)) if address.startswith(SEPARATOR, at)]
    if not cuts:
        raise ApiError(ErrorCode.BAD_USER_INPUT, "an address has the form {model}-on-{gpu}")
    problem: NotFoundError | None = None
    for cut in cuts:
        try:
            return _one(view, "model", address[:cut]), _one(view, "gpu", address[cut + len(SEPARATOR) :])
        except NotFoundError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _one(view: CatalogView, kind: str, text: str) -> Meaning:
    """The meaning of a name that states no number of accelerators: a page is of one."""
    view.id_of(kind, text)
    return view.meaning(kind, text)


async def load_pair(reads: FitReads, address: str, chosen: QueryParams) -> Pair:
    """The pair of an address and its query string.

    Raises:
        ApiError: a name or a choice is unknown, a fact is missing, or the database does not answer.
    """
    view = reads.view
    named, on = resolve_pair(view, address)
    model, gpu = view.model(named.slug), view.gpu(on.slug)
    slot = SLOTS.index(_workload(view, chosen.get("workload")))
    mode = _mode(chosen.get("mode"))
    quant_name = chosen.get("quant") or named.quant
    quant = view.quant(quant_name) if quant_name else None
    setting = _setting(view, chosen)
    if setting != ASSUMED:
        require_facts(model, gpu)
        listed = view.listed_quants(model)
        others = [quant] if quant is not None and quant not in listed else []
        cells: Sequence[AnyCell] = await asyncio.to_thread(cells_under, setting, view, model, gpu, [*listed, *others])
    else:
        cells = await reads.pairing(model, gpu, None)
    if setting == ASSUMED and quant is not None and all(cell.quant_id != view.quant_ids[quant.slug] for cell in cells):
        cells = [*cells, *await reads.live(model, gpu, quant)]
    cell = reads.chosen([cell for cell in cells if cell.workload_id == slot], quant)
    if cell is None:
        raise ApiError(ErrorCode.UNSUPPORTED, f"no engine runs {model.name} on {gpu.name} in any quantization")
    if cell.status is Status.UNSUPPORTED and setting.engine is not None and quant is None:
        name = ENGINE_NAMES[setting.engine]
        raise ApiError(ErrorCode.UNSUPPORTED, f"{name} runs no quantization of {model.name} on {gpu.name}")
    order = {view.quant_ids[quant.slug]: number for number, quant in enumerate(view.quants)}
    fits = [FitRecord(view, cell, setting) for cell in sorted(cells, key=lambda cell: order[cell.quant_id])]
    notes = (
        *readings(view, "model", named, lambda slug: _address(slug, gpu.slug, chosen)),
        *(
            of_typed(
                view, chosen.get(TYPED, "").strip(), "gpu", gpu.slug, lambda slug: _address(model.slug, slug, chosen)
            )
            or readings(view, "gpu", on, lambda slug: _address(model.slug, slug, chosen))
        ),
    )
    return Pair(view, next(fit for fit in fits if fit.cell is cell), fits, mode, setting, notes)


def _address(model: str, gpu: str, chosen: QueryParams) -> str:
    """The page of another pairing, with the same choices."""
    kept = {name: value for name, value in chosen.items() if value and name != TYPED}
    return f"/can/{pair_slug(model, gpu)}" + (f"?{urlencode(kept)}" if kept else "")


def _setting(view: CatalogView, chosen: QueryParams) -> Setting:
    """Host, engine and context of the query string; what it leaves out is as assumed."""
    host, engine, context = (chosen.get(name, "").strip() for name in ("host", "engine", "context"))
    hosts = {record.slug: record.spec for record in view.hosts}
    engines = {kind.value.casefold(): kind for kind in Engine}
    for name, text, allowed in (("host", host, hosts), ("engine", engine, engines)):
        if text and text not in allowed:
            raise ApiError(ErrorCode.BAD_USER_INPUT, f"'{name}' must be one of {', '.join(allowed)}")
    low, high = CONTEXT_LIMITS
    if context and not (context.isdecimal() and low <= int(context) <= high):
        raise ApiError(ErrorCode.BAD_USER_INPUT, f"'context' must be a whole number from {low:,} to {high:,}")
    return Setting(hosts.get(host), engines.get(engine), int(context) if context else None)


def _workload(view: CatalogView, text: str | None) -> WorkloadKind:
    if not text:
        return WorkloadKind.CODING
    for workload in view.workloads:
        if workload.slug == text:
            return workload.spec.kind
    allowed = ", ".join(workload.slug for workload in view.workloads)
    raise ApiError(ErrorCode.BAD_USER_INPUT, f"'workload' must be one of {allowed}")


def _mode(text: str | None) -> OperatingMode:
    if not text:
        return OperatingMode.BALANCED
    try:
        return OperatingMode(text)
    except ValueError:
        allowed = ", ".join(mode.value for mode in OperatingMode)
        raise ApiError(ErrorCode.BAD_USER_INPUT, f"'mode' must be one of {allowed}") from None
