"""Numbers that a game file writes as arithmetic over its settings: `endowment - offer_low`.

A formula has +, -, *, /, brackets, numbers and names of settings. No code is run.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from itertools import pairwise

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
_COMPARISONS: dict[type, tuple[Callable[[float, float], bool], str]] = {
    ast.Lt: (operator.lt, "less than"),
    ast.LtE: (operator.le, "at most"),
}


def evaluate(formula: object, settings: Mapping[str, float]) -> float:
    """Return the number that a formula, or a plain number, stands for.

    Raises:
        ValueError: The reason in one line, if it is no number within ±LARGEST.
    """
    if isinstance(formula, bool) or not isinstance(formula, (int, float, str)):
        raise ValueError(f"expected a number, found {shown(formula)}")
    try:
        node = _parsed(formula) if isinstance(formula, str) else ast.Constant(formula)
        number = float(_value(node, settings))
    except ZeroDivisionError:
        raise ValueError(f"{shown(formula)} divides by zero") from None
    except RecursionError:
        raise ValueError(f"expected a shorter formula, found {shown(formula)}") from None
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


def check_order(text: object, settings: Mapping[str, float]) -> bool:
    """Return True if a chain of comparisons holds, such as `0 <= offer_low < offer_high`.

    Raises:
        ValueError: The comparison that is false, or why the text is no such chain.
    """
    # The check of types reports it.
    if not isinstance(text, str):
        return False
    node = _parsed(text)
    if not isinstance(node, ast.Compare):
        raise ValueError(f"expected comparisons with < and <=, found {shown(text)}")
    pairs = pairwise([node.left, *node.comparators])
    for operation, sides in zip(node.ops, pairs, strict=True):
        if type(operation) not in _COMPARISONS:
            raise ValueError(f"expected comparisons with < and <=, found {shown(text)}")
        compare, words = _COMPARISONS[type(operation)]
        low, high = (ast.unparse(side) for side in sides)
        below, above = evaluate(low, settings), evaluate(high, settings)
        if not compare(below, above):
            raise ValueError(
                f"{low} ({below:g}) must be {words} {high} ({above:g}); in {text.strip()}"
            )
    return True


def _parsed(formula: str) -> ast.expr:
    if len(formula) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters: {shown(formula)}")
    try:
        return ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"expected a number or arithmetic, found {shown(formula)}") from None


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
