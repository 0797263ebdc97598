"""Integers as bash computes them. Source: bash(1), "Arithmetic Evaluation"."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

from dynkv.bash.values import Variables

_BINARY: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: _divided(a, b),
    ast.Mod: lambda a, b: a - b * _divided(a, b),
}
_COMPARED: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_STEP = re.compile(
    r"\s*(?:(?P<pre>\+\+|--)\s*)?(?P<name>[A-Za-z_]\w*)\s*(?:(?P<post>\+\+|--)|(?P<op>[-+*/%]?)=(?!=)(?P<value>.+))?\s*$",
    re.DOTALL,
)
_LENGTH_MAX, _DEPTH_MAX, _LARGEST = 1000, 50, 2**63


def _divided(a: int, b: int) -> int:
    """The quotient, rounded towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


class Unknown(Exception):
    """Only running the script would show the value."""


def compute(text: str, variables: Variables) -> int:
    """The value of an expression in which all `$` are expanded; assignments are carried out. Raises Unknown."""
    value = 0
    for part in text.split(","):
        value = _statement(part, variables)
    return value


def _statement(text: str, variables: Variables) -> int:
    step = _STEP.match(text)
    sign = step and (step["pre"] or step["post"])
    if step is None or not (sign or step["value"]):
        return _expression(text, variables)
    old = _variable(step["name"], variables, 0) if sign or step["op"] else 0
    if sign:
        new = old + (1 if sign == "++" else -1)
    else:
        new = _expression(f"{old} {step['op']} ({step['value']})" if step["op"] else step["value"], variables)
    variables.values[step["name"]] = str(new)
    return old if step["post"] else new


def _expression(text: str, variables: Variables, depth: int = 0) -> int:
    if not text.strip():
        return 0
    if len(text) > _LENGTH_MAX or depth > _DEPTH_MAX:
        raise Unknown
    python = re.sub(r"!(?!=)", " not ", text.replace("&&", " and ").replace("||", " or "))
    python = re.sub(r"\b10#(?=\d)|\b0+(?=\d)(?!x)", "", python)
    try:
        return _value(ast.parse(python.strip(), mode="eval").body, variables, depth)
    except (SyntaxError, ZeroDivisionError, RecursionError, ValueError, OverflowError, MemoryError):
        raise Unknown from None


def _value(node: ast.expr, variables: Variables, depth: int) -> int:
    def value(inner: ast.expr) -> int:
        return _value(inner, variables, depth)

    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return _variable(name, variables, depth)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value(operand)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return int(not value(operand))
        case ast.BoolOp(op=ast.And(), values=parts):
            return int(all(value(part) for part in parts))
        case ast.BoolOp(values=parts):
            return int(any(value(part) for part in parts))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            found = _BINARY[type(op)](value(left), value(right))
            if abs(found) < _LARGEST:
                return found
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            return int(_COMPARED[type(op)](value(left), value(right)))
    raise Unknown


def _variable(name: str, variables: Variables, depth: int) -> int:
    """The value of a variable, which contains an expression, or nothing, which is 0."""
    return _expression(variables.text(name) or "0", variables, depth + 1)
