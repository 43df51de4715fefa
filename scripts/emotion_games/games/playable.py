"""Whether a game can be played, told and measured: histories lead to the model's move, told moves exist, values differ.

Knows the records of games; the notation of their files is checked by `game_files`.
"""

from emotion_games.errors import unknown
from emotion_games.games.records import Game, History, Node, Payoff, leaves, phrases


def played_problems(game: Game, place: str) -> list[str]:
    """Return a line for each history that cannot be played or told, told moves that the game lacks, equal values."""
    problems = _choice_problems(game, place) + _move_problems(game, place)
    return problems + [
        line for history in game.histories for line in _history_problems(game, history, place)
    ]


def _choice_problems(game: Game, place: str) -> list[str]:
    """Where all choices count the same, nothing can have an effect."""
    values = {choice.value for choice in game.choices}
    if len(values) > 1:
        return []
    return [
        f"{place}, choices: all have the value {values.pop():g}; give two different ones, such as 1 and 0"
    ]


def _history_problems(game: Game, history: History, place: str) -> list[str]:
    """Follow a history through the tree; the model must have its choices there and not have moved last."""
    place = f"{place}, histories, {history.name}"
    if game.kind == "simultaneous":
        return [f"{place}: in a simultaneous game nothing is played before"] if history.path else []
    node: Node | Payoff = game.payoffs  # type: ignore[assignment]
    for player, label in history.path:
        if not isinstance(node, Node):
            return [f"{place}: the game has ended before {player} {label}"]
        if player != node.player:
            return [f"{place}: {node.player} moves here, not {player}"]
        if label not in node.moves:
            return [f"{place}: {unknown('move', label, node.moves)}"]
        node = node.moves[label]
    if not isinstance(node, Node):
        return [f"{place}: the game has ended, nobody decides"]
    problems = []
    if set(node.moves) != set(game.labels):
        problems.append(
            f"{place}: the moves there are {', '.join(node.moves)}, but choices are {', '.join(game.labels)}"
        )
    if game.role and node.player != game.role:
        problems.append(f"{place}: {node.player} decides there, but role is {game.role}")
    if history.path and history.path[-1][0] == node.player:
        problems.append(f"{place}: {node.player} moved last and would answer their own move")
    for end, (player, _) in enumerate(history.path, start=1):
        person = "you" if player == node.player else "other"
        if not getattr(phrases(game, history.path[:end]), f"past_{person}"):
            problems.append(
                f"{place}: needs moves, {', '.join(history.path[end - 1])}, past to tell it"
            )
    # A later move is told by its option's number only where it is one of the model's options.
    for path, _ in leaves(node, history.path):
        for end in range(len(history.path) + 2, len(path) + 1):
            (player, label), person = (
                path[end - 1],
                "you" if path[end - 1][0] == node.player else "other",
            )
            if label not in game.labels and not getattr(
                phrases(game, path[:end]), f"present_{person}"
            ):
                problems.append(
                    f"{place}: needs moves, {player}, {label}, present to tell what may follow"
                )
    return list(dict.fromkeys(problems))


def _move_problems(game: Game, place: str) -> list[str]:
    """Return the told moves that the game does not have."""
    if isinstance(game.payoffs, Node):
        paths = {path[:end] for path, _ in leaves(game.payoffs) for end in range(1, len(path) + 1)}
        known = {(path[-1][0], path[-1][1]) for path in paths}
        known |= {(path[-1][0], " ".join(label for _, label in path)) for path in paths}
    else:
        known = {(player, label) for player in game.players for label in game.labels}
    return [
        f"{place}, moves, {player}: {unknown('move', label, sorted(name for mover, name in known if mover == player))}"
        for player, label in game.moves
        if (player, label) not in known
    ]
