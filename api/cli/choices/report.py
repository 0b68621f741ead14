"""The report on the judgement: how well capability and loss are known, preferences that are met, rules that hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.answers.choices.preferences import Preference, is_met, preferences, share_met
from api.answers.choices.rules import Broken, broken_rules
from db.entries.files import load_catalog
from db.entries.traits import model_traits
from estimator.calibration.coefficients import Calibration
from estimator.calibration.loss import LossTable
from estimator.calibration.scale import KINDS
from estimator.judgement.capability import CapabilityEvidence, CapabilityTable

#: Cross-validations of capability, with how the report words them.
_CAPABILITY = {
    "other benchmarks": "half of its benchmark families, against the other half",
    "model left out": "the prior and its neighbours, model left out",
    "release left out": "the prior and its neighbours, release left out",
    "family left out": "the prior alone, family left out",
}
_LOSS = ("model left out", "publisher left out", "one row as anchor")


def judgement_report() -> str:
    """The report as Markdown; takes a minute or two, most of it for the rules over the whole catalog."""
    catalog, calibration = load_catalog(), Calibration.load()
    all_preferences = preferences()
    met = [is_met(catalog, calibration, preference) for preference in all_preferences]
    parts = (
        "# Validation of the judgement\n\nWritten by `fitgraph validate`, which also writes [the report on speeds](validation.md); "
        "every number here is printed by that command. [Judgement](explanation/judgement.md) tells how the choices come about.",
        _capability_part([CapabilityTable.load().of(traits) for traits in model_traits(catalog).values()]),
        _loss_part(LossTable.load().accuracy),
        _preferences_part(all_preferences, met),
        _rules_part(broken_rules(catalog, calibration)),
    )
    return "\n\n".join(parts) + "\n"


def _capability_part(known: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for kind in KINDS:
        evidence = [model[kind].evidence for model in known]
        counts = [sum(own is evidence_kind for own in evidence) for evidence_kind in CapabilityEvidence]
        rows.append([kind.replace("_", " "), *map(str, counts)])
    errors = [
        [wording, kind.replace("_", " "), *(f"{row[name]:.2f}" for name in ("spearman", "rmse", "coverage")), str(row["models"])]
        for name, wording in _CAPABILITY.items()
        for kind, row in CapabilityTable.load().accuracy[name].items()
    ]  # fmt: skip
    return "\n\n".join(
        (
            f"## Capability\n\nEvery one of {len(known)} models has a value and an interval; models by evidence:",
            _table(["kind", *(evidence_kind.value.lower() for evidence_kind in CapabilityEvidence)], rows),
            "Errors of models with eight scores or more, in units of the trait (one is nine points); coverage is that of "
            "intervals of 80 %:",
            _table(["predicted from", "kind", "Spearman", "root mean square", "coverage", "models"], errors),
        )
    )


def _loss_part(accuracy: Mapping[str, Any]) -> str:
    rows = [
        [name, *(f"{accuracy[name][figure]:.2f}" for figure in ("median_abs_ln", "within_twice", "coverage"))]
        for name in _LOSS
    ]
    return (
        "## Loss of a quantization\n\nErrors of the logarithm of the divergence; coverage is that of intervals of 80 %:\n\n"
        + _table(["predicted with", "median", "within a factor of two", "coverage"], rows)
    )


def _preferences_part(held: Sequence[Preference], met: Sequence[bool]) -> str:
    rows = []
    for tuned, wording in ((True, "in sight when the charges were chosen"), (False, "held out")):
        own = [is_so for preference, is_so in zip(held, met, strict=True) if preference.tuned is tuned]
        rows.append([wording, str(len(own)), str(sum(own)), f"{share_met(own):.0%}"])
    unmet = [f"- {preference.text}: {preference.why}" for preference, is_so in zip(held, met, strict=True) if not is_so]
    text = (
        "## Preferences of a knowledgeable user\n\nOn a machine, for a kind of work, one setup before another; the table is "
        "`estimator/accuracy/preferences.jsonl`.\n\n" + _table(["preferences", "number", "met", "share"], rows)
    )
    return text + ("\n\nNot met:\n\n" + "\n".join(unmet) if unmet else "")


def _rules_part(broken: Broken) -> str:
    rows = [
        ["16 bits chosen where 8 run and are 15 % faster or more", str(broken.sixteen_bits)],
        ["chosen setups that are not usable on their machine", str(broken.unusable)],
        ["dominated setups on a frontier", str(broken.dominated)],
    ]
    return (
        f"## Rules\n\nOn every accelerator for every workload, {broken.questions:,} questions with {broken.chosen:,} chosen "
        "setups:\n\n" + _table(["broken", "times"], rows)
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
