"""Repositories of the Hugging Face hub, through the hub's own client, which is the extra ``fitgraph[hub]``.

The client's own environment variables hold: ``HF_ENDPOINT`` (another server of the same interface), ``HF_TOKEN``,
``HF_HOME`` (its cache). A repository costs two requests: its metadata, and its ``config.json``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from db.imports.errors import ImportFactsError
from db.imports.hub.config import MAX_CONFIG_BYTES, config_of_text
from db.ingest.snapshots import Card, CheckpointCount, Snapshot, SourceError, UnreachedError


class Hub:
    """Reads repositories and lists of them. ``endpoint`` and ``cache`` replace the client's own.

    Raises:
        UnreachedError: the client is not installed.
    """

    def __init__(self, endpoint: str | None = None, cache: Path | None = None) -> None:
        if find_spec("huggingface_hub") is None:
            raise UnreachedError(
                "repositories are read with the hub's own client, which is not installed: "
                "pip install 'fitgraph[hub]'; local files need no client"
            )
        from huggingface_hub import HfApi

        self._api = HfApi(endpoint=endpoint, library_name="fitgraph")
        self._cache = cache

    def snapshot(self, repository: str) -> Snapshot:
        """The newest commit of a repository.

        Raises:
            SourceError: there is no such repository, it is closed to this token, or the hub does not answer.
        """
        info = self._asked(lambda: self._api.model_info(repository), repository)
        files = {str(sibling.rfilename) for sibling in info.siblings or ()}
        facts = {"repository": str(info.id), "revision": info.sha, "card": card_of(info), "checkpoint": count_of(info)}
        if "config.json" not in files:
            is_gguf = any(file.endswith(".gguf") for file in files)
            unread = "it holds GGUF files and no config.json" if is_gguf else "it has no config.json"
            return Snapshot(repository, **facts, unread=unread, is_gguf_only=is_gguf)
        place = self._asked(
            lambda: self._api.hf_hub_download(repository, "config.json", revision=info.sha, cache_dir=self._cache),
            repository,
        )
        with Path(place).open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
        try:
            return Snapshot(repository, **facts, config=config_of_text(text))
        except ImportFactsError as error:
            return Snapshot(repository, **facts, unread=str(error))

    def newest_of(self, publisher: str, limit: int) -> Iterator[str]:
        """Names of a publisher's text generators, newest first."""
        infos = self._asked(
            lambda: list(self._api.list_models(author=publisher, sort="created_at", limit=limit)), publisher
        )
        yield from (str(info.id) for info in infos if info.pipeline_tag in GENERATORS)

    def top(self, limit: int) -> Iterator[str]:
        """Names of the text generators that are downloaded most."""
        infos = self._asked(
            lambda: list(self._api.list_models(filter="text-generation", sort="downloads", limit=limit)), "the chart"
        )
        yield from (str(info.id) for info in infos)

    @staticmethod
    def _asked(ask: Any, source: str) -> Any:
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )

        try:
            return ask()
        except RepositoryNotFoundError:
            raise SourceError(f"{source}: the hub has no such repository, or it is closed to this token") from None
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise UnreachedError(f"{source}: {' '.join(str(error).split())[:300]}") from None
        except Exception as error:
            # The client's HTTP library differs by its version; each has this class.
            if "TransportError" not in {kind.__name__ for kind in type(error).__mro__}:
                raise
            raise UnreachedError(f"{source}: the hub was not reached ({' '.join(str(error).split())[:300]})") from None


#: Tasks of models that generate text, as the hub names them.
GENERATORS = frozenset({"text-generation", "image-text-to-text", "any-to-any", "audio-text-to-text"})


def card_of(info: Any) -> Card:
    """Licence, base models, day of creation and downloads of a repository's metadata."""
    stated = info.card_data.to_dict() if info.card_data is not None else {}
    bases = stated.get("base_model") or ()
    license_ = stated.get("license")
    if license_ == "other" and stated.get("license_name"):
        license_ = stated["license_name"]
    return Card(
        license=license_ if isinstance(license_, str) and license_ else None,
        base_models=(bases,) if isinstance(bases, str) else tuple(str(base) for base in bases),
        created=None if info.created_at is None else info.created_at.date().isoformat(),
        downloads=info.downloads,
    )


def count_of(info: Any) -> CheckpointCount | None:
    """The count of elements that the hub read from the headers of a checkpoint's files."""
    sizes = info.safetensors
    return None if sizes is None else CheckpointCount(int(sizes.total), "the hub's count of the safetensors files")
