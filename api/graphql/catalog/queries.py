"""Roots of the catalog's entities."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from api.graphql.catalog.computers import Computer, ComputerConnection
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.gpus import Gpu, GpuConnection
from api.graphql.catalog.hosts import Host
from api.graphql.catalog.inputs import GpuFilter, GpuOrder, ModelFilter, ModelOrder, select_gpus, select_models
from api.graphql.catalog.models import BenchmarkSummary, Model, ModelConnection, benchmarks_of
from api.graphql.catalog.names import NamedKind, NameMeaning, TypedName, meaning_of
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.core.arguments import ORDER, After, Before, First, Last, Paging
from api.graphql.core.connections import C, page_of, slice_page
from api.graphql.core.ids import signature
from api.graphql.core.orders import ordered, signature_of

Slug = Annotated[str, strawberry.argument(description="Slug, or a name as people type it.")]


@strawberry.type(description="Entities of the catalog.")
class CatalogQueries:
    @strawberry.field(description="One model.")
    def model(self, info: strawberry.Info, slug: Slug) -> Model | None:
        model: Model = info.context.faces.of(info.context.view.model(slug))
        return model

    @strawberry.field(
        description="Meaning of a name: the same resolver answers every argument that takes a name. An unknown name, and one "
        "that fits several entities without a rule to prefer one, is an error with `suggestions`."
    )
    def name_meaning(self, info: strawberry.Info, kind: NamedKind, text: TypedName) -> NameMeaning | None:
        return meaning_of(info.context.view, kind, text)

    @strawberry.field(description="Models; default order: slug, with a search best match first.")
    def models(
        self,
        info: strawberry.Info,
        filter: Annotated[ModelFilter | None, strawberry.argument(description="Which models.")] = None,
        order_by: Annotated[list[ModelOrder] | None, ORDER] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> ModelConnection | None:
        chosen = select_models(info.context.faces, filter)
        paging = (first, after, last, before)
        return _page(info.context, ModelConnection, "models", chosen, filter, order_by, paging)

    @strawberry.field(description="One accelerator.")
    def gpu(self, info: strawberry.Info, slug: Slug) -> Gpu | None:
        gpu: Gpu = info.context.faces.of(info.context.view.gpu(slug))
        return gpu

    @strawberry.field(description="Accelerators; default order: slug, with a search best match first.")
    def gpus(
        self,
        info: strawberry.Info,
        filter: Annotated[GpuFilter | None, strawberry.argument(description="Which accelerators.")] = None,
        order_by: Annotated[list[GpuOrder] | None, ORDER] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> GpuConnection | None:
        chosen = select_gpus(info.context.faces, filter)
        paging = (first, after, last, before)
        return _page(info.context, GpuConnection, "gpus", chosen, filter, order_by, paging)

    @strawberry.field(description="One quantization.")
    def quant(self, info: strawberry.Info, slug: Slug) -> Quant | None:
        quant: Quant = info.context.faces.of(info.context.view.quant(slug))
        return quant

    @strawberry.field(description="All quantizations, a closed list of a few dozen; fewest bits first.")
    def quants(self, info: strawberry.Info) -> list[Quant]:
        return list(info.context.faces.quants)

    @strawberry.field(description="Benchmarks with a result of a model in the catalog, a closed list; by name.")
    def benchmarks(self, info: strawberry.Info) -> list[BenchmarkSummary]:
        return list(info.context.view.derived(benchmarks_of))

    @strawberry.field(description="The workloads that every pairing is computed for, a closed list of five.")
    def workloads(self, info: strawberry.Info) -> list[Workload]:
        return list(info.context.faces.workloads)

    @strawberry.field(description="All engines, a closed list.")
    def engines(self, info: strawberry.Info) -> list[Engine]:
        return list(info.context.faces.engines)

    @strawberry.field(description="All host profiles, a closed list.")
    def hosts(self, info: strawberry.Info) -> list[Host]:
        return list(info.context.faces.hosts)

    @strawberry.field(description="One computer.")
    def computer(self, info: strawberry.Info, slug: Slug) -> Computer | None:
        computer: Computer = info.context.faces.by_slug("computer", info.context.view.computer(slug).slug)
        return computer

    @strawberry.field(description="Computers that one can buy, by slug.")
    def computers(
        self,
        info: strawberry.Info,
        gpu: Annotated[
            str | None, strawberry.argument(description="Only those with this accelerator built in, by slug or alias.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> ComputerConnection | None:
        return _page_computers(info.context, gpu, (first, after, last, before))


def _page_computers(context: Any, gpu: str | None, paging: Paging) -> ComputerConnection:
    computers: list[Computer] = context.faces.computers
    if gpu is not None:
        slug = context.view.gpu(gpu).slug
        computers = [computer for computer in computers if computer.gpu_slug == slug]
    page = page_of(context.services.limits, *paging)
    return slice_page(ComputerConnection, computers, page, context.view.state, signature("computers", gpu))


def _page(
    context: Any, connection: type[C], kind: str, chosen: list[Any], wanted: Any, order_by: Any, paging: Paging
) -> C:
    page = page_of(context.services.limits, *paging)
    signed = signature_of(kind, wanted, order_by)
    return slice_page(connection, ordered(chosen, order_by), page, context.view.state, signed)
