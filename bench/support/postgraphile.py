"""PostGraphile 5 over the same fits, for comparison: its packages, its tables, its server.

Its fits lie unpacked in a plain table, one row a (model, GPU, quant) with a column a figure, with keys, foreign keys and
the index of the query: PostGraphile cannot read packed rows, and this is what one would give it. Only the workload of
the query is there, a fifth of what the API serves from.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from bench.support.serving import serving
from db.entries import specs
from db.fits.generations import current_generation_sync
from db.fits.layout import BAND_BYTES, FLAG_BITS, PLAN_BYTES, RECOMMENDED_BIT, SLOT_COUNT, SLOTS, STATUS_MASK
from db.fits.packing import OVERHEAD_EXPLICIT, OVERHEAD_OF_ROW
from estimator.types import STATUSES, WorkloadKind
from estimator.verdict import GRADES

PACKAGES = ("postgraphile@^5", "node@^22")
SCHEMA = "bench_peer"
_SLOT = SLOTS.index(WorkloadKind.CODING)
_CONFIG = """
import {{ PostGraphileAmberPreset }} from "postgraphile/presets/amber";
import {{ makePgService }} from "postgraphile/adaptors/pg";
export default {{
  extends: [PostGraphileAmberPreset],
  pgServices: [makePgService({{ connectionString: {url}, schemas: [{schema}], pubsub: false }})],
  grafserv: {{ host: "127.0.0.1", port: {port}, graphqlPath: "/graphql", graphiql: false, websockets: false, watch: false }},
  grafast: {{ explain: false }},
}};
"""


class PeerUnavailableError(RuntimeError):
    """PostGraphile cannot be run here; the message says why."""


def install(folder: Path) -> None:
    """Install PostGraphile and a Node of its own into ``folder``. Raises PeerUnavailableError."""
    if shutil.which("npm") is None:
        raise PeerUnavailableError("npm is not installed")
    (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    argv = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerUnavailableError(f"npm install failed: {done.stderr.strip()[-500:]}")


def version(folder: Path) -> str:
    """Name and version of the installed program."""
    package = json.loads((folder / "node_modules/postgraphile/package.json").read_text())
    return f"PostGraphile {package['version']}"


def unpack(url: str) -> int:
    """Make the tables that PostGraphile serves; returns the number of fits. They stay until the database is dropped."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            generation = current_generation_sync(connection)
            if generation is None:
                raise RuntimeError("nothing is published")
            for statement in _statements(generation.table, generation.id):
                connection.execute(text(statement))
            for kind, columns in (("gpu", _gpu), ("quant", _quant)):
                entities = connection.execute(text(f"SELECT id, slug, entry FROM {kind}")).all()
                rows = [{"id": number, "slug": slug, **columns(entry)} for number, slug, entry in entities]
                names = ", ".join(rows[0])
                values = ", ".join(f":{name}" for name in rows[0])
                connection.execute(text(f"INSERT INTO {SCHEMA}.{kind} ({names}) VALUES ({values})"), rows)
            for statement in _constraints():
                connection.execute(text(statement))
            fits = int(connection.execute(text(f"SELECT count(*) FROM {SCHEMA}.fit")).scalar_one())
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"VACUUM ANALYZE {SCHEMA}.fit"))
        return fits
    finally:
        engine.dispose()


@contextmanager
def peer(folder: Path, url: str) -> Iterator[tuple[int, int]]:
    """Port and process id of a running PostGraphile."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    config = folder / "graphile.config.mjs"
    config.write_text(
        _CONFIG.format(url=json.dumps(plain), schema=json.dumps(SCHEMA), port="Number(process.env.PEER_PORT)")
    )
    package = folder / "node_modules/postgraphile"
    entry = json.loads((package / "package.json").read_text())["bin"]
    argv = [str(folder / "node_modules/node/bin/node"), str(package / entry), "--config", str(config)]
    environment = {"NODE_ENV": "production", "GRAPHILE_ENV": "production"}
    with serving(argv, "/graphql", environment, port_variable="PEER_PORT") as server:
        yield server


def _statements(table: str, generation: int) -> list[str]:
    status = f"((f.flags >> {FLAG_BITS * _SLOT}) & {STATUS_MASK})"
    plan = (
        f"substr(q.plans, f.plan * {PLAN_BYTES} + {PLAN_BYTES // SLOT_COUNT * _SLOT} + 1, {PLAN_BYTES // SLOT_COUNT})"
    )
    band = f"substr(q.bands, f.band * {BAND_BYTES} + {4 + 18 * _SLOT}, 8)"
    parts = " + ".join(_u48("p.cell", 10 + 6 * part) for part in range(3))
    own, explicit = _unsigned("f.rest", 20, 5), _u48("p.cell", 34)
    modes = f"WHEN {OVERHEAD_OF_ROW} THEN {own} WHEN {OVERHEAD_EXPLICIT} THEN {explicit}"
    total = f"{parts} + CASE get_byte(p.cell, 1) {modes} ELSE 0 END"
    names = ", ".join(f"'{member.name}'" for member in STATUSES)
    score = f"f.score_{_SLOT} / 100.0"
    grade = " ".join(f"WHEN {score} >= {least} THEN '{letter}'" for letter, least in GRADES)
    decode, ttft = _float(f"f.decode_{_SLOT}"), _float(f"f.ttft_{_SLOT}")
    low = _float(_unsigned("p.band", 0, 4))
    high = _float(_unsigned("p.band", 4, 4))
    context = "(SELECT (entry->>'context_tokens')::int FROM workload WHERE slug = 'coding')"
    return [
        f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
        f"CREATE SCHEMA {SCHEMA}",
        f"CREATE TABLE {SCHEMA}.model AS SELECT id, slug, entry->>'name' AS name FROM model",
        f"CREATE TABLE {SCHEMA}.gpu (id int, slug text, name text, memory_bytes bigint, bandwidth float8)",
        f"CREATE TABLE {SCHEMA}.quant (id int, slug text, name text, nominal_bits float8)",
        f"CREATE TABLE {SCHEMA}.fit AS SELECT f.model_id, f.gpu_id::int, f.quant_id::int, "
        f"(ARRAY[{names}])[{status} + 1] AS status, ({score})::float8 AS score, CASE {grade} END AS grade, "
        f"(f.flags & {RECOMMENDED_BIT << (FLAG_BITS * _SLOT)}) != 0 AS recommended, "
        f"CASE WHEN f.decode_{_SLOT} > 0 THEN {ttft} END AS ttft_ms, f.safe_{_SLOT} AS safe_context_tokens, "
        f"{context} AS context_tokens, CASE WHEN f.decode_{_SLOT} > 0 THEN {decode} ELSE 0 END AS decode_tok_s, "
        f"CASE WHEN f.decode_{_SLOT} > 0 THEN {decode} * {low} END AS decode_low, "
        f"CASE WHEN f.decode_{_SLOT} > 0 THEN {decode} * {high} END AS decode_high, ({total})::bigint AS total_bytes "
        f"FROM {table} f JOIN {table}_quant q ON q.model_id = f.model_id AND q.quant_id = f.quant_id AND q.born = f.born "
        f"CROSS JOIN LATERAL (SELECT {plan} AS cell, {band} AS band) p "
        f"WHERE f.born <= {generation} AND (f.died = 0 OR f.died > {generation})",
    ]


def _constraints() -> list[str]:
    return [
        *(
            f"ALTER TABLE {SCHEMA}.{table} ADD PRIMARY KEY (id), ADD UNIQUE (slug)"
            for table in ("model", "gpu", "quant")
        ),
        f"ALTER TABLE {SCHEMA}.fit ADD PRIMARY KEY (model_id, gpu_id, quant_id), "
        + ", ".join(
            f"ADD CONSTRAINT fit_{table} FOREIGN KEY ({table}_id) REFERENCES {SCHEMA}.{table}"
            for table in ("model", "gpu", "quant")
        ),
        f"CREATE INDEX ON {SCHEMA}.fit (model_id, decode_tok_s DESC)",
        *(f"CREATE INDEX ON {SCHEMA}.fit ({table}_id)" for table in ("gpu", "quant")),
        *(
            f"COMMENT ON CONSTRAINT fit_{table} ON {SCHEMA}.fit IS E'@fieldName {table}\\n@foreignFieldName fits'"
            for table in ("model", "gpu", "quant")
        ),
    ]


def _gpu(entry: Mapping[str, Any]) -> dict[str, Any]:
    spec = specs.accelerator(entry)
    return {"name": spec.name, "memory_bytes": spec.memory_bytes, "bandwidth": spec.bandwidth_bytes_s}


def _quant(entry: Mapping[str, Any]) -> dict[str, Any]:
    spec = specs.quant(entry)
    return {"name": spec.name, "nominal_bits": spec.nominal_bits}


def _unsigned(blob: str, at: int, size: int) -> str:
    """SQL for a little-endian whole number inside a blob."""
    return "(" + " + ".join(f"get_byte({blob}, {at + n})::bigint * {256**n}" for n in range(size)) + ")"


def _u48(blob: str, at: int) -> str:
    return _unsigned(blob, at, 6)


def _float(bits: str) -> str:
    """SQL for the value of the bits of a positive float32."""
    return f"(power(2::float8, (({bits})::bigint >> 23) - 127) * (1 + (({bits})::bigint & 8388607) / 8388608::float8))"
