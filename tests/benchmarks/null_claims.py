"""How often directions that mean nothing are claimed: `python tests/benchmarks/null_claims.py`.

On a real model, two kinds of directions stand in an emotion's place: those from stimuli whose
labels were reshuffled, and contrasts between two topics without emotions. None of them is among the
null directions that a claim is compared with. They go through the project's own tests, in families
of six as the emotions do. `--model` names the folder of a model, for instance the fetched
`smollm2`. With SmolLM2, 24 stories take about two hours on one core.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"

import sys  # noqa: E402

sys.path.insert(0, str(ROOT / "scripts"))

from emotion_games import schemas  # noqa: E402
from emotion_games.analysis.corrections import benjamini_hochberg  # noqa: E402
from emotion_games.analysis.inference import moved_p  # noqa: E402
from emotion_games.analysis.null_tests import claim_p, null_variance, rank_p  # noqa: E402
from emotion_games.engine.backend import Backend  # noqa: E402
from emotion_games.engine.batch_plan import plan_batches  # noqa: E402
from emotion_games.engine.batches import Instrument, Request, measure  # noqa: E402
from emotion_games.engine.direction_estimation import (  # noqa: E402
    CONTRAST,
    contrast,
    shuffled_directions,
)
from emotion_games.engine.directions import MATCHED, Directions, load  # noqa: E402
from emotion_games.engine.extraction import extract  # noqa: E402
from emotion_games.engine.memory import batch_tokens  # noqa: E402
from emotion_games.engine.models import load_model  # noqa: E402
from emotion_games.engine.probes import hidden_states  # noqa: E402
from emotion_games.experiment.conditions import direction_settings  # noqa: E402
from emotion_games.experiment.requests import (  # noqa: E402
    Questions,
    load_questions,
    trial_requests,
)
from emotion_games.prompts.stimuli import (  # noqa: E402
    load_stimuli,
    reference_emotions,
    split_stimuli,
)
from emotion_games.prompts.templates import load_templates  # noqa: E402

KINDS = "shuffled", "topics"
ALPHA, DRAWN_FAMILIES = 0.05, 2000


def settings_for(stories: int, nulls: int, seed: int) -> dict[str, Any]:
    """Return the settings of an experiment with the default emotions and dose."""
    experiment = {
        "num_scenarios": stories,
        "seed": seed,
        "answer_form": "decision",
        "arms": {
            "random": {"matched": nulls, "isotropic": 0},
            "shuffled": False,
            "prompted": False,
        },
    }
    schema = schemas.read_schema("config")
    return schemas.with_defaults({"experiment": experiment}, schema)["experiment"]


def measured_directions(
    entry: dict[str, Any], folder: Path, settings: Mapping[str, Any], runtime: dict[str, Any]
) -> Directions:
    """Return the directions of emotions, and the null directions, as the workflow makes them."""
    files = {"stimuli": CONFIG / "emotions", "prompts": CONFIG / "prompts.yaml"}
    with tempfile.TemporaryDirectory() as place:
        output = Path(place) / "directions.safetensors"
        extract(entry, str(folder), direction_settings(settings), files, output, runtime)
        return load(output)


def candidates(model: Backend, number: int) -> dict[str, Tensor]:
    """Return `number` directions of each kind that mean nothing, {name: (layers, hidden)}."""
    templates = load_templates(CONFIG / "prompts.yaml")
    reference = reference_emotions(CONFIG / "emotions")
    stimuli = load_stimuli(CONFIG / "emotions", reference)
    states = {
        emotion: hidden_states(model, templates, split_stimuli(stimuli[emotion])[0])
        for emotion in reference
    }
    found: dict[str, Tensor] = {}
    # Another seed than that of the shuffled directions of the experiments.
    for seed in itertools.count(1000):
        for own in shuffled_directions(states, reference, CONTRAST, seed).values():
            if len(found) < number:
                found[f"shuffled_{len(found)}"] = own
        if len(found) == number:
            break
    texts = yaml.safe_load((Path(__file__).with_name("topics.yaml")).read_text())
    about = {
        topic: hidden_states(
            model, templates, [f.replace("{x}", x) for f in texts["frames"] for x in things]
        )
        for topic, things in texts["topics"].items()
    }
    pairs = list(itertools.islice(itertools.combinations(sorted(about), 2), number))
    for n, (one, other) in enumerate(pairs):
        found[f"topics_{n}"] = contrast({k: about[k] for k in (one, other)}, (one, other))[one]
    return found


def pushes_of(
    directions: Directions, others: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Return all pushes at the headline dose, equally long at each layer."""
    dose, unit = settings["headline_intensity"], settings["intensity_unit"]
    found = {emotion: directions.push(emotion, dose, unit) for emotion in settings["emotions"]}
    for number in range(settings["arms"]["random"][MATCHED]):
        found[f"null_{number}"] = directions.null_push(number, dose, unit)
    # The push of a direction depends on nothing but its unit vector.
    named = {"direction": dict(others)}
    apart = replace(directions, named={**directions.named, **named})
    return found | {name: apart.push(name, dose, unit) for name in others}


def outcomes(
    questions: Questions, model: Backend, layers: list[int], pushes: Mapping[str, Tensor]
) -> np.ndarray:
    """Return the expected outcome by story and push, neutral first, `(stories, 1 + pushes)`.

    It is the mean over orders and histories.
    """
    neutral = [r for r in trial_requests(questions, model) if r.push is None]
    story_of = {t.request_key: t.scenario_id for t in questions.trials}
    names: list[str | None] = [None, *pushes]
    requests = [
        replace(r, key=f"{r.key}|{n}", push=name) for r in neutral for n, name in enumerate(names)
    ]
    value = {choice.label: choice.value for choice in questions.game.choices}
    totals: dict[tuple[str, int], list[float]] = {}
    for request, score in scored(Instrument(model, layers, pushes, 0.0, 1.0), requests):
        key, _, n = request.key.rpartition("|")
        totals.setdefault((story_of[key], int(n)), []).append(
            sum(share * value[label] for label, share in score.items())
        )
    stories = list(questions.scenarios)
    return np.array([[np.mean(totals[s, n]) for n in range(len(names))] for s in stories])


def scored(
    instrument: Instrument, requests: list[Request]
) -> Iterator[tuple[Request, Mapping[str, float]]]:
    """Yield each request with the probabilities of its options."""
    model = instrument.model
    tokens = {prompt: model.token_ids(prompt) for prompt in {r.prompt for r in requests}}
    batches = plan_batches(requests, tokens, 0, batch_tokens(instrument, requests, tokens, 0))
    for number, batch in enumerate(batches, start=1):
        if number % 50 == 1:
            print(f"  batch {number} of {len(batches)}", flush=True)
        for request, found in zip(batch, measure(instrument, batch), strict=True):
            assert found.scores is not None
            yield request, found.scores.probabilities


def claims(table: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Test every direction as an emotion is tested.

    Args:
        table: What `outcomes` returns.
        names: Of its columns after the first.
    """
    differences = table[:, 1:] - table[:, :1]
    places = {kind: [n for n, name in enumerate(names) if name.startswith(kind)] for kind in KINDS}
    null = [n for n, name in enumerate(names) if name.startswith("null_")]
    emotions = sorted(set(range(len(names))) - set(null) - set(itertools.chain(*places.values())))
    nulls = differences[:, null]
    moved, means = moved_p(differences), differences.mean(0)
    away = (differences - nulls.mean(1, keepdims=True)).mean(0)
    rank = np.array([rank_p(mean, means[null]) for mean in means])
    p = np.array([claim_p(*each) for each in zip(moved, rank, means, away, strict=True)])
    rng = np.random.default_rng(0)

    def family(group: list[int]) -> bool:
        corrected = benjamini_hochberg(p[rng.choice(group, 6, replace=False)])
        return min(corrected) <= ALPHA

    found: dict[str, Any] = {
        "neutral": round(float(table[:, 0].mean()), 3),
        "sd_of_null_directions": round(float(null_variance(nulls)) ** 0.5, 4),
        "sd_of_effects_over_stories": _over_stories(differences[:, emotions]),
        "sd_of_nulls_over_stories": _over_stories(nulls),
        "emotions": {
            names[n]: {"points": round(100 * means[n], 1), "p_moved": moved[n], "p_rank": rank[n]}
            for n in emotions
        },
    }
    for kind, group in places.items():
        found[kind] = {
            "directions": len(group),
            "p_moved <= .05": int((moved[group] <= ALPHA).sum()),
            "p_claim <= .05": int((p[group] <= ALPHA).sum()),
            "families of six with a claim": np.mean([family(group) for _ in range(DRAWN_FAMILIES)]),
            "largest shift": round(100 * float(np.abs(means[group]).max()), 1),
        }
    return found


def _over_stories(differences: np.ndarray) -> float:
    return round(float(np.median(differences.std(0, ddof=1))), 4)


def main() -> None:
    """Measure each game and print what is claimed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="the folder of a model")
    parser.add_argument("--games", nargs="+", default=["Prisoners_Dilemma"])
    parser.add_argument("--stories", type=int, default=24)
    parser.add_argument("--number", type=int, default=60, help="directions of each kind (60)")
    parser.add_argument("--nulls", type=int, default=150, help="null directions (150)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, help="a folder for the measured outcomes")
    options = parser.parse_args()
    settings = settings_for(options.stories, options.nulls, seed=0)
    entry, runtime = {"id": options.model.name, "dtype": "float32"}, {"device": options.device}
    directions = measured_directions(entry, options.model, settings, runtime)
    model = load_model(entry, str(options.model), runtime)
    pushes = pushes_of(directions, candidates(model, options.number), settings)
    for game in options.games:
        files = {
            "game": CONFIG / "games" / game,
            "scenarios": CONFIG / "games" / game,
            "stimuli": CONFIG / "emotions",
            "prompts": CONFIG / "prompts.yaml",
        }
        questions = load_questions({"settings": settings, "date": "2026-01-01"}, files)
        table = outcomes(questions, model, directions.layers, pushes)
        if options.output:
            np.savez_compressed(options.output / game, table=table, names=list(pushes))
        print(json.dumps({game: claims(table, list(pushes))}, indent=1, default=float), flush=True)


if __name__ == "__main__":
    main()
