"""What a game is: players, choices, payoffs, and the nodes at which a model decides.

Knows the records and how to walk them, and no game by name. `games` reads them from their folders; stories are
`scenarios`, solutions are `equilibria`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Payoff = tuple[float, float]


@dataclass(frozen=True)
class Choice:
    """One thing that the model may do; `value` in [0, 1] is what the game's outcome measures."""

    label: str
    meaning: str
    value: float
    amount: float | None = (
        None  # share of what is at stake that the choice gives away, comparable with human means
    )


@dataclass(frozen=True)
class Node:
    """A decision in a sequential game: who moves, and what each label leads to (a further node, or the payoffs)."""

    player: str
    moves: Mapping[str, "Node | Payoff"]


Matrix = Mapping[tuple[str, str], Payoff]


@dataclass(frozen=True)
class History:
    """What was played before the model decides, as (player, label) in order of play."""

    name: str
    path: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Phrases:
    """How one move of one player is told: `past` after the event, `present` in an if-clause (both as verb phrases)."""

    past_you: str = ""
    past_other: str = ""
    present_you: str = ""
    present_other: str = ""


@dataclass(frozen=True)
class Reference:
    """A human mean with its source; `of` is `amount` (mean of the choices' amounts) or a choice's label (its share)."""

    of: str
    value: float
    text: str
    source: str


@dataclass(frozen=True)
class Game:
    """A game from the point of view of the model's role; payoffs are in the order of `players`."""

    name: str
    title: str
    kind: str  # 'simultaneous' (payoffs: matrix, the model is the row player) or 'sequential' (payoffs: tree)
    outcome: str  # what the choices' values measure, e.g. 'cooperation'
    choices: tuple[Choice, ...]
    histories: tuple[History, ...]
    players: tuple[str, str]
    payoffs: Matrix | Node
    family: str | None = None
    role: str | None = None
    references: tuple[Reference, ...] = ()
    moves: Mapping[tuple[str, str], Phrases] = field(
        default_factory=dict
    )  # by player and label, or labels so far
    aliases: Mapping[str, str] = field(
        default_factory=dict
    )  # other names that scenario files may give a choice
    subset: bool = False  # whether a scenario may offer only some of the choices (two at least)
    settings: Mapping[str, float] = field(default_factory=dict)
    folder: Path | None = None
    definition: Mapping[str, Any] = field(
        default_factory=dict, repr=False, compare=False
    )  # as it stands in the file

    @property
    def labels(self) -> tuple[str, ...]:
        """The choices' labels, in the order of the file."""
        return tuple(choice.label for choice in self.choices)


def node_at(game: Game, history: History) -> Node:
    """Return the node of a sequential game at which the model decides."""
    node: Node | Payoff = game.payoffs  # type: ignore[assignment]
    for _, label in history.path:
        assert isinstance(node, Node), (
            f"{game.name}: history {history.name} goes on after the game has ended"
        )
        node = node.moves[label]
    assert isinstance(node, Node), f"{game.name}: nobody decides after history {history.name}"
    return node


def your_player(game: Game, history: History) -> str:
    """Return which player the model is at this history: the row player, or whoever moves at the node."""
    return game.players[0] if game.kind == "simultaneous" else node_at(game, history).player


def phrases(game: Game, path: tuple[tuple[str, str], ...]) -> Phrases:
    """Return how the last move of a path from the game's start is told; the phrase of that very path comes first."""
    player, label = path[-1]
    so_far = " ".join(step for _, step in path)
    return game.moves.get((player, so_far)) or game.moves.get((player, label)) or Phrases()


def leaves(
    node: Node | Payoff, path: tuple[tuple[str, str], ...] = ()
) -> Iterator[tuple[tuple[tuple[str, str], ...], Payoff]]:
    """Yield every way to play on from a node, as ((player, label), ...) and the payoffs at its end."""
    if not isinstance(node, Node):
        yield path, node
        return
    for label, following in node.moves.items():
        yield from leaves(following, (*path, (node.player, label)))


def with_choices(game: Game, labels: tuple[str, ...]) -> Game:
    """Return the game in which only these choices exist (of both players where both have the same ones)."""
    if set(labels) >= set(game.labels):
        return game
    return replace(
        game,
        choices=tuple(choice for choice in game.choices if choice.label in labels),
        payoffs=_narrowed(game.payoffs, set(game.labels) - set(labels)),
    )


def _narrowed(payoffs: Matrix | Node | Payoff, dropped: set[str]) -> Any:
    if isinstance(payoffs, Node):
        kept = {
            label: _narrowed(after, dropped)
            for label, after in payoffs.moves.items()
            if label not in dropped
        }
        return Node(payoffs.player, kept)
    if isinstance(payoffs, Mapping):
        return {cell: pair for cell, pair in payoffs.items() if dropped.isdisjoint(cell)}
    return payoffs
