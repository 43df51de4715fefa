"""Training of the demo model: a small Llama, language-model loss, and steering planted by interchange interventions.

Knows tensors, batches and steps; knows nothing of games. Where a sample is `steered`, its emotion is not told: the
mean hidden state of that emotion's stimuli less the neutral mean is added at the steered layer, and the sample's
targets are those of the emotion (Geiger et al. 2022, "Inducing causal structure for interpretable neural networks").
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from emotion_games.demo.trainer.samples import Batch, Encoded, pack

STEERED_LAYER = 1  # the middle third of three layers
LAYERS, HIDDEN, HEADS, INNER = 3, 64, 4, 192
MATRIX_RATE, OTHER_RATE, WARM_UP, DECAY = 0.02, 0.01, 20, 0.7
SHORT_LOSS = 0.5  # weight of the short samples' loss beside the conversations'
MEMORY = 0.9  # of the running means of the hidden states
SEEDING = 200  # rows of short samples that seed those means before the first step
SHOW_EVERY = 25
# Weight of the mean square of the steered layer's output. Without it the end of a stimulus grows one huge common
# component, beside which the emotions' differences vanish and a push of natural size breaks the answers.
SIZE_PENALTY = 0.01


@dataclass(frozen=True)
class Course:
    """What is learnt in each step: rows of `conversations` and of `shorts`, in order, this many a step."""

    steps: int
    conversations: Sequence[Encoded]
    conversations_each: int
    shorts: Sequence[Encoded]
    shorts_each: int


def new_model(tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """Return an untrained model; the values of its weights come from torch's current random state."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for matrix in _matrices(model):
            torch.nn.init.orthogonal_(matrix)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.normal_(0, 0.1)
    return model


def _matrices(model: LlamaForCausalLM) -> list[Tensor]:
    return [
        weight
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and "embed" not in name
    ]


@contextmanager
def pushed(model: LlamaForCausalLM, push: Tensor | None) -> Iterator[dict[str, Tensor]]:
    """Add `push` (rows, hidden) at every position of the steered layer's output, which the dict holds as `hidden`."""
    seen: dict[str, Tensor] = {}

    def change(_module: torch.nn.Module, _inputs: object, output: Tensor | tuple) -> Tensor | tuple:
        hidden = output[0] if isinstance(output, tuple) else output
        seen["hidden"] = hidden
        if push is None:
            return output
        hidden = hidden + push[:, None]
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = model.model.layers[STEERED_LAYER].register_forward_hook(change)
    try:
        yield seen
    finally:
        handle.remove()


def loss_of(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Return the weighted mean loss over what a batch is to teach; logits are made at those places only."""
    states = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    logits = model.lm_head(states.reshape(-1, states.shape[-1])[batch.before])
    logprobs = F.log_softmax(logits, -1)
    losses = -logprobs.gather(1, batch.wanted[:, None])[:, 0]
    soft = -(batch.soft_shares * logprobs[batch.soft].gather(1, batch.soft_tokens)).sum(1)
    losses = losses.index_put((batch.soft,), soft)
    return (losses * batch.weights).sum() / batch.weights.sum()


class _Means:
    """Running means of the steered layer's output at the end of each emotion's stimuli."""

    def __init__(self) -> None:
        self.means: dict[str, Tensor] = {}

    def push_for(self, rows: Sequence[Encoded]) -> Tensor | None:
        """The vectors (rows, hidden) that steered samples need; zero for the others; None where no row is steered."""
        if not any(row.sample.steered for row in rows):
            return None
        push = torch.zeros(len(rows), HIDDEN)
        for number, row in enumerate(rows):
            if row.sample.steered:
                emotion, intensity = row.sample.steered
                push[number] = intensity * (self.means[emotion] - self.means["neutral"])
        return push

    def update(self, rows: Sequence[Encoded], hidden: Tensor) -> None:
        """Take in the states (rows, tokens, hidden) of a batch."""
        for number, row in enumerate(rows):
            if row.captured is not None:
                state = hidden[number, row.captured].detach()
                old = self.means.get(row.sample.emotion, state)
                self.means[row.sample.emotion] = MEMORY * old + (1 - MEMORY) * state


def train(
    model: LlamaForCausalLM, course: Course, pad: int, progress: Callable[[str], None]
) -> None:
    """Train in place; the same course and model give the same weights on the same machine with one thread."""
    matrices = _matrices(model)
    known = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    optimizers = [
        torch.optim.Muon(matrices, lr=MATRIX_RATE, momentum=0.95, weight_decay=0.0),
        torch.optim.Adam(others, lr=OTHER_RATE, betas=(0.9, 0.98)),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(each, lambda step: _rate(step, course.steps))
        for each in optimizers
    ]
    means, started = _Means(), time.monotonic()
    with torch.no_grad(), pushed(model, None) as seen:
        first = [row for row in course.shorts[:SEEDING] if row.captured is not None]
        model.model(input_ids=pack(first, pad).ids, use_cache=False)
        means.update(first, seen["hidden"])
    model.train()
    for step in range(course.steps):
        loss = _step_loss(model, course, step, means, pad)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        if (step + 1) % SHOW_EVERY == 0 or step + 1 == course.steps:
            if not math.isfinite(loss.item()):
                raise RuntimeError(
                    f"demo model: the loss is {loss.item()} at step {step + 1}; try another seed"
                )
            progress(
                _progress_line(step + 1, course.steps, loss.item(), time.monotonic() - started)
            )
    model.eval()


def _step_loss(
    model: LlamaForCausalLM, course: Course, step: int, means: _Means, pad: int
) -> Tensor:
    long = course.conversations[
        step * course.conversations_each : (step + 1) * course.conversations_each
    ]
    short = course.shorts[step * course.shorts_each : (step + 1) * course.shorts_each]
    with pushed(model, means.push_for(long)):
        loss = loss_of(model, pack(long, pad))
    with pushed(model, means.push_for(short)) as seen:
        loss = loss + SHORT_LOSS * loss_of(model, pack(short, pad))
    means.update(short, seen["hidden"])
    return loss + SIZE_PENALTY * seen["hidden"].pow(2).mean()


def _rate(step: int, steps: int) -> float:
    """Learning rate as a share of its maximum: a short warm-up, a plateau, and a linear way down."""
    return min(1.0, (step + 1) / WARM_UP) * min(1.0, (steps - step) / (steps * DECAY))


def _progress_line(done: int, steps: int, loss: float, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    left = f"{(steps - done) / rate:.0f} s left"
    return (
        f"training the demo model: step {done}/{steps}, loss {loss:.3f}, {rate:.1f} steps/s, {left}"
    )


def by_length(rows: Sequence[Encoded], each: int, seed: int, window: int = 8) -> list[Encoded]:
    """Reorder so that the `each` rows of a step are of like length (less padding), within windows of `window` steps."""
    chance = random.Random(f"{seed}/order")
    ordered: list[Encoded] = []
    for start in range(0, len(rows), window * each):
        alike = sorted(rows[start : start + window * each], key=lambda row: len(row.ids))
        steps = [alike[place : place + each] for place in range(0, len(alike), each)]
        chance.shuffle(steps)
        ordered += [row for rows_of_step in steps for row in rows_of_step]
    return ordered
