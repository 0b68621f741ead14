"""One sentence on why a setup stands where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from estimator.sentences import Sentence, SentenceCode

#: Times that differ by less than this factor are called the same.
_SAME_TIME = 1.1


@dataclass(frozen=True, slots=True)
class Standing:
    """A setup as a sentence speaks of it.

    ``plain_of_two``: it could think, and does not. ``rating`` is the lower end of worth, less what time and drawbacks cost:
    ``drawback_points``, for a full memory (``tight``), for weights in host memory (``offloads``) and for an engine that does not
    page.
    """

    model: str
    quant: str
    plain_of_two: bool
    worth: float
    seconds: float
    rating: float
    tight: bool = False
    offloads: bool = False
    drawback_points: float = 0.0

    @property
    def name(self) -> str:
        """The model with its quantization."""
        return f"{self.model} ({self.quant}{', without thinking' if self.plain_of_two else ''})"


def reason(setup: Standing, pick: Standing | None, beaten_by: Standing | None) -> Sentence:
    """Why ``setup`` stands where it stands, beside the pick and the setup that beats it in worth and time."""
    if beaten_by is not None:
        return _beaten(setup, beaten_by)
    if setup == pick:
        thinking = ", without thinking" if setup.plain_of_two else ""
        return Sentence(
            SentenceCode.BEST_FOR_ITS_TIME,
            f"Best answers for their time here: worth {setup.worth:.1f} points in {seconds_text(setup.seconds)}{thinking}.",
            worth_points=setup.worth,
            seconds=setup.seconds,
            without_thinking=setup.plain_of_two,
        )
    assert pick is not None
    gain, longer = setup.worth - pick.worth, setup.seconds / pick.seconds
    values = {"model": pick.model, "points": abs(gain)}
    if gain > 0:
        time = "in the same time" if longer < _SAME_TIME else f"for {_times(longer)} the time"
        text = f"Better than {pick.model} by {gain:.1f} points, {time}."
        return Sentence(SentenceCode.BETTER_AND_SLOWER, text, **values, times=longer)
    text = f"{_beside_time(1 / longer, pick.model)}, for {-gain:.1f} points less."
    return Sentence(SentenceCode.FASTER_AND_WORSE, text, **values, times=1 / longer)


def _beaten(setup: Standing, other: Standing) -> Sentence:
    """The sentence on the setup that beats ``setup``, by how much, and why it is rated lower where it is."""
    gain, faster = other.worth - setup.worth, setup.seconds / other.seconds
    values = {"model": other.model, "quant": other.quant, "without_thinking": other.plain_of_two, "points": gain}
    same_time = faster < _SAME_TIME
    text = f"{other.name} answers {'' if same_time else f'{_times(faster)} '}as fast and {_better(gain)}"
    if other.rating < setup.rating:
        return Sentence(SentenceCode.BEATEN_LESS_SURELY, f"{text}, but {_doubt(setup, other)}.", **values, times=faster)
    if same_time:
        return Sentence(SentenceCode.BEATEN_AT_EQUAL_SPEED, f"{text}.", **values)
    return Sentence(SentenceCode.BEATEN, f"{text}.", **values, times=faster)


def _doubt(setup: Standing, other: Standing) -> str:
    """What makes ``other`` rated lower than ``setup``, although it is better and as fast."""
    if other.tight > setup.tight:
        return "it fills the memory"
    if other.offloads > setup.offloads:
        return "it lies in system memory in part"
    if other.drawback_points > setup.drawback_points:
        return "its engine has no paged memory"
    return "its worth is less certain"


def beside(
    pick: str, seconds: tuple[float, float], lost: tuple[float, float], usd: tuple[float | None, float | None]
) -> str:
    """How a machine for a model compares with the ``pick``; each pair holds the pick's figure and the machine's own."""
    parts = [_beside_time(seconds[0] / seconds[1], pick)]
    gain = lost[0] - lost[1]
    if abs(gain) >= 0.05:
        parts.append(f"{'better' if gain > 0 else 'worse'} by {abs(gain):.1f} points")
    if usd[0] is not None and usd[1] is not None:
        dearer = usd[1] - usd[0]
        parts.append(
            "at the same price" if round(dearer) == 0 else f"for ${abs(dearer):,.0f} {'more' if dearer > 0 else 'less'}"
        )
    return f"{', '.join(parts)}."


def seconds_text(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _beside_time(faster: float, other: str) -> str:
    """The time of an answer beside that of another setup, which takes ``faster`` times as long."""
    if faster <= 1 / _SAME_TIME:
        return f"Takes {_times(1 / faster)} as long as {other}"
    return f"Answers {'' if faster < _SAME_TIME else f'{_times(faster)} '}as fast as {other}"


def _times(factor: float) -> str:
    return f"{factor:.1f} times"


def _better(gain: float) -> str:
    return f"better by {gain:.1f} points" if gain >= 0.05 else "no worse"
