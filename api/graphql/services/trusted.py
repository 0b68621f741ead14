"""Trusted documents: the operations of known clients, by the ids that their build gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class TrustedDocuments:
    """Documents by id; ``only`` refuses every other document."""

    by_id: Mapping[str, str] = field(default_factory=dict)
    only: bool = False

    def text(self, document_id: str) -> str | None:
        """The document of an id, with or without `sha256:` before it; None for an unknown one."""
        return self.by_id.get(document_id) or self.by_id.get(document_id.removeprefix(_PREFIX))

    @property
    def allowed(self) -> frozenset[str] | None:
        """Texts that may be run; None for all."""
        return frozenset(self.by_id.values()) if self.only else None


def read_trusted(path: Path | None, *, only: bool) -> TrustedDocuments:
    """Read a manifest: a JSON object of ids and documents, as GraphQL Code Generator writes ``persisted-documents.json``.

    Raises ValueError for a file of another form, and where nothing but trusted documents is to run and there are none.
    """
    if path is None:
        if only:
            raise ValueError(
                "FITGRAPH_TRUSTED_ONLY needs FITGRAPH_TRUSTED_DOCUMENTS: without it no document would run."
            )
        return TrustedDocuments()
    manifest = orjson.loads(path.read_bytes())
    if not isinstance(manifest, dict) or not all(isinstance(text, str) for text in manifest.values()):
        raise ValueError(f"{path} must be a JSON object of document ids and documents.")
    return TrustedDocuments(manifest, only)
