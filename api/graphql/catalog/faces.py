"""GraphQL objects of the entities of a catalog view, made once a view: ``view.derived(Faces)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from api.catalog.records import Record
from api.catalog.view import CatalogView
from api.graphql.catalog.computers import computer_of
from api.graphql.catalog.engines import Engine, engine_of
from api.graphql.catalog.gpus import Gpu, gpu_of
from api.graphql.catalog.hosts import host_of
from api.graphql.catalog.models import Model, model_of
from api.graphql.catalog.quants import Quant, quant_of
from api.graphql.catalog.workloads import workload_of

R = TypeVar("R", bound=Record)
F = TypeVar("F")
#: Objects of models and accelerators. A view keeps the records of unchanged entries, and so their objects.
_FACES: WeakKeyDictionary[Record, Any] = WeakKeyDictionary()


class Faces:
    """GraphQL objects by slug, by record and, for the readers of fits, by database id."""

    def __init__(self, view: CatalogView) -> None:
        self.view = view
        self.models = [_kept(record, model_of) for record in view.models]
        self.gpus = [_kept(record, gpu_of) for record in view.gpus]
        self.quants = [quant_of(record) for record in view.quants]
        self.workloads = [workload_of(record) for record in view.workloads]
        self.engines = [engine_of(record) for record in view.engines]
        self.hosts = [host_of(record) for record in view.hosts]
        self.computers = [computer_of(record) for record in view.computers]
        self._by_slug: dict[str, dict[str, Any]] = {
            "model": {model.slug: model for model in self.models},
            "gpu": {gpu.slug: gpu for gpu in self.gpus},
            "quant": {quant.slug: quant for quant in self.quants},
            "workload": {workload.slug: workload for workload in self.workloads},
            "engine": {engine.slug: engine for engine in self.engines},
            "host": {host.slug: host for host in self.hosts},
            "computer": {computer.slug: computer for computer in self.computers},
        }
        self._of: dict[Record, Any] = {
            record: face
            for records, faces in (
                (view.models, self.models),
                (view.gpus, self.gpus),
                (view.quants, self.quants),
                (view.workloads, self.workloads),
            )
            for record, face in zip(records, faces, strict=True)
        }
        self.model_by_id: dict[int, Model] = {number: self._of[record] for number, record in view.model_by_id.items()}
        self.gpu_by_id: dict[int, Gpu] = {number: self._of[record] for number, record in view.gpu_by_id.items()}
        self.quant_by_id: dict[int, Quant] = {number: self._of[record] for number, record in view.quant_by_id.items()}
        self.engine_by_kind = {engine.kind: engine for engine in self.engines}

    def of(self, record: Record) -> Any:
        """The object of a model, accelerator, quantization or workload of the view."""
        return self._of[record]

    def by_slug(self, kind: str, slug: str) -> Any:
        """The object of an exact slug; None for an unknown one."""
        return self._by_slug[kind].get(slug)

    def engines_of(self, gpu: str) -> list[Engine]:
        """Engines that drive one of an accelerator's interfaces, by the catalog."""
        kinds = self.view.by_slug("gpu", gpu).accelerator.engines
        return [self.engine_by_kind[kind] for kind in kinds if kind in self.engine_by_kind]


def _kept(record: R, make: Callable[[R], F]) -> F:
    face: F | None = _FACES.get(record)
    if face is None:
        face = _FACES[record] = make(record)
    return face
