"""Whether a game can be played, described and measured.

Its histories must lead to a decision of the model, every move that a prompt describes must have a
phrase, and the values of the choices must differ.
"""

from itertools import product

from emotion_games.errors import unknown
from emotion_games.games.records import Game, History, Node, Payoff, Play, leaves, phrases, tree_of


def play_problems(game: Game) -> list[str]:
    """Return one line for each history, phrase or value that cannot be used."""
    problems = []
    values = {choice.value for choice in game.choices}
    if len(values) == 1:
        # No effect on the outcome could be seen.
        problems.append(
            f"choices: all have the value {values.pop():g}; give two different ones, "
            "such as 1 and 0"
        )
    if game.many and game.kind != "simultaneous":
        problems.append("many: in a sequential game two people play; remove it")
    problems += _move_problems(game)
    for history in game.histories:
        problems += [
            f"histories.{history.name}: {line}" for line in _history_problems(game, history)
        ]
    return problems


def _history_problems(game: Game, history: History) -> list[str]:
    """Follow a history through the tree to the node at which the model decides."""
    if game.kind == "simultaneous":
        return ["in a simultaneous game nobody moves before the model"] if history.path else []
    node: Node | Payoff = tree_of(game)
    for player, label in history.path:
        if not isinstance(node, Node):
            return [f"the game has ended before {player} {label}"]
        if player != node.player:
            return [f"{node.player} moves here, not {player}"]
        if label not in node.moves:
            return [unknown("move", label, node.moves)]
        node = node.moves[label]
    if not isinstance(node, Node):
        return ["the game has ended, nobody decides"]
    # A prompt offers the choices of the game, so they must be the moves at this node.
    problems = []
    if set(node.moves) != set(game.labels):
        problems.append(
            f"the moves there are {', '.join(node.moves)}, but choices are {', '.join(game.labels)}"
        )
    if game.role and node.player != game.role:
        problems.append(f"{node.player} decides there, but role is {game.role}")
    if history.path and history.path[-1][0] == node.player:
        problems.append(f"{node.player} moved last, so nobody else moves before the decision")
    return problems + _phrase_problems(game, history, node)


def _phrase_problems(game: Game, history: History, node: Node) -> list[str]:
    """Return the phrases that a prompt at this node needs and the game lacks."""
    needed: list[tuple[Play, str]] = [
        (history.path[:end], "past") for end in range(1, len(history.path) + 1)
    ]
    for path, _ in leaves(node, history.path):
        for end in range(len(history.path) + 2, len(path) + 1):
            # A later move that is one of the model's options is described by its number.
            if path[end - 1][1] not in game.labels:
                needed.append((path[:end], "present"))
    problems = []
    for path, tense in dict.fromkeys(needed):
        player, label = path[-1]
        person = "you" if player == node.player else "other"
        if not getattr(phrases(game, path), f"{tense}_{person}"):
            use = "what was played" if tense == "past" else "what may follow"
            problems.append(f"needs the phrase moves.{player}.{label}.{tense} to describe {use}")
    return list(dict.fromkeys(problems))


def _move_problems(game: Game) -> list[str]:
    """Return the phrases of moves that the game does not have."""
    if isinstance(game.payoffs, Node):
        known = set()
        for path, _ in leaves(game.payoffs):
            for end in range(1, len(path) + 1):
                player, label = path[end - 1]
                so_far = " ".join(step for _, step in path[:end])
                known |= {(player, label), (player, so_far)}
    else:
        known = set(product(game.players, game.labels))
    problems = []
    for (player, label), move in game.moves.items():
        if (player, label) not in known:
            labels = sorted(name for mover, name in known if mover == player)
            problems.append(f"moves.{player}: {unknown('move', label, labels)}")
        elif move.is_option and label.split()[-1] not in game.labels:
            line = unknown("choice of the model", label.split()[-1], game.labels)
            problems.append(f"moves.{player}.{label}.option: {line}")
    return problems
