"""Numbers that a game file writes as arithmetic over its own settings, such as `endowment - offer_low`.

Knows +, -, *, /, brackets, numbers and names; it runs no code.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping

_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate(formula: object, names: Mapping[str, float]) -> float:
    """Return the number that `formula` (a number or a text) stands for; ValueError with the reason otherwise."""
    if isinstance(formula, bool) or not isinstance(formula, (int, float, str)):
        raise ValueError(f"expected a number, found {formula!r}")
    if not isinstance(formula, str):
        return float(formula)
    try:
        tree = ast.parse(formula.strip(), mode="eval")
        return float(_value(tree.body, names))
    except (SyntaxError, RecursionError):
        raise ValueError(f"expected a number or arithmetic, found {formula!r}") from None
    except ZeroDivisionError:
        raise ValueError(f"{formula!r} divides by zero") from None


def _value(node: ast.AST, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Name(id=name):
            raise ValueError(f"unknown setting {name!r}; settings of this game: {', '.join(names) or 'none'}")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, names), _value(right, names))
    raise ValueError("only numbers, settings, + - * / and brackets are understood")


def fill_percentages(text: str, names: Mapping[str, float]) -> str:
    """Replace each `{formula %}` of a phrase by the share that it is, as in `20 percent`."""
    return re.sub(r"\{([^{}]+)%\}", lambda found: f"{evaluate(found[1], names) * 100:.0f} percent", text)
