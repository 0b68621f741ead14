"""Objects that one server process keeps between requests: catalog state, caches, limits, tokens."""

from __future__ import annotations

from hashlib import blake2s
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from api.answers.files.remote import RemoteFiles
from api.catalog.missed import MissedNames
from api.catalog.state import CatalogState
from api.catalog.view import CatalogView
from api.graphql.services.auth import Operators
from api.graphql.services.cache import CountCache, ResponseCache
from api.graphql.services.open_streams import OpenStreams
from api.graphql.services.rate_limit import RateLimiter
from api.graphql.services.redis_link import redis_client
from api.graphql.services.shared_cache import SharedResponses
from api.settings import ApiSettings
from db.entries.files import Catalog


class Services:
    """Shared objects of one server process. All are safe for concurrent requests on one event loop."""

    def __init__(self, settings: ApiSettings, engine: AsyncEngine, catalog: Catalog | None = None) -> None:
        self.settings = settings
        self.limits = settings.query_limits()
        self.state = CatalogState(engine, catalog)
        self.missed = MissedNames(engine, settings.missed_names_interval_s)
        self.state.derived.append(self._listen_to_names)
        self._shared = shared_responses(settings)
        self.responses = ResponseCache(settings.response_cache_bytes, self._shared)
        self.counts = CountCache()
        self.operators = Operators(settings.tokens)
        self._redis = redis_client(settings.resolved_redis_url) if settings.rate_limit_points else None
        self.rates = RateLimiter(self._redis, settings.rate_limit_points)
        self.remote = RemoteFiles(settings.remote_hosts, settings.remote_max_bytes, settings.remote_timeout_s)
        self.streams = OpenStreams(settings.websocket_connections, settings.websocket_connections_per_client)

    def _listen_to_names(self, view: CatalogView) -> None:
        view.catalog.resolver.on_unknown = self.missed.add

    async def close(self) -> None:
        await self.missed.write()
        await self.state.close()
        if self._redis is not None:
            await self._redis.aclose()
        if self._shared is not None:
            await self._shared.close()


def shared_responses(settings: ApiSettings) -> SharedResponses | None:
    """Responses shared with other servers through Redis; None without one.

    The namespace separates servers of other code or other limits.
    """
    if not settings.response_cache_url:
        return None
    namespace = f"{code_digest()} {settings.query_limits()} {settings.max_estimates} {settings.max_comparison}"
    return SharedResponses(
        redis_client(settings.response_cache_url),
        namespace,
        ttl_s=settings.response_cache_ttl_s,
        value_bytes=settings.response_cache_value_bytes,
        lease_s=settings.request_timeout_s + 1,
    )


def code_digest() -> str:
    """Hash of the code and constants that make the answers."""
    digest = blake2s(digest_size=16)
    root = Path(__file__).parents[3]
    for room in ("api", "db", "estimator"):
        for path in sorted((root / room).rglob("*")):
            if path.suffix == ".py" or (room == "estimator" and path.suffix == ".json"):
                digest.update(path.read_bytes())
    return digest.hexdigest()
