"""Numbers that a game file writes as arithmetic over its own settings, such as `endowment - offer_low`.

Knows +, -, *, /, brackets, numbers and names; it runs no code.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

from emotion_games.errors import shown

_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate(formula: object, names: Mapping[str, float]) -> float:
    """Return the number that `formula` (a number or a text) stands for; ValueError with the reason otherwise."""
    if isinstance(formula, bool) or not isinstance(formula, (int, float, str)):
        raise ValueError(f"expected a number, found {shown(formula)}")
    try:
        number = float(_calculated(formula, names) if isinstance(formula, str) else formula)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"expected a number or arithmetic, found {shown(formula)}") from None
    except ZeroDivisionError:
        raise ValueError(f"{shown(formula)} divides by zero") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {shown(formula)}")
    return number


def _calculated(formula: str, names: Mapping[str, float]) -> float:
    return _value(ast.parse(formula.strip(), mode="eval").body, names)


def _value(node: ast.AST, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.Name(id=name):
            raise ValueError(
                f"unknown setting {name!r}; settings of this game: {', '.join(names) or 'none'}"
            )
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, names), _value(right, names))
    raise ValueError("only numbers, settings, + - * / and brackets are understood")


def fill_percentages(text: str, names: Mapping[str, float]) -> str:
    """Replace each `{formula %}` of a phrase by the share that it is, as in `20 percent`; ValueError at others."""
    filled = re.sub(
        r"\{([^{}]+)%\}", lambda found: f"{evaluate(found[1], names) * 100:.0f} percent", text
    )
    if "{" in filled or "}" in filled:
        told = "a model would read the braces; write a share as in {offer / endowment %}, and nothing else in braces"
        raise ValueError(f"{told}; found {shown(text)}")
    return filled
