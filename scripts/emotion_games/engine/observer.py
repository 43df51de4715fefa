"""Watch the engine's own forward passes, for the self-check.

The hooks here only look. Some run before those of the engine and see the output of a decoder layer
as the layer made it; others run after them and see what the next module gets. The difference must
be exactly the push, at every layer and every position where it acts. Elsewhere nothing may be
added: not at the first position of a text, nor outside the window of its request.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from emotion_games.engine.backend import ByLayer, ModelError
from emotion_games.engine.caches import NOTES
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.reference import pushed_tokens
from emotion_games.engine.sampling import OVERFLOW
from emotion_games.engine.transformers_backend import TransformersBackend

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Note:
    """What was seen of a row so far; copies of its cache take it along.

    Attributes:
        text: The tokens that it has read.
        fits: Whether everything that was added to it is the push of each request, (requests,).
    """

    text: Tokens
    fits: Tensor


@dataclass(frozen=True)
class Pass:
    """One forward pass.

    Attributes:
        cache: The cache of the rows.
        real: False at padding, (rows, new tokens).
        first: True at the first token of a text, (rows, new tokens).
        acts: True where the push of each request acts, (requests, rows, new tokens).
        texts: The tokens that each row has read, with those of this pass.
        fits: See `Note`, (rows, requests).
    """

    cache: object
    real: Tensor
    first: Tensor
    acts: Tensor
    texts: list[Tokens]
    fits: Tensor

    def spread(self, states: Tensor) -> Tensor:
        """Return the states of every row, where rows of the same text share theirs."""
        texts = list(dict.fromkeys(self.texts))
        if len(states) != len(texts):
            return states
        return states[[texts.index(text) for text in self.texts]]


class Observer:
    """What the engine did while it was watched. Every row must get the push of one request.

    Attributes:
        logits: Those after each sequence of tokens that was read under the push of a request,
            {(number of the request, tokens): (vocabulary,)}.
    """

    def __init__(
        self,
        model: TransformersBackend,
        keys: Sequence[str],
        pushes: ByLayer,
        edges: Sequence[tuple[Tokens, Tokens | None]],
    ) -> None:
        """Take what is to be expected.

        Args:
            model: The model whose passes are watched.
            keys: The name of each request.
            pushes: What must be added for each request, {layer: (requests, hidden)}.
            edges: Where: see `reference.push_edges`.
        """
        self.model, self.keys, self._edges = model, list(keys), edges
        self._served: set[int] = set()
        # Vectors are rounded to the number format of the model before they are added.
        self.pushes = {layer: push.to(model.device, model.dtype) for layer, push in pushes.items()}
        self._lengths: dict[int, list[Tensor]] = {}
        self.logits: dict[tuple[int, Tokens], Tensor] = {}
        self._before: ByLayer = {}
        self._pass: Pass

    @property
    def norms(self) -> dict[int, float]:
        """The median length of the hidden states of each layer where pushes are added."""
        return {layer: float(torch.cat(found).median()) for layer, found in self._lengths.items()}

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch every pass in the body.

        Raises:
            SteeringError: If something else than a push was added to a row, a push to no row, or
                a token has a wrong position.
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
        for number, key in enumerate(self.keys):
            if number not in self._served:
                raise SteeringError(f"{key}: its push was added to no row")

    def _begin(self, given: dict[str, Any]) -> None:
        ids, mask = given["input_ids"], given["attention_mask"]
        cache = given.get("past_key_values", given.get("cache_params"))
        rows, new = ids.shape
        real = mask[:, -new:].bool()
        first = torch.zeros_like(real)
        acts = torch.zeros(len(self.keys), *real.shape, dtype=torch.bool, device=real.device)
        nothing = Note((), torch.ones(len(self.keys), dtype=torch.bool))
        notes, texts = getattr(cache, NOTES, None) or [nothing] * rows, []
        for row, note in enumerate(notes):
            tokens = tuple(ids[row, real[row]].tolist())
            # Tokens may have been taken out of the cache. Models without attention get no mask of
            # earlier tokens, but they cannot go back either.
            begun = int(mask[row].sum()) - len(tokens) if mask.shape[1] > new else None
            before = note.text[:begun]
            first[row, real[row].int().argmax()] = not before
            texts.append(before + tokens)
            columns = real[row].nonzero().flatten()
            for number, edges in enumerate(self._edges):
                begin, end = pushed_tokens(texts[-1], edges)
                place = torch.arange(len(before), len(texts[-1]), device=real.device)
                acts[number, row, columns] = (place >= begin) & (place < end)
        fits = torch.stack([note.fits for note in notes])
        self._pass = Pass(cache, real, first, acts, texts, fits)
        positions = given.get("position_ids")
        if positions is not None and positions.shape == ids.shape:
            self._check_positions(positions, (mask.cumsum(-1) - 1)[:, -new:])

    def _check_positions(self, found: Tensor, expected: Tensor) -> None:
        for row, real in enumerate(self._pass.real):
            if not torch.equal(found[row, real], expected[row, real]):
                raise SteeringError(
                    f"{self._name(row)}: the first tokens of a pass are at the positions "
                    f"{found[row, real].tolist()[:3]}, which should be "
                    f"{expected[row, real].tolist()[:3]}"
                )

    def _name(self, row: int) -> str:
        fitting = self._pass.fits[row].nonzero().flatten().tolist()
        return self.keys[fitting[0]] if len(fitting) == 1 else "one of the checked requests"

    def _keep(self, layer: int, _module: object, _args: object, output: Any) -> None:
        # A copy, because the engine might add its vectors in place.
        self._before[layer] = _hidden(output).clone()

    def _check(self, layer: int, _module: object, _args: object, output: Any) -> None:
        now, after = self._pass, _hidden(output)
        before, after = now.spread(self._before.pop(layer)), now.spread(after)
        real, first = (self._seen(where, after)[..., None] for where in (now.real, now.first))
        acts = [self._seen(where, after)[..., None] for where in now.acts]
        if not bool((after.isfinite() | ~real).all()):
            raise ModelError(f"{self._name(0)}: {OVERFLOW}")
        pushed = (real & ~first)[..., 0]
        self._lengths.setdefault(layer, []).append(before[pushed].float().norm(dim=-1).cpu())
        pushes = self.pushes.get(layer, torch.zeros(len(self.keys), 1)).to(after)
        fits = now.fits.clone()
        for number, push in enumerate(pushes):
            rows = fits[:, number].nonzero().flatten().to(after.device)
            expected = (before[rows] + push).where(acts[number][rows], before[rows])
            is_exact = ((after[rows] == expected) | ~real[rows]).flatten(1).all(1)
            fits[rows[~is_exact].cpu(), number] = False
        for row in (~fits.any(1)).nonzero().flatten().tolist():
            added = after[row].float() - before[row].float()
            raise SteeringError(self._complaint(layer, row, added * real[row], pushes.float()))
        now.fits.copy_(fits)

    def _seen(self, where: Tensor, states: Tensor) -> Tensor:
        """Return those of `where`, (rows, new tokens), that a layer has read.

        Layers without keys of their own may read only the last positions.
        """
        return where[:, -states.shape[1] :].to(states.device)

    def _complaint(self, layer: int, row: int, added: Tensor, pushes: Tensor) -> str:
        """Say what is wrong with what was added to a row, (positions, hidden)."""
        now = self._pass
        real, first = (self._seen(where, added[None])[row] for where in (now.real, now.first))
        acts = [self._seen(where, added[None])[row] for where in now.acts]
        # Of the pushes that the row may have, the most similar one.
        number = min(
            now.fits[row].nonzero().flatten().tolist(),
            key=lambda one: float((added - acts[one][:, None] * pushes[one]).norm()),
        )
        push, where = pushes[number], f"{self.keys[number]}: layer {layer}"
        if not push.any():
            length = float(added.norm(dim=-1).max())
            return f"{where}: a vector of length {length:.2g} was added, where nothing should be"
        if added[first].any():
            return f"{where}: a vector was added at the first token, which should stay as it is"
        outside = (added.any(-1) & real & ~acts[number]).nonzero().flatten().tolist()
        if outside:
            token = len(now.texts[row]) - int(real[outside[0] :].sum())
            return f"{where}: a vector was added at token {token}, where the push should not act"
        share = float((added[acts[number]] @ push).mean() / push.square().sum())
        return f"{where}: what was added is not its push; along it, it is {share:.3g} times as long"

    def _end(self, logits: Tensor) -> None:
        now = self._pass
        pairs = zip(now.texts, now.fits, strict=True)
        setattr(now.cache, NOTES, [Note(text, fits) for text, fits in pairs])
        # Logits may be there for the last tokens only.
        first = now.real.shape[1] - logits.shape[1]
        for row, text in enumerate(now.texts):
            requests = now.fits[row].nonzero().flatten().tolist()
            self._served |= {number for number in requests if now.acts[number, row].any()}
            columns = now.real[row].nonzero().flatten().tolist()
            for column, length in zip(reversed(columns), range(len(text), 0, -1), strict=False):
                if column >= first:
                    found = logits[row, column - first].cpu()
                    for number in requests:
                        self.logits.setdefault((number, text[:length]), found)


def _hidden(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output
