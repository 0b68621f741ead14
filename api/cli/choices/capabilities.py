"""A capability as JSON and as text."""

from __future__ import annotations

from typing import Any

from estimator.judgement.capability import Capability

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
    return f"{capability.value:.0f} ({capability.low:.0f}-{capability.high:.0f}){_MARKS[capability.evidence.value]}"
