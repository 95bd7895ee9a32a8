"""Expressions of scenario asserts: a small part of Python's syntax over named signals, never `eval`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Value: TypeAlias = float | bool | str
Signals: TypeAlias = Mapping[str, Value]

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max, "hypot": math.hypot}
_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Compare,
    ast.Call, ast.Name, ast.Load, ast.Constant, *_BINARY,
)  # fmt: skip
LONGEST = 500


def _is_known_call(node: ast.Call) -> bool:
    known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
    return known and bool(node.args) and not node.keywords


class Expression:
    """A checked expression; raises ValueError saying what is not allowed when built."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise ValueError(f"expression is {len(text)} characters long; at most {LONGEST} are expected")
        try:
            tree = ast.parse(text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ValueError(f"'{text}' is not an expression; one like `speed > 2 and t < 60` is expected") from None
        names: set[str] = set()
        callees = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED):
                raise ValueError(f"'{type(node).__name__}' is not allowed in '{text}'; comparisons are expected")
            if isinstance(node, ast.Constant) and not isinstance(node.value, (int, float, str)):
                raise ValueError(f"{node.value!r} is not allowed in '{text}'; numbers and texts are expected")
            if isinstance(node, ast.Call) and not _is_known_call(node):
                raise ValueError(f"'{text}' calls an unknown function; known are {', '.join(_FUNCTIONS)}")
            if isinstance(node, ast.Name) and node not in callees:
                if node.id in _FUNCTIONS:
                    raise ValueError(f"'{text}' does not call {node.id}; {node.id}(...) is expected")
                names.add(node.id)
        self.names = frozenset(names)
        self._body = tree.body

    def check_names(self, known: Mapping[str, Any] | frozenset[str]) -> None:
        """Raises ValueError when a signal is unknown."""
        missing = sorted(n for n in self.names if n not in known)
        if missing:
            raise ValueError(f"unknown signal '{missing[0]}'; known are {', '.join(sorted(known))}")

    def __call__(self, signals: Signals) -> bool:
        """Truth under the signals; a comparison of unlike things or a division by zero is false."""
        try:
            return bool(self._value(self._body, signals))
        except (TypeError, ZeroDivisionError, OverflowError):
            return False

    def _value(self, node: ast.expr, signals: Signals) -> Any:  # noqa: PLR0911
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return signals[node.id]
        if isinstance(node, ast.BoolOp):
            parts = (self._value(v, signals) for v in node.values)
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, signals)
            return (
                (not value) if isinstance(node.op, ast.Not) else (-value if isinstance(node.op, ast.USub) else +value)
            )
        if isinstance(node, ast.BinOp):
            return _BINARY[type(node.op)](self._value(node.left, signals), self._value(node.right, signals))
        if isinstance(node, ast.Compare):
            left = self._value(node.left, signals)
            for op, right_node in zip(node.ops, node.comparators, strict=True):
                right = self._value(right_node, signals)
                if not _BINARY[type(op)](left, right):
                    return False
                left = right
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            args = [self._value(a, signals) for a in node.args]
            return _FUNCTIONS[node.func.id](*args) if len(args) > 1 or node.func.id == "abs" else args[0]
        raise TypeError(f"{type(node).__name__} cannot be evaluated")
