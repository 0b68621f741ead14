"""A pairing in words for the command line: verdict, what limits it, what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.answers.advised import options_of_catalog
from api.answers.pairing import Pairing
from db.entries.files import Catalog
from estimator.advice import explain
from estimator.advice.breakdown import terms
from estimator.advice.changes import advice, some_quant_runs
from estimator.advice.explain import Limit
from estimator.advice.search import Advice
from estimator.calibration.coefficients import Calibration


@dataclass(frozen=True, slots=True)
class Explained:
    """Texts of the chosen answer of a pairing."""

    headline: str
    summary: str
    capacity: str
    limits: tuple[Limit, ...]
    advice: tuple[Advice, ...]

    def to_json(self) -> dict[str, Any]:
        """As keys of the documented output object; gains are changed less present, null where one does not run."""
        return {
            "headline": self.headline,
            "summary": self.summary,
            "capacity_message": self.capacity,
            "limits": [
                {"code": limit.code.value, "share": round(limit.share, 4), "message": limit.message}
                for limit in self.limits
            ],
            "advice": [
                {
                    "code": advice.code.value,
                    "message": advice.message,
                    "gain": {
                        "status_after": advice.gain.status_after.value,
                        "decode_tok_s": advice.gain.decode_tok_s,
                        "ttft_ms": advice.gain.ttft_ms,
                        "safe_context_tokens": advice.gain.safe_context_tokens,
                        "headroom_bytes": advice.gain.headroom_bytes,
                        "score": round(advice.gain.score, 2),
                        "rating_points": advice.gain.rating_points,
                    },
                }
                for advice in self.advice
            ],
        }


def explained(pairing: Pairing, catalog: Catalog, calibration: Calibration) -> Explained:
    """The chosen answer of a pairing in words; advised is what the catalog has."""
    facts = pairing.facts
    times = terms(facts.model, facts.request, calibration, facts.workload)
    options = options_of_catalog(catalog, facts, pairing.quants)
    return Explained(
        explain.headline(facts),
        explain.summary(facts, times),
        explain.capacity_message(
            facts, times, some_quant_runs=facts.runs or some_quant_runs(facts, calibration, options)
        ),
        explain.limits(facts, times),
        advice(facts, calibration, options),
    )
