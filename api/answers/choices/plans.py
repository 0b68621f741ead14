"""The plan behind a recommended model: what it takes of the memory, and the commands that start it."""

from __future__ import annotations

from dataclasses import replace

from api.answers.choices.models import Question, Recommended
from api.answers.facts import facts_of_plan
from db.entries import specs
from estimator.calibration.coefficients import Calibration
from estimator.estimate import estimate
from estimator.fit_facts import FitFacts, request_of
from estimator.whatif import Extras, what_if


def plan_of(calibration: Calibration, question: Question, chosen: Recommended) -> FitFacts:
    """Facts of a recommended model on the machine of the question, as it was rated."""
    machine, workload, entry = question.machine, question.workload, chosen.model
    model = specs.architecture(entry)
    request = request_of(chosen.quant, machine.devices[0], machine.host)
    request = replace(request, gpu_count=len(machine.devices), batch=question.streams, expected_occupancy=True)
    if len(set(machine.devices)) == 1:
        answer = estimate(model, request, calibration, workload)
        return facts_of_plan(entry, model, request, answer, workload)
    outcome = what_if(model, request, Extras(machine.devices), calibration, workload)
    facts = facts_of_plan(entry, model, request, outcome.estimate, workload)
    return replace(facts, accelerators=machine.devices, devices=outcome.devices)
