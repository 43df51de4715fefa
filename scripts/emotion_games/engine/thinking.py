"""Thinking models, which write thoughts before they answer: everything is measured after these.

A request is measured in two phases. First its thoughts are written, up to their closing tag or the
budget. Then prompt, thoughts and closing tag are the prompt of what is measured, so that thoughts
are never read as an answer. Thoughts that reach the budget are closed with the tag, as in budget
forcing (Muennighoff et al. 2025, arXiv:2501.19393).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from emotion_games.engine import batches
from emotion_games.engine.backend import Backend, ModelError
from emotion_games.engine.batches import Instrument
from emotion_games.engine.requests import Measurement, Request
from emotion_games.escapes import say

# The tags of thoughts differ between models: <think>, <thinking>, <reasoning>, <seed:think>.
_NAME = r"[\w:]*(?:think|thought|reason)\w*"
_EMPTY = re.compile(rf"<({_NAME})>(\s*)</\1>(\s*)\Z")
_OPENED = re.compile(rf"<({_NAME})>\s*\Z")
# What stands around the closing tag if a template shows no thoughts that are empty.
_INSIDE, _AFTER = "\n\n", "\n\n"
_QUESTION = {"role": "user", "content": "Which day follows Monday?"}


@dataclass(frozen=True)
class Frame:
    """What stands around the thoughts of a model.

    Attributes:
        opening: What precedes them at the beginning of the model's turn. It is empty if the
            template writes it there itself.
        tag: The tag that closes them.
        link: What stands between the last thought and the answer, with this tag.
    """

    opening: str
    tag: str
    link: str


def frame_of(model: Backend) -> Frame:
    """Find how the chat template of a model frames thoughts.

    With `enable_thinking: false`, templates like that of Qwen3 write empty thoughts before the
    answer. Others open the thoughts themselves. Half of the white space inside empty thoughts
    belongs to each tag.

    Raises:
        ModelError: The template knows no thoughts.
    """
    silent, thinking = (model.chat_text([_QUESTION], thinking=on) for on in (False, True))
    opened, empty = _OPENED.search(thinking), _EMPTY.search(silent)
    found = opened or (empty if silent != thinking else None)
    if found is None:
        raise ModelError(
            f"model {model.name}: experiment.thinking is on, but its chat template has no thinking "
            "mode (`enable_thinking`, or an open tag such as <think>); set thinking: off, or "
            "choose a thinking model"
        )
    name, (inside, after) = found[1], empty.groups()[1:] if empty else (_INSIDE, _AFTER)
    half = len(inside) // 2
    opening = "" if opened else f"<{name}>{inside[:half]}"
    return Frame(opening, f"</{name}>", f"{inside[half:]}</{name}>{after}")


def measure(
    instrument: Instrument, requests: Sequence[Request], log: Callable[[str], None] = say
) -> list[Measurement]:
    """Measure a batch, of which all requests think first or none does; see `batches.measure`."""
    if not any(r.thinking for r in requests):
        return batches.measure(instrument, requests, log)
    written = _write(instrument, [_thoughts_of(r) for r in requests], log)
    thoughts = [
        _fitting(instrument.model, r, m.answers[0]) for r, m in zip(requests, written, strict=True)
    ]
    longer = [after_thoughts(r, text) for r, text in zip(requests, thoughts, strict=True)]
    measured = batches.measure(instrument, longer, log)
    return [
        replace(found, thoughts=text, thoughts_end=before.ends[0])
        for found, text, before in zip(measured, thoughts, written, strict=True)
    ]


def _write(
    instrument: Instrument, requests: Sequence[Request], log: Callable[[str], None]
) -> list[Measurement]:
    """Write the thoughts of requests; those that must be the same are written once."""
    keys = [(r.prompt, r.push, r.begin, r.end, r.uniforms[0].tobytes()) for r in requests]
    different = dict(zip(keys, requests, strict=True))
    # Nothing that the model thinks is reopened as if it were an answer.
    alone = replace(instrument, reopen=None)
    found = batches.measure(alone, list(different.values()), log)
    by_key = dict(zip(different, found, strict=True))
    return [by_key[key] for key in keys]


def after_thoughts(request: Request, thoughts: str) -> Request:
    """Return a request whose prompt ends with these thoughts; the same one if it thinks nothing."""
    thinking, begin, end = request.thinking, request.begin, request.end
    if thinking is None:
        return request
    prompt = request.prompt + thoughts + thinking.link
    if begin >= len(request.prompt) and not thinking.pushed:
        begin = len(prompt)
    if end is None and not thinking.pushed_after:
        end = len(prompt)
    return replace(request, prompt=prompt, begin=begin, end=end, thinking=None)


def _thoughts_of(r: Request) -> Request:
    assert r.thinking is not None, "a request of this batch does not think"
    # Under pushes of the answer alone, all conditions have the thoughts of the unsteered model.
    acts = r.thinking.pushed or r.begin < len(r.prompt)
    return Request(
        r.key, r.prompt, r.push if acts else None, {}, scored=False,
        uniforms=(r.thinking.uniforms,), begin=r.begin, end=r.end, until=r.thinking.tag,
    )  # fmt: skip


def _fitting(model: Backend, r: Request, text: str) -> str:
    """Return thoughts without white space around them, and without half a character at their end.

    If their text makes more tokens than were written, for which the context may have no room, they
    are cut.
    """
    assert r.thinking is not None
    text = text.strip().rstrip("\ufffd")
    while len(model.token_ids(text)) > len(r.thinking.uniforms):
        text = text[:-1]
    return text.strip()
