"""Turn the definition of a game into its record: every problem in one go, one line each, with its file and place.

Knows the notation of `game.yaml` (its keys are described in `config/README.md`); what a game means is `game_records`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_games.data_files import known_keys, repeated_keys, text_keys
from emotion_games.errors import ProblemList, shown, unknown
from emotion_games.games.formulas import evaluate, fill_percentages
from emotion_games.games.playable import played_problems
from emotion_games.games.records import (
    Choice,
    Game,
    History,
    Matrix,
    Node,
    Payoff,
    Phrases,
    Reference,
)

_REQUIRED = ["title", "kind", "outcome", "players", "choices", "payoffs"]
_OPTIONAL = ["role", "family", "moves", "histories", "settings", "aliases", "subset", "references"]
_KINDS = ("simultaneous", "sequential")


def build_game(folder: Path, definition: Mapping[str, Any], place: str) -> Game:
    """Return the game of a definition; ProblemList with everything that is wrong, each line beginning with `place`."""
    problems = [
        f"{place}: {unknown('key', key, _REQUIRED + _OPTIONAL)}"
        for key in definition
        if key not in _REQUIRED + _OPTIONAL
    ]
    problems += [f"{place}: key {key!r} stands there twice" for key in repeated_keys(definition)]
    problems += [
        f"{place}: {key} is missing"
        for key in _REQUIRED
        if definition.get(key) in (None, "", [], {})
    ]
    if problems:
        raise ProblemList(problems)
    if definition["kind"] not in _KINDS:
        problems.append(f"{place}, kind: {unknown('kind', definition['kind'], _KINDS)}")
    players = _players(definition, place, problems)
    settings = _settings(definition, place, problems)
    choices = _choices(definition["choices"], settings, f"{place}, choices", problems)
    if problems:
        raise ProblemList(problems)
    labels = [choice.label for choice in choices]
    payoffs: Matrix | Node
    if definition["kind"] == "simultaneous":
        payoffs = _matrix(definition["payoffs"], labels, settings, f"{place}, payoffs", problems)
    else:
        tree = _tree(definition["payoffs"], players, settings, f"{place}, payoffs", problems)
        payoffs = tree if isinstance(tree, Node) else Node(players[0], {})
    moves = _moves(definition.get("moves", {}), players, settings, f"{place}, moves", problems)
    paths = text_keys(histories_of(definition), f"{place}, histories", problems)
    histories = tuple(
        _history(name, path, f"{place}, histories, {name}", problems)
        for name, path in paths.items()
    )
    game = Game(
        name=folder.name,
        title=str(definition["title"]),
        kind=definition["kind"],
        outcome=str(definition["outcome"]),
        choices=choices,
        histories=histories,
        players=players,
        payoffs=payoffs,
        family=definition.get("family"),
        role=definition.get("role"),
        references=_references(
            definition.get("references", []), labels, settings, f"{place}, references", problems
        ),
        moves=moves,
        aliases=_aliases(definition.get("aliases", {}), labels, f"{place}, aliases", problems),
        subset=bool(definition.get("subset", False)),
        settings=settings,
        folder=folder,
        definition=definition,
    )
    if not problems:
        problems = played_problems(game, place)
    if problems:
        raise ProblemList(problems)
    return game


def _players(definition: Mapping[str, Any], place: str, problems: list[str]) -> tuple[str, str]:
    players = definition["players"]
    two_names = isinstance(players, list) and [type(player) for player in players] == [str, str]
    if not two_names or players[0] == players[1]:
        problems.append(f"{place}, players: expected two different names, found {shown(players)}")
        return ("first", "second")
    role = definition.get("role")
    if role is not None and role not in players:
        problems.append(f"{place}, role: {unknown('player', role, players)}")
    family = definition.get("family")
    if family is not None and not isinstance(family, str):
        problems.append(f"{place}, family: expected a name, found {shown(family)}")
    if (role is None) != (family is None):
        problems.append(f"{place}: family and role belong together: give both or neither")
    return (players[0], players[1])


def _settings(definition: Mapping[str, Any], place: str, problems: list[str]) -> dict[str, float]:
    settings: dict[str, float] = {}
    for name, formula in text_keys(
        definition.get("settings", {}), f"{place}, settings", problems
    ).items():
        try:
            settings[name] = evaluate(formula, settings)
        except ValueError as error:
            problems.append(f"{place}, settings, {name}: {error}")
    return settings


def _number(formula: Any, settings: Mapping[str, float], place: str, problems: list[str]) -> float:
    try:
        return evaluate(formula, settings)
    except ValueError as error:
        problems.append(f"{place}: {error}")
        return 0.0


def _share(formula: Any, settings: Mapping[str, float], place: str, problems: list[str]) -> float:
    number = _number(formula, settings, place, problems)
    if not 0 <= number <= 1:
        problems.append(
            f"{place}: expected a number from 0 to 1, found {number:g} (a share of the whole)"
        )
    return number


def _choices(
    value: Any, settings: Mapping[str, float], place: str, problems: list[str]
) -> tuple[Choice, ...]:
    choices = []
    for label, entry in text_keys(value, place, problems).items():
        where = f"{place}, {label}"
        entry = known_keys(entry, ["meaning", "value", "amount"], where, problems)
        problems += [
            f"{where}: {key} is missing"
            for key in ("meaning", "value")
            if entry.get(key) in (None, "")
        ]
        number = _share(entry.get("value", 0), settings, f"{where}, value", problems)
        amount = entry.get("amount")
        amount = None if amount is None else _share(amount, settings, f"{where}, amount", problems)
        choices.append(Choice(label, str(entry.get("meaning", "")), number, amount))
    if len(choices) < 2:
        problems.append(f"{place}: expected two choices at least, found {len(choices)}")
    return tuple(choices)


def _payoff(leaf: Any, settings: Mapping[str, float], place: str, problems: list[str]) -> Payoff:
    if not isinstance(leaf, list) or len(leaf) != 2:
        found = f"{len(leaf)} of them" if isinstance(leaf, list) else shown(leaf)
        problems.append(
            f"{place}: expected two payoffs such as [3, 0], one a player, found {found}"
        )
        return (0.0, 0.0)
    first, second = (_number(number, settings, place, problems) for number in leaf)
    return (first, second)


def _matrix(
    value: Any, labels: list[str], settings: Mapping[str, float], place: str, problems: list[str]
) -> Matrix:
    matrix: dict[tuple[str, str], Payoff] = {}
    rows = known_keys(value, labels, place, problems)
    for row in labels:
        if row not in rows:
            problems.append(f"{place}: the row of {row} is missing")
            continue
        cells = known_keys(rows[row], labels, f"{place}, {row}", problems)
        for column in labels:
            if column not in cells:
                problems.append(f"{place}, {row}: the payoffs against {column} are missing")
            else:
                matrix[row, column] = _payoff(
                    cells[column], settings, f"{place}, {row}, {column}", problems
                )
    return matrix


def _tree(
    value: Any,
    players: tuple[str, str],
    settings: Mapping[str, float],
    place: str,
    problems: list[str],
) -> Node | Payoff:
    if not isinstance(value, Mapping):
        return _payoff(value, settings, place, problems)
    entry = text_keys(value, place, problems)
    if len(entry) != 1:
        problems.append(
            f"{place}: expected one player who moves ({' or '.join(players)}), found {shown(sorted(entry))}"
        )
        return (0.0, 0.0)
    ((player, moves),) = entry.items()
    if player not in players:
        problems.append(f"{place}: {unknown('player', player, players)}")
    branches = text_keys(moves, f"{place}, {player}", problems)
    if not branches:
        problems.append(f"{place}, {player}: a move is missing: nothing can be chosen here")
    return Node(
        player,
        {
            label: _tree(after, players, settings, f"{place}, {player} {label}", problems)
            for label, after in branches.items()
        },
    )


def _moves(
    value: Any,
    players: tuple[str, str],
    settings: Mapping[str, float],
    place: str,
    problems: list[str],
) -> dict[tuple[str, str], Phrases]:
    moves = {}
    for player, told in known_keys(value, list(players), place, problems).items():
        for label, entry in text_keys(told, f"{place}, {player}", problems).items():
            where = f"{place}, {player}, {label}"
            entry = known_keys(entry, ["past", "present"], where, problems)
            forms = {}
            for tense in ("past", "present"):
                phrase = entry.get(tense, "")
                # One text serves both persons where English does not tell them apart ("cooperated").
                pair = {"you": phrase, "other": phrase} if isinstance(phrase, str) else phrase
                pair = known_keys(pair, ["you", "other"], f"{where}, {tense}", problems)
                for person in ("you", "other"):
                    forms[f"{tense}_{person}"] = _phrase(
                        pair.get(person, ""), settings, f"{where}, {tense}", problems
                    )
            moves[player, label] = Phrases(**forms)
    return moves


def _phrase(text: Any, settings: Mapping[str, float], place: str, problems: list[str]) -> str:
    try:
        return fill_percentages(str(text).strip(), settings)
    except ValueError as error:
        problems.append(f"{place}: {error}")
        return ""


def histories_of(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the histories of a definition as they stand there, by name; `start` alone where it gives none."""
    return definition.get("histories") or {"start": []}


def _history(name: str, path: Any, place: str, problems: list[str]) -> History:
    steps = []
    for step in path if isinstance(path, list) else [path]:
        if isinstance(step, Mapping) and len(step) == 1:
            steps += [(str(player), str(label)) for player, label in step.items()]
        else:
            problems.append(
                f"{place}: expected moves such as [first: escalate], found {shown(step)}"
            )
    return History(str(name), tuple(steps))


def _aliases(value: Any, labels: list[str], place: str, problems: list[str]) -> dict[str, str]:
    aliases = text_keys(value, place, problems)
    problems += [
        f"{place}, {name}: {unknown('choice', label, labels)}"
        for name, label in aliases.items()
        if label not in labels
    ]
    return aliases


def _references(
    value: Any, labels: list[str], settings: Mapping[str, float], place: str, problems: list[str]
) -> tuple[Reference, ...]:
    references = []
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        where = f"{place}, entry {index + 1}"
        entry = known_keys(item, ["of", "value", "text", "source"], where, problems)
        problems += [
            f"{where}: {key} is missing"
            for key in ("of", "value", "text", "source")
            if key not in entry
        ]
        if "of" in entry and entry["of"] not in ["amount", *labels]:
            problems.append(f"{where}, of: {unknown('measure', entry['of'], ['amount', *labels])}")
        number = _share(entry.get("value", 0), settings, f"{where}, value", problems)
        references.append(
            Reference(
                str(entry.get("of")), number, str(entry.get("text")), str(entry.get("source"))
            )
        )
    return tuple(references)
