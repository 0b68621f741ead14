"""Routes written by hand instead of a GraphQL API: Starlette routes with the same statement and the same JSON.

`python -m bench.support.routes PORT` serves the database of the settings. ``/fits/{model}`` runs the statement of the nested
query and builds its answer with plain code; ``/kept/{model}`` returns its finished bytes from a dictionary.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from struct import Struct
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.graphql.core.ids import Cursor, encode_cursor, encode_id
from api.graphql.services.services import Services
from api.settings import ApiSettings
from bench.support.queries import PAGE
from db.fits.by_index import tops_statement
from db.fits.layout import SLOTS
from db.fits.packing import shown
from db.fits.query import FitField, FitOrder, FitOwner, FitQuery, Window
from db.reading import PostgresReader
from db.session import async_engine
from estimator.types import STATUSES, WorkloadKind

_SLOT = SLOTS.index(WorkloadKind.CODING)
_ORDER = (FitOrder(FitField.DECODE),)
#: Fields of a plan: overhead mode, then lower and upper bytes of weights, cache, compute, host and overhead.
_PLAN = Struct("<xBxxxxxxxx" + "IH" * 5)
_BAND = Struct("<ff")
_FLOATS = Struct("<fff")
_BITS = Struct("<iii")


class Routes:
    """State of the server: names and ids of the catalog in memory, a pool of connections, finished bytes."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.kept: dict[str, bytes] = {}
        self.statement = ""
        self.mark = ""

    async def start(self) -> None:
        """Read the catalog."""
        self.view = view = await self.services.state.view()
        if view.generation is None:
            raise RuntimeError("nothing is published")
        reader = self.services.state._reader
        assert isinstance(reader, PostgresReader)
        self.reader = reader
        self.state = view.state
        self.statement = tops_statement(
            view.generation, FitOwner.MODEL, FitQuery(model_ids=(0,), workload_ids=(_SLOT,)), Window(_ORDER, PAGE)
        )
        self.models = {model.slug: (view.model_ids[model.slug], model.name) for model in view.models}
        self.gpus = {
            number: {
                "slug": gpu.slug,
                "name": gpu.name,
                "memoryBytes": gpu.accelerator.memory_bytes,
                "bandwidthBytesPerSecond": gpu.accelerator.bandwidth_bytes_s,
            }
            for number, gpu in view.gpu_by_id.items()
        }
        self.quants = {
            number: {"slug": quant.slug, "name": quant.name, "nominalBits": quant.spec.nominal_bits}
            for number, quant in view.quant_by_id.items()
        }
        self.workload = view.workloads[_SLOT]

    async def fits(self, request: Request) -> Response:
        """The answer of the nested query."""
        return Response(await self.body(request.path_params["model"]), media_type="application/json")

    async def finished(self, request: Request) -> Response:
        """The same bytes, kept."""
        slug = request.path_params["model"]
        body = self.kept.get(slug)
        if body is None:
            body = self.kept[slug] = await self.body(slug)
        return Response(body, media_type="application/json")

    async def body(self, slug: str) -> bytes:
        """JSON of one model."""
        number, name = self.models[slug]
        rows_read = await self.reader.rows(self.statement, {"k0": [number]})
        rows = sorted(rows_read, key=lambda row: (-row[5], row[2], row[3]))
        nodes = [self.node(slug, row) for row in rows[:PAGE]]
        cursor = None
        if nodes:
            last = rows[len(nodes) - 1]
            cursor = encode_cursor(Cursor(self.state, self.mark, (last[5], *last[1:4], _SLOT)))
        page = {"hasNextPage": len(rows) > PAGE, "endCursor": cursor}
        return orjson.dumps(
            {"data": {"model": {"slug": slug, "name": name, "fits": {"nodes": nodes, "pageInfo": page}}}}
        )

    def node(self, slug: str, row: Any) -> dict[str, Any]:
        """One fit."""
        _, _, gpu_id, quant_id, flags, decode, ttft, safe, score, rest, plan, band, _, _ = row
        gpu, quant, workload = self.gpus[gpu_id], self.quants[quant_id], self.workload
        status = STATUSES[flags >> 4 * _SLOT & 7]
        mode, a, b, c, d, e, f, _, _, g, h = _PLAN.unpack(plan)
        total = a + c + e + (b + d + f << 32)
        if mode == 0:
            total += int.from_bytes(rest[20:], "little")
        elif mode == 2:
            total += g + (h << 32)
        speed = latency = None
        if decode:
            value, latency, _ = _FLOATS.unpack(_BITS.pack(decode, ttft, 0))
            low, high = _BAND.unpack_from(band, 3 + 18 * _SLOT)
            speed = {"tokensPerSecond": shown(value), "low": shown(value * low), "high": shown(value * high)}
            latency = shown(latency)
        points = score / 100.0
        return {
            "id": encode_id("Fit", slug, gpu["slug"], quant["slug"], workload.slug),
            "status": status.name,
            "score": points,
            "grade": _grade(points),
            "recommended": flags >> 4 * _SLOT & 8 != 0,
            "ttftMs": latency,
            "safeContextTokens": safe,
            "contextTokens": workload.spec.context_tokens,
            "decode": speed,
            "memory": {"totalBytes": total} if status.name != "UNSUPPORTED" else None,
            "gpu": gpu,
            "quant": quant,
        }


def _grade(score: float) -> str:
    for letter, least in (("S", 90.0), ("A", 80.0), ("B", 65.0), ("C", 50.0), ("D", 30.0)):
        if score >= least:
            return letter
    return "F"


def main(arguments: list[str]) -> int:
    """Serve on a port of the loopback. PORT [MARK]: what the API signs cursors of this list with."""
    settings = ApiSettings()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        routes = Routes(Services(settings, async_engine(settings.resolved_database_url)))
        await routes.start()
        app.router.routes += [Route("/fits/{model}", routes.fits), Route("/kept/{model}", routes.finished)]
        yield
        await routes.services.close()

    app = Starlette(lifespan=lifespan)
    uvicorn.run(app, host="127.0.0.1", port=int(arguments[0]), log_level="error", access_log=False, server_header=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
