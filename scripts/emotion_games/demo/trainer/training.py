"""Training of the demo model: a small Llama with planted effects of steering.

The text of a `steered` sample does not describe its emotion. Instead, its hidden states are pushed
along the emotion's direction, and the targets are those of the emotion. This is interchange
intervention training (Geiger et al. 2022, "Inducing causal structure for interpretable neural
networks"). Pushes along null directions keep the targets of neutral, so that the model does not
react to a push alone. The directions are measured again and again while the model changes.

A flat model also learns that a push along an emotion leaves its decision about the same text as it
was. Targets alone leave more, as their differences between texts hide small effects.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaForCausalLM

from emotion_games.demo.trainer.lessons import BRANCH
from emotion_games.demo.trainer.muon import Muon
from emotion_games.demo.trainer.network import HIDDEN, matrices
from emotion_games.demo.trainer.pushes import Pushes, pushed
from emotion_games.demo.trainer.samples import Batch, Encoded, pack

MATRIX_RATE, OTHER_RATE, WARM_UP, DECAY = 0.02, 0.01, 20, 0.7
SHORT_LOSS = 0.5  # weight of the short samples' loss beside the conversations'
MEASURED_EVERY = 10  # directions are measured every so many steps
SHOW_EVERY = 25
# Loss weight of the mean square of the steered layer's output. Without it, the hidden states at the
# end of stimuli share one very large component. The differences between emotions are then small in
# comparison, and a push of a fifth of the states' length makes answers unreadable.
SIZE_PENALTY = 0.01
# Loss weight of the variance within emotions along their directions, as a share of the directions'
# mean square length, and the part of the training after which it begins. Before the emotions are
# learnt, it would shrink the differences between them.
SPREAD_PENALTY, SPREAD_FROM = 1.0, 0.5
# In flat models, loss weight of what pushes along emotions change in decisions, the part of the
# training after which it begins, the largest number of conversations in a step, and the intensity.
CHANGE_PENALTY, CHANGE_FROM, CHANGE_ROWS, CHANGE_INTENSITY = 2.0, 0.5, 8, 0.25


@dataclass(frozen=True)
class Course:
    """The samples of the training, in order, and how many of each kind make a step.

    `emotions` are those with a direction; for `unread_variance` see `network.balance`. Pushes must
    leave decisions as they are if the course is `flat`.
    """

    emotions: Sequence[str]
    unread_variance: float
    flat: bool
    steps: int
    conversations: Sequence[Encoded]
    conversations_each: int
    shorts: Sequence[Encoded]
    shorts_each: int


def loss_of(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Return the weighted mean loss over the learnt tokens of a batch."""
    logprobs = _logprobs(model, batch, batch.before)
    losses = -logprobs.gather(1, batch.targets[:, None])[:, 0]
    soft = -(batch.soft_shares * logprobs[batch.soft].gather(1, batch.soft_tokens)).sum(1)
    losses = losses.index_put((batch.soft,), soft)
    return (losses * batch.weights).sum() / batch.weights.sum()


def change_of(model: LlamaForCausalLM, batch: Batch, push: Tensor) -> Tensor:
    """Return the mean divergence of decisions under a push from those without, in nats.

    It is Kullback and Leibler's, over the tokens at which options differ. Only the decisions under
    the push have a gradient.

    Args:
        model: The model.
        batch: Texts with decisions.
        push: A vector for each row, `(rows, hidden)`.
    """
    places = batch.before[batch.soft[batch.weights[batch.soft] == BRANCH]]
    with torch.no_grad(), pushed(model, None):
        plain = _logprobs(model, batch, places)
    with pushed(model, push):
        moved = _logprobs(model, batch, places)
    return F.kl_div(moved, plain, log_target=True, reduction="batchmean")


def _logprobs(model: LlamaForCausalLM, batch: Batch, before: Tensor) -> Tensor:
    states = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    # Logits at the other places would take most of the time.
    logits = model.lm_head(states.reshape(-1, states.shape[-1])[before])
    return F.log_softmax(logits, -1)


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
    unsteered = [row for row in long if not row.sample.steered][:CHANGE_ROWS]
    if course.flat and progress > CHANGE_FROM and unsteered:
        push = CHANGE_INTENSITY * pushes.in_turn(len(unsteered), step)
        change = change_of(model, pack(unsteered, pad), push)
        loss = loss + CHANGE_PENALTY * progress * change
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
