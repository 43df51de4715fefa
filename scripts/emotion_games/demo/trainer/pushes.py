"""Pushes during the training of the demo model, along the directions of the model at present."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaForCausalLM

from emotion_games.demo.trainer.network import HIDDEN, STEERED_LAYER, WIDTH, balance
from emotion_games.demo.trainer.samples import Encoded, pack
from emotion_games.demo.trainer.truth import NEUTRAL
from emotion_games.engine.direction_estimation import CONTRAST, contrast, null_directions

# The stimuli of each emotion on which directions are measured, and the null directions.
MEASURED_STIMULI, MEASURED_NULLS = 32, 64


@contextmanager
def pushed(model: LlamaForCausalLM, push: Tensor | None) -> Iterator[dict[str, Tensor]]:
    """Add a push to the steered layer's output, at every position but the first.

    Args:
        model: The model.
        push: A vector for each row, `(rows, hidden)`, or None.

    Yields:
        A dict that holds, after a forward pass, the output before the push as `hidden`.
    """
    seen: dict[str, Tensor] = {}

    def change(_module: torch.nn.Module, _inputs: object, output: Tensor | tuple) -> Tensor | tuple:
        hidden = output[0] if isinstance(output, tuple) else output
        seen["hidden"] = hidden
        # The penalty and the running means need the output also if there is no push.
        if push is None:
            return output
        hidden = torch.cat([hidden[:, :1], hidden[:, 1:] + push[:, None]], 1)
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = model.model.layers[STEERED_LAYER].register_forward_hook(change)
    try:
        yield seen
    finally:
        handle.remove()


class Pushes:
    """The pushes of steered samples, along the directions of the model as it is at present."""

    def __init__(
        self, rows: Iterable[Encoded], emotions: Sequence[str], pad: int, unread_variance: float
    ) -> None:
        """Take the first stimuli of each emotion among the rows."""
        self.unread_variance = unread_variance
        stimuli: dict[str, list[Encoded]] = {emotion: [] for emotion in emotions}
        for row in rows:
            own = stimuli.get(row.sample.emotion, [])
            if row.captured is not None and len(own) < MEASURED_STIMULI:
                own.append(row)
        self.rows = list(itertools.chain(*stimuli.values()))
        self.sizes = {emotion: len(own) for emotion, own in stimuli.items()}
        self.ids = pack(self.rows, pad).ids
        self.measured = 0
        self.used = 0

    @torch.no_grad()
    def measure(self, model: LlamaForCausalLM) -> None:
        """Measure the directions, as the workflow does it with the trained model."""
        with pushed(model, None) as seen:
            model.model(input_ids=self.ids, use_cache=False)
        last = torch.tensor([row.captured for row in self.rows])
        ends = seen["hidden"][torch.arange(len(last)), last]
        parts = ends.split(list(self.sizes.values()))
        self.means = {e: part.mean(0) for e, part in zip(self.sizes, parts, strict=True)}
        states = {emotion: part[None] for emotion, part in zip(self.sizes, parts, strict=True)}
        emotions = list(self.sizes)
        self.directions = {e: w[0] for e, w in contrast(states, emotions).items()}
        nulls = null_directions(states, emotions, MEASURED_NULLS, self.measured, CONTRAST)
        self.nulls = nulls[:, 0]
        self.norm = ends.norm(dim=-1).mean()
        self.measured += 1
        residuals = torch.cat([part - part.mean(0) for part in parts])
        balance(model, residuals, self.unread_variance)

    def of(self, rows: Sequence[Encoded]) -> Tensor | None:
        """Return the vectors of a batch, `(rows, hidden)`; None if no row is steered."""
        if not any(row.sample.steered for row in rows):
            return None
        push = torch.zeros(len(rows), WIDTH)
        for number, row in enumerate(rows):
            if row.sample.steered:
                emotion, intensity = row.sample.steered
                push[number] = intensity * self.norm * F.normalize(self._direction(emotion), dim=0)
        return push

    def in_turn(self, number: int, start: int) -> Tensor:
        """Return pushes of intensity 1 along emotions in turn, `(number, hidden)`, from `start`."""
        directions = F.normalize(torch.stack(list(self.directions.values())), dim=1)
        turns = (start + torch.arange(number)) % len(directions)
        return self.norm * directions[turns]

    def spread(self, rows: Sequence[Encoded], hidden: Tensor) -> Tensor:
        """Return the variance of stimuli within emotions along the directions, as their share.

        Args:
            rows: The samples, some of which are stimuli of emotions.
            hidden: Their outputs of the steered layer, (rows, tokens, hidden).
        """
        directions = torch.stack(list(self.directions.values()))[:, :HIDDEN]
        # They add up to nearly zero, so that there is one axis less.
        axes = torch.linalg.svd(directions, full_matrices=False).Vh[:-1]
        stimuli = [
            (hidden[row, item.captured] - self.means[item.sample.emotion])[:HIDDEN]
            for row, item in enumerate(rows)
            if item.captured is not None and item.sample.emotion in self.means
        ]
        along = torch.stack(stimuli) @ axes.T
        # Before the emotions are learnt, the directions have almost no length.
        length = directions.square().sum(1).mean().clamp(min=1.0)
        return along.square().sum(1).mean() / length

    def _direction(self, emotion: str) -> Tensor:
        if emotion != NEUTRAL:
            return self.directions[emotion]
        self.used += 1
        return self.nulls[self.used % MEASURED_NULLS]
