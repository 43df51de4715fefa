"""Rows that a model of transformers has read, each with its key-value cache and its vectors.

Repeats, scores of options and rationales branch off a copy of the cache.
"""

import inspect
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from emotion_games.engine import caches, hooks
from emotion_games.engine.backend import ByLayer, Ids, Layers, Logprobs, Rows
from emotion_games.engine.prompt_tree import Tree, numbered
from emotion_games.engine.ragged import logprobs
from emotion_games.engine.sampling import next_tokens
from emotion_games.engine.windows import Window

# Finished rows leave the batch if they are this share of it: copying the cache costs a few steps.
LEAVING_SHARE = 0.25
# Logits held at once while scoring, in elements (1 GiB in float32).
LOGITS_AT_ONCE = 2**28
# Rows that are scored together.
SCORED_AT_ONCE = 256
# An answer is complete at one of these characters, and a thought at the end of a tag.
CLOSING = frozenset('"}>')


class Reader(Protocol):
    """What rows need of the back end that has read them."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layers: nn.ModuleList
    device: torch.device
    end_tokens: set[int]

    @property
    def row_axes(self) -> Sequence[hooks.Axes]:
        """What is known about the arguments of the decoder layers; see `hooks.row_axes`."""

    @property
    def reads_on_at_once(self) -> bool:
        """Whether several tokens can be read after others in one pass."""

    def padded(self, texts: Sequence[Ids], side: str = "right") -> tuple[Tensor, Tensor]:
        """Return token ids and their mask, both (rows, longest)."""


@dataclass
class CachedRows(Rows):
    """Rows with their key-value cache. `mask` (rows, length) is 0 at padding.

    `windows` (rows, 2) are the tokens at which vectors are added; see `hooks.steer`.

    Rows of one text share the `shared` lowest layers, which come before the first vector. There
    the cache has one row for each text; `groups` are the numbers of the rows' texts, counted from
    0 as they appear.
    """

    backend: Reader
    cache: DynamicCache
    mask: Tensor
    vectors: ByLayer
    windows: Tensor
    logits: Tensor
    states: ByLayer
    shared: int
    groups: list[int]

    def take(
        self, places: Sequence[int], room: int, reading: Sequence[Hashable] | None = None
    ) -> "CachedRows":
        """Return a copy of some rows, repeats allowed.

        Args:
            places: The rows.
            room: For how many more tokens there is room.
            reading: What each of them reads next. Those of one text that read the same go on
                sharing layers. None stands for rows that share nothing from now on.
        """
        shared, groups = 0, list(range(len(places)))
        if reading is not None:
            texts = zip((self.groups[place] for place in places), reading, strict=True)
            shared, groups = self.shared, numbered(texts)
        rows = self._go_on(places, [0] * len(places), room, shared, groups)
        at = torch.as_tensor(places, device=self.mask.device)
        rows.mask, rows.logits = self.mask[at], self.logits[at]
        return rows

    def branch(
        self, tree: Tree, prompts: Sequence[Ids], pushed: tuple[ByLayer, Tensor]
    ) -> "CachedRows":
        """Return the rows of prompts that have been read as far as the trunks of a tree go.

        Args:
            tree: The tree, whose trunks these rows have read.
            prompts: The tokens of each prompt.
            pushed: The vectors of the prompts, and their windows (rows, 2).
        """
        kept = [tree.kept(prompt) for prompt in prompts]
        lengths = [len(tree.trunks[parent]) for parent in tree.parents]
        drops = [length - own for length, own in zip(lengths, kept, strict=True)]
        texts = numbered(map(tuple, prompts))
        rows = self._go_on(tree.parents, drops, tree.suffix, self.shared, texts)
        places = torch.arange(self.mask.shape[1], 0, -1, device=self.mask.device)
        rows.mask = (places <= torch.tensor(kept).to(places)[:, None]).to(self.mask)
        rows.vectors, rows.windows = pushed
        return rows

    def _go_on(
        self,
        parents: Sequence[int],
        drops: Sequence[int],
        room: int,
        shared: int,
        groups: list[int],
    ) -> "CachedRows":
        """Return rows that go on from these, less their last tokens; their mask is not set."""
        parent, drop, group = (torch.tensor(numbers) for numbers in (parents, drops, self.groups))
        of_groups = [groups.index(number) for number in dict.fromkeys(groups)]
        branches = []
        # A decoder layer may have two attention layers, and the uppermost ones none of their own.
        number = len(self.cache.layers)
        each = max(1, number // len(self.backend.layers))
        for layer in range(number):
            rows = group[parent] if layer < each * self.shared else parent
            new = of_groups if layer < each * shared else slice(None)
            branches.append(caches.Branches(rows[new], drop[new]))
        cache = caches.branch(self.cache, parents, branches, room)
        vectors = {at: v[parent.to(v.device)] for at, v in self.vectors.items()}
        windows, nothing = self.windows[parent.to(self.windows.device)], self.logits[:0]
        return CachedRows(
            self.backend, cache, self.mask, vectors, windows, nothing, {}, shared, groups
        )

    @torch.inference_mode()
    def extend(
        self, ids: Tensor, real: Tensor, keep: int, watched: Layers = ()
    ) -> tuple[Tensor, ByLayer]:
        """Read new tokens in place; `self.logits` stay as they are.

        Args:
            ids: New tokens, (rows, new).
            real: 0 at padding, (rows, new).
            keep: For how many of the last positions logits are wanted.
            watched: Layers whose outputs are returned.

        Returns:
            Logits (rows, keep, vocabulary) and {layer: (rows, new, hidden)}.
        """
        model, layers = self.backend.model, self.backend.layers
        self.mask = torch.cat([self.mask, real], 1)
        # Position ids count real tokens only, so that padding does not change a row.
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        extras: dict[str, Any] = {"position_ids": positions, "logits_to_keep": keep}
        if watched:
            # Given a number, some models run their upper layers only at the last positions.
            extras["logits_to_keep"] = torch.arange(ids.shape[1])[-keep:].to(ids.device)
        accepted = inspect.signature(model.forward).parameters
        extras = {name: value for name, value in extras.items() if name in accepted}
        # State-space models have another name for it.
        cache = "cache_params" if "cache_params" in accepted else "past_key_values"
        state = {cache: self.cache, "use_cache": True, **extras}
        # Without attention, layers want to know only which of the new tokens are real.
        mask = self.mask if caches.has_attention(self.cache) else real
        axes = self.backend.row_axes[: self.shared] if self.shared else []
        sharing = hooks.shared_lower_layers(layers, axes, torch.tensor(self.groups))
        steering = hooks.steer(model, layers, self.vectors, self.mask, self.windows)
        with sharing, steering, hooks.capture(layers, watched) as states:
            out = model(input_ids=ids, attention_mask=mask, **state)
        return out.logits[:, -keep:], states

    def forget(self, tokens: int) -> None:
        """Go back to before the last `tokens` tokens; `logits` stay as they are."""
        self.cache.crop(-tokens)
        self.mask = self.mask[:, : self.mask.shape[1] - tokens]

    def score(
        self,
        places: Sequence[int],
        texts: Sequence[Sequence[Ids]],
        windows: Sequence[Sequence[Window]] = (),
    ) -> Logprobs:
        """Return log-probabilities; what a group's texts begin with is read once."""
        begun = [Window(*window) for window in self.windows.tolist()]
        windows = windows or [
            [begun[place]] * len(several) for place, several in zip(places, texts, strict=True)
        ]
        begins = [len(commonprefix([list(ids[:-1]) for ids in several])) for several in texts]
        # Padding between the tokens of a row would fill its sliding window. So rows that are
        # scored together read on together only as far as each of them can, and neighbours can go
        # about equally far. All of them have as many continuations, so that none has to wait.
        kinds: dict[int, list[int]] = {}
        for k in sorted(range(len(texts)), key=begins.__getitem__):
            kinds.setdefault(len(texts[k]), []).append(k)
        longest = max(len(ids) for several in texts for ids in several)
        chunk = max(1, min(SCORED_AT_ONCE, LOGITS_AT_ONCE // (longest * self.logits.shape[-1])))
        results: dict[int, list[list[float]]] = {}
        for part in (k[i : i + chunk] for k in kinds.values() for i in range(0, len(k), chunk)):
            branch = self.take(
                [places[k] for k in part], longest, [_tuples(texts[k]) for k in part]
            )
            following = [texts[k] for k in part], [windows[k] for k in part]
            found = branch._follow(*following, begins[part[0]])
            results |= zip(part, found, strict=True)
        return [results[k] for k in range(len(texts))]

    def _follow(
        self, texts: Sequence[Sequence[Ids]], windows: Sequence[Sequence[Window]], begin: int
    ) -> Logprobs:
        """Score as many texts after each row, which all begin with the same `begin` tokens."""
        opening = [several[0][:begin] for several in texts]
        # There the windows of all texts of a row are the same.
        self.windows = torch.tensor([own[0] for own in windows]).to(self.windows)
        logits = self._read_on(opening)
        self.logits, begun = logits[:, -1], logprobs(logits, opening)
        results: Logprobs = [[] for _ in texts]
        length, longest = self.mask.shape[1], max(len(ids) for several in texts for ids in several)
        for number in range(len(texts[0])):
            rest = [several[number][begin:] for several in texts]
            # A recurrent state cannot go back, so a copy reads on.
            ahead = self
            if not caches.can_go_back(self.cache):
                ahead = self.take(range(len(texts)), longest, [()] * len(texts))
            ahead.windows = torch.tensor([own[number] for own in windows]).to(self.windows)
            # The last token of a text is scored but never read.
            found = logprobs(ahead._read_on([ids[:-1] for ids in rest]), rest)
            if ahead is self:
                self.forget(self.mask.shape[1] - length)
            for result, first, others in zip(results, begun, found, strict=True):
                result.append(first + others)
        return results

    def _read_on(self, texts: Sequence[Ids]) -> Tensor:
        """Read one text per row in place; logits before the first token and after each."""
        if not any(texts):
            return self.logits[:, None]
        ids, real = self.backend.padded(texts)
        width = ids.shape[1] if self.backend.reads_on_at_once else 1
        found = [self.logits[:, None]]
        for new, is_real in zip(ids.split(width, 1), real.split(width, 1), strict=True):
            found.append(self.extend(new, is_real, new.shape[1])[0])
        return torch.cat(found, 1)

    def generate(
        self,
        places: Sequence[int],
        uniforms: Tensor,
        temperature: float,
        top_p: float,
        is_closed: Callable[[str], bool],
        begins: Sequence[Ids] = (),
    ) -> list[list[int]]:
        """Write answers; finished ones leave the batch. See `Rows.generate`."""
        steps, uniforms = uniforms.shape[1], uniforms.to(self.backend.device)
        rows = self.take(places, room=steps + max(map(len, begins), default=0))
        rows.logits = rows._read_on(begins)[:, -1]
        answers: list[list[int]] = [[] for _ in places]
        at = list(range(len(places)))  # the answer that each row of the batch belongs to
        alive = set(at)
        for step in range(steps):
            tokens = next_tokens(rows.logits, uniforms[at, step], temperature, top_p)
            for answer, token in zip(at, tokens.tolist(), strict=True):
                if answer in alive and self._ends(answers[answer], token, is_closed):
                    alive.remove(answer)
            if not alive or step + 1 == steps:
                break
            if len(alive) <= (1 - LEAVING_SHARE) * len(at):
                keep = [place for place, answer in enumerate(at) if answer in alive]
                rows, tokens = rows.take(keep, steps - step), tokens[keep]
                at = [at[place] for place in keep]
            new = tokens[:, None]
            rows.logits = rows.extend(new, torch.ones_like(new), 1)[0][:, -1]
        return answers

    def _ends(self, answer: list[int], token: int, is_closed: Callable[[str], bool]) -> bool:
        """Append a token unless it is an end token; return True if the answer is complete."""
        if token in self.backend.end_tokens:
            return True
        answer.append(token)
        decode = self.backend.tokenizer.decode
        # Most tokens cannot close an answer, whose whole text takes long to decode.
        return not CLOSING.isdisjoint(decode([token])) and is_closed(str(decode(answer)))


def _tuples(texts: Sequence[Ids]) -> Hashable:
    return tuple(map(tuple, texts))
