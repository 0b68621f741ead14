"""Words of a name: letters and numbers apart, a quantity with its unit as one word.

"RTX4090" and "rtx-4090" are the words ``rtx 4090``; "Qwen3-30B-A3B" is ``qwen 3 30b a3b``; "16 GB" is ``16gb``. A single letter
before a number is part of it: ``m4``, ``r1``. Numbers are never corrected: a size, a version or a model number is the same or
another one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

Entry = Mapping[str, Any]

_MARKS = re.compile(r"\((?:tm|r|c)\)|[™®©]")
_NUMBER = r"\d+(?:\.\d+)*"
_LETTERS = r"[^\W\d_]+"
_LETTERED = rf"(?<![^\W_])[^\W\d_]{_NUMBER}"
_START = r"(?<![^\W_.])"  # no letter, digit or point before
_GPU_WORD = re.compile(
    rf"{_START}(?P<memory>\d+(?:\.\d+)?)[\s-]*(?:gib|gb|gio|go|g)(?![^\W_])"
    rf"|{_START}(?P<cores>\d+)[\s-]*(?:(?:gpu[\s-]*)?cores?|c)(?![^\W_])"
    rf"|{_START}\d+x(?=\s*(?:lp)?ddr)"  # channels of memory
    r"|(?<![^\W_])(?:imac|mac(?:book(?:pro|air)|mini|pro)?)\d+,\d+"  # Apple's identifier of a model
    rf"|(?P<type>(?:hbm|gddr|lpddr|ddr)\d[a-z]*)"
    rf"|{_LETTERED}|{_NUMBER}|{_LETTERS}"
)
_MODEL_WORD = re.compile(
    rf"{_START}[ae]?{_NUMBER}[bmtk](?![^\W_])|{_START}\d+x\d+(?:\.\d+)?b(?![^\W_])|{_LETTERED}|{_NUMBER}|{_LETTERS}|\+"
)
_SIZE = re.compile(rf"(?:[ae]|\d+x)?{_NUMBER}[bmt]")
#: The "v" of a version, as in "v3.2", says nothing; one after a version, as in "4.5V", stands for vision.
_VERSION = re.compile(r"(?<![^\W_])v(?=\d)")
#: A version with a low line, as in "v1_5"; a GGUF type, as "q4_0", has one too.
_LOW_LINE = re.compile(r"(?<=\d)(?<!q\d)_(?=\d+(?![^\W_]))")
#: "v3p1", "qwen2p5", "0p6b": a provider's letter for the point.
_POINT = re.compile(r"(?<![^\W_])(?P<whole>[a-z]*\d)p(?=\d+[bmt]?(?![^\W_]))")
_TAG_QUANT = re.compile(r"-(?:q\d\w*|fp16|bf16)$")
#: "ds v3", "dsr1": short for DeepSeek.
_DEEPSEEK = re.compile(r"(?<![^\W_])ds(?=[\s_-]?[vr]\d)")
#: "L3.3 70B": short for Llama.
_LLAMA = re.compile(r"(?<![^\W_])l(?=3\.[123](?![\d.]))")
#: "8*7b": experts and their size.
_TIMES = re.compile(r"(?<=\d)\s?[*×]\s?(?=\d+(?:\.\d+)?b(?![^\W_]))")
#: "M3U": short for Ultra.
_ULTRA = re.compile(r"(?<![^\W_])(m\d)u(?![^\W_])")
#: The letter for the digit, as in "3o60".
_LETTER_O = re.compile(r"(?<=\d)o(?=\d|(?![^\W_]))")
_VISION = re.compile(r"(?<=\d)v(?![^\W_])")
_SYNONYMS: Mapping[str, Mapping[str, str]] = {
    "gpu": {"mobile": "laptop", "notebook": "laptop", "ws": "workstation"},
    "model": {"plus": "+", "think": "thinking"},
}
#: Words of product lines that a model number makes needless: "4090" is the RTX 4090.
LINES = frozenset({"rtx", "gtx", "rx"})

#: Words of uses, by which alone no model is called.
USES = frozenset(
    {
        "agent", "agentic", "agents", "assistant", "chat", "code", "coding", "creative", "finance", "instruct", "legal", "math",
        "maths", "medical", "programming", "python", "rag", "reasoning", "retrieval", "roleplay", "rp", "sql", "story",
        "summarization", "summarizer", "thinking", "tool", "tools", "translation", "vision", "writing",
    }
)  # fmt: skip

#: Words that a name may have or lack without being another name.
NOISE: Mapping[str, frozenset[str]] = {
    "gpu": frozenset(
        {
            "nvidia", "amd", "ati", "intel", "apple", "google", "aws", "huawei", "habana", "qualcomm", "geforce", "radeon", "tesla",
            "instinct", "gpu", "graphics", "generation", "card", "video", "series", "vram", "memory", "ram", "rtx", "gtx",
            "rx", "fe", "founders", "corporation", "inc", "the", "oam", "vf", "edition", "mesa", "mac",
        }
    ),
    "model": frozenset(
        {"instruct", "it", "chat", "hf", "base", "latest", "qat", "model", "the", "llm", "language"}
    ),
}  # fmt: skip
#: Who publishes other makers' weights in formats of engines.
PACKERS = (
    "unsloth", "bartowski", "mradermacher", "thebloke", "the bloke", "lmstudio community", "lm studio community", "ggml org",
    "ubergarm", "turboderp", "lonestriker", "maziyarpanahi", "quantfactory", "mudler", "noctrex", "cyankiwi", "redhatai",
    "red hat ai", "neuralmagic", "neural magic",
)  # fmt: skip
#: Words of repositories that hold such weights, which are no part of a model's name: who packed them, and in which format.
OF_FILES = frozenset(
    {
        *(name for name in PACKERS if " " not in name), "lmstudio", "community",
        "mlx", "gguf", "awq", "gptq", "bnb", "exl", "nvfp", "mxfp", "fp", "bf", "bit",
    }
)  # fmt: skip
_VENDOR_WORDS = NOISE["gpu"] - LINES - {"edition", "oam", "vf"}


def words(kind: str, text: str) -> list[str]:
    """Words of a name in their order, lower case, without signs."""
    return list(_words(kind, text))


@lru_cache(maxsize=8192)  # names of the catalog: an index reads each several times
def _words(kind: str, text: str) -> tuple[str, ...]:
    folded = _MARKS.sub(" ", unicodedata.normalize("NFKC", _MARKS.sub(" ", text)).casefold())
    if kind in ("gpu", "computer"):
        numbered = _LETTER_O.sub("0", _ULTRA.sub(r"\1 ultra", folded))
        tokens = [_gpu_word(match) for match in _GPU_WORD.finditer(numbered)]
    else:
        named = _LLAMA.sub("llama ", _DEEPSEEK.sub("deepseek ", _LOW_LINE.sub(".", _POINT.sub(r"\g<whole>.", folded))))
        spelled = _VERSION.sub("", _VISION.sub("vision", _TIMES.sub("x", named)))
        tokens = [_trimmed(match.group()) for match in _MODEL_WORD.finditer(spelled)]
    synonyms = _SYNONYMS.get(kind, {})
    return tuple(word for word in (synonyms.get(word, word) for word in tokens) if word)


def telling(kind: str, known: Iterable[str]) -> frozenset[str]:
    """The words of an entity's name that tell it from others."""
    kept = frozenset(known) - NOISE.get(kind, frozenset())
    return kept if any(word[0].isdigit() or word[-1].isdigit() for word in kept) else kept | (frozenset(known) & LINES)


def _gpu_word(match: re.Match[str]) -> str:
    if match["memory"]:
        return f"{float(match['memory']):g}gb"
    if match["cores"]:
        return f"{match['cores']}core"
    return _trimmed(match.group())


def _trimmed(word: str) -> str:
    """A version without a zero at its end: "4.0" is "4"."""
    return word.removesuffix(".0") if word.endswith(".0") else word


def key(kind: str, text: str) -> str:
    """The comparison form of a whole name: its words without gaps; of an accelerator without vendor words."""
    kept = words(kind, text)
    if kind == "gpu":
        return "".join(word for word in kept if word not in _VENDOR_WORDS)
    joined = "".join(kept)
    return joined.replace(".", "") if kind == "quant" else joined


def is_quantity(word: str) -> bool:
    """Whether a word is an amount of memory or of cores, which names nothing by itself."""
    return word[0].isdigit() and word.endswith(("gb", "core"))


def joined_numbers(pair: Sequence[str]) -> Iterator[str]:
    """What two numbers side by side may be: a version with a gap for its point, or a date, as "07 25" for 2507."""
    if len(pair) == 2 and pair[0][-1].isdigit() and pair[1].isdigit():
        yield ".".join(pair)
        if pair[0].isdigit() and [*map(len, pair)] == [2, 2]:
            yield from (pair[0] + pair[1], pair[1] + pair[0])


def named_but_for_size(names: Mapping[str, list[str]], asked: list[str]) -> tuple[str, ...]:
    """The one of several models of whose name a text leaves out the size alone ("70b", "a3b", "8x7b"), where it leaves out
    letters of each other one's name."""
    lacking = {slug: {*known} - {*asked} - NOISE["model"] for slug, known in names.items()}
    sized = tuple(slug for slug, rest in lacking.items() if all(map(_SIZE.fullmatch, rest)))
    others = (rest for slug, rest in lacking.items() if slug not in sized)
    return sized if len(sized) == 1 and all(any(map(str.isalpha, rest)) for rest in others) else ()


def own_names(kind: str, entry: Entry) -> list[str]:
    """Names that belong to an entity without question: its slug, display name, repository, tag and file type."""
    names = [entry["slug"], entry["name"]]
    if kind == "model":
        repository = str(entry.get("hf_repo") or "")
        names += [repository, repository.rsplit("/", 1)[-1]] if repository else []
    return [str(name) for name in names]


def tags(kind: str, entry: Entry) -> list[str]:
    """Names that a registry gives to an entity, without quantization; two entities may have had the same one."""
    tag = _TAG_QUANT.sub("", str(entry.get("ollama_tag") or "")) if kind == "model" else ""
    return [tag] if tag else []


def beside(kind: str, entry: Entry) -> frozenset[str]:
    """Words that may stand beside an entity's name because they are facts of it: publisher, size, memory, architecture, maker."""
    if kind == "model":
        owner = str(entry.get("hf_repo") or "").split("/")[0]
        facts = [owner, str(entry.get("publisher") or ""), "moe" if entry.get("moe") else "dense"]
        if total := entry.get("params_total_b"):
            facts.append(f"{total:.0f}b" if total < 1000 else f"{total / 1000:.0f}t {total:.0f}b")
        return frozenset(words(kind, " ".join(facts)))
    if kind == "gpu":
        facts = [str(entry.get("architecture") or "").split("(")[0], str(entry.get("memory_type") or "")]
        if entry.get("memory_gb") is not None:
            facts.append(f"{entry['memory_gb']:g} GB")
        if entry.get("kind") in ("consumer", "workstation"):
            facts.append(f"desktop {entry['kind']}")
        if entry.get("kind") in ("integrated", "soc"):
            facts.append("laptop")
        return frozenset(words(kind, " ".join(facts)))
    return frozenset(words(kind, str(entry["maker"]))) if kind == "computer" else frozenset()
