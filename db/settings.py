"""Settings that the database and the workers need: every one an environment variable with the prefix ``FITGRAPH_``."""

from __future__ import annotations

import hashlib
import os
import tempfile
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Texts of statements that a process keeps, several kilobytes each: a generation has its own.
KEPT_STATEMENTS = 128
#: A Unix socket path must stay below 108 bytes with its final NUL on Linux, 104 on macOS.
MAX_SOCKET_PATH_BYTES = 100
_SCHEMES = {
    "database_url": ("sqlite:///", "postgresql://", "postgresql+psycopg://", "postgres://"),
    "redis_url": ("redis://", "rediss://", "redis+socket://", "unix://"),
}


class Precompute(StrEnum):
    """Models whose fits the runs compute; those of the others are computed when they are asked for."""

    ALL = "all"
    POPULAR = "popular"
    LISTED = "listed"


class Settings(BaseSettings):
    """Where state lives, what a recompute covers, and how it is cut into blocks."""

    model_config = SettingsConfigDict(env_prefix="FITGRAPH_", extra="ignore", frozen=True)

    state_dir: Path = Field(
        default=Path(".fitgraph"), description="Folder of everything that fitgraph keeps: database, broker, logs."
    )
    database_url: str = Field(
        default="", description="SQLAlchemy URL of SQLite or PostgreSQL; empty: SQLite in the state folder."
    )
    redis_url: str = Field(
        default="", description="URL of a Redis-compatible server; empty: the bundled server on a private socket."
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024, description="Worker processes; default: CPU count."
    )
    generation_grace_s: float = Field(
        default=60.0, ge=0, description="Seconds for which a replaced generation stays readable."
    )
    layout_grace_s: float = Field(
        default=86_400.0,
        ge=0,
        description="Seconds for which a replaced generation stays readable for servers of another release, which store "
        "fits otherwise.",
    )
    precompute: Precompute = Field(
        default=Precompute.ALL,
        description="Models whose fits are precomputed: all, popular (enough downloads) or listed (in a file); fits of the "
        "others are computed when they are asked for.",
    )
    precompute_downloads: int = Field(
        default=100_000,
        ge=0,
        description="Downloads of 30 days from which a model is popular; one without a count is not.",
    )
    precompute_list: Path | None = Field(
        default=None, description="File of the listed models: a slug on each line; `#` begins a comment."
    )
    block_cells: int = Field(
        default=250_000, ge=1, description="Cells (model x GPU x quant x workload) that one task computes, about."
    )
    block_attempts: int = Field(
        default=3, ge=1, le=100, description="Tries of a block before it is set aside with its error."
    )
    lease_s: float = Field(
        default=30.0, gt=0, description="Seconds after which a block whose worker went silent is given out again."
    )
    sweep_interval_s: float = Field(
        default=5.0, gt=0, description="Seconds between two looks of a worker for runs that nobody works on."
    )
    refresh_interval_s: float = Field(
        default=0.0, ge=0, description="Seconds between scheduled catalog refreshes by Celery beat; 0: none."
    )

    watch_interval_s: float = Field(
        default=0.0,
        ge=0,
        description="Seconds between looks of Celery beat at the hub for new repositories (`fitgraph catalog watch`); "
        "0: none.",
    )
    log_format: str = Field(
        default="text",
        pattern="^(text|json)$",
        description="How log lines are written: text or json, one object a line.",
    )
    otlp_endpoint: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        description="Address of an OpenTelemetry collector that takes OTLP over HTTP, without `/v1/traces`; "
        "empty: no traces.",
    )
    trace_sample_ratio: float = Field(default=1.0, ge=0, le=1, description="Share of traces that are recorded, 0 to 1.")

    @field_validator("database_url", "redis_url")
    @classmethod
    def _known_scheme(cls, value: str, info: ValidationInfo) -> str:
        known = _SCHEMES[str(info.field_name)]
        if value and not value.startswith(known):
            name = f"FITGRAPH_{str(info.field_name).upper()}"
            raise ValueError(f"{name} must start with one of {', '.join(known)}; got {value.split(':')[0]}:")
        return value

    @model_validator(mode="after")
    def _listed_where(self) -> Settings:
        if self.precompute is Precompute.LISTED and self.precompute_list is None:
            raise ValueError(
                "FITGRAPH_PRECOMPUTE is listed, so FITGRAPH_PRECOMPUTE_LIST must name the file of the list"
            )
        return self

    @property
    def resolved_database_url(self) -> str:
        """URL for SQLAlchemy, with the driver that fitgraph ships."""
        url = self.database_url
        if not url:
            return f"sqlite:///{(self.state_dir / 'fitgraph.db').resolve()}"
        for prefix in ("postgres://", "postgresql://"):
            if url.startswith(prefix):
                return "postgresql+psycopg://" + url.removeprefix(prefix)
        return url

    @property
    def broker_socket(self) -> Path:
        """Socket of the bundled server: in the state folder, or under a hashed name in the temporary folder."""
        path = self.state_dir.resolve() / "broker" / "valkey.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"fitgraph-{os.getuid()}-{digest}" / "valkey.sock"

    @property
    def resolved_redis_url(self) -> str:
        """Broker URL for Celery: the given server, or the socket of the bundled one."""
        url = self.redis_url or f"redis+socket://{self.broker_socket}"
        return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read from the environment once."""
    return Settings()
