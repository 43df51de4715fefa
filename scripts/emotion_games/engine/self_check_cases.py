"""The requests that the self-check asks, and what is seen while the engine measures them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from emotion_games.engine.backend import ByLayer
from emotion_games.engine.batches import Instrument, Measurement, Request, measure
from emotion_games.engine.hooks import SteeringError
from emotion_games.engine.observer import Observer
from emotion_games.engine.reference import (
    Text,
    answer_texts,
    plain_logits,
    prompt_tokens,
    push_edges,
    pushed_tokens,
)
from emotion_games.engine.transformers_backend import TransformersBackend

# Tokens of the answer that is written for each request. The last one is never read.
ANSWER_TOKENS = 3


@dataclass(frozen=True)
class Case:
    """A request, and the tokens of all texts that the engine reads for it.

    Attributes:
        request: It writes an answer of known tokens.
        options: {label: the text with that option}.
        written: The prompt with the written answer.
        reopened: {label: the text with that option after a rationale}, if they are scored there.
    """

    request: Request
    options: dict[str, Text]
    written: Text
    reopened: dict[str, Text]

    def texts(self, is_written: bool) -> dict[str, Text]:
        """Return what is compared with the reference, {what it is: text}."""
        # The last option, before which the tokens of the others were taken out of the cache.
        label, text = list(self.options.items())[-1]
        if not is_written:
            return {label: text}
        after = {f"{name} after a rationale": text for name, text in [*self.reopened.items()][-1:]}
        return {label: text, "the written answer": self.written} | after


@dataclass(frozen=True)
class Found:
    """What the engine measured for each request, and what was seen in its passes."""

    observer: Observer
    measured: list[Measurement]

    def logits(self, place: int, text: Text) -> Tensor:
        """Return the logits before each scored token of a text of a request, (tokens, vocab)."""
        found = []
        for end in range(text.start, len(text.ids)):
            if (place, text.ids[:end]) not in self.observer.logits:
                raise SteeringError(
                    f"{self.observer.keys[place]}: the engine did not read the first {end} tokens "
                    f"of a text as they are; they end with {list(text.ids[max(0, end - 3) : end])}"
                )
            found.append(self.observer.logits[place, text.ids[:end]])
        return torch.stack(found).float()

    def score(self, place: int, label: str, is_reopened: bool) -> float:
        """Return the mean log-probability of the tokens of an option of a request."""
        found = self.measured[place]
        scores = found.after[0] if is_reopened else found.scores
        assert scores is not None
        return scores.per_token[label]


def make_cases(
    model: TransformersBackend, requests: Sequence[Request], reopened: str | None
) -> list[Case]:
    """Return the cases of requests.

    Args:
        model: The model that reads them.
        requests: Those of an experiment.
        reopened: The opening after a rationale, if options are scored there.
    """
    # Tokens that a model can never write have no share of the probability.
    begin = prompt_tokens(model, requests[0].prompt)[:1]
    possible = plain_logits(model, begin, {})[0].isfinite().cpu()
    cases = []
    for request in requests:
        prompt, options = prompt_tokens(model, request.prompt), answer_texts(model, request)
        # The tokens of an option backwards: no option begins with them, and none ends an answer.
        first = next(iter(options.values()))
        backwards = first.ids[first.start :][::-1]
        tokens = (backwards * ANSWER_TOKENS)[:ANSWER_TOKENS]
        numbers = [(int(possible[:token].sum()) + 0.5) / int(possible.sum()) for token in tokens]
        # A free answer: the tokens that are written need not be the inside of a string.
        question = replace(request, scored=True, lead="", uniforms=(np.array(numbers),))
        ids = (*prompt, *tokens)
        pushed = pushed_tokens(ids, push_edges(model, request))
        written = Text(ids, len(prompt) + 1, pushed)
        again = replace(request, opening=reopened) if reopened else None
        after = answer_texts(model, again) if again else {}
        cases.append(Case(question, options, written, after))
    return cases


def ask(instrument: Instrument, questions: Sequence[Request]) -> Found:
    """Measure questions with the engine, and watch its passes."""
    model = cast(TransformersBackend, instrument.model)
    pushes = expected_pushes(instrument, [question.push for question in questions])
    edges = [push_edges(model, question) for question in questions]
    observer = Observer(model, [question.key for question in questions], pushes, edges)
    with observer.watch():
        return Found(observer, measure(instrument, questions))


def expected_pushes(instrument: Instrument, names: Sequence[str | None]) -> ByLayer:
    """Return what must be added, {layer: (rows, hidden)}; None stands for zeros."""
    zeros = torch.zeros(instrument.model.hidden_size)
    return {
        layer: torch.stack([zeros if n is None else instrument.pushes[n][place] for n in names])
        for place, layer in enumerate(instrument.layers)
    }
