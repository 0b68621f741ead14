"""Validation rules of values: their errors are of the value, not of the document."""

from __future__ import annotations

from math import isfinite
from typing import Any

from graphql import FloatValueNode, GraphQLError, IntValueNode, specified_rules
from graphql.validation import ASTValidationRule, ValuesOfCorrectTypeRule

from api.errors import ErrorCode


class ValuesRule(ValuesOfCorrectTypeRule):
    """graphql-core's rule of literals, with the code of wrong values."""

    def report_error(self, error: GraphQLError) -> None:
        super().report_error(_of_value(error))


class FiniteNumbersRule(ASTValidationRule):
    """Refuses a literal such as ``1e400``, as a variable of that value is refused."""

    def enter_float_value(self, node: FloatValueNode, *_args: Any) -> None:
        """Report a float literal beyond the range of a double."""
        self._check(node)

    def enter_int_value(self, node: IntValueNode, *_args: Any) -> None:
        """Report an integer literal beyond the range of a double."""
        self._check(node)

    def _check(self, node: FloatValueNode | IntValueNode) -> None:
        if not isfinite(float(node.value)):
            error = GraphQLError(f"Float cannot represent {node.value[:40]}: it is not finite.", node)
            self.report_error(_of_value(error))


#: The rules of the specification, and that of finite numbers.
RULES = (*(ValuesRule if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules), FiniteNumbersRule)


def _of_value(error: GraphQLError) -> GraphQLError:
    error.extensions = {"code": ErrorCode.BAD_USER_INPUT.value}
    return error
