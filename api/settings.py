"""Settings of the API: each an environment variable with the prefix ``FITGRAPH_`` and a documented default."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from db.settings import Settings


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """The maximum of each measure of a document."""

    tokens: int = 2000
    depth: int = 16
    aliases: int = 200
    fields: int = 1000
    repeated_fields: int = 25
    directives: int = 50
    fragments: int = 100
    variable_values: int = 20_000
    cost: int = 50_000
    page_size: int = 100
    default_page_size: int = 20


_LIMITS = QueryLimits()


class ApiSettings(Settings):
    """Addresses of the server, and limits of a request."""

    host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the API listens on.")
    log_level: str = Field(
        default="info",
        pattern="^(critical|error|warning|info|debug)$",
        description="Least severe log lines that are written: critical, error, warning, info or debug.",
    )
    public_url: str = Field(
        default="", description="Address that clients reach the service under, for links; empty: that of the request."
    )
    tokens: tuple[str, ...] = Field(
        default=(),
        description="Bearer tokens of operators, as a JSON list of name:scope+scope:sha256; scopes are "
        "catalog, runs and metrics.",
    )
    metrics: bool = Field(
        default=False,
        description="Serve Prometheus metrics at /metrics, to this machine and to tokens with the scope metrics.",
    )
    explorer: bool = Field(default=True, description="Serve the in-browser GraphQL explorer.")
    introspection: bool = Field(default=True, description="Answer introspection queries.")
    trusted_documents: Path | None = Field(
        default=None,
        description="File of documents by id, as GraphQL Code Generator writes `persisted-documents.json`; requests name them "
        "by `documentId`.",
    )
    trusted_only: bool = Field(default=False, description="Run no other documents than the trusted ones.")
    suggestions: bool = Field(default=True, description="Suggest near names of fields in validation errors.")
    cors_origins: tuple[str, ...] = Field(
        default=("*",),
        description='Origins whose pages may read answers, as JSON: ["https://example.org"]; ["*"] is all.',
    )
    max_request_bytes: int = Field(
        default=100_663_296,
        ge=1024,
        description="Largest request body, bytes. The index of the largest checkpoints has 65 MB; of bodies above 1 MiB a "
        "server process reads and answers two at a time.",
    )
    max_tokens: int = Field(default=_LIMITS.tokens, ge=100, description="Most lexical tokens of a document.")
    max_depth: int = Field(default=_LIMITS.depth, ge=3, description="Deepest nesting of fields, fragments expanded.")
    max_aliases: int = Field(default=_LIMITS.aliases, ge=1, description="Most aliases, fragments expanded.")
    max_fields: int = Field(default=_LIMITS.fields, ge=10, description="Most fields of a document, fragments expanded.")
    max_repeated_fields: int = Field(
        default=_LIMITS.repeated_fields, ge=2, description="Most fields of one name in one selection."
    )
    max_directives: int = Field(default=_LIMITS.directives, ge=1, description="Most directives of a document.")
    max_fragments: int = Field(default=_LIMITS.fragments, ge=1, description="Most fragments of a document.")
    max_variable_values: int = Field(
        default=_LIMITS.variable_values, ge=1, description="Most values that the variables of a request hold."
    )
    max_cost: int = Field(
        default=_LIMITS.cost,
        ge=100,
        description="Largest cost of an operation: about the values that its answer holds.",
    )
    max_page_size: int = Field(default=_LIMITS.page_size, ge=1, description="Most items of a page.")
    default_page_size: int = Field(
        default=_LIMITS.default_page_size, ge=1, description="Items of a page when neither first nor last is given."
    )
    max_estimates: int = Field(default=1000, ge=1, description="Most inputs of one `estimates` field.")
    remote_hosts: tuple[str, ...] = Field(
        default=(),
        description='Hosts that `model: {url}` may read a file from over https, as JSON: ["example.org", "example.org:8443"]; '
        "empty: remote files are off.",
    )
    remote_max_bytes: int = Field(
        default=33_554_432, ge=65_536, description="Most bytes that are read of one remote file."
    )
    remote_timeout_s: float = Field(default=10.0, gt=0, description="Longest time for one remote file, seconds.")
    missed_names_interval_s: float = Field(
        default=60.0,
        ge=0,
        description="Seconds between two writes of the names that were asked for and not found, with counts by day and "
        "nothing of who asked; 0: they are not counted.",
    )
    max_comparison: int = Field(default=50, ge=2, description="Most columns of a comparison.")
    rate_limit_points: int = Field(
        default=0, ge=0, description="Points that a client may spend in a minute, counted in Redis; 0: no limit."
    )
    request_timeout_s: float = Field(default=15.0, gt=0, description="Longest execution of a request, seconds.")
    header_timeout_s: float = Field(
        default=10.0, gt=0, description="Longest wait for the head of a request, and for a client to read, seconds."
    )
    keep_alive_s: float = Field(
        default=5.0,
        gt=0,
        description="Longest wait for the next request of a connection, seconds; behind a proxy that keeps connections "
        "open, longer than the proxy's own.",
    )
    max_header_bytes: int = Field(default=32_768, ge=1024, description="Largest head of a request, bytes.")
    max_connections: int = Field(default=1024, ge=1, description="Most open connections of one server process.")
    websocket_connections: int = Field(
        default=256, ge=1, description="Most open websockets and event streams of one server process."
    )
    websocket_connections_per_client: int = Field(
        default=64, ge=1, description="Most open websockets and event streams of one client."
    )
    websocket_init_timeout_s: float = Field(
        default=5.0, gt=0, description="Longest wait for the first message of a websocket, seconds."
    )
    websocket_message_bytes: int = Field(default=262_144, ge=1024, description="Largest message of a websocket, bytes.")
    websocket_messages_per_minute: int = Field(
        default=600, ge=1, description="Most messages of a websocket in a minute."
    )
    subscriptions_per_connection: int = Field(default=20, ge=1, description="Most subscriptions of one websocket.")
    document_cache: int = Field(default=512, ge=1, description="Parsed and validated documents kept in memory.")
    response_cache_bytes: int = Field(
        default=8_388_608, ge=0, description="Memory for whole responses of the current generation, bytes; 0: none."
    )
    response_cache_url: str = Field(
        default="",
        description="URL of a Redis-compatible server in which server processes share whole responses; empty: none.",
    )
    response_cache_ttl_s: int = Field(default=300, ge=1, description="Seconds for which a shared response is kept.")
    response_cache_value_bytes: int = Field(default=262_144, ge=0, description="Largest shared response, bytes.")
    response_max_age_s: int = Field(
        default=30, ge=0, description="Seconds for which clients may reuse an answer to a GET request without asking."
    )

    def query_limits(self) -> QueryLimits:
        return QueryLimits(
            tokens=self.max_tokens,
            depth=self.max_depth,
            aliases=self.max_aliases,
            fields=self.max_fields,
            repeated_fields=self.max_repeated_fields,
            directives=self.max_directives,
            fragments=self.max_fragments,
            variable_values=self.max_variable_values,
            cost=self.max_cost,
            page_size=self.max_page_size,
            default_page_size=self.default_page_size,
        )


@lru_cache(maxsize=1)
def get_api_settings() -> ApiSettings:
    """The settings of this process, read from the environment once."""
    return ApiSettings()


def settings_markdown() -> str:
    """The reference page of all settings: one table row a variable, in order of definition."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable.",
        "",
        "| variable | default | what it sets |",
        "|---|---|---|",
    ]
    for name, info in ApiSettings.model_fields.items():
        default = "number of CPUs" if info.default_factory is not None else _shown(info.default)
        lines.append(f"| `FITGRAPH_{name.upper()}` | {default} | {info.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if value == "":
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{part}"' for part in value) + "]`"
    return f"`{value}`"
