"""Turn the content of a `game.yaml` into the record of a game.

`config/schemas/game.yaml` describes the keys; this module fills the names of the game itself into
that schema, and evaluates its arithmetic.
"""

from collections.abc import Callable, Mapping
from itertools import chain, product
from pathlib import Path
from typing import Any

from emotion_games import schemas
from emotion_games.errors import ProblemList
from emotion_games.games.formulas import check_order, evaluate, evaluate_share, fill_percentages
from emotion_games.games.playable import play_problems
from emotion_games.games.records import (
    Choice,
    Game,
    History,
    HumanEffect,
    Matrix,
    Node,
    Payoff,
    Phrases,
    Reference,
)

# Stand-ins for the keys on which no move depends.
_WITHOUT_TEXTS = {
    "title": "-",
    "outcome": "-",
    "aliases": {},
    "references": [],
    "human_effects": {},
    "other_names": [],
}


def build_game(folder: Path, definition: Any, place: str) -> Game:
    """Return the game of a definition.

    Args:
        folder: The folder of the game; its name is the name of the game.
        definition: Plain data, as a `game.yaml` gives them.
        place: Where the definition comes from; every problem begins with it.

    Raises:
        ProblemList: Everything that is wrong with the definition, one line each.
    """
    given = definition if isinstance(definition, Mapping) else {}
    problems = _form_problems(definition)
    # A fault in a text must not hide faults in the moves.
    playing = {**given, **_WITHOUT_TEXTS} if problems else given
    if not problems or not _form_problems(playing):
        problems += play_problems(_game(folder, playing))
    if problems:
        raise ProblemList([f"{place}: {' '.join(line.split())}" for line in problems])
    return _game(folder, definition)


def histories_of(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the histories of a definition by name; `start` alone if it gives none."""
    return definition.get("histories") or {"start": []}


def _form_problems(definition: Any) -> list[str]:
    """Return what is wrong with keys, types, names and numbers."""
    given = definition if isinstance(definition, Mapping) else {}
    settings, problems = _settings(given)
    formats: dict[str, Callable[[Any], object]] = {
        "number": lambda formula: evaluate(formula, settings),
        "share": lambda formula: evaluate_share(formula, settings),
        "order": lambda text: check_order(text, settings),
        "phrase": lambda text: isinstance(text, str) and fill_percentages(text, settings),
    }
    if problems or not isinstance(given.get("settings", {}), Mapping):
        # One faulty setting would make every formula with its name a problem, too.
        formats = {}
    return problems + schemas.problems(definition, _schema_for(given), formats=formats)


def _schema_for(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of game files with the players and choices of this definition."""
    schema = schemas.read_schema("game")
    parts = dict(schema["$defs"])
    players, choices = definition.get("players"), definition.get("choices")
    if isinstance(players, list) and [type(player) for player in players] == [str, str]:
        parts["player"] = {"enum": players}
    if isinstance(choices, Mapping) and choices:
        # A key that is not text is reported by the check itself.
        labels = [label for label in choices if isinstance(label, str)]
        parts["label"] = {"enum": labels}
        parts["measure"] = {"enum": ["amount", *labels]}
        for table in ("row", "simultaneous"):
            cells = dict.fromkeys(labels, parts[table]["additionalProperties"])
            names = {"required": labels, "properties": cells, "additionalProperties": False}
            parts[table] = parts[table] | names
    return schema | {"$defs": parts}


def _settings(definition: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Return the numbers of a game, each computed from those before it, and what is wrong."""
    settings: dict[str, float] = {}
    problems = []
    given = definition.get("settings")
    for name, formula in given.items() if isinstance(given, Mapping) else ():
        # The check of the keys reports a name that is not text.
        if not isinstance(name, str):
            continue
        try:
            settings[name] = evaluate(formula, settings)
        except ValueError as error:
            problems.append(f"settings.{name}: {error}")
    return settings, problems


def _game(folder: Path, definition: Mapping[str, Any]) -> Game:
    """Return the game of a definition without problems of form."""
    settings, _ = _settings(definition)
    first, second = definition["players"]
    choices = []
    for label, entry in definition["choices"].items():
        amount = evaluate(entry["amount"], settings) if "amount" in entry else None
        value = evaluate(entry["value"], settings)
        choices.append(Choice(label, entry["meaning"], value, amount))
    payoffs: Matrix | Node
    if definition["kind"] == "simultaneous":
        payoffs = {}
        for own, other in product(definition["choices"], repeat=2):
            payoffs[own, other] = _payoff(definition["payoffs"][own][other], settings)
    else:
        payoffs = _node(definition["payoffs"], settings)
    histories = []
    for name, path in histories_of(definition).items():
        steps = chain.from_iterable(step.items() for step in path)
        histories.append(History(name, tuple(steps)))
    moves = {}
    for player, entries in definition.get("moves", {}).items():
        for label, entry in entries.items():
            moves[player, label] = _phrases(entry, settings)
    return Game(
        name=folder.name,
        title=definition["title"],
        kind=definition["kind"],
        outcome=definition["outcome"],
        choices=tuple(choices),
        histories=tuple(histories),
        players=(first, second),
        payoffs=payoffs,
        family=definition.get("family"),
        role=definition.get("role"),
        references=tuple(
            Reference(**(entry | {"value": evaluate(entry["value"], settings)}))
            for entry in definition.get("references", [])
        ),
        human_effects={
            emotion: HumanEffect(**entry)
            for emotion, entry in definition.get("human_effects", {}).items()
        },
        moves=moves,
        aliases=definition.get("aliases", {}),
        subset=definition.get("subset", False),
        many=definition.get("many", False),
        other_names=tuple(definition.get("other_names", [])),
        settings=settings,
        folder=folder,
        definition=definition,
    )


def _payoff(pair: list[Any], settings: Mapping[str, float]) -> Payoff:
    first, second = pair
    return evaluate(first, settings), evaluate(second, settings)


def _node(value: Mapping[str, Any], settings: Mapping[str, float]) -> Node:
    # The schema allows one player at a node.
    ((player, moves),) = value.items()
    after: dict[str, Node | Payoff] = {}
    for label, following in moves.items():
        is_end = isinstance(following, list)
        after[label] = _payoff(following, settings) if is_end else _node(following, settings)
    return Node(player, after)


def _phrases(entry: Mapping[str, Any], settings: Mapping[str, float]) -> Phrases:
    forms = {}
    for tense in ("past", "present"):
        phrase = entry.get(tense, "")
        # One text serves both persons if English has one form for them ("cooperated").
        pair = {"you": phrase, "other": phrase} if isinstance(phrase, str) else phrase
        for person in ("you", "other"):
            text = pair.get(person, "").strip()
            forms[f"{tense}_{person}"] = fill_percentages(text, settings)
    return Phrases(**forms, is_option=entry.get("option", False))
