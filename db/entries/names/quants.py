"""Names of quantizations: one name may mean a file of each format, and the engine decides which.

"BF16" is a GGUF file for llama.cpp and the checkpoint itself for vLLM; "8-bit" is MLX's on MLX. A number of bits alone is
taken as the usual type of so many, which is said with the others. A name that no quantization has is refused with those
nearest to it and never read as another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from db.entries.names.meanings import AliasClash, Meaning, UnknownNameError, shortened, taken_as
from db.entries.names.measured import measured_mixes
from db.entries.names.refusals import refusal
from db.entries.names.texts.spelling import MAX_NAME_CHARACTERS, MAX_SUGGESTIONS, near_names
from db.entries.names.texts.words import Entry, key
from estimator.sentences import Sentence

#: Words that people write around the name of a quantization: the kind of file, an importance matrix (``i1-``, ``-imat``) and
#: training for the type (``-qat``), which change no size, and the file's own name before it.
_KIND_OF_FILE = re.compile(
    r"^(?:gguf[-_: ]+|unsloth[-_: ]+(?=i?q\d|tq\d)|i1[-_]|imat(?:rix)?[-_ ]+|qat[-_ ]+)|[-_:. ]+(?:gguf|imat|imatrix|qat)$",
    re.IGNORECASE,
)
#: Unsloth's recipes, by words instead of their ``UD-``.
_DYNAMIC = re.compile(r"^(?:unsloth[-_: ]+)?(?:ud|dynamic)(?:[-_ ]+v?2(?:\.0)?)?[-_: ]+(?=i?q\d|tq\d)", re.IGNORECASE)
_FILE_NAME = re.compile(r"^.*?[-.](?P<name>(?:UD-)?[A-Z]+\d*(?:_[A-Z0-9]+)*)(?:-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)
#: Formats in the order of preference where no engine is stated; any other comes after them.
_FORMATS = (
    "gguf", "safetensors", "fp8", "nvfp4", "mxfp4", "fp8-fp4", "awq", "gptq", "int8", "bitsandbytes", "mlx", "exl3", "exl2",
    "ik-gguf",
)  # fmt: skip
_GGUF = ("gguf", "ik-gguf")
#: A number of bits without a type, as in "Q4" and "4-bit", or with a part of one, as "IQ3" and "1.58bit".
_LEVEL = re.compile(r"(?P<letters>i?q)?(?P<bits>\d{1,2}(?:\.\d+)?)(?P<unit>[\s_-]*(?:bits?|bpw))?$", re.I)
#: Formats that are made with any number of bits, so that their names alone state none.
_OF_ANY_BITS = ("exl2", "exl3")
_OF_LEVEL = {
    "q": ("q{}-k-m", "q{}-k", "q{}-k-s", "q{}-k-l", "q{}-0", "q{}-1"),
    "iq": ("iq{}-m", "iq{}-xs", "iq{}-s", "iq{}-xxs", "iq{}-nl"),
    "": ("q{}-k-m", "q{}-k", "q{}-0", "awq-int{}", "gptq-int{}", "mlx-{}bit", "bnb-int{}", "exl3-{}bpw"),
    "bpw": ("exl2-{}bpw", "exl3-{}bpw"),
}


def _preference(format: str) -> int:
    return _FORMATS.index(format) if format in _FORMATS else len(_FORMATS)


class QuantNames:
    """Resolves names of quantizations to slugs."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.clashes: list[AliasClash] = []
        self._entries = entries
        self._slugs: dict[str, list[str]] = {}
        for strength in (_own_names, _listed_names):
            for slug, entry in sorted(entries.items(), key=lambda item: _preference(item[1]["format"])):
                for name in strength(entry):
                    self._claim(name, slug)

    def _claim(self, name: str, slug: str) -> None:
        slugs = self._slugs.setdefault(key("quant", name), [])
        same = next((other for other in slugs if self._format(other) == self._format(slug)), slug)
        if same != slug:
            self.clashes.append(AliasClash(name, same, slug))
        elif slug not in slugs:
            slugs.append(slug)

    def _format(self, slug: str) -> str:
        return str(self._entries[slug]["format"])

    def exact(self, text: str, *, checkpoint: bool = False) -> str | None:
        """Slug of the quantization with exactly this name; None when none has it.

        ``checkpoint``: of several formats that share the name, one that is no GGUF file.
        """
        slugs = self._slugs.get(key("quant", text)) if len(text) <= MAX_NAME_CHARACTERS else None
        if not slugs or text.casefold() in _OF_ANY_BITS or (not checkpoint and _is_bits(text)):
            return None
        return next((slug for slug in slugs if not checkpoint or self._format(slug) not in _GGUF), slugs[0])

    def meaning(self, text: str, formats: Collection[str], root: Path) -> Meaning:
        """The quantization called ``text``, of one of ``formats`` where several have the name, or of the bits that it states.

        Raises:
            UnknownNameError: none is called so; with what the catalog below ``root`` says of such names.
        """
        try:
            return Meaning(self.resolve(text, formats))
        except UnknownNameError as error:
            if slugs := self.of_level(text, formats):
                return Meaning(slugs[0], (self.taken(text, slugs),), slugs[1:])
            if said := measured_mixes(root / "quality").get(key("quant", text)):
                reason = f"no recipe of {shortened(text)!r} is known: {said}"
                raise UnknownNameError("quant", text, error.suggestions, reason) from error
            if refused := refusal(root / "refusals.jsonl", "quant", text):
                raise UnknownNameError("quant", text, refused.nearest, refused.sentence) from error
            raise

    def of_level(self, text: str, formats: Collection[str] = ()) -> tuple[str, ...]:
        """Slugs of the quantizations that "Q4", "IQ3", "4-bit" or "EXL3" may be, the usual one first, of ``formats`` where there is
        one; none where the text is no number of bits."""
        format_, level = text.strip().casefold(), _LEVEL.match(text.strip())
        if format_ in _OF_ANY_BITS:
            of_format = (slug for slug in self._entries if self._format(slug) == format_)
            return tuple(dict.fromkeys((*self._slugs.get(format_, ()), *of_format)))
        if level is None or not (level["letters"] or level["unit"]):
            return ()
        is_bpw = not level["letters"] and level["unit"].casefold().endswith("bpw")
        forms = _OF_LEVEL["bpw" if is_bpw else (level["letters"] or "").casefold()]
        bits = level["bits"].removesuffix(".0").replace(".", "-") if is_bpw else level["bits"]
        slugs = [slug for slug in (form.format(bits) for form in forms) if slug in self._entries]
        return tuple(sorted(slugs, key=lambda slug: bool(formats) and self._format(slug) not in formats))

    def is_part(self, piece: str) -> bool:
        """Whether a piece of a text is the first one of a quantization's name."""
        level = _LEVEL.match(piece)
        return self.exact(piece) is not None or bool(self.of_level(piece) or (level and level["unit"]))

    def taken(self, text: str, slugs: Sequence[str]) -> Sentence:
        """The sentence on the first of several quantizations that a text may be."""
        return taken_as(text, str(self._entries[slugs[0]]["name"]), slugs[1:])

    def resolve(self, text: str, formats: Collection[str] | None = None) -> str:
        """Slug of the quantization called ``text``, of one of ``formats`` where it is there in several.

        Raises:
            UnknownNameError: none is called so; with the nearest names.
        """
        for name in _readings(text):
            slugs = self._slugs.get(key("quant", name), [])
            loaded = [slug for slug in slugs if formats and self._format(slug) in formats]
            if loaded or (slugs and name.casefold() not in _OF_ANY_BITS and not _is_bits(name)):
                return (loaded or slugs)[0]
        raise UnknownNameError("quant", text, self.nearest(text))

    def nearest(self, text: str) -> tuple[str, ...]:
        """Display names of the quantizations nearest to ``text``, at most five: by bits where it is a number of them, else
        those that share most letter triples with it."""
        if _is_bits(text) and (level := _LEVEL.match(text.strip())):
            near = sorted(self._entries.values(), key=lambda entry: abs(entry["nominal_bits"] - float(level["bits"])))
            return tuple(str(entry["name"]) for entry in near[:MAX_SUGGESTIONS])
        shown = {
            name: str(entry["name"])
            for entry in self._entries.values()
            for name in (*_listed_names(entry), str(entry["name"]))
        }
        return tuple(dict.fromkeys(shown[name] for name in near_names("quant", text, shown)))


def _is_bits(text: str) -> bool:
    """Whether a text is a number of bits, which a quantization of each format may have."""
    level = _LEVEL.match(text.strip())
    return level is not None and level["letters"] is None and level["unit"] is not None


def _own_names(entry: Entry) -> list[str]:
    return [str(entry[key]) for key in ("slug", "name", "file_type") if entry.get(key)]


def _listed_names(entry: Entry) -> list[str]:
    return [str(alias) for alias in entry.get("aliases") or ()]


def _readings(text: str) -> Iterator[str]:
    if len(text) > MAX_NAME_CHARACTERS:
        return
    yield text
    yield _KIND_OF_FILE.sub("", text.strip())
    yield _DYNAMIC.sub("UD-", text.strip())
    if (file := _FILE_NAME.match(text.strip())) is not None:
        yield file["name"]
