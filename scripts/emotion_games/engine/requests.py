"""What is asked of a model, and what is measured: a request is one prompt under one push."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from emotion_games.engine.scoring import Scores

# Why a guided string ended: its closing quote, an end token, or the largest number of tokens.
# Thoughts end with their closing tag in place of the quote.
QUOTE, CLOSED, END_TOKEN, BUDGET = "quote", "closed", "end token", "budget"


@dataclass(frozen=True)
class Thinking:
    """The thoughts that a model writes before anything of a request is measured.

    Attributes:
        uniforms: Their random numbers, (largest number of tokens,).
        tag: The tag that closes them, such as `</think>`.
        link: What stands between the last thought and the answer, with this tag.
        pushed: Whether the push of the request acts on the thoughts and the link, as far as its
            window reaches.
        pushed_after: Whether it acts on what follows them.
    """

    uniforms: np.ndarray
    tag: str
    link: str
    pushed: bool = True
    pushed_after: bool = True


@dataclass(frozen=True)
class Request:
    """A prompt and what is to be measured after it.

    Attributes:
        key: Its name in the journal.
        prompt: The text, special tokens included.
        push: Name of a push of the instrument; None for an unsteered model.
        options: {label: text}; the probability of each text after `opening` is measured.
        opening: The beginning of an answer.
        closing: What follows an option.
        scored: Whether the options are scored at once.
        uniforms: For each answer to be written, its random numbers (largest number of tokens,).
        lead: If given, answers are guided: they begin with it, and what the model writes after it
            is the inside of a JSON string. Without it the model writes whole answers.
        link: What follows such a string, up to the options, which are scored there.
        begin: From which character of the prompt on the push acts. The first token of a text is
            never pushed.
        end: Before which character of the prompt it ends; None if it goes on over everything that
            follows the prompt. See `windows` for the tokens.
        until: If given, answers are free and end with this text, which is left out.
        thinking: If given, the model first writes its thoughts after the prompt, and they become a
            part of the prompt; see `thinking.measure`.
    """

    key: str
    prompt: str
    push: str | None
    options: Mapping[str, str]
    opening: str = ""
    closing: str = ""
    scored: bool = True
    uniforms: tuple[np.ndarray, ...] = ()
    lead: str = ""
    link: str = ""
    begin: int = 0
    end: int | None = None
    until: str = ""
    thinking: Thinking | None = None


@dataclass(frozen=True)
class Measurement:
    """The results of a request.

    Attributes:
        scores: Those of the options before any answer.
        answers: What was written; a guided answer with its lead and its link.
        after: The scores of the options after each rationale.
        ends: Why each written string ended: QUOTE, CLOSED, END_TOKEN or BUDGET; empty for a free
            answer.
        thoughts: What the model thought before all of this, if it did.
        thoughts_end: Why they ended: CLOSED, END_TOKEN or BUDGET.
    """

    scores: Scores | None
    answers: list[str]
    after: list[Scores | None]
    ends: list[str]
    thoughts: str = ""
    thoughts_end: str = ""
