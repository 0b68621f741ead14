"""Runs: one recompute each, with its progress."""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum

import strawberry

from api.catalog.view import CatalogView
from api.errors import bad_input
from api.graphql.context import RequestContext
from api.graphql.core.connections import Connection
from api.graphql.core.described import describe
from api.graphql.core.ids import decode_id, encode_id
from api.graphql.core.node import Node
from api.graphql.core.scalars import Int64
from db.runs.store import BlockRow, RunRow, failed_blocks_sync

#: Most blocks that a run tells of.
MAX_FAILED = 100
#: The database holds no larger one.
_NUMBER = re.compile(r"[0-9]{1,9}\Z")


class RunState(Enum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PUBLISHING = "PUBLISHING"
    PUBLISHED = "PUBLISHED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


describe(
    RunState,
    "RunState",
    "Where a run stands.",
    {
        "PENDING": "Planned; no block is done.",
        "RUNNING": "Blocks are being computed.",
        "PUBLISHING": "All blocks are done; the new generation is being made visible.",
        "PUBLISHED": "The new generation is visible.",
        "PARTIAL": "Published, except blocks that failed: their earlier rows are still served.",
        "FAILED": "Nothing was published.",
        "CANCELLED": "Stopped by an operator; nothing was published.",
    },
)


@strawberry.type(description="A block of a run that was set aside after its last try.")
class FailedBlock:
    model_slugs: list[str] = strawberry.field(description="Models of the block.")
    gpu_slugs: list[str] | None = strawberry.field(description="Accelerators of the block; null for all.")
    attempts: int = strawberry.field(description="Tries.")
    error: str = strawberry.field(description="Error of the last try.")


@strawberry.type(description="One recompute: what changed in the catalog, as blocks, published as one generation.")
class Run(Node):
    state: RunState = strawberry.field(description="Where it stands.")
    cause: str = strawberry.field(description="Who or what started it.")
    revision: str = strawberry.field(description="Catalog revision that it computes.")
    generation: int | None = strawberry.field(description="Generation that it published; null for none.")
    block_count: int = strawberry.field(description="Blocks planned.")
    done_block_count: int = strawberry.field(description="Blocks done.")
    failed_block_count: int = strawberry.field(description="Blocks set aside with their error.")
    cell_count: Int64 = strawberry.field(description="Fits planned.")
    done_cell_count: Int64 = strawberry.field(description="Fits computed.")
    cells_per_second: float | None = strawberry.field(description="Fits per second so far; null before the first.")
    remaining_seconds: float | None = strawberry.field(description="Expected seconds to the end; null when unknown.")
    seconds: float | None = strawberry.field(description="Duration so far or in all, seconds; null before the start.")
    error: str | None = strawberry.field(description="The failure; null for none.")
    created_at: datetime = strawberry.field(description="When it was planned, UTC.")
    started_at: datetime | None = strawberry.field(description="When the first block began, UTC.")
    finished_at: datetime | None = strawberry.field(description="When it ended, UTC.")
    number: strawberry.Private[int]

    @strawberry.field(
        description=f"Blocks that were set aside, with their errors: their earlier fits are still served; at most {MAX_FAILED}."
    )
    async def failed_blocks(self, info: strawberry.Info) -> list[FailedBlock]:
        if not self.failed_block_count:
            return []
        context: RequestContext = info.context
        async with context.services.state.connection() as connection:
            rows = await connection.run_sync(lambda sync: failed_blocks_sync(sync, self.number))
        return [_failed(context.view, row) for row in rows[:MAX_FAILED]]


@strawberry.type(description="One page of runs; newest first unless another order was asked for.")
class RunConnection(Connection[Run]):
    """Page of runs."""


def _failed(view: CatalogView, row: BlockRow) -> FailedBlock:
    models, gpus = view.model_by_id, view.gpu_by_id
    return FailedBlock(
        model_slugs=[models[number].slug for number in row.model_ids if number in models],
        gpu_slugs=None if row.gpu_ids is None else [gpus[number].slug for number in row.gpu_ids if number in gpus],
        attempts=row.attempts,
        error=row.error or "",
    )


#: States after which a run no longer changes.
FINAL = frozenset({RunState.PUBLISHED, RunState.PARTIAL, RunState.FAILED, RunState.CANCELLED})


def run_from_row(row: RunRow) -> Run:
    return Run(
        id=strawberry.ID(encode_id("Run", str(row.id))),
        state=RunState[row.state.name],
        cause=row.cause,
        revision=row.revision,
        generation=row.generation,
        block_count=row.blocks_total,
        done_block_count=row.blocks_done,
        failed_block_count=row.blocks_failed,
        cell_count=Int64(row.cells_total),
        done_cell_count=Int64(row.cells_done),
        cells_per_second=row.cells_per_s,
        remaining_seconds=row.eta_s,
        seconds=row.seconds,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        number=row.id,
    )


def run_number(text: str) -> int:
    """Number inside a run's id. Raises ``BAD_USER_INPUT`` for another id."""
    node = decode_id(text)
    if node.kind != "Run" or len(node.key) != 1 or not _NUMBER.match(node.key[0]):
        raise bad_input("This id is not that of a run.", field="id")
    return int(node.key[0])
