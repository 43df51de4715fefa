"""Watch the engine's own forward passes, for the self-check.

The hooks here only look. Some run before those of the engine and see the output of a decoder layer
as the layer made it; others run after them and see what the next module gets. The difference must
be exactly the push, at every layer and every position that is neither padding nor the first of its
text. At the first one nothing may be added.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from emotion_games.engine.backend import ByLayer, ModelError
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.sampling import OVERFLOW
from emotion_games.engine.transformers_backend import TransformersBackend

Tokens = tuple[int, ...]
# What each row has read is noted in an attribute of its cache, which copies of the cache inherit.
NOTE = "observed_tokens"


@dataclass(frozen=True)
class Pass:
    """One forward pass.

    Attributes:
        part: What is read: `prompt` or `answer`.
        keys: The name of each row.
        real: False at padding, (rows, new tokens).
        first: True at the first token of a text, (rows, new tokens).
        texts: The tokens that each row has read, with those of this pass.
        fits: Whether each row got each of the expected pushes so far, (rows, pushes).
    """

    part: str
    keys: list[str]
    real: Tensor
    first: Tensor
    texts: list[Tokens]
    fits: Tensor

    def spread(self, states: Tensor) -> Tensor:
        """Return the states of every row, where rows of the same text share theirs."""
        texts = list(dict.fromkeys(self.texts))
        if len(states) != len(texts):
            return states
        return states[[texts.index(text) for text in self.texts]]


class Observer:
    """What the engine did while it was watched.

    It must read the prompts in the order of `keys`. Rows that go on from a prompt may be in any
    order; each of them must get one of the pushes.

    Attributes:
        ends: The logits after each prompt.
        norms: {layer: median length of its hidden states in the last prompts}.
        logits: If there is only one key, the logits after each sequence of tokens that was read.
    """

    def __init__(self, model: TransformersBackend, keys: Sequence[str], pushes: ByLayer) -> None:
        """Take what is to be expected.

        Args:
            model: The model whose passes are watched.
            keys: The name of each prompt.
            pushes: What must be added for each prompt, {layer: (prompts, hidden)}.
        """
        self.model, self.keys = model, list(keys)
        # Vectors are rounded to the number format of the model before they are added.
        self.pushes = {layer: push.to(model.device, model.dtype) for layer, push in pushes.items()}
        self.ends: list[Tensor] = []
        self.norms: dict[int, float] = {}
        self.logits: dict[Tokens, Tensor] = {}
        self._before: ByLayer = {}
        self._pass: Pass

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch every pass in the body.

        Raises:
            SteeringError: If something else than the push was added, or a token has a wrong
                position.
            ModelError: If the hidden states are not finite.
        """
        model, layers = self.model.model, list(enumerate(self.model.layers))
        with ExitStack() as hooks, ExitStack() as late:

            def begin(_module: object, _args: object, given: dict[str, Any]) -> None:
                self._begin(given)
                # The engine has registered its hooks by now, so that these run after them.
                for number, layer in layers:
                    hook = partial(self._check, number)
                    late.callback(layer.register_forward_hook(hook).remove)

            def end(_module: object, _args: object, output: Any) -> None:
                late.close()
                self._end(output.logits)

            for number, layer in layers:
                hook = partial(self._keep, number)
                hooks.callback(layer.register_forward_hook(hook).remove)
            hooks.callback(model.register_forward_pre_hook(begin, with_kwargs=True).remove)
            hooks.callback(model.register_forward_hook(end).remove)
            yield

    def _begin(self, given: dict[str, Any]) -> None:
        ids, mask = given["input_ids"], given["attention_mask"]
        cache = given.get("past_key_values", given.get("cache_params"))
        rows, new = ids.shape
        real = mask[:, -new:].bool()
        first = torch.zeros_like(real)
        known, done = getattr(cache, NOTE, None), len(self.ends)
        if known is None:
            if done + rows > len(self.keys):
                raise SteeringError(
                    f"{self.keys[-1]}: the engine reads a prompt again, or goes on from a cache "
                    "that it has not filled by reading the prompt"
                )
            part, known, keys = "prompt", [()] * rows, self.keys[done : done + rows]
            fits = torch.eye(len(self.keys), dtype=torch.bool)[done : done + rows]
            first[range(rows), real.int().argmax(-1)] = True
        else:
            part, keys = "answer", ["one of the checked requests"] * rows
            fits = torch.ones(rows, len(self.keys), dtype=torch.bool)
            if len(self.keys) == 1:
                keys, known = self.keys * rows, known[:1] * rows
        texts = []
        for row in range(rows):
            tokens = tuple(ids[row, real[row]].tolist())
            # Tokens may have been taken out of the cache. Models without attention get no mask of
            # earlier tokens, but they cannot go back either.
            begun = int(mask[row].sum()) - len(tokens) if mask.shape[1] > new else None
            texts.append(known[min(row, len(known) - 1)][:begun] + tokens)
        setattr(cache, NOTE, texts)
        self._pass = Pass(part, keys, real, first, texts, fits)
        positions = given.get("position_ids")
        if positions is not None and positions.shape == ids.shape:
            self._check_positions(positions, (mask.cumsum(-1) - 1)[:, -new:])

    def _check_positions(self, found: Tensor, expected: Tensor) -> None:
        for row, real in enumerate(self._pass.real):
            if not torch.equal(found[row, real], expected[row, real]):
                raise SteeringError(
                    f"{self._pass.keys[row]}: the first tokens of the {self._pass.part} are at "
                    f"the positions {found[row, real].tolist()[:3]}, which should be "
                    f"{expected[row, real].tolist()[:3]}"
                )

    def _keep(self, layer: int, _module: object, _args: object, output: Any) -> None:
        # A copy, because the engine might add its vectors in place.
        self._before[layer] = _hidden(output).clone()

    def _check(self, layer: int, _module: object, _args: object, output: Any) -> None:
        now, after = self._pass, _hidden(output)
        before, after = now.spread(self._before.pop(layer)), now.spread(after)
        real, first = (where.to(after.device)[..., None] for where in (now.real, now.first))
        if not bool((after.isfinite() | ~real).all()):
            raise ModelError(f"{now.keys[0]}: {OVERFLOW}")
        if now.part == "prompt":
            self.norms[layer] = float(before[real[..., 0]].float().norm(dim=-1).median())
        pushes = self.pushes.get(layer, self._nothing()).to(after)
        for number, push in enumerate(pushes):
            rows = now.fits[:, number].nonzero().flatten().to(after.device)
            expected = before[rows].where(first[rows], before[rows] + push)
            is_exact = ((after[rows] == expected) | ~real[rows]).flatten(1).all(1)
            now.fits[rows[~is_exact].cpu(), number] = False
        wrong = (~now.fits.any(1)).nonzero().flatten().tolist()
        if wrong:
            row = wrong[0]
            added = (after[row].float() - before[row].float()) * real[row]
            complaint = self._complaint(layer, row, added, first[row, :, 0])
            raise SteeringError(f"{now.keys[row]}: {complaint}")

    def _nothing(self) -> Tensor:
        return torch.zeros(len(self.keys), 1)

    def _complaint(self, layer: int, row: int, added: Tensor, first: Tensor) -> str:
        """Say what is wrong with what was added to a row, (positions, hidden)."""
        where = f"layer {layer}, {self._pass.part}"
        place = len(self.ends) + row if self._pass.part == "prompt" else 0
        push = self.pushes.get(layer, self._nothing())[place].to(added)
        if not push.any():
            length = float(added.norm(dim=-1).max())
            return f"{where}: a vector of length {length:.2g} was added, where nothing should be"
        if added[first].any():
            return f"{where}: a vector was added at the first token, which should stay as it is"
        others = self._pass.real[row].to(first.device) & ~first
        share = float((added[others] @ push).mean() / push.square().sum())
        return f"{where}: what was added is not its push; along it, it is {share:.3g} times as long"

    def _end(self, logits: Tensor) -> None:
        now = self._pass
        missing = (~now.fits.any(0)).nonzero().flatten().tolist()
        if missing and len(now.fits) == len(self.keys):
            raise SteeringError(
                f"{self.keys[missing[0]]}: its push was added to no row of the {now.part}"
            )
        if now.part == "prompt":
            self.ends += list(logits[:, -1])
        if len(self.keys) > 1:
            return
        # Logits may be there for the last tokens only.
        first = now.real.shape[1] - logits.shape[1]
        for row, text in enumerate(now.texts):
            columns = now.real[row].nonzero().flatten().tolist()
            for column, length in zip(reversed(columns), range(len(text), 0, -1), strict=False):
                if column >= first:
                    self.logits.setdefault(text[:length], logits[row, column - first].cpu())


def _hidden(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
