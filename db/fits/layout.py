"""The tables of one storage of fits: ``fit_<n>`` with its two companions, made and dropped as a set.

A row of ``fit_<n>`` is one (model, gpu, quant) with all five workloads, the k-th workload in the columns ``*_k``.
Speeds and latencies are kept as the bits of a float32, which order as the numbers do for what is never negative.
A row is visible in generation g when ``born <= g`` and (``died = 0`` or ``died > g``). Figures of (model, quant)
alone, and the placement plans and speed bands that its rows share, live once in ``fit_<n>_quant``; those of (gpu, engine)
in ``fit_<n>_gpu``.
"""

from __future__ import annotations

import re
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    text,
)
from sqlalchemy.schema import CreateTable

from estimator.types import WorkloadKind

#: The workloads of a fit row, by slot.
SLOTS: tuple[WorkloadKind, ...] = tuple(WorkloadKind)
SLOT_COUNT = len(SLOTS)
#: Bits of ``flags`` that each slot takes: status in the lower three, recommended in the fourth.
FLAG_BITS = 4
STATUS_MASK = 7
RECOMMENDED_BIT = 8
#: Above the slots, ``flags`` holds the code of the engine.
ENGINE_SHIFT = FLAG_BITS * SLOT_COUNT
ENGINE_MASK = 15
#: Above the engine, ``flags`` says in what the row leads the quants of its model and accelerator: in speed for some
#: workload, in latency for some workload, and in score and then speed for each workload.
LEAD_SHIFT = ENGINE_SHIFT + 4
#: Decode speeds are indexed by their upper 21 bits (0.025 %): few distinct values, which PostgreSQL stores once each.
BUCKET_SHIFT = 11
#: Scores are indexed with the upper 12 bits of the decode speed (exponent and three bits) below them.
SCORE_SHIFT = 20
SCORE_STEP = 1 << (32 - SCORE_SHIFT - 1)
#: Within a model or an accelerator, speeds and latencies are indexed by steps of 3 to 6 %: PostgreSQL stores each value
#: once, and a page sorts the few dozen rows of a step.
STEP_SHIFT = 18
#: Scores of leading rows are indexed with such a step of the speed below them.
LEAD_SCORE_STEP = 1 << (32 - STEP_SHIFT - 1)
#: Bytes of the companion blobs per entry.
PLAN_BYTES = 200
BAND_BYTES = 96
_NAME = re.compile(r"fit_[0-9]+\Z")


class Indexed(StrEnum):
    """The leading expressions of the indexes of all rows, and the predicates of those that hold only some of them."""

    DECODE = "decode"
    #: Tens of thousands of fits share the best score, so the speed splits them.
    SCORE = "score"
    MODEL_DECODE = "model decode"
    MODEL = "model"
    RUNS = "runs"
    #: Of all that is recommended, the index by score holds nothing else.
    BEST = "best"

    def column(self, slot: int, alias: str = "") -> str:
        """SQL expression that the index holds; for ``RUNS`` and ``BEST``, its predicate."""
        decode, score = f"{alias}decode_{slot}", f"{alias}score_{slot}"
        return {
            Indexed.DECODE: f"({decode} >> {BUCKET_SHIFT})",
            Indexed.SCORE: f"({score} * {SCORE_STEP} + ({decode} >> {SCORE_SHIFT}))",
            Indexed.MODEL_DECODE: f"({decode} >> {STEP_SHIFT})",
            Indexed.MODEL: f"{alias}model_id",
            Indexed.RUNS: f"{decode} > 0",
            Indexed.BEST: f"({alias}flags & {recommended_mask(slot)}) != 0",
        }[self]

    def of_speed(self, decode_bits: int) -> int:
        """Value of ``DECODE`` or ``MODEL_DECODE`` for a stored speed."""
        return decode_bits >> (BUCKET_SHIFT if self is Indexed.DECODE else STEP_SHIFT)


class Lead(StrEnum):
    """Figures in which a row may lead the quants of its model and accelerator: an index holds the leading rows alone."""

    DECODE = "decode"
    TTFT = "ttft"
    SCORE = "score"

    def mask(self, slot: int) -> int:
        """Bit of ``flags`` of the rows that lead."""
        return 1 << (LEAD_SHIFT + list(Lead).index(self) + (slot if self is Lead.SCORE else 0))

    def column(self, slot: int, alias: str = "") -> str:
        """SQL expression that ranks the leading rows, as the indexes hold it."""
        if self is Lead.SCORE:
            # Many rows share the best score.
            return f"({alias}score_{slot} * {LEAD_SCORE_STEP} + ({alias}decode_{slot} >> {STEP_SHIFT}))"
        return f"({alias}{self.value}_{slot} >> {STEP_SHIFT})"


HOT_FIELDS = ("decode", "ttft", "safe", "score")
FIT_COLUMNS: tuple[str, ...] = (
    "model_id",
    "gpu_id",
    "quant_id",
    "born",
    "died",
    "flags",
    *(f"{field}_{slot}" for field in HOT_FIELDS for slot in range(SLOT_COUNT)),
    "plan",
    "band",
    "rest",
)
#: Columns of two bytes; the others have four.
SMALL_COLUMNS = frozenset({"gpu_id", "quant_id", "plan", "band", *(f"score_{slot}" for slot in range(SLOT_COUNT))})
QUANT_COLUMNS = ("model_id", "quant_id", "born", "died", "file_size_bytes", "weights_bytes", "plans", "bands")
GPU_COLUMNS = ("gpu_id", "engine", "born", "usable_bytes", "capacity_bytes")


def storage_name(run_id: int) -> str:
    return f"fit_{run_id}"


def checked(table: str) -> str:
    """``table`` itself when it is a storage name, so that it may stand in SQL text; else ValueError."""
    if not _NAME.fullmatch(table):
        raise ValueError(f"'{table}' is not the name of a fit storage; it must look like fit_12")
    return table


def fit_table(name: str) -> Table:
    """Definition of the fit rows of storage ``name``."""
    columns = [
        Column(column, SmallInteger if column in SMALL_COLUMNS else Integer, nullable=False)
        for column in FIT_COLUMNS
        if column != "rest"
    ]
    return Table(checked(name), MetaData(), *columns, Column("rest", LargeBinary, nullable=False))


def companion_tables(name: str) -> tuple[Table, Table]:
    """Definitions of ``<name>_quant`` and ``<name>_gpu``."""
    quant = Table(
        f"{checked(name)}_quant",
        MetaData(),
        Column("model_id", Integer, primary_key=True, autoincrement=False),
        Column("quant_id", Integer, primary_key=True),
        Column("born", Integer, primary_key=True),
        Column("died", Integer, nullable=False),
        Column("file_size_bytes", BigInteger, nullable=False),
        Column("weights_bytes", BigInteger, nullable=False),
        Column("plans", LargeBinary, nullable=False),
        Column("bands", LargeBinary, nullable=False),
    )
    gpu = Table(
        f"{name}_gpu",
        MetaData(),
        Column("gpu_id", Integer, primary_key=True, autoincrement=False),
        Column("engine", Integer, primary_key=True),
        Column("born", Integer, primary_key=True),
        Column("usable_bytes", BigInteger, nullable=False),
        Column("capacity_bytes", BigInteger, nullable=False),
    )
    return quant, gpu


def create_storage(connection: Connection, name: str) -> None:
    """Make the empty tables of a storage, without the indexes that a load would have to maintain."""
    statements = table_statements(name, connection.dialect)
    if connection.dialect.name == "postgresql":
        # One message to the server.
        statements = ["; ".join(statements)]
    for statement in statements:
        connection.exec_driver_sql(statement)


def table_statements(name: str, dialect: Dialect) -> list[str]:
    """CREATE TABLE statements of a storage, with their options."""
    statements = [
        str(CreateTable(table).compile(dialect=dialect)) for table in (fit_table(name), *companion_tables(name))
    ]
    if dialect.name != "postgresql":
        return statements
    # Blobs are read by slices, which only uncompressed storage can fetch alone.
    blobs = ", ".join(f"ALTER COLUMN {blob} SET STORAGE EXTERNAL" for blob in ("plans", "bands"))
    options = f"ALTER TABLE {name} SET (autovacuum_enabled = true, fillfactor = 100)"
    return [*statements, f"ALTER TABLE {name}_quant {blobs}", options]


def drop_storage(connection: Connection, name: str) -> None:
    """Remove a storage with its parts; nothing happens when it is not there."""
    cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
    connection.execute(text(f"DROP TABLE IF EXISTS {checked(name)}{cascade}"))
    drop_companions(connection, name)


def drop_companions(connection: Connection, name: str) -> None:
    """Remove ``<name>_quant`` and ``<name>_gpu``."""
    for suffix in ("_quant", "_gpu"):
        connection.execute(text(f"DROP TABLE IF EXISTS {checked(name)}{suffix}"))


def index_statements(name: str, dialect: str) -> list[str]:
    """CREATE INDEX statements of a storage, and for PostgreSQL CREATE STATISTICS, to run once it is loaded."""
    full = " WITH (fillfactor = 100)" if dialect == "postgresql" else ""
    definitions = [
        # The quants of a pairing lie side by side: two columns find them, and PostgreSQL stores each pair once. The
        # accelerator leads, for PostgreSQL would skip through this index for it, which is slower than one range.
        (f"{checked(name)}_key", "gpu_id, model_id", ""),
        (f"{name}_by_model", "model_id", ""),
        # Empty until an update ends the life of rows: what differs between two generations is met by it.
        (f"{name}_ended", "died", " WHERE died <> 0"),
    ]
    for slot in range(SLOT_COUNT):
        best = f" WHERE {Indexed.BEST.column(slot)}"
        # Where nothing runs, speed and score are zero: no order needs an index there.
        definitions.append(
            (f"{name}_decode_{slot}", Indexed.DECODE.column(slot), f" WHERE {Indexed.RUNS.column(slot)}")
        )
        definitions.append((f"{name}_score_{slot}", Indexed.SCORE.column(slot), f" WHERE {Indexed.RUNS.column(slot)}"))
        definitions.append((f"{name}_best_{slot}", f"gpu_id, score_{slot}", best))
        definitions.append((f"{name}_top_{slot}", Indexed.SCORE.column(slot), best))
        for lead in Lead:
            leads = f" WHERE (flags & {lead.mask(slot)}) != 0"
            definitions.append((f"{name}_lead_{lead}_{slot}", f"gpu_id, {lead.column(slot)}", leads))
        if has_model_indexes(dialect):
            steps, leads = Indexed.MODEL_DECODE.column(slot), f" WHERE (flags & {Lead.SCORE.mask(slot)}) != 0"
            definitions.append((f"{name}_md_{slot}", f"model_id, {steps}", f" WHERE {Indexed.RUNS.column(slot)}"))
            definitions.append((f"{name}_ms_{slot}", f"model_id, {Lead.SCORE.column(slot)}", leads))
            definitions.append((f"{name}_mb_{slot}", f"model_id, score_{slot}", best))
    indexes = [
        f"CREATE INDEX IF NOT EXISTS {index} ON {name} ({columns}){full}{predicate}"
        for index, columns, predicate in definitions
    ]
    return indexes + (_statistics_statements(name) if dialect == "postgresql" else [])


def _statistics_statements(name: str) -> list[str]:
    """CREATE STATISTICS of what is filtered by: PostgreSQL keeps none for the expressions of partial indexes."""
    expressions = [
        (f"{name}_{label}_{slot}", expression)
        for slot in range(SLOT_COUNT)
        for label, expression in (
            ("xd", Indexed.DECODE.column(slot)),
            ("xs", Indexed.SCORE.column(slot)),
            ("xf", f"((flags >> {FLAG_BITS * slot}) & {STATUS_MASK})"),
            ("xr", f"(flags & {recommended_mask(slot)})"),
        )
    ]
    return [
        f"CREATE STATISTICS IF NOT EXISTS {statistics} ON {expression} FROM {name}"
        for statistics, expression in expressions
    ]


def has_model_indexes(dialect: str) -> bool:
    """Whether the fits of one model have indexes of their own; SQLite, which stores every key whole, does without."""
    return dialect == "postgresql"


def recommended_mask(slot: int) -> int:
    """Bit of ``flags`` that says "the best quant of this gpu and workload"."""
    return RECOMMENDED_BIT << (FLAG_BITS * slot)


def engine_of_row(alias: str = "f") -> str:
    """Code of the engine, which ``flags`` holds."""
    return f"(({alias}.flags >> {ENGINE_SHIFT}) & {ENGINE_MASK})"


def visible(generation: int) -> str:
    """SQL condition: the row ``f`` belongs to a generation. Its number stands in the text: what the planner cannot see it
    guesses wrong."""
    return f"f.born <= {generation:d} AND (f.died = 0 OR f.died > {generation:d})"
