"""The grid of a series: its models with their names, and one experiment for each game and model.

Knows how things are called and what makes two of them the same; knows nothing of folders on disk or of their state.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emotion_games.errors import ProblemList, UserError
from emotion_games.hashing import code_hash, content_hash, digest

DEMO = "demo"
DEMO_DEFAULTS = {"variant": "planted", "seed": 0}
# Keys of a model's entry that change nothing in its answers.
MODEL_RUNNING_ONLY = ("alias", "device_map")
# The packages whose code decides what a directions file holds.
DIRECTION_ROOMS = ("prompts", "engine")
# The settings that a directions file depends on, beside its model, the stimuli and the prompts.
DIRECTION_SETTINGS = ("emotions", "layers", "direction_method", "seed")


@dataclass(frozen=True)
class Model:
    """A model of the config. `entry` is its identity, `running` what may change within a series."""

    entry: dict[str, Any]
    running: dict[str, Any]
    hashes: dict[str, str]

    @property
    def key(self) -> str:
        """Short digest of the identity."""
        return digest(self.entry)[:12]

    @property
    def name(self) -> str:
        """How results call the model: its id, and what else tells it from others of that id."""
        if self.is_demo:
            return _demo_name(self.entry)
        extras = [
            f"{key}={self.entry[key]}"
            for key in ("dtype", "quantization", "layers_path")
            if key in self.entry
        ]
        revision = f"@{self.entry['revision']}" if "revision" in self.entry else ""
        return f"{self.entry['id']}{revision}" + (f" ({', '.join(extras)})" if extras else "")

    @property
    def demo_folder(self) -> str:
        """The folder name of a demo model, which depends on what the model is made of."""
        return f"{self.name}-{self.hashes['demo'][:10]}"

    @property
    def is_demo(self) -> bool:
        """True for the model that the workflow trains by itself."""
        return self.entry["id"] == DEMO


@dataclass(frozen=True)
class Experiment:
    """One game × one model. `rank` is its place in the order of running, model by model."""

    exp_id: str
    game: str
    model: Model
    slug: str
    rank: int


def plan_models(entries: Iterable[str | dict], root: Path) -> tuple[Model, ...]:
    """The models of a checked config; ProblemList for entries that exclude each other."""
    models: list[Model] = []
    problems = []
    for place, entry in enumerate(entries):
        entry = {"id": entry} if isinstance(entry, str) else entry
        where = f"experiment.models[{place}]"
        only_demo = [key for key in DEMO_DEFAULTS if key in entry and entry["id"] != DEMO]
        problems += [
            f"{where}.{key}: only the demo model has one; remove it or set id: demo"
            for key in only_demo
        ]
        model = _model(entry, root)
        if any(other.entry == model.entry for other in models):
            problems.append(f"{where}: {model.name} is listed twice; list each model once")
        models.append(model)
    aliases = [model.running["alias"].casefold() for model in models if "alias" in model.running]
    twice = sorted({alias for alias in aliases if aliases.count(alias) > 1})
    problems += [
        f"experiment.models: two models have the alias {alias!r}; choose another one"
        for alias in twice
    ]
    if problems:
        raise ProblemList(problems)
    return tuple(models)


def _model(entry: dict, root: Path) -> Model:
    identity = {key: value for key, value in entry.items() if key not in MODEL_RUNNING_ONLY}
    if identity["id"].startswith("~"):
        identity["id"] = str(Path(identity["id"]).expanduser())
    if len(identity["id"]) > 1:
        identity["id"] = identity["id"].rstrip("/") or "/"
    if not identity.get("trust_remote_code", False):
        identity.pop("trust_remote_code", None)
    hashes = {}
    if identity["id"] == DEMO:
        identity = DEMO_DEFAULTS | identity
        hashes["demo"] = demo_hash(root)
    return Model(identity, {key: entry[key] for key in MODEL_RUNNING_ONLY if key in entry}, hashes)


def demo_hash(root: Path) -> str:
    """Digest of all that the demo model is made of: its data, the games that it learns, and its trainer."""
    games = sorted(path.name for path in (root / "config" / "demo" / "games").glob("*"))
    parts = [root / "config" / "demo"]
    parts += [root / "config" / "games" / name / "game.yaml" for name in games]
    return digest([code_hash(["demo/trainer"]), *(content_hash(part) for part in parts)])


def _demo_name(entry: dict) -> str:
    told = [str(entry[key]) for key in ("variant", "seed")]
    while told and told[-1] == str(list(DEMO_DEFAULTS.values())[len(told) - 1]):
        told.pop()
    return "-".join([DEMO, *told])


def stimuli_hash(folder: Path, emotions: Iterable[str]) -> str:
    """Digest of the stimuli of these emotions and of neutral; other files in the folder may change as they like."""
    names = sorted([*emotions, "neutral"])
    return digest([[name, content_hash(folder / f"{name}.txt")] for name in names])


def assign_slugs(models: Iterable[Model], taken: dict[str, str]) -> dict[str, str]:
    """Folder-safe names by model key: those in `taken` stay, the first of several alike keeps the short one.

    UserError where an alias names another model already.
    """
    slugs = dict(taken)
    used = {slug.casefold(): key for key, slug in taken.items()}
    for model in models:
        if model.key in slugs:
            continue
        alias = model.running.get("alias")
        if alias and alias.casefold() in used:
            raise UserError(
                f"experiment.models: the alias {alias!r} names another model already; choose another one"
            )
        slug = next(s for s in ([alias] if alias else _slugs(model)) if s.casefold() not in used)
        slugs[model.key] = slug
        used[slug.casefold()] = model.key
    return slugs


def _slugs(model: Model) -> list[str]:
    parts = [part for part in model.entry["id"].split("/") if part not in ("", ".", "..")]
    short = _safe(model.name if model.is_demo else parts[-1] if parts else "model")
    longer = [_safe("--".join(parts[-2:])), _safe("--".join(parts))]
    return [short, *longer, f"{short}-{model.key[:6]}", f"{short}-{model.key}"]


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:100] or "model"


def plan_experiments(
    games: Iterable[str], models: Iterable[Model], slugs: dict[str, str]
) -> tuple[Experiment, ...]:
    """Every game with every model, model by model, so that a model's files stay in memory from game to game."""
    games = list(games)
    pairs = [(game, model) for model in models for game in games]
    plan = tuple(
        Experiment(f"{game}_{slugs[model.key]}", game, model, slugs[model.key], rank)
        for rank, (game, model) in enumerate(pairs)
    )
    ids = [experiment.exp_id.casefold() for experiment in plan]
    if len(set(ids)) < len(ids):
        twice = sorted({e.exp_id for e in plan if ids.count(e.exp_id.casefold()) > 1})
        raise UserError(
            f"experiment.models: two experiments would be called {twice[0]}; give one model another alias"
        )
    return plan


def directions_name(model: Model, slug: str, settings: dict, hashes: dict[str, str]) -> str:
    """Name of a model's directions file: the same content asked for has the same name, anything else another one."""
    asked = [
        model.entry,
        model.hashes,
        direction_settings(settings),
        hashes["stimuli"],
        hashes["prompts"],
    ]
    return f"{slug}-{digest([*asked, _direction_code()])[:10]}"


@cache
def _direction_code() -> str:
    return code_hash(DIRECTION_ROOMS)


def direction_settings(settings: dict) -> dict:
    """The part of the settings that the making of directions sees."""
    return {key: settings[key] for key in DIRECTION_SETTINGS}
