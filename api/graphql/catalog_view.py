"""The catalog as one request sees it: immutable, in memory, built once a generation.

Models, accelerators, quantizations, workloads and engines are few hundred entries; serving them from here leaves the
database to the fits. Before the first generation the bundled catalog files stand in, so that the service answers from
its first second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from api.answers.questions import Answerer
from api.errors import ApiError, ErrorCode, NotFoundError
from api.graphql.catalog.engines import Engine, engine_from_entry
from api.graphql.catalog.gpus import Gpu, gpu_from_entry
from api.graphql.catalog.hosts import Host, host_from_entry
from api.graphql.catalog.models import Model, model_from_entry
from api.graphql.catalog.quants import Quant, quant_from_entry
from api.graphql.catalog.workloads import Workload, workload_from_entry
from db.entries import specs
from db.entries.files import Catalog, UnknownNameError
from db.fits.generations import Generation
from db.fits.layout import SLOTS
from estimator.calibration.coefficients import Calibration
from estimator.structure.architecture import ModelArchitecture
from estimator.structure.checkpoints import has_weights
from estimator.structure.weights import weight_table
from estimator.types import Host as HostSpec

Ids = Mapping[str, int]


class CatalogView:
    """All entities of one catalog state, by slug, by database id and in slug order.

    ``ids`` maps kind -> slug -> id of the database; without a database the position in slug order stands in. ``hashes``
    maps kind -> slug -> hash of the entry. What ``previous`` made of the same entry object is taken over.
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
        self.models: list[Model] = [
            _kept(previous, "model", slug, catalog.models[slug], _model) for slug in sorted(self.model_ids)
        ]
        self.gpus: list[Gpu] = [_kept(previous, "gpu", slug, catalog.gpus[slug], _gpu) for slug in sorted(self.gpu_ids)]
        quants = [quant_from_entry(entry, specs.quant(entry)) for entry in catalog.quants.values()]
        self.quants: list[Quant] = sorted(quants, key=lambda quant: (quant.nominal_bits, quant.slug))
        self.precomputed_quants = [quant for quant in self.quants if specs.is_precomputed(catalog.quants[quant.slug])]
        self.workloads: list[Workload] = _workloads(catalog)
        self.engines: list[Engine] = [engine_from_entry(entry, catalog.engines) for entry in catalog.engines.values()]
        self.hosts: list[Host] = [host_from_entry(entry, specs.host(entry)) for entry in catalog.hosts.values()]
        self.model_by_id = {self.model_ids[model.slug]: model for model in self.models}
        self.gpu_by_id = {self.gpu_ids[gpu.slug]: gpu for gpu in self.gpus}
        self.quant_by_id = {self.quant_ids[quant.slug]: quant for quant in self.quants if quant.slug in self.quant_ids}
        self.engine_by_kind = {engine.kind: engine for engine in self.engines}
        #: Places of the quantizations, fewest bits first, by id.
        self.quant_ranks = {number: self.quants.index(quant) for number, quant in self.quant_by_id.items()}
        #: Known prices of the accelerators, US dollars, by id.
        self.prices = {number: gpu.price_usd for number, gpu in self.gpu_by_id.items() if gpu.price_usd is not None}
        #: Filters and orders of fits that were turned into queries of the store.
        self.selections: dict[tuple[int, int], Any] = {}
        self._architectures: dict[str, ModelArchitecture] = _kept_architectures(previous, catalog)
        self._bits: dict[str, dict[str, float]] = {}
        self._by_slug: dict[str, dict[str, Any]] = {
            "model": {model.slug: model for model in self.models},
            "gpu": {gpu.slug: gpu for gpu in self.gpus},
            "quant": {quant.slug: quant for quant in self.quants},
            "workload": {workload.slug: workload for workload in self.workloads},
            "host": {host.slug: host for host in self.hosts},
            "engine": {engine.slug: engine for engine in self.engines},
        }

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
        """What cursors belong to: the generation, or the revision before the first one."""
        return f"g{self.generation.id}" if self.generation is not None else f"r{self.revision[:16]}"

    @cached_property
    def identity(self) -> str:
        """What whole responses belong to: unlike a generation's number, it is another one in another database."""
        generation = self.generation
        return self.state if generation is None else f"{self.state} {generation.revision} {generation.published_at}"

    def model(self, text: str) -> Model:
        """Model by slug or alias. Raises :class:`NotFoundError`."""
        found: Model = self._resolve("model", text)
        return found

    def gpu(self, text: str) -> Gpu:
        """Accelerator by slug or alias. Raises :class:`NotFoundError`."""
        found: Gpu = self._resolve("gpu", text)
        return found

    def quant(self, text: str) -> Quant:
        """Quantization by slug or alias. Raises :class:`NotFoundError`."""
        found: Quant = self._resolve("quant", text)
        return found

    def by_slug(self, kind: str, slug: str) -> Any:
        """Entity by exact slug; None when there is none."""
        return self._by_slug[kind].get(slug)

    def id_of(self, kind: str, text: str) -> int:
        """Database id of a named model, accelerator or quantization. Raises :class:`NotFoundError`."""
        ids = {"model": self.model_ids, "gpu": self.gpu_ids, "quant": self.quant_ids}[kind]
        return ids[self._resolve(kind, text).slug]

    def workload_of_slot(self, slot: int) -> Workload:
        """Workload of a slot of the fit table."""
        return self.workloads[slot]

    def engines_of(self, gpu: Gpu) -> list[Engine]:
        """Engines that drive one of the accelerator's interfaces, by the catalog."""
        return [self.engine_by_kind[kind] for kind in gpu.accelerator.engines if kind in self.engine_by_kind]

    def architecture(self, model: Model) -> ModelArchitecture:
        """Architecture of a model. Raises :class:`MissingFactError`."""
        known = self._architectures.get(model.slug)
        if known is None:
            known = self._architectures[model.slug] = specs.architecture(model.entry)
        return known

    def bits_per_weight(self, model: Model, quant: Quant) -> float:
        """Bits per weight that a quantization comes to over the tensors of a model."""
        known = self._bits.get(model.slug)
        if known is None:
            found = weight_table(self.architecture(model), [each.spec for each in self.quants]).bits_per_weight
            known = {each.slug: float(bits) for each, bits in zip(self.quants, found, strict=True)}
            self._bits[model.slug] = known
        return known[quant.slug]

    def weights_known(self, model: Model, quant: Quant) -> bool:
        """Whether weights of a model in a quantization are known to be had."""
        return has_weights(quant.spec, self.architecture(model))

    @cached_property
    def host(self) -> HostSpec:
        """The host that pairings are computed with."""
        return specs.host(self.catalog.hosts[self.catalog.default_host])

    @cached_property
    def answerer(self) -> Answerer:
        """Answers free questions over this catalog."""
        return Answerer(self.catalog, self.calibration)

    def _resolve(self, kind: str, text: str) -> Any:
        exact = self._by_slug[kind].get(text)
        if exact is not None:
            return exact
        try:
            return self._by_slug[kind][self.catalog.resolve(kind, text)]
        except UnknownNameError as error:
            raise NotFoundError(kind, text, tuple(error.suggestions)) from error


def _ids(known: Ids | None, entries: Mapping[str, Any]) -> dict[str, int]:
    if known is not None:
        return {slug: number for slug, number in known.items() if slug in entries}
    return {slug: number for number, slug in enumerate(sorted(entries), 1)}


def _kept(
    previous: CatalogView | None, kind: str, slug: str, entry: dict[str, Any], make: Callable[[dict[str, Any]], Any]
) -> Any:
    """The entity of an entry: that of ``previous`` when it holds the very same entry."""
    if previous is not None and previous.catalog.entries(kind).get(slug) is entry:
        return previous.by_slug(kind, slug) or make(entry)
    return make(entry)


def _kept_architectures(previous: CatalogView | None, catalog: Catalog) -> dict[str, ModelArchitecture]:
    if previous is None:
        return {}
    return {
        slug: known
        for slug, known in previous._architectures.items()
        if catalog.models.get(slug) is previous.catalog.models[slug]
    }


def _model(entry: Mapping[str, Any]) -> Model:
    return model_from_entry(entry, specs.missing_facts(entry), specs.unverified_fields(entry))


def _gpu(entry: Mapping[str, Any]) -> Gpu:
    return gpu_from_entry(entry, specs.accelerator(entry), specs.missing_facts(entry), specs.unverified_fields(entry))


def _workloads(catalog: Catalog) -> list[Workload]:
    """Workloads in the order of the fit table's slots."""
    found = {}
    for entry in catalog.workloads.values():
        workload = workload_from_entry(entry, specs.workload(entry))
        found[workload.kind] = workload
    return [found[kind] for kind in SLOTS]
