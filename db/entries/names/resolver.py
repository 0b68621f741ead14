"""One resolver for the command line, the API, the pages and batches: a text as people type it -> a :class:`Meaning`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from weakref import proxy

from db.entries.names.finder import NameFinder
from db.entries.names.held import HeldNames, card_in_title
from db.entries.names.meanings import AmbiguousNameError, Meaning, UnknownNameError, not_read, taken_as
from db.entries.names.processors import without_memory
from db.entries.names.refusals import WHY, refusal
from db.entries.names.texts.readings import AROUND, ON_GPU, gpu_readings, named_in_command
from db.entries.names.texts.remarks import INTEGRATED, set_off, totals, without_remarks
from db.entries.names.texts.spelling import MAX_NAME_CHARACTERS
from db.entries.names.texts.words import Entry

_KEPT = 4096
_IN_LAPTOPS = ("laptop", "integrated")


class Resolver(NameFinder):
    """Names of all kinds of one catalog, and texts that hold a name among other words.

    ``entries`` maps kind -> slug -> entry. The lists of derivatives and processors below ``root`` are read when a name is
    asked for that no entity has.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, Entry]], root: Path) -> None:
        super().__init__(entries, root)
        # A resolver that nobody uses goes at once, and does not wait for the garbage collector.
        this: Resolver = proxy(self)
        self._kept = lru_cache(maxsize=_KEPT)(lambda kind, text: this._meaning(kind, text))
        #: Told the kind and text of each name that no entity has.
        self.on_unknown: Callable[[str, str], None] | None = None

    def meaning(self, kind: str, text: str, engine: str | None = None) -> Meaning:
        """The entity of ``kind`` that ``text`` names, with the count or quantization that the text states.

        ``engine`` decides which file a quantization's name means that several formats share.

        Raises:
            UnknownNameError: no entity has the name; with the nearest names.
            AmbiguousNameError: several have it, and no rule prefers one.
        """
        if kind == "quant":
            return self._quants.meaning(text, self._formats_of(engine), self._root)
        if text in self._entries[kind]:
            return Meaning(text)
        if len(text) > MAX_NAME_CHARACTERS:
            raise UnknownNameError(kind, text)
        try:
            return self._kept(kind, text)
        except UnknownNameError as error:
            if self.on_unknown is not None and not isinstance(error, AmbiguousNameError):
                self.on_unknown(kind, text)
            raise

    def _formats_of(self, engine: str | None) -> frozenset[str]:
        rules = self._entries["engine"].get(engine or "", {}).get("rules", ())
        return frozenset(format_ for rule in rules for format_ in rule["formats"])

    def _meaning(self, kind: str, text: str) -> Meaning:
        """The meaning of the text, or of the name in it where only words around it keep it from being one."""
        try:
            return super()._meaning(kind, text)
        except UnknownNameError as error:
            why, is_refused = error, error.reason is not None and WHY["configurations"] not in error.reason
            if is_refused and kind != "model":
                raise
            # A name that is refused may begin with that of another model: words around it are no part of either.
            named = named_in_command(text) if kind == "model" else text
            around = [] if is_refused else set_off(kind, named)
            for bare, parts in (*(way for way in without_remarks(kind, named) if way[1] or not is_refused), *around):
                try:
                    meaning = self._bare(kind, text, bare)
                except UnknownNameError as refused:
                    why, meaning = why if is_refused else refused, None
                    if isinstance(why, AmbiguousNameError):
                        raise
                if meaning is not None and not self._contradicts(kind, text, meaning, parts):
                    return replace(meaning, notes=(*meaning.notes, *not_read(text, parts)))
            if kind == "model" and (meaning := self._before_gpu(text)) is not None:
                return meaning
            if why.reason is None and kind in self._held and (held := self._held[kind].meaning(text)) is not None:
                return held
            raise why from None

    @cached_property
    def _held(self) -> dict[str, HeldNames]:
        models, gpus = self._entries["model"], self._entries["gpu"]
        held = HeldNames(self._index("model"), models, self._quants.is_part, self._root / "derivatives")
        return {"model": held, "gpu": HeldNames(self._index("gpu"), gpus)}

    def _before_gpu(self, text: str) -> Meaning | None:
        """The model in a text that names an accelerator behind it, as "Qwen3 8B on 2x 3090"."""
        for match in ON_GPU.finditer(text):
            model, gpu = text[: match.start()], text[match.end() :]
            try:
                with suppress(AmbiguousNameError):
                    self._kept("gpu", gpu)
                meaning = self._kept("model", model)
            except UnknownNameError:
                continue
            return replace(meaning, notes=(*meaning.notes, *not_read(text, [gpu])))
        return None

    def _contradicts(self, kind: str, text: str, meaning: Meaning, parts: Sequence[str]) -> bool:
        """Whether a text states memory beside that which an accelerator shares, or graphics where it is a processor."""
        entry = self._entries[kind][meaning.slug]
        is_shared = bool(parts and entry.get("unified_memory")) and entry["memory_gb"] is not None
        is_other = any(total != (meaning.count or 1) * (entry.get("memory_gb") or 0) for total in totals(parts))
        return is_shared or is_other or (entry.get("kind") == "cpu" and INTEGRATED.search(text) is not None)

    def _bare(self, kind: str, text: str, bare: str) -> Meaning | None:
        """The meaning of a text without words around it; None where it is not known so either."""
        refused: UnknownNameError | None = None
        if bare not in ("", text):
            try:
                return self._meaning_of(kind, text, list(self._readings(kind, bare)))
            except AmbiguousNameError:
                raise
            except UnknownNameError as error:
                refused = error
        card = self._titled(text, bare) if kind == "gpu" else None
        if card is None and refused and refused.reason is not None:
            raise refused
        return card

    def _titled(self, text: str, bare: str) -> Meaning | None:
        """The card in a title of a shop or the name of a computer; an amount beside its processor may be the system's."""
        title, is_laptop = card_in_title(bare, self._index("gpu"))
        head = bare.partition(title.partition(" ")[0])[0] if title else ""
        if without_memory(title) != title and self._processors.knows(head):
            meaning = self._index("gpu").find(without_memory(title), said=text)
            if meaning is not None and not self._index("gpu").fits(title):
                amounts = [token for token in title.split() if token not in without_memory(title).split()]
                return replace(meaning, notes=(*meaning.notes, *not_read(text, [head.strip(), *amounts])))
        for name in (f"{title} laptop", title) if is_laptop and title else (title,):
            for reading in gpu_readings(name) if name else ():
                try:
                    meaning = self._found("gpu", text, reading)
                except AmbiguousNameError:
                    return None
                if meaning is not None and (not is_laptop or self._entries["gpu"][meaning.slug]["kind"] in _IN_LAPTOPS):
                    taken = taken_as(text, str(self._entries["gpu"][meaning.slug]["name"]))
                    return self._completed(text, replace(meaning, notes=meaning.notes or (taken,)), reading)
        return self._at_end(text, bare)

    def _at_end(self, text: str, bare: str) -> Meaning | None:
        """The processor, or the accelerator, at the end of a text, behind a computer by its maker or line."""
        is_made = AROUND.match(bare) or bare.partition(" ")[0].casefold() in self._computers.makers
        is_line = is_made or refusal(self._root / "refusals.jsonl", "gpu", bare) is not None
        return self._processors.at_end(text, bare) if is_line else None
