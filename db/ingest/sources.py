"""Sources as an operator names them: hub ids, local files and folders, and lists of either."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from db.ingest.hub import Hub
from db.ingest.local import is_local, read_local
from db.ingest.snapshots import CheckpointCount, Snapshot, SourceError, UnreachedError

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
#: What a browser shows around a repository's name.
_ADDRESS = re.compile(r"^(?:https?://)?(?:huggingface\.co|hf\.co)/|(?:/tree/\w+)?/?$")
_LISTS = (".txt", ".jsonl", ".list")
_KEYS = frozenset({"source", "repository", "parameters"})


@dataclass(frozen=True, slots=True)
class Source:
    """One source. ``repository`` and ``parameters`` (the checkpoint's count) are what a list states beside it; ``fault`` says
    why the name or line is no source."""

    place: str
    repository: str | None = None
    parameters: int | None = None
    fault: str | None = None

    @property
    def is_repository(self) -> bool:
        return self.fault is None and not is_local(self.place)


def sources_of(names: Iterable[str]) -> Iterator[Source]:
    """The sources that ``names`` stand for; a list file gives one a line."""
    for name in names:
        path = Path(name)
        if path.suffix in _LISTS and path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(map(str.strip, lines), start=1):
                if line and not line.startswith("#"):
                    yield _source(line, f"{name}, line {number}")
        else:
            yield _source(name)


def _source(text: str, place: str | None = None) -> Source:
    try:
        return _of_name(text) if place is None else _of_line(text, place)
    except SourceError as error:
        return Source(text, fault=str(error))


def _of_line(line: str, place: str) -> Source:
    if not line.startswith("{"):
        return _of_name(line, place)
    try:
        stated = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise SourceError(f"{place}: not valid JSON ({error})") from None
    parameters = stated.get("parameters")
    if not isinstance(stated.get("source"), str) or set(stated) - _KEYS:
        raise SourceError(f"{place}: an object has the keys {', '.join(sorted(_KEYS))}; 'source' is needed")
    if parameters is not None and (type(parameters) is not int or parameters < 1):
        raise SourceError(f"{place}: 'parameters' is a count of the checkpoint's parameters, not {parameters!r:.40}")
    return replace(_of_name(stated["source"], place), repository=stated.get("repository"), parameters=parameters)


def _of_name(name: str, place: str | None = None) -> Source:
    if is_local(name):
        return Source(name)
    if REPOSITORY.fullmatch(repository := _ADDRESS.sub("", name)):
        return Source(repository)
    where = "" if place is None else f"{place}: "
    raise SourceError(f"{where}{name!r:.200} is no file or folder that is there, and no repository (org/name)")


def read_source(source: Source, hub: Hub | None = None) -> Snapshot:
    """The snapshot of a source; ``hub`` reads repositories, a new client by default. Raises :class:`SourceError`."""
    if source.fault is not None:
        raise UnreachedError(source.fault)
    if source.is_repository:
        return (hub or Hub()).snapshot(source.place)
    snapshot = read_local(source.place)
    if source.repository is not None:
        snapshot = replace(snapshot, repository=source.repository)
    if source.parameters is not None:
        snapshot = replace(snapshot, checkpoint=CheckpointCount(source.parameters, "the list of sources"))
    return snapshot
