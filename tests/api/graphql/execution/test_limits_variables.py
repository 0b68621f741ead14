"""Values of variables: counted by what is declared for them, a scalar as one."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from api.errors import LimitExceededError
from api.graphql.execution.limits_variables import check_variables
from api.graphql.schema import schema

WIDE: dict[str, Any] = {"weight_map": {str(number): "file" for number in range(500)}}


def check(
    variables: dict[str, Any], declared: str = "($q: EstimateInput, $o: [FitOrder!], $s: [String!], $j: JSON)"
) -> None:
    operation = parse(f"query Q{declared} {{ __typename }}").definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    check_variables(schema.core, operation, variables, 100)


def test_a_file_of_a_model_is_one_value() -> None:
    check({"q": {"modelIndex": WIDE, "model": {"config": {"ignore": ["x"] * 500}}}})
    check({"j": [WIDE] * 500})


@pytest.mark.parametrize(
    "variables",
    [
        {"s": ["x"] * 101},
        {"o": [{"field": "SCORE"}] * 60},
        {"q": {"machine": {"gpus": ["x"] * 101}}},
        {"q": {str(number): 1 for number in range(101)}},
        {"q": {"unknown": WIDE}},
        {"undeclared": WIDE},
        {str(number): 1 for number in range(101)},
        {"o": WIDE["weight_map"]},
    ],
)
def test_everything_else_counts(variables: dict[str, Any]) -> None:
    with pytest.raises(LimitExceededError):
        check(variables)
