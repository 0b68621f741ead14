"""Differences between two published generations: fits that came, went or moved, with the figures of both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import strawberry

from api.catalog.view import CatalogView
from api.errors import ApiError, ErrorCode, bad_input
from api.graphql.catalog.engines import Engine
from api.graphql.catalog.faces import Faces
from api.graphql.catalog.gpus import Gpu
from api.graphql.catalog.models import Model
from api.graphql.catalog.quants import Quant
from api.graphql.catalog.workloads import Workload
from api.graphql.context import RequestContext
from api.graphql.core.arguments import Paging
from api.graphql.core.connections import Connection, connect, keyset_page_of
from api.graphql.core.described import describe
from api.graphql.core.enums import FitStatus, Grade
from api.graphql.core.ids import Cursor, decode_cursor, encode_cursor, signature
from api.graphql.core.inputs import StringSet, members_of
from api.graphql.fits.inputs import WorkloadSet, ids_of_names
from api.graphql.fits.predictions import grade_of
from db.entries.store import slugs_by_id
from db.fits.generations import held_generations
from db.fits.layout import SLOTS
from db.fits.packing import shown
from db.fits.query import ALL_SLOTS, NARROW_IDS, is_few
from db.runs import differences as store
from db.runs.differences import CellKey, DifferenceKind, DifferenceQuery, Figures, Span
from estimator import types as domain

#: Most rows of two storages that are compared whole.
COMPARED_ROWS = 200_000

describe(
    DifferenceKind,
    "DifferenceKind",
    "Change of a fit between two generations.",
    {
        "ADDED": "The later generation has it and the earlier one has not.",
        "REMOVED": "The earlier generation has it and the later one has not.",
        "MOVED": "Both have it, and a figure of `FitFigures` differs.",
    },
)


@strawberry.input(description="A set of kinds of differences; both parts must hold.")
class DifferenceKindSet:
    in_: list[DifferenceKind] | None = strawberry.field(
        name="in", default=None, description="Kinds allowed; an empty list matches nothing."
    )
    not_in: list[DifferenceKind] | None = strawberry.field(default=None, description="Kinds not allowed.")


@strawberry.input(description="Which differences. All given parts must hold. Names are those of the present catalog.")
class FitDifferenceFilter:
    kind: DifferenceKindSet | None = strawberry.field(default=None, description="Changes of the fit.")
    model: StringSet | None = strawberry.field(default=None, description="Models, by slug or alias.")
    gpu: StringSet | None = strawberry.field(default=None, description="Accelerators, by slug or alias.")
    quant: StringSet | None = strawberry.field(default=None, description="Quantizations, by slug or alias.")
    workload: WorkloadSet | None = strawberry.field(default=None, description="Workloads; all five when left out.")


@strawberry.type(description="Figures of a fit in one generation.")
class FitFigures:
    status: FitStatus = strawberry.field(description="Outcome.")
    recommended: bool = strawberry.field(
        description="Whether the quantization was the best for the pairing and workload."
    )
    engine: Engine | None = strawberry.field(description="The engine of the numbers; null when none runs it.")
    decode_tokens_per_second: float | None = strawberry.field(
        description="Decode speed, tokens per second; null when it cannot run."
    )
    ttft_ms: float | None = strawberry.field(description="Time to the first token, milliseconds; null when unknown.")
    safe_context_tokens: int = strawberry.field(description="Longest context that fits without more offload, tokens.")
    score: float = strawberry.field(description="0 to 100.")
    grade: Grade = strawberry.field(description="Letter of the score.")


@strawberry.type(description="One fit that differs between two generations.")
class FitDifference:
    kind: DifferenceKind = strawberry.field(description="Change of the fit.")
    model: Model | None = strawberry.field(description="The model; null when it has left the catalog.")
    model_slug: str = strawberry.field(description="Slug of the model.")
    gpu: Gpu | None = strawberry.field(description="The accelerator; null when it has left the catalog.")
    gpu_slug: str = strawberry.field(description="Slug of the accelerator.")
    quant: Quant | None = strawberry.field(description="The quantization; null when it has left the catalog.")
    quant_slug: str = strawberry.field(description="Slug of the quantization.")
    workload: Workload = strawberry.field(description="The workload.")
    from_: FitFigures | None = strawberry.field(name="from", description="The earlier figures; null for an added fit.")
    to: FitFigures | None = strawberry.field(description="The later figures; null for a removed fit.")


@strawberry.type(description="One page of differences, by model, accelerator, quantization and workload.")
class FitDifferenceConnection(Connection[FitDifference]):
    """Page of differences."""


async def page_differences(
    context: RequestContext, from_: int, to: int | None, wanted: FitDifferenceFilter | None, paging: Paging
) -> FitDifferenceConnection:
    """One page of what differs between two held generations, ``to`` being the newest when left out."""
    page = keyset_page_of(context.services.limits, *paging)
    query = _query_of(context.view, wanted)
    span = await _span(context, from_, context.view.published.id if to is None else to, query)
    state = f"g{span.first.id} to g{span.last.id}"
    order = signature("differences", query.model_ids, query.gpu_ids, query.quant_ids, query.slots, query.kinds)
    cursor, reader = page.before if page.backward else page.after, context.services.state
    place = None if cursor is None else _place(decode_cursor(cursor, state, order))
    with_next = await store.page_differences(
        reader, span, query, place=place, limit=page.size + 1, backwards=page.backward
    )
    shown_differences, more, beyond = with_next[: page.size], len(with_next) > page.size, place is not None
    if page.backward:
        shown_differences.reverse()

    async def count() -> int:
        return await context.services.counts.get(
            (span.first.id, span.last.id, query), lambda: store.count_differences(reader, span, query)
        )

    return connect(
        FitDifferenceConnection,
        await _differences_of(context, shown_differences),
        lambda: lambda number: encode_cursor(Cursor(state, order, shown_differences[number].key)),
        has_next=beyond if page.backward else more,
        has_previous=more if page.backward else beyond,
        counter=count,
    )


async def _span(context: RequestContext, first: int, last: int, query: DifferenceQuery) -> Span:
    """The span of two generations. Raises :class:`ApiError` where one is gone, or where they hold too much to compare."""
    if first > last:
        raise bad_input(f"from is {first} and to is {last}: from must be the earlier generation.", field="from")
    state = context.services.state
    async with state.connection() as connection:
        generation_of_number = {generation.id: generation for generation in await held_generations(connection)}
    for name, number in (("from", first), ("to", last)):
        if number not in generation_of_number:
            numbers = ", ".join(map(str, generation_of_number)) or "none"
            raise ApiError(
                ErrorCode.NOT_FOUND,
                f"Generation {number} is not held any more, or was never published; held are {numbers}.",
                kind="generation",
                field=name,
                suggestions=[str(number) for number in generation_of_number],
            )
    ends = generation_of_number[first], generation_of_number[last]
    narrow = is_few(query.model_ids) or is_few(query.gpu_ids)
    if ends[0].table != ends[1].table and not narrow and max(end.rows for end in ends) > COMPARED_ROWS:
        raise bad_input(
            f"Everything was computed anew between generations {first} and {last}: differences need a filter that leaves at "
            f"most {NARROW_IDS} models or accelerators.",
            field="filter",
            maximum=NARROW_IDS,
        )
    return await store.span_of(state, *ends)


def _query_of(view: CatalogView, wanted: FitDifferenceFilter | None) -> DifferenceQuery:
    """The store's query. Raises ``NOT_FOUND`` for an unknown name."""
    if wanted is None:
        return DifferenceQuery()
    kinds, workloads = members_of(DifferenceKind, wanted.kind), members_of(SLOTS, wanted.workload)
    return DifferenceQuery(
        model_ids=ids_of_names(view, "model", wanted.model, view.model_ids),
        gpu_ids=ids_of_names(view, "gpu", wanted.gpu, view.gpu_ids),
        quant_ids=ids_of_names(view, "quant", wanted.quant, view.quant_ids),
        slots=ALL_SLOTS if workloads is None else tuple(SLOTS.index(kind) for kind in workloads),
        kinds=tuple(DifferenceKind) if kinds is None else kinds,
    )


def _place(key: tuple[object, ...]) -> CellKey:
    numbers = tuple(part for part in key if type(part) is int and 0 <= part < 1 << 31)
    if len(numbers) != len(key) or len(numbers) != 4:
        raise bad_input("This cursor does not belong to this list.")
    return numbers


async def _differences_of(context: RequestContext, differences: list[store.Difference]) -> list[FitDifference]:
    """GraphQL objects; slugs of what has left the catalog are read."""
    names = [
        await _slugs(context, kind, {difference.key[place] for difference in differences})
        for place, kind in enumerate(("model", "gpu", "quant"))
    ]
    return [_difference_of(context.faces, difference, names) for difference in differences]


async def _slugs(context: RequestContext, kind: str, numbers: set[int]) -> dict[int, str]:
    """Slugs by id; those of what has left the catalog are read."""
    view = context.view
    ids = {"model": view.model_ids, "gpu": view.gpu_ids, "quant": view.quant_ids}[kind]
    slugs = {number: slug for slug, number in ids.items() if number in numbers}
    gone = numbers - slugs.keys()
    if gone:
        async with context.services.state.connection() as connection:
            slugs |= await slugs_by_id(connection, kind, gone)
    return slugs


def _difference_of(faces: Faces, difference: store.Difference, names: Sequence[Mapping[int, str]]) -> FitDifference:
    model, gpu, quant, slot = difference.key
    return FitDifference(
        kind=difference.kind,
        model=faces.model_by_id.get(model),
        model_slug=names[0][model],
        gpu=faces.gpu_by_id.get(gpu),
        gpu_slug=names[1][gpu],
        quant=faces.quant_by_id.get(quant),
        quant_slug=names[2][quant],
        workload=faces.workloads[slot],
        from_=_figures_of(faces, difference.before),
        to=_figures_of(faces, difference.after),
    )


def _figures_of(faces: Faces, figures: Figures | None) -> FitFigures | None:
    if figures is None:
        return None
    runs = figures.status is not domain.Status.UNSUPPORTED
    decode, ttft = figures.decode_tok_s, figures.ttft_ms
    return FitFigures(
        status=figures.status,
        recommended=figures.recommended,
        engine=faces.engine_by_kind.get(figures.engine) if runs else None,
        decode_tokens_per_second=None if decode is None else shown(decode),
        ttft_ms=None if ttft is None else shown(ttft),
        safe_context_tokens=figures.safe_context_tokens,
        score=figures.score,
        grade=grade_of(figures.score),
    )
