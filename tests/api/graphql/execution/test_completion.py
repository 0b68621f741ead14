"""Completion of values by compiled functions."""

from __future__ import annotations

from dataclasses import dataclass

from api.graphql.execution.compiled import NO_VARIABLES
from api.graphql.execution.completion import Attempt, Entry, never_changes, of_object, of_scalar


@dataclass
class Inner:
    number: int


def test_a_kept_object_is_completed_once_and_an_other_one_anew() -> None:
    attempt = Attempt(None, NO_VARIABLES)
    model, other = Inner(1), Inner(2)
    entries = [Entry("n", "number", of_scalar("Int"))]
    anew = of_object(Inner, entries).call
    never_changes(Inner)
    kept = of_object(Inner, entries).call
    assert anew(model, attempt) is not anew(model, attempt)
    for _ in range(1000):
        kept(model, attempt)
    assert kept(model, attempt) is kept(model, attempt)
    assert [kept(item, attempt) for item in (model, other)] == [{"n": 1}, {"n": 2}]
    answers = [kept(Inner(number), attempt) for number in range(1000)]
    assert answers == [{"n": number} for number in range(1000)]
