"""A validation rule for numbers that no float can hold."""

from __future__ import annotations

from math import isfinite
from typing import Any

from graphql import FloatValueNode, GraphQLError, IntValueNode
from graphql.validation import ASTValidationRule


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
            self.report_error(GraphQLError(f"Float cannot represent {node.value[:40]}: it is not finite.", node))
