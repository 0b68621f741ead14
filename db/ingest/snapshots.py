"""The statements of one source, as read: a configuration or GGUF header, the checkpoint's count, and the card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from db.imports.gguf.facts import GgufFacts


class SourceError(ValueError):
    """A source cannot be read; the message says what is wrong and what is allowed."""


class UnreachedError(SourceError):
    """A source was not read, which says nothing of it: no client, no answer of the hub, or no such name."""


@dataclass(frozen=True, slots=True)
class CheckpointCount:
    """Parameters of a checkpoint, and where the number was read."""

    parameters: int
    read_from: str


@dataclass(frozen=True, slots=True)
class Card:
    """A repository's statements of itself. ``created`` is the day on which the repository was created, which is no release;
    ``downloads`` are those of the last 30 days."""

    license: str | None = None
    base_models: tuple[str, ...] = ()
    created: str | None = None
    downloads: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One source. ``revision`` is the hash of the commit that was read, None for local files.

    ``unread`` says why there is neither a configuration nor a GGUF header. ``is_gguf_only`` marks a repository that holds
    GGUF files and no configuration. ``is_unreached`` marks a source of which nothing is known, so that another import asks
    for it again.
    """

    source: str
    repository: str | None = None
    revision: str | None = None
    config: Mapping[str, Any] | None = field(default=None, repr=False)
    gguf: GgufFacts | None = field(default=None, repr=False)
    checkpoint: CheckpointCount | None = None
    card: Card = Card()
    unread: str | None = None
    is_gguf_only: bool = False
    is_unreached: bool = False
