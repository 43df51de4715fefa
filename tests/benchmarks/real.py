"""The engine on a real model and real stories, beside one condition after the other."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from unittest.mock import patch

import torch
from plain_ways import TEMPERATURE, TOP_P, score_texts, write_answers
from table import Line, ratio
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from workload import alternate, package_ways, run, timed

from emotion_games.engine import attention, cached_rows
from emotion_games.engine.backend import Ids
from emotion_games.engine.batch_plan import plan_batches
from emotion_games.engine.batches import Instrument, Request
from emotion_games.engine.memory import batch_tokens
from emotion_games.engine.models import load_model, steered_layers
from emotion_games.engine.scoring import whole_texts
from emotion_games.engine.transformers_backend import TransformersBackend
from emotion_games.experiment.requests import load_questions, trial_requests
from tiny_experiment import SETTINGS, spec_of

CONFIG = Path(__file__).resolve().parents[2] / "config"
ANSWER_TOKENS = 24
# Rows and new tokens of the answers in half precision.
HALF_ROWS, HALF_TOKENS = 20, 100
# Conditions of the plain way that are timed. It takes as long for each of them.
PLAIN_CONDITIONS = 2
# Steered layers, first those that the targets were set with.
LAYERS = {"layers 10 to 19": range(10, 20), "default layers": "past_middle"}


@dataclass(frozen=True)
class Job:
    """Stories of a game in all orders of their options, under some pushes.

    Attributes:
        game: The game.
        stories: How many.
        conditions: How many pushes.
        repeats: Answers of each prompt; 0 if options are scored instead.
        targets: The largest ratio for each of LAYERS.
    """

    game: str
    stories: int
    conditions: int
    repeats: int
    targets: tuple[float, float]


JOBS = {
    "7 conditions, 24 tokens, 2 orders": Job("Prisoners_Dilemma", 4, 7, 1, (0.42, 0.36)),
    "7 conditions, 24 tokens, 6 orders": Job("Ultimatum_Game_Proposer", 2, 7, 1, (0.38, 0.32)),
    "7 conditions, 24 tokens, 2 orders, 5 repeats": Job("Prisoners_Dilemma", 2, 7, 5, (0.17, 0.15)),
    "27 conditions scored, 2 orders": Job("Prisoners_Dilemma", 4, 27, 0, (0.28, 0.22)),
    "27 conditions scored, 6 orders": Job("Ultimatum_Game_Proposer", 2, 27, 0, (0.20, 0.15)),
}


def real_lines(folder: Path | None, rounds: int, packages: str) -> Iterator[Line]:
    """Yield the ratios of all jobs at both places of the pushes.

    Args:
        folder: The model; None if there is none.
        rounds: How often the ways of a job are timed.
        packages: The python of the packages' environment, or an empty string.
    """
    if folder is None:
        yield Line("real model: jobs / plain hooks", [], None, "no --model given")
        return
    yield _half_precision_line(folder, rounds)
    model = load_model({"id": folder.name}, str(folder), {"device": "cpu"})
    # No answer ends early, so that every way writes as many tokens.
    model.end_tokens = set()
    with patch.object(cached_rows, "CLOSING", frozenset()):
        for what, job in JOBS.items():
            yield from _job_lines(model, what, job, rounds, packages)


def _half_precision_line(folder: Path, rounds: int) -> Line:
    """Compare writing answers in bfloat16 with and without `attention.attend`."""
    entry = {"id": folder.name, "dtype": "bfloat16"}
    model = load_model(entry, str(folder), {"device": "cpu"})
    model.end_tokens = set()
    prompt = model.token_ids(requests(model, JOBS["7 conditions, 24 tokens, 2 orders"])[0].prompt)
    # Rows of one length, so that nothing is padded.
    rows = model.read([prompt] * HALF_ROWS, {})
    uniforms = torch.zeros(HALF_ROWS, HALF_TOKENS, dtype=torch.float64)

    def write(attend: Callable[..., object]) -> float:
        AttentionInterface.register("sdpa", attend)
        answers = range(HALF_ROWS), uniforms, 0, TOP_P, lambda _: False
        return timed(model.device, lambda: rows.generate(*answers))

    ways = {"ours": attention.attend, "transformers": sdpa_attention_forward}
    seconds = alternate({name: partial(write, attend) for name, attend in ways.items()}, rounds)
    attention.install()
    note = f"{HALF_ROWS} rows, {len(prompt)} + {HALF_TOKENS} tokens"
    what = "written answers in bfloat16, ours / attention of transformers"
    return Line(what, ratio(seconds, *ways), None, note)


def _job_lines(
    model: TransformersBackend, what: str, job: Job, rounds: int, packages: str
) -> Iterator[Line]:
    asked = requests(model, job)
    first = [request for request in asked if request.push == asked[0].push]
    prompts = [model.token_ids(request.prompt) for request in first]
    layers = {name: steered_layers(own, model.depth) for name, own in LAYERS.items()}
    stack = torch.stack([*_pushes(model, PLAIN_CONDITIONS, layers["default layers"]).values()])
    pushes = {layer: stack[:, place] for place, layer in enumerate(layers["default layers"])}

    def plain() -> None:
        if job.repeats:
            write_answers("plain hooks", model.model, prompts, pushes, ANSWER_TOKENS, job.repeats)
        else:
            score_texts(model.model, _texts(model, first), pushes)

    ways = {name: _ours(model, asked, job, own) for name, own in layers.items()}
    others = {"plain hooks": lambda: timed(model.device, plain)}
    with ExitStack() as processes:
        if packages and job.repeats == 1:
            case = model.model, prompts, pushes, ANSWER_TOKENS
            others |= processes.enter_context(package_ways(packages, *case))
        seconds = alternate(ways | others, rounds)
    note = f"{job.game}, {job.stories} stories; {PLAIN_CONDITIONS} conditions of the other way"
    for name, other in product(ways, others):
        target = ("≤", job.targets[list(LAYERS).index(name)]) if other == "plain hooks" else None
        ratios = [r * PLAIN_CONDITIONS / job.conditions for r in ratio(seconds, name, other)]
        yield Line(f"{what}, {name} / {other}", ratios, target, note)


def _ours(
    model: TransformersBackend, asked: list[Request], job: Job, layers: list[int]
) -> Callable[[], float]:
    pushes = _pushes(model, job.conditions, layers)
    instrument = Instrument(model, layers, pushes, TEMPERATURE, TOP_P)
    tokens = {prompt: model.token_ids(prompt) for prompt in {r.prompt for r in asked}}
    most = ANSWER_TOKENS if job.repeats else 0
    room = batch_tokens(instrument, asked, tokens, most)
    batches = plan_batches(asked, tokens, most, room)
    return lambda: timed(model.device, lambda: run(instrument, batches))


def _texts(model: TransformersBackend, asked: list[Request]) -> list[tuple[Ids, int]]:
    """Return the tokens of every prompt with every option, and where the scored ones start."""
    texts = (
        whole_texts(model, r.prompt, r.opening, [*r.options.values()], r.closing) for r in asked
    )
    return [(text.ids, text.start) for several in texts for text in several]


def _pushes(model: TransformersBackend, number: int, layers: list[int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = len(layers), model.hidden_size
    return {str(n): torch.randn(shape, generator=generator) for n in range(number)}


def requests(model: TransformersBackend, job: Job) -> list[Request]:
    """Return one request for each story, order and push; each prompt is that of an experiment."""
    game = CONFIG / "games" / job.game
    files = {
        "game": game,
        "scenarios": game / "scenarios.yaml",
        "stimuli": CONFIG / "emotions",
        "prompts": CONFIG / "prompts.yaml",
    }
    settings = SETTINGS | {
        "num_scenarios": job.stories,
        "repeat": max(1, job.repeats),
        "decoding": "free",
        "generation": SETTINGS["generation"] | {"max_new_tokens": ANSWER_TOKENS},
    }
    questions = load_questions(spec_of(settings) | {"game": job.game}, files)
    history = questions.game.histories[0].name
    found = []
    for request in trial_requests(questions, model):
        if f"/{history}/" not in request.key or not request.key.endswith("/neutral"):
            continue
        uniforms = request.uniforms if job.repeats else ()
        asked = replace(request, scored=not job.repeats, uniforms=uniforms)
        found += [
            replace(asked, key=f"{request.key}/{push}", push=str(push))
            for push in range(job.conditions)
        ]
    return found
