"""The records of a game: players, choices, payoffs, and the nodes at which a model decides."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# (player, label) in order of play.
Play = tuple[tuple[str, str], ...]
# The points of both players, in the order of `Game.players`.
Payoff = tuple[float, float]
# The payoffs of each pair (choice of the first player, choice of the second).
Matrix = Mapping[tuple[str, str], Payoff]


@dataclass(frozen=True)
class Choice:
    """One thing that the model may do.

    Attributes:
        value: What the game's outcome counts, from 0 to 1.
        amount: The share of what is at stake that the choice gives away, from 0 to 1. It can be
            compared with the means of human players.
    """

    label: str
    meaning: str
    value: float
    amount: float | None = None


@dataclass(frozen=True)
class Node:
    """A decision in a sequential game: who moves, and the node or the payoffs after each move."""

    player: str
    moves: Mapping[str, "Node | Payoff"]


@dataclass(frozen=True)
class History:
    """What was played before the model decides."""

    name: str
    path: Play = ()


@dataclass(frozen=True)
class Phrases:
    """Verb phrases for one move of one player: `past` after it, `present` in an if-clause.

    `you` is for the model's own move, `other` for a move of the other player. With `is_option` the
    move is the same act as the model's choice of this label, so a story's option describes it.
    """

    past_you: str = ""
    past_other: str = ""
    present_you: str = ""
    present_other: str = ""
    is_option: bool = False


@dataclass(frozen=True)
class Reference:
    """A mean of human players with its source.

    `of` is `amount` (the mean of the choices' amounts) or the label of a choice (its share).
    """

    of: str
    value: float
    text: str
    source: str


@dataclass(frozen=True)
class HumanEffect:
    """What an emotion did to the outcome of a game among people, with its source.

    `sign` is 1 if it raised the outcome, -1 if it lowered it, and 0 if no effect was found.
    """

    sign: int
    text: str
    source: str


@dataclass(frozen=True)
class Game:
    """A game from the point of view of the model's role.

    Attributes:
        kind: `simultaneous` (`payoffs` is a matrix, the model is its row player) or `sequential`
            (`payoffs` is a tree).
        outcome: What the choices' values measure, such as `cooperation`.
        human_effects: By emotion, as far as it is known.
        moves: Phrases by player and label. A label may also be all labels up to the move, divided
            by spaces.
        aliases: Other names that scenario files may give a choice.
        subset: Whether a scenario may offer only some of the choices, two at least.
        many: Whether the second player stands for each of several others, all alike. The matrix of
            such a game has what all of them choose as its columns.
        other_names: Other names that scenario files may give the game.
        definition: The content of the file.
    """

    name: str
    title: str
    kind: str
    outcome: str
    choices: tuple[Choice, ...]
    histories: tuple[History, ...]
    players: tuple[str, str]
    payoffs: Matrix | Node
    family: str | None = None
    role: str | None = None
    references: tuple[Reference, ...] = ()
    human_effects: Mapping[str, HumanEffect] = field(default_factory=dict)
    moves: Mapping[tuple[str, str], Phrases] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    subset: bool = False
    many: bool = False
    other_names: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)
    folder: Path | None = None
    definition: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the choices, in the order of the file."""
        return tuple(choice.label for choice in self.choices)


def matrix_of(game: Game) -> Matrix:
    """Return the payoffs of a simultaneous game."""
    assert not isinstance(game.payoffs, Node), f"{game.name} is sequential"
    return game.payoffs


def tree_of(game: Game) -> Node:
    """Return the first node of a sequential game."""
    assert isinstance(game.payoffs, Node), f"{game.name} is simultaneous"
    return game.payoffs


def node_at(game: Game, history: History) -> Node:
    """Return the node of a sequential game at which the model decides."""
    node: Node | Payoff = tree_of(game)
    for _, label in history.path:
        assert isinstance(node, Node), (
            f"{game.name}: history {history.name} continues after the end of the game"
        )
        node = node.moves[label]
    assert isinstance(node, Node), f"{game.name}: nobody decides after history {history.name}"
    return node


def your_player(game: Game, history: History) -> str:
    """Return the player that the model is: the row player, or the one who moves at the node."""
    return game.players[0] if game.kind == "simultaneous" else node_at(game, history).player


def phrases(game: Game, path: Play) -> Phrases:
    """Return the phrases of the last move of a path from the start of the game.

    Phrases of this very path take precedence over those of the move anywhere in the game.
    """
    player, label = path[-1]
    # The same label can be played at several nodes, with another meaning at each.
    so_far = " ".join(step for _, step in path)
    return game.moves.get((player, so_far)) or game.moves.get((player, label)) or Phrases()


def leaves(node: Node | Payoff, path: Play = ()) -> Iterator[tuple[Play, Payoff]]:
    """Yield every way to play on from a node, with the payoffs at its end."""
    if not isinstance(node, Node):
        yield path, node
        return
    for label, following in node.moves.items():
        yield from leaves(following, (*path, (node.player, label)))


def moves_of_others(game: Game) -> tuple[str, ...]:
    """Return the labels of the moves of the role that the model is not; none without roles."""
    if not game.role or not isinstance(game.payoffs, Node):
        return ()
    moves = [move for path, _ in leaves(game.payoffs) for move in path]
    return tuple(dict.fromkeys(label for player, label in moves if player != game.role))


def with_choices(game: Game, labels: tuple[str, ...]) -> Game:
    """Return the game with only these choices, for both players if both have the same ones."""
    dropped = set(game.labels) - set(labels)
    if not dropped:
        return game
    payoffs: Any
    if isinstance(game.payoffs, Node):
        payoffs = _pruned(game.payoffs, dropped)
    else:
        payoffs = {cell: pair for cell, pair in game.payoffs.items() if dropped.isdisjoint(cell)}
    choices = tuple(choice for choice in game.choices if choice.label in labels)
    return replace(game, choices=choices, payoffs=payoffs)


def _pruned(node: Node | Payoff, dropped: set[str]) -> Node | Payoff:
    if not isinstance(node, Node):
        return node
    kept = {
        label: _pruned(after, dropped)
        for label, after in node.moves.items()
        if label not in dropped
    }
    return Node(node.player, kept)
