"""The catalog as one request sees it: immutable, in memory, built once a generation.

Models, accelerators, quantizations, workloads and engines are a few hundred entries. The database has only the fits to
serve. The bundled catalog files replace the database until the first generation is published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar
from weakref import proxy

from api.catalog.records import (
    ComputerRecord,
    GpuRecord,
    HostRecord,
    ModelRecord,
    QuantRecord,
    Record,
    WorkloadRecord,
    engine_record,
    gpu_record,
    model_record,
)
from api.errors import ApiError, ErrorCode, NotFoundError
from db.entries import market, specs
from db.entries.files import Catalog, Entry
from db.entries.names.meanings import Meaning, UnknownNameError
from db.fits.by_unpacking import GpuFigures
from db.fits.generations import Generation
from db.fits.layout import SLOTS
from estimator.calibration.coefficients import Calibration
from estimator.calibration.loss import Divergence
from estimator.judgement.market import Board, Price
from estimator.placement.hosts import host_for
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import has_weights, is_listed
from estimator.structure.weights import weight_table
from estimator.types import Host, WorkloadKind

Ids = Mapping[str, int]
T = TypeVar("T")


class CatalogView:
    """All entities of one catalog state, by slug, by database id and in slug order.

    ``ids`` maps kind -> slug -> id of the database; without a database the position in slug order replaces it. ``hashes``
    maps kind -> slug -> hash of the entry. A record of ``previous`` is kept while its entry is the same object.
    """

    def __init__(
        self,
        catalog: Catalog,
        generation: Generation | None,
        calibration: Calibration,
        ids: Mapping[str, Ids] | None = None,
        hashes: Mapping[str, Mapping[str, str]] | None = None,
        previous: CatalogView | None = None,
    ) -> None:
        self.catalog = catalog
        self.generation = generation
        self.calibration = calibration
        self.revision: str = catalog.revision
        self.hashes: Mapping[str, Mapping[str, str]] = hashes or {}
        ids = ids or {}
        self.model_ids = _ids(ids.get("model"), catalog.models)
        self.gpu_ids = _ids(ids.get("gpu"), catalog.gpus)
        self.quant_ids = _ids(ids.get("quant"), catalog.quants)
        self.models: list[ModelRecord] = [
            _kept(previous, "model", catalog.models[slug], model_record) for slug in sorted(self.model_ids)
        ]
        self.gpus: list[GpuRecord] = [
            _kept(previous, "gpu", catalog.gpus[slug], gpu_record) for slug in sorted(self.gpu_ids)
        ]
        quants = [QuantRecord(entry, specs.quant(entry)) for entry in catalog.quants.values()]
        self.quants: list[QuantRecord] = sorted(quants, key=lambda quant: (quant.spec.nominal_bits, quant.slug))
        self.precomputed_quants = [quant for quant in self.quants if quant.is_precomputed]
        workloads = [WorkloadRecord(entry, specs.workload(entry)) for entry in catalog.workloads.values()]
        #: In the order of the fit table's slots.
        self.workloads = sorted(workloads, key=lambda workload: SLOTS.index(workload.spec.kind))
        self.engines = [engine_record(entry, catalog.engines) for entry in catalog.engines.values()]
        self.hosts = [HostRecord(entry, specs.host(entry)) for entry in catalog.hosts.values()]
        self.computers = [
            ComputerRecord(entry, market.computer(catalog, slug)) for slug, entry in catalog.computers.items()
        ]
        self.model_by_id = {self.model_ids[model.slug]: model for model in self.models}
        self.gpu_by_id = {self.gpu_ids[gpu.slug]: gpu for gpu in self.gpus}
        self.quant_by_id = {self.quant_ids[quant.slug]: quant for quant in self.quants if quant.slug in self.quant_ids}
        #: Places of the quantizations, fewest bits first, by id.
        self.quant_ranks = {number: self.quants.index(quant) for number, quant in self.quant_by_id.items()}
        #: List prices and power of the accelerators that fits are ordered by.
        self.gpu_figures = _figures(self.gpu_by_id)
        self._derived: dict[Callable[[CatalogView], Any], Any] = {}
        self._architectures: dict[str, ModelArchitecture] = _kept_architectures(previous, catalog)
        self._bits: dict[str, dict[str, float]] = {}
        self._divergences: dict[str, dict[str, Divergence]] = {}
        self._by_slug: dict[str, dict[str, Record]] = {
            "model": {model.slug: model for model in self.models},
            "gpu": {gpu.slug: gpu for gpu in self.gpus},
            "quant": {quant.slug: quant for quant in self.quants},
            "workload": {workload.slug: workload for workload in self.workloads},
            "host": {host.slug: host for host in self.hosts},
            "engine": {engine.slug: engine for engine in self.engines},
            "computer": {computer.slug: computer for computer in self.computers},
        }

    def derived(self, make: Callable[[CatalogView], T]) -> T:
        """The result of ``make`` for this view, made once.

        What ``make`` keeps of the view does not keep it alive: a view that no request uses goes at once, and does not
        wait for the garbage collector, which may come after fifty more.
        """
        known: T | None = self._derived.get(make)
        if known is None:
            known = self._derived[make] = make(proxy(self))
        return known

    async def derived_aside(self, make: Callable[[CatalogView], T]) -> T:
        """The same, made in a thread; at once when it is known."""
        known: T | None = self._derived.get(make)
        return await asyncio.to_thread(self.derived, make) if known is None else known

    @property
    def published(self) -> Generation:
        """The published generation. Raises ``UNAVAILABLE`` before the first one."""
        if self.generation is None:
            raise ApiError(
                ErrorCode.UNAVAILABLE,
                "Nothing is published yet: the first run is under way. Single fits and estimates are answered live.",
            )
        return self.generation

    @property
    def state(self) -> str:
        """The state that cursors belong to: the generation, or the revision before the first one."""
        return f"g{self.generation.id}" if self.generation is not None else f"r{self.revision[:16]}"

    @cached_property
    def identity(self) -> str:
        """The state that whole responses belong to: unlike a generation's number, it differs between databases."""
        generation = self.generation
        return self.state if generation is None else f"{self.state} {generation.revision} {generation.published_at}"

    def model(self, text: str) -> ModelRecord:
        """Model by slug or alias. Raises :class:`NotFoundError`."""
        model: ModelRecord = self._resolve("model", text)
        return model

    def gpu(self, text: str) -> GpuRecord:
        """Accelerator by slug or alias. Raises :class:`NotFoundError`."""
        gpu: GpuRecord = self._resolve("gpu", text)
        return gpu

    def quant(self, text: str) -> QuantRecord:
        """Quantization by slug or alias. Raises :class:`NotFoundError`."""
        quant: QuantRecord = self._resolve("quant", text)
        return quant

    def meaning(self, kind: str, text: str) -> Meaning:
        """The entity called ``text``, with what else the text states. Raises :class:`NotFoundError`."""
        try:
            return self.catalog.meaning(kind, text)
        except UnknownNameError as error:
            raise NotFoundError.of(error) from error

    def computer(self, text: str) -> ComputerRecord:
        """Computer by slug or alias. Raises :class:`NotFoundError`."""
        computer: ComputerRecord = self._resolve("computer", text)
        return computer

    def price_list(self, slug: str) -> tuple[Price, ...]:
        """Dated prices of an accelerator or a computer, by exact slug."""
        return market.prices(self.catalog, slug)

    def board(self, gpu: GpuRecord) -> Board | None:
        """Reference board of an accelerator; None where nothing is recorded."""
        return market.board(self.catalog, gpu.slug)

    @cached_property
    def today(self) -> str:
        """Date of the newest price: the day that prices are told for."""
        return market.newest_date(self.catalog)

    def by_slug(self, kind: str, slug: str) -> Any:
        """Record by exact slug; None for an unknown one."""
        return self._by_slug[kind].get(slug)

    def id_of(self, kind: str, text: str) -> int:
        """Database id of a named model, accelerator or quantization. Raises :class:`NotFoundError`."""
        ids = {"model": self.model_ids, "gpu": self.gpu_ids, "quant": self.quant_ids}[kind]
        return ids[self._resolve(kind, text).slug]

    def workload_of(self, kind: WorkloadKind) -> WorkloadRecord:
        return self.workloads[SLOTS.index(kind)]

    def architecture(self, model: ModelRecord) -> ModelArchitecture:
        """Architecture of a model. Raises :class:`MissingFactError`."""
        known = self._architectures.get(model.slug)
        if known is None:
            known = self._architectures[model.slug] = specs.architecture(model.entry)
        return known

    def bits_per_weight(self, model: ModelRecord, quant: QuantRecord) -> float:
        """Bits per weight of a model's tensors in a quantization."""
        known = self._bits.get(model.slug)
        if known is None:
            table = weight_table(self.architecture(model), [quant.spec for quant in self.quants])
            known = {quant.slug: float(bits) for quant, bits in zip(self.quants, table.bits_per_weight, strict=True)}
            self._bits[model.slug] = known
        return known[quant.slug]

    def divergence(self, model: ModelRecord, quant: QuantRecord) -> Divergence:
        """Divergence of a quantization from a model's original weights."""
        divergence_of_quant = self._divergences.get(model.slug)
        if divergence_of_quant is None:
            quant_bits = [(record.spec, self.bits_per_weight(model, record)) for record in self.quants]
            divergences = self.calibration.losses.divergences(self.architecture(model).training, quant_bits)
            divergence_of_quant = {
                record.slug: divergence for record, divergence in zip(self.quants, divergences, strict=True)
            }
            self._divergences[model.slug] = divergence_of_quant
        return divergence_of_quant[quant.slug]

    def listed_quants(self, model: ModelRecord) -> list[QuantRecord]:
        """The precomputed quantizations of a model. Raises :class:`MissingFactError` when its facts are too thin."""
        architecture = self.architecture(model)
        return [quant for quant in self.precomputed_quants if is_listed(quant.spec, architecture)]

    def weights_known(self, model: ModelRecord, quant: QuantRecord) -> bool:
        """Whether weights of a model in a quantization are known to exist."""
        return has_weights(quant.spec, self.architecture(model))

    def host_of(self, gpu: GpuRecord) -> Host:
        """The computer that pairings of an accelerator are computed in."""
        return host_for(gpu.accelerator, [host.spec for host in self.hosts])

    def _resolve(self, kind: str, text: str) -> Any:
        exact = self._by_slug[kind].get(text)
        if exact is not None:
            return exact
        try:
            return self._by_slug[kind][self.catalog.resolve(kind, text)]
        except UnknownNameError as error:
            raise NotFoundError.of(error) from error


def _ids(known: Ids | None, entries: Mapping[str, Any]) -> dict[str, int]:
    if known is not None:
        return {slug: number for slug, number in known.items() if slug in entries}
    return {slug: number for number, slug in enumerate(sorted(entries), 1)}


def _figures(gpus: Mapping[int, GpuRecord]) -> GpuFigures:
    """Known list prices and design power by id."""
    specs = {number: gpu.accelerator for number, gpu in gpus.items()}
    return GpuFigures(
        prices={number: gpu.msrp_usd for number, gpu in specs.items() if gpu.msrp_usd is not None},
        watts={number: gpu.tdp_w for number, gpu in specs.items() if gpu.tdp_w is not None},
    )


def _kept(previous: CatalogView | None, kind: str, entry: Entry, make: Callable[[Entry], T]) -> T:
    """The record of an entry: that of ``previous`` when it has the same entry object."""
    known = None if previous is None else previous.by_slug(kind, entry["slug"])
    if known is not None and known.entry is entry:
        record: T = known
        return record
    return make(entry)


def _kept_architectures(previous: CatalogView | None, catalog: Catalog) -> dict[str, ModelArchitecture]:
    if previous is None:
        return {}
    return {
        slug: architecture
        for slug, architecture in previous._architectures.items()
        if catalog.models.get(slug) is previous.catalog.models[slug]
    }
