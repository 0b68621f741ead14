"""Bearer tokens of operators: kept as SHA-256 hashes in the settings, compared in constant time, with scopes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from api.errors import ApiError, ErrorCode


class Scope(StrEnum):
    """Operations that a token allows."""

    CATALOG = "catalog"
    RUNS = "runs"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Operator:
    """The holder of a token."""

    name: str
    scopes: frozenset[Scope]


class Operators:
    """Operators by the hash of their token.

    Each setting is ``name:scope+scope:sha256`` with the hexadecimal hash of the token. Raises ValueError for another
    form, with what is wrong.
    """

    def __init__(self, settings: Sequence[str]) -> None:
        self._known = [_operator(setting) for setting in settings]

    def find(self, token: str | None) -> Operator | None:
        """The operator of a token; None for none or an unknown one."""
        holder: Operator | None = None
        if token is not None:
            digest = token_hash(token)
            for operator, known in self._known:
                # Every hash is compared, so that the time tells nothing about which one matches.
                if hmac.compare_digest(digest, known):
                    holder = operator
        return holder

    def require(self, token: str | None, scope: Scope) -> Operator:
        """The operator of a token with a scope. Raises ``UNAUTHENTICATED`` or ``FORBIDDEN``."""
        holder = self.find(token)
        if holder is None:
            raise ApiError(
                ErrorCode.UNAUTHENTICATED, "This operation needs a valid bearer token in the Authorization header."
            )
        if scope not in holder.scopes:
            raise ApiError(
                ErrorCode.FORBIDDEN, f"The token of {holder.name} lacks the scope {scope.value!r}.", scope=scope.value
            )
        return holder


def token_hash(token: str) -> str:
    """SHA-256 of a token, hexadecimal. Tokens are random, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(name: str, scopes: Sequence[Scope] = tuple(Scope)) -> tuple[str, str]:
    """A fresh token, and the setting that lets it in."""
    token = secrets.token_urlsafe(32)
    return token, f"{name}:{'+'.join(scope.value for scope in scopes)}:{token_hash(token)}"


def _operator(setting: str) -> tuple[Operator, str]:
    parts = setting.split(":")
    if len(parts) != 3 or not parts[0] or len(parts[2]) != 64:
        raise ValueError("a token setting is name:scope+scope:sha256, with the hash as 64 hexadecimal digits")
    known = {scope.value for scope in Scope}
    unknown = [scope for scope in parts[1].split("+") if scope not in known]
    if unknown:
        raise ValueError(f"token of {parts[0]}: {unknown[0]!r} is no scope; there are {', '.join(sorted(known))}")
    return Operator(parts[0], frozenset(Scope(scope) for scope in parts[1].split("+"))), parts[2].lower()
