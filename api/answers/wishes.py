"""A question in one's own words: its budget, people, speed, context, use and size, and the names that remain."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from api.answers.choices.models import ModelKind
from estimator.types import WorkloadKind

_AMOUNT = r"(\d[\d,]*(?:\.\d+)?)\s*(k)?"
_BUDGET = (
    rf"(?:us\s*)?\$\s*{_AMOUNT}\b",
    rf"\b{_AMOUNT}\s*(?:us\s+)?(?:\$|usd\b|dollars?\b|bucks\b)",
    rf"\b(?:usd|budget(?:\s+(?:of|is))?|spend)\s+{_AMOUNT}\b",
)
_CROWD = (
    r"(?:users?|people|persons?|developers?|devs|engineers|employees|colleagues|coworkers|students|customers|seats|"
    r"members|friends)"
)
_PEOPLE = (
    rf"\b{_AMOUNT}\s*(?:\w+\s+)?{_CROWD}\b",
    rf"\b(?:team|office|company|class|group|startup)\s+of\s+{_AMOUNT}\b",
    rf"\b{_AMOUNT}[\s-]*(?:person|people|man|user|developer)?[\s-]*(?:team|office|company|startup)\b",
)
_SPEED = (rf"\b{_AMOUNT}\s*(?:tok(?:en)?s?\s*(?:/|per|a|each)\s*s(?:ec(?:ond)?)?|t/s|tps)\b",)
_CONTEXT = (
    rf"\b{_AMOUNT}\s*(?:tokens?\s+)?(?:of\s+)?(?:context|ctx)\b",
    rf"\b(?:context|ctx)(?:\s+(?:window|length))?(?:\s+of)?\s+{_AMOUNT}(?:\s*tokens?)?\b",
)
_USES = {
    WorkloadKind.AGENTIC_CODING: r"agentic(?:\s+(?:coding|programming))?|(?:coding\s+)?agents?",
    WorkloadKind.CODING: r"coding|code|programming|software\s+development",
    WorkloadKind.CHAT: r"chat(?:ting|bot)?|conversations?|writing",
    WorkloadKind.RAG: r"rag|retrieval|documents?|summari[sz](?:ing|ation)",
    WorkloadKind.REASONING: r"reasoning|math(?:s|ematics)?|thinking",
}
#: A use stands after one of these words, before "model" or "on", or at the end; elsewhere its word may belong to a name.
_BEFORE_USE = r"\b(?:for|to|as|do|doing|about|best|good)\s+(?:(?:a|an|my|our|local|some|the)\s+)*"
_SIZE = (
    r"(?<![\w.-])(\d+(?:\.\d+)?)\s*b(?:illion)?(?:[\s-]*(?:param(?:eter)?s?|models?|llms?|class|moe|dense))*(?![\w-])"
)
_BEST_OF_KIND = (
    (r"\bbest\s+(?:moe|mixture[\s-]of[\s-]experts)\b", ModelKind.MIXTURE_OF_EXPERTS),
    (r"\bbest\s+dense\b", ModelKind.DENSE),
)
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TENS = {"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100}
_COUNTED = {word: number for number, word in enumerate(_NUMBERS)} | _TENS
#: Words of a question that name nothing.
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        """
        what which how can could i we should do does to a an the best good any some my our me us it is are
        be have has want need get buy purchase run runs running use using used serve serves serving host
        hosting work works model models llm llms local locally machine computer hardware setup server with
        on for of at in and or under below within up least most about around from per that this would will
        moe budget spend fast quickly concurrent simultaneous many cheapest card gaming team
        office company startup class group users people developers
        """,
    )
)


@dataclass(frozen=True, slots=True)
class Wish:
    """Conditions of a question, each None where it says nothing of it; ``names`` is the rest without filling words.

    ``size_b`` is a number of weights that stands for no named model, in billions; ``best_of`` is the kind of which the
    best model is asked for.
    """

    names: str
    budget_usd: float | None = None
    people: int | None = None
    decode_tok_s: float | None = None
    context_tokens: int | None = None
    use: WorkloadKind | None = None
    size_b: float | None = None
    best_of: ModelKind | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the text has names alone."""
        conditions = (self.budget_usd, self.people, self.decode_tok_s, self.context_tokens, self.use)
        return all(condition is None for condition in conditions)


class _Text:
    """A text from which conditions are taken out, one after the other."""

    def __init__(self, text: str) -> None:
        self.rest = text

    def take(self, patterns: tuple[str, ...]) -> re.Match[str] | None:
        for pattern in patterns:
            match = re.search(pattern, self.rest, re.IGNORECASE)
            if match:
                self.rest = f"{self.rest[: match.start()]} {self.rest[match.end() :]}"
                return match
        return None

    def amount(self, patterns: tuple[str, ...], thousand: int = 1000) -> float | None:
        match = self.take(patterns)
        return None if match is None else float(match[1].replace(",", "")) * (thousand if match[2] else 1)

    def best_of(self) -> ModelKind | None:
        return next((kind for pattern, kind in _BEST_OF_KIND if self.take((pattern,))), None)

    def use(self) -> WorkloadKind | None:
        for kind, words in _USES.items():
            if self.take(
                (
                    rf"{_BEFORE_USE}(?:{words})\b", rf"\b(?:{words})(?=\s+(?:models?|llms?)\b)", rf"\b(?:{words})\s*$",
                    rf"^\s*(?:{words})(?=\s+(?:on|with)\b)",
                )
            ):  # fmt: skip
                return kind
        return None


def wish_of(text: str, is_name: Callable[[str], bool]) -> Wish:
    """The conditions of a text. One whose rest ``is_name`` says to be a name has no size of its own."""
    left = _Text(_digits(text.strip().rstrip("?!.")))
    budget, speed = left.amount(_BUDGET), left.amount(_SPEED)
    people, context = left.amount(_PEOPLE), left.amount(_CONTEXT, 1024)
    use, best_of = left.use(), left.best_of()
    names = _without_fillers(left.rest)
    size = None
    if not is_name(names):
        shorter = _Text(left.rest)
        match = shorter.take((_SIZE,))
        if match is not None:
            size, names = float(match[1]), _without_fillers(shorter.rest)
    return Wish(
        names,
        budget,
        None if people is None else round(people),
        speed,
        None if context is None else round(context),
        use,
        size,
        best_of,
    )


def _digits(text: str) -> str:
    """Counts that are written as words, in digits, where they stand before a crowd."""
    return re.sub(
        rf"\b({'|'.join(_COUNTED)})\b(?=\s+(?:\w+\s+)?{_CROWD}\b)",
        lambda match: str(_COUNTED[match[1].casefold()]),
        text,
        flags=re.IGNORECASE,
    )


def _without_fillers(text: str) -> str:
    kept = [word.strip(",;:") for word in text.split()]
    return " ".join(word for word in kept if word and word.casefold() not in _FILLERS)
