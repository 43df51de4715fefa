"""Numbers that a game file writes as arithmetic over its settings: `endowment - offer_low`.

A formula has +, -, *, /, brackets, numbers and names of settings. No code is run.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

from emotion_games.errors import shown

# No payoff or amount is larger.
LARGEST = 1_000_000_000
# The most characters of a formula. Python's parser may crash on very long ones.
LONGEST = 500
_OPERATIONS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate(formula: object, settings: Mapping[str, float]) -> float:
    """Return the number that a formula, or a plain number, stands for.

    Raises:
        ValueError: The reason in one line, if it is no number within ±LARGEST.
    """
    if isinstance(formula, bool) or not isinstance(formula, (int, float, str)):
        raise ValueError(f"expected a number, found {shown(formula)}")
    if isinstance(formula, str) and len(formula) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters: {shown(formula)}")
    try:
        if isinstance(formula, str):
            number = float(_value(ast.parse(formula.strip(), mode="eval").body, settings))
        else:
            number = float(formula)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"expected a number or arithmetic, found {shown(formula)}") from None
    except ZeroDivisionError:
        raise ValueError(f"{shown(formula)} divides by zero") from None
    # A whole number can be too large for a float.
    except OverflowError:
        number = math.inf
    # A comparison with nan is false, too.
    if not abs(number) <= LARGEST:
        raise ValueError(
            f"expected a number from -{LARGEST:,} to {LARGEST:,}, found {shown(formula)}"
        )
    return number


def evaluate_share(formula: object, settings: Mapping[str, float]) -> float:
    """Return the number of a formula that must lie between 0 and 1; ValueError if it does not."""
    number = evaluate(formula, settings)
    if not 0 <= number <= 1:
        raise ValueError(f"expected a number from 0 to 1, found {number:g} (a share of the whole)")
    return number


def _value(node: ast.AST, settings: Mapping[str, float]) -> float:
    # Every other kind of node is refused, so that a file cannot run code.
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name) if name in settings:
            return settings[name]
        case ast.Name(id=name):
            raise ValueError(
                f"unknown setting {name!r}; settings of this game: {', '.join(settings) or 'none'}"
            )
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, settings)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_value(left, settings), _value(right, settings))
    raise ValueError("only numbers, settings, + - * / and brackets are allowed")


def fill_percentages(text: str, settings: Mapping[str, float]) -> str:
    """Replace each `{formula %}` of a phrase by its share, as in `20 percent`.

    Raises:
        ValueError: A formula is wrong, or the phrase has other braces, which a model would read.
    """
    # Whole percents, as a person would write them.
    filled = re.sub(
        r"\{([^{}]+)%\}", lambda found: f"{evaluate(found[1], settings) * 100:.0f} percent", text
    )
    if "{" in filled or "}" in filled:
        raise ValueError(
            "a model would read the braces; write a share as in {offer / endowment %}, "
            f"and nothing else in braces; found {shown(text)}"
        )
    return filled
