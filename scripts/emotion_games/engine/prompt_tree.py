"""What prompts have in common, so that it is read once.

The option orders, wordings and histories of a story begin with the same tokens. This trunk is read
once under each push, and the prompts branch off it. Under pushes that begin later it is read once
for all of them, up to where the first one begins. Trunks that begin alike branch off a trunk of
their own. Only whole tokens of whole prompts are compared, so that every row reads exactly the
tokens of its own prompt.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from os.path import commonprefix

from emotion_games.engine.backend import Ids
from emotion_games.engine.windows import NOWHERE, Window

# Prompts of one story begin with the same tokens, at least for this share of the longest one.
STORY_SHARE = 0.5
# Shares that are tried for the trunks of a batch: those of equal prompts, of orders with the same
# first option, of stories, and of all prompts. Trunks of trunks have a smaller one.
SHARES = (1.0, 0.8, 0.7, 0.6, STORY_SHARE, 0.0)
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Prompts that branch off trunks.

    Attributes:
        trunks: The tokens of each trunk, whose last one is never the last of a prompt.
        sources: For each trunk a row that branches off it, which has the same push in the trunk.
        parents: For each row its trunk.
        suffix: How many of their last tokens all rows read after their trunks. It is the same
            number for all, so that no padding stands inside a row. Where fewer tokens follow the
            trunk, its end is read again.
        below: The tree of the trunks; None if each of them is read alone.
    """

    trunks: list[Tokens]
    sources: list[int]
    parents: list[int]
    suffix: int
    below: "Tree | None"

    @property
    def tokens(self) -> int:
        """How many tokens are read, padding included."""
        trunks = self.below.tokens if self.below else _tokens_alone(self.trunks)
        return trunks + len(self.parents) * self.suffix

    def kept(self, prompt: Ids) -> int:
        """Return how many tokens of its trunk a prompt goes on from."""
        return max(0, len(prompt) - self.suffix)


def numbered(values: Iterable[Hashable]) -> list[int]:
    """Return a number for each value, equal values alike, counted from 0 as they appear."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]


def stories(prompts: Sequence[Ids], share: float = STORY_SHARE) -> list[list[Tokens]]:
    """Return different prompts in groups that begin with the same tokens.

    Args:
        prompts: The tokens of each prompt, in any order.
        share: How many tokens the prompts of a group have in common, as a share of the longest.
    """
    groups: list[list[Tokens]] = []
    # In this order, what the first and the last of a group have in common, all have.
    for prompt in sorted(set(map(tuple, prompts))):
        common = len(commonprefix([groups[-1][0], prompt])) if groups else 0
        if common > 0 and common >= share * max(map(len, [*groups[-1], prompt])):
            groups[-1].append(prompt)
        else:
            groups.append([prompt])
    return groups


def branching(
    prompts: Sequence[Ids],
    pushes: Sequence[Hashable],
    windows: Sequence[Window] = (),
    shares: Sequence[float] = SHARES,
) -> Tree | None:
    """Return the tree of a batch that reads the fewest tokens, or None if none saves any.

    Args:
        prompts: The tokens of each row.
        pushes: What tells the pushes of the rows apart.
        windows: Where the push of each row acts; by default everywhere.
        shares: See SHARES; in descending order.
    """
    rows = [tuple(prompt) for prompt in prompts]
    windows = windows or [Window()] * len(rows)
    trees = (_tree(rows, pushes, windows, shares[place:]) for place in range(len(shares)))
    found = min(filter(None, trees), key=lambda tree: tree.tokens, default=None)
    return found if found and found.tokens < _tokens_alone(rows) else None


def _tree(
    rows: Sequence[Tokens],
    pushes: Sequence[Hashable],
    windows: Sequence[Window],
    shares: Sequence[float],
) -> Tree | None:
    """Return the tree with one trunk for each group of the first share and each push.

    It is None if a trunk would be empty, or if no two rows had the same.
    """
    begins: dict[Tokens, int] = {}
    for row, window in zip(rows, windows, strict=True):
        begins[row] = min(window.begin, begins.get(row, window.begin))
    trunk_of: dict[Tokens, Tokens] = {}
    for group in stories(rows, shares[0]):
        # Every prompt has a token left, whose logits are wanted.
        length = min(len(commonprefix([group[0], group[-1]])), min(map(len, group)) - 1)
        # Before the first push begins, all pushes read the same.
        begin = min(begins[prompt] for prompt in group)
        length = min(length, begin) if begin > 1 else length
        trunk_of |= {prompt: group[0][:length] for prompt in group}
    trunks = []
    for row, push, window in zip(rows, pushes, windows, strict=True):
        part = window.within(len(trunk_of[row]))
        trunks.append((trunk_of[row], push, part) if part else (trunk_of[row], None, NOWHERE))
    found = list(dict.fromkeys(trunks))
    if () in trunk_of.values() or len(found) == len(rows):
        return None
    tokens = [own for own, _, _ in found]
    below = [push for _, push, _ in found], [part for _, _, part in found]
    return Tree(
        trunks=tokens,
        sources=[trunks.index(trunk) for trunk in found],
        parents=numbered(trunks),
        suffix=max(len(row) - len(trunk_of[row]) for row in rows),
        below=branching(tokens, *below, shares[1:]),
    )


def _tokens_alone(rows: Sequence[Ids]) -> int:
    return len(rows) * max(map(len, rows))
