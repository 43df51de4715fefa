"""Training of the demo model: a small Llama with planted effects of steering.

The text of a `steered` sample does not describe its emotion. Instead, its hidden states are pushed
along the emotion's direction, and the targets are those of the emotion. This is interchange
intervention training (Geiger et al. 2022, "Inducing causal structure for interpretable neural
networks"). Pushes along null directions keep the targets of neutral, so that the model does not
react to a push alone. The directions are measured again and again while the model changes.
"""

import itertools
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaForCausalLM

from emotion_games.demo.trainer.muon import Muon
from emotion_games.demo.trainer.network import HIDDEN, STEERED_LAYER, WIDTH, balance, matrices
from emotion_games.demo.trainer.samples import Batch, Encoded, pack
from emotion_games.demo.trainer.truth import NEUTRAL
from emotion_games.engine.direction_estimation import CONTRAST, contrast, null_directions

MATRIX_RATE, OTHER_RATE, WARM_UP, DECAY = 0.02, 0.01, 20, 0.7
SHORT_LOSS = 0.5  # weight of the short samples' loss beside the conversations'
# Directions are measured every so many steps, on so many stimuli of each emotion.
MEASURED_EVERY, MEASURED_STIMULI, MEASURED_NULLS = 10, 32, 64
SHOW_EVERY = 25
# Loss weight of the mean square of the steered layer's output. Without it, the hidden states at the
# end of stimuli share one very large component. The differences between emotions are then small in
# comparison, and a push of a fifth of the states' length makes answers unreadable.
SIZE_PENALTY = 0.01
# Loss weight of the variance within emotions along their directions, as a share of the directions'
# mean square length, and the part of the training after which it begins. Before the emotions are
# learnt, it would shrink the differences between them.
SPREAD_PENALTY, SPREAD_FROM = 1.0, 0.5


@dataclass(frozen=True)
class Course:
    """The samples of the training, in order, and how many of each kind make a step.

    `emotions` are those with a direction; for `unread_variance` see `network.balance`.
    """

    emotions: Sequence[str]
    unread_variance: float
    steps: int
    conversations: Sequence[Encoded]
    conversations_each: int
    shorts: Sequence[Encoded]
    shorts_each: int


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


def loss_of(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Return the weighted mean loss over the learnt tokens of a batch."""
    states = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    # Logits at the other places would take most of the time.
    logits = model.lm_head(states.reshape(-1, states.shape[-1])[batch.before])
    logprobs = F.log_softmax(logits, -1)
    losses = -logprobs.gather(1, batch.targets[:, None])[:, 0]
    soft = -(batch.soft_shares * logprobs[batch.soft].gather(1, batch.soft_tokens)).sum(1)
    losses = losses.index_put((batch.soft,), soft)
    return (losses * batch.weights).sum() / batch.weights.sum()


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


def train(
    model: LlamaForCausalLM, course: Course, pad: int, progress: Callable[[str], None]
) -> None:
    """Train the model in place.

    With one thread, the same course and model give the same weights again on the same machine.

    Args:
        model: The untrained model.
        course: The samples.
        pad: The token that fills rows up.
        progress: Called with a line of progress every SHOW_EVERY steps.

    Raises:
        RuntimeError: The loss is not finite.
    """
    maps = matrices(model)
    # Tensors cannot be compared for membership, because == compares their elements.
    known = {id(weight) for weight in maps}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    optimizers: list[torch.optim.Optimizer] = [
        Muon(maps, lr=MATRIX_RATE),
        torch.optim.Adam(others, lr=OTHER_RATE, betas=(0.9, 0.98)),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(each, lambda step: _rate(step, course.steps))
        for each in optimizers
    ]
    pushes = Pushes(course.shorts, course.emotions, pad, course.unread_variance)
    started = time.monotonic()
    model.train()
    for step in range(course.steps):
        if step % MEASURED_EVERY == 0:
            pushes.measure(model)
        loss = _step_loss(model, course, step, pushes, pad)
        model.zero_grad()
        loss.backward()
        # The size of Muon's updates does not depend on the gradients, so they need no clipping.
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        if (step + 1) % SHOW_EVERY == 0 or step + 1 == course.steps:
            done, current = step + 1, loss.item()
            if not math.isfinite(current):
                where = f"the loss is {current} at step {done}"
                raise RuntimeError(f"demo model: {where}; try another seed")
            progress(_progress_line(done, course.steps, current, time.monotonic() - started))
    model.eval()


def _step_loss(
    model: LlamaForCausalLM, course: Course, step: int, pushes: Pushes, pad: int
) -> Tensor:
    first, each = step * course.conversations_each, course.conversations_each
    long = course.conversations[first : first + each]
    first, each = step * course.shorts_each, course.shorts_each
    short = course.shorts[first : first + each]
    with pushed(model, pushes.of(long)):
        loss = loss_of(model, pack(long, pad))
    with pushed(model, pushes.of(short)) as seen:
        loss = loss + SHORT_LOSS * loss_of(model, pack(short, pad))
    hidden = seen["hidden"]
    progress = step / course.steps
    if progress > SPREAD_FROM:
        loss = loss + SPREAD_PENALTY * progress * pushes.spread(short, hidden)
    return loss + SIZE_PENALTY * hidden[..., :HIDDEN].square().mean()


def _rate(step: int, steps: int) -> float:
    """Learning rate as a share of its maximum: a short warm-up, a plateau, a linear decay."""
    return min(1.0, (step + 1) / WARM_UP) * min(1.0, (steps - step) / (steps * DECAY))


def _progress_line(done: int, steps: int, loss: float, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    speed = f"{rate:.1f} steps/s, {(steps - done) / rate:.0f} s left"
    return f"training the demo model: step {done}/{steps}, loss {loss:.3f}, {speed}"


def by_length(rows: Sequence[Encoded], each: int, seed: int, window: int = 8) -> list[Encoded]:
    """Reorder rows so that those of a step have similar lengths, which saves padding.

    Args:
        rows: The samples in order.
        each: The rows of a step.
        seed: Decides the order of the steps in a window.
        window: Rows move only within windows of this many steps.
    """
    chance = random.Random(f"{seed}/order")
    ordered: list[Encoded] = []
    for start in range(0, len(rows), window * each):
        alike = sorted(rows[start : start + window * each], key=lambda row: len(row.ids))
        steps = [alike[place : place + each] for place in range(0, len(alike), each)]
        # Otherwise lengths would rise within each window.
        chance.shuffle(steps)
        for step in steps:
            ordered += step
    return ordered
