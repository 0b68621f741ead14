"""A capability as JSON and as text."""

from __future__ import annotations

from typing import Any

from api.answers.choices.judged import Judgement, Worth
from estimator.judgement.capability import Capability, CapabilityEvidence

_MARKS = {"MEASURED": "", "INHERITED": "°", "PREDICTED": "~"}


def capability_json(capability: Capability) -> dict[str, Any]:
    """Value, interval of 80 % and evidence."""
    return {
        "value": capability.value,
        "low": capability.low,
        "high": capability.high,
        "evidence": capability.evidence.value,
    }


def capability_text(capability: Capability) -> str:
    """Value and interval, marked where there is no own result."""
    return _text(capability, capability.evidence)


def worth_text(judgement: Judgement) -> str:
    """What the quantization leaves of the capability, marked alike."""
    return _text(judgement.worth, judgement.capability.evidence)


def _text(points: Capability | Worth, evidence: CapabilityEvidence) -> str:
    return f"{points.value:.0f} ({points.low:.0f}-{points.high:.0f}){_MARKS[evidence.value]}"
