"""Tables with a fixed shape. The wide fit tables of a generation are made by ``db.fits.layout``, one set a rebuild."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, DateTime, Index, Table, Text, UniqueConstraint
from sqlmodel import Field, MetaData, SQLModel

#: Names by rule, so that a migration can alter a constraint on either database.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
#: The metadata of every fixed table.
metadata = MetaData(naming_convention=NAMING)


class Base(SQLModel):
    """Root of the tables: one metadata with named constraints."""

    metadata: ClassVar[MetaData] = metadata


class Entity(Base):
    """Columns of every catalog entity: a small stable id for its slug, and its whole entry.

    ``live`` is false until the first publication that holds it, and after it left the catalog.
    """

    id: int | None = Field(default=None, primary_key=True)
    slug: str = Field(unique=True)
    name: str = Field(index=True)
    live: bool = False
    estimated: bool = False
    missing_fact: str | None = None
    fingerprint: str = ""
    entry_hash: str = ""


def _entry() -> Any:
    return Column(JSON, nullable=False)


class Model(Entity, table=True):
    family: str | None = Field(default=None, index=True)
    publisher: str | None = Field(default=None, index=True)
    license: str | None = None
    params_total_b: float | None = Field(default=None, index=True)
    params_active_b: float | None = None
    release_date: str | None = Field(default=None, index=True)
    context_length: int | None = None
    moe: bool = False
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class Gpu(Entity, table=True):
    vendor: str | None = Field(default=None, index=True)
    kind: str | None = None
    architecture: str | None = None
    memory_gb: float | None = Field(default=None, index=True)
    bandwidth_gbps: float | None = Field(default=None, index=True)
    release_date: str | None = Field(default=None, index=True)
    msrp_usd: float | None = None
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class Quant(Entity, table=True):
    """A way to store weights."""

    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class Workload(Entity, table=True):
    """A use with stated lengths and thresholds; ``slot`` is its place in a fit row."""

    slot: int | None = None
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class EngineRow(Entity, table=True):
    __tablename__ = "engine"
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class HostRow(Entity, table=True):
    """The computer around an accelerator."""

    __tablename__ = "host"
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class ComputerRow(Entity, table=True):
    """A computer that one can buy."""

    __tablename__ = "computer"
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class PriceRow(Entity, table=True):
    """The dated prices of one accelerator or computer."""

    __tablename__ = "price"
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class StagedEntry(Base, table=True):
    """A changed entry that the publication of a run makes live; ``entry`` None takes the entity out of the catalog."""

    __tablename__ = "staged_entry"
    run_id: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    entity_id: int = Field(primary_key=True)
    values: dict[str, Any] | None = Field(default=None, sa_column=Column("values", JSON, nullable=True))


class KeptEntry(Base, table=True):
    """An entity as readers of ``layout`` know it, kept since a release with another layout of fits published its own."""

    __tablename__ = "kept_entry"
    layout: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    id: int = Field(primary_key=True)
    slug: str
    entry_hash: str
    entry: dict[str, Any] = Field(default_factory=dict, sa_column=_entry())


class PublishedInput(Base, table=True):
    """Fingerprint of what the current fits were computed from; kind ``common`` covers quants, workloads, constants."""

    __tablename__ = "published_input"
    kind: str = Field(primary_key=True)
    entity_id: int = Field(primary_key=True)
    fingerprint: str


class MissedName(Base, table=True):
    """How often the API was asked for a name that the catalog has not; days are ISO dates."""

    __tablename__ = "missed_name"
    kind: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    count: int
    first_day: str
    last_day: str


class CatalogRevision(Base, table=True):
    """A published state of all facts."""

    __tablename__ = "catalog_revision"
    id: int | None = Field(default=None, primary_key=True)
    revision: str = Field(index=True)
    run_id: int
    published_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class Generation(Base, table=True):
    """A published state of all fits; ``retired_at`` is set when a newer one takes its place."""

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    run_id: int
    revision: str
    fit_table: str
    layout: int
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    cells: int = Field(sa_column=Column(BigInteger, nullable=False))
    unsupported_cells: int = Field(sa_column=Column(BigInteger, nullable=False))
    models: int
    gpus: int
    quants: int
    workloads: int
    published_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    retired_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=True))


class Run(Base, table=True):
    """One recompute, from plan to publication. ``active`` is 1 while it works and NULL after: the unique constraint
    lets one run be active at a time."""

    __table_args__ = (UniqueConstraint("active"),)
    id: int | None = Field(default=None, primary_key=True)
    active: int | None = None
    revision: str
    generation: int
    cause: str
    state: str
    rebuild: bool
    inputs: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    #: Fingerprint of the release that planned the run; workers of that release alone compute and publish it.
    release: str = Field(default="", sa_column_kwargs={"server_default": ""})
    blocks_total: int = 0
    cells_total: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    publish_token: str | None = None
    publish_lease_until: float | None = None
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=True))
    blocks_done: int = 0
    blocks_failed: int = 0
    cells_done: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class RunBlock(Base, table=True):
    """A share of a run: some models against all GPUs, or against ``gpu_ids``."""

    __tablename__ = "run_block"
    __table_args__ = (UniqueConstraint("run_id", "ordinal"), Index("ix_run_block_open", "run_id", "state"))
    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id")
    ordinal: int
    model_ids: list[int] = Field(sa_column=Column(JSON, nullable=False))
    gpu_ids: list[int] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))
    cells: int = Field(sa_column=Column(BigInteger, nullable=False))
    rows_written: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    unsupported_cells: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    state: str
    attempts: int = 0
    lease_token: str | None = None
    lease_until: float | None = None
    error: str | None = Field(default=None, sa_column=Column(Text, nullable=True))


ENTITY_TABLES: dict[str, type[Entity]] = {
    "model": Model,
    "gpu": Gpu,
    "quant": Quant,
    "workload": Workload,
    "engine": EngineRow,
    "host": HostRow,
    "computer": ComputerRow,
    "price": PriceRow,
}


def table_of(entity: type[SQLModel]) -> Table:
    """The SQLAlchemy table of a class, for statements that need no objects."""
    table = entity.__table__  # type: ignore[attr-defined]
    if not isinstance(table, Table):
        raise TypeError(f"{entity.__name__} is not a table")
    return table
