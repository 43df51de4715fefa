"""The grid of a series: its models with their names, and one experiment for each game and model.

Two models are the same if their identities are equal. The identity is the entry in the config
without the keys that do not affect answers.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emotion_games.errors import ProblemList, UserError
from emotion_games.hashing import code_hash, content_hash, digest
from emotion_games.prompts.stimuli import stimulus_files

DEMO = "demo"
DEMO_DEFAULTS = {"variant": "planted", "seed": 0}
# Keys of a model's entry that do not affect its answers.
MODEL_RUNNING_ONLY = ("alias", "device_map")
# Keys of a model's entry that its name shows, besides the id and the revision.
_NAMED_KEYS = ("dtype", "quantization", "layers_path")
# The packages whose code determines the content of a directions file.
DIRECTION_ROOMS = ("prompts", "engine")
# The settings that a directions file depends on, besides its model, the stimuli and the prompts.
DIRECTION_SETTINGS = ("emotions", "layers", "direction_method", "seed")


@dataclass(frozen=True)
class Model:
    """A model of the config.

    `entry` is its identity, `running` what may change within a series, and `hashes` those of the
    files that the demo model is made of.
    """

    entry: dict[str, Any]
    running: dict[str, Any]
    hashes: dict[str, str]

    @property
    def key(self) -> str:
        """Short digest of the identity."""
        return digest(self.entry)[:12]

    @property
    def name(self) -> str:
        """The name in the results: the id, and what distinguishes models of the same id."""
        if self.is_demo:
            return self._demo_name()
        extras = [f"{key}={self.entry[key]}" for key in _NAMED_KEYS if key in self.entry]
        revision = f"@{self.entry['revision']}" if "revision" in self.entry else ""
        return f"{self.entry['id']}{revision}" + (f" ({', '.join(extras)})" if extras else "")

    def _demo_name(self) -> str:
        variant, seed = self.entry["variant"], self.entry["seed"]
        if seed != DEMO_DEFAULTS["seed"]:
            return f"{DEMO}-{variant}-{seed}"
        return DEMO if variant == DEMO_DEFAULTS["variant"] else f"{DEMO}-{variant}"

    @property
    def demo_folder(self) -> str:
        """The folder name of a demo model, which depends on what the model is made of."""
        return f"{self.name}-{self.hashes['demo'][:10]}"

    @property
    def is_demo(self) -> bool:
        """True for the model that the workflow trains itself."""
        return self.entry["id"] == DEMO


@dataclass(frozen=True)
class Experiment:
    """One game × one model. `rank` is its place in the order of running, model by model."""

    exp_id: str
    game: str
    model: Model
    slug: str
    rank: int


def plan_models(entries: Iterable[str | dict[str, Any]], root: Path) -> tuple[Model, ...]:
    """Return the models of a checked config.

    Args:
        entries: The list `experiment.models`: ids, or mappings with an `id`.
        root: The folder of the workflow.

    Raises:
        ProblemList: Entries exclude each other.
    """
    models: list[Model] = []
    problems = []
    for place, entry in enumerate(entries):
        entry = {"id": entry} if isinstance(entry, str) else entry
        where = f"experiment.models[{place}]"
        if entry["id"] != DEMO:
            problems += [
                f"{where}.{key}: only the demo model has one; remove it or set id: demo"
                for key in DEMO_DEFAULTS
                if key in entry
            ]
        model = _model(entry, root)
        problems += [f"{where}.{line}" for line in _folder_problems(model)]
        if any(_at_its_place(other) == _at_its_place(model) for other in models):
            problems.append(f"{where}: {model.name} is listed twice; list each model once")
        models.append(model)
    # Compared without case: some file systems do not distinguish `M` and `m`.
    aliases = [model.running["alias"].casefold() for model in models if "alias" in model.running]
    for alias in sorted(set(aliases)):
        if aliases.count(alias) > 1:
            problems.append(
                f"experiment.models: two models have the alias {alias!r}; choose another one"
            )
    if problems:
        raise ProblemList(problems)
    return tuple(models)


def _folder_problems(model: Model) -> Iterator[str]:
    """Yield what is wrong with a model whose id is a path on this machine."""
    path = model.entry["id"]
    if model.is_demo or not os.path.exists(path):
        return
    if not os.path.isdir(path):
        yield f"id: {path} is not a folder; name the folder of a model, or a hub id"
    if "revision" in model.entry:
        yield f"revision: {path} is a folder, which has no revisions; remove it, or name a hub id"


def _at_its_place(model: Model) -> dict[str, Any]:
    """Return the identity of a model, in which two names of one folder are equal."""
    path = model.entry["id"]
    return model.entry | ({"id": os.path.realpath(path)} if os.path.isdir(path) else {})


def _model(entry: dict[str, Any], root: Path) -> Model:
    """Return the model of an entry, in which spellings of the same model become equal."""
    identity = {key: value for key, value in entry.items() if key not in MODEL_RUNNING_ONLY}
    if identity["id"].startswith("~"):
        # Unlike Path.expanduser, this leaves the name of an unknown user as it is.
        identity["id"] = os.path.expanduser(identity["id"])
    if len(identity["id"]) > 1:
        identity["id"] = identity["id"].rstrip("/") or "/"
    # `./x` is the folder `x`.
    path, short = identity["id"], os.path.normpath(identity["id"])
    if os.path.isdir(path) and os.path.realpath(short) == os.path.realpath(path):
        identity["id"] = short
    # The default, written out, is the same model.
    if not identity.get("trust_remote_code", False):
        identity.pop("trust_remote_code", None)
    hashes = {}
    if identity["id"] == DEMO:
        identity = DEMO_DEFAULTS | identity
        hashes["demo"] = demo_hash(root)
    return Model(identity, {key: entry[key] for key in MODEL_RUNNING_ONLY if key in entry}, hashes)


def demo_hash(root: Path) -> str:
    """Return the digest of the demo model's data, of the games that it learns, and its trainer."""
    folder = root / "config" / "demo"
    data = sorted([*folder.rglob("[!.]*.yaml"), *folder.rglob("[!.]*.txt")])
    texts = digest([[path.relative_to(folder).as_posix(), content_hash(path)] for path in data])
    # The demo model learns the games that have scenarios in its own words.
    games = sorted(path.parent.name for path in folder.glob("games/*/scenarios.yaml"))
    rules = [content_hash(root / "config" / "games" / name / "game.yaml") for name in games]
    return digest([code_hash(["demo/trainer"]), texts, *rules])


def stimuli_hash(folder: Path, emotions: Iterable[str]) -> str:
    """Return the digest of the stimuli of these emotions and of neutral.

    Other files in the folder may change.
    """
    names = sorted([*emotions, "neutral"])
    files = stimulus_files(folder)
    return digest([[name, content_hash(files[name])] for name in names if name in files])


def assign_slugs(models: Iterable[Model], taken: Mapping[str, str]) -> dict[str, str]:
    """Return folder-safe names by model key; the first of several similar models has the shortest.

    Args:
        models: The models of the config.
        taken: The names that the series has given already; these stay.

    Raises:
        UserError: An alias is the name of another model.
    """
    slugs = dict(taken)
    used = {slug.casefold() for slug in taken.values()}
    for model in models:
        if model.key in slugs:
            continue
        alias = model.running.get("alias")
        if alias and alias.casefold() in used:
            raise UserError(
                f"experiment.models: the alias {alias!r} names another model already; choose "
                "another one"
            )
        slug = alias or next(name for name in _slugs(model) if name.casefold() not in used)
        slugs[model.key] = slug
        used.add(slug.casefold())
    return slugs


def _slugs(model: Model) -> list[str]:
    """Return the possible names of a model, shortest first; the last one is unique."""
    parts = [part for part in model.entry["id"].split("/") if part not in ("", ".", "..")]
    short = _safe(model.name if model.is_demo else parts[-1] if parts else "model")
    # The organization distinguishes most models of the same name, and the key all others.
    longer = [_safe("--".join(parts[-2:])), _safe("--".join(parts))]
    return [short, *longer, f"{short}-{model.key[:6]}", f"{short}-{model.key}"]


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:100] or "model"


def plan_experiments(
    games: Iterable[str], models: Iterable[Model], slugs: Mapping[str, str]
) -> dict[str, Experiment]:
    """Return every game with every model, by exp_id, model by model.

    In this order the files of a model stay in memory from game to game.

    Raises:
        UserError: Two experiments would have the same name.
    """
    games = list(games)
    plan: dict[str, Experiment] = {}
    used = set()
    for model in models:
        slug = slugs[model.key]
        for game in games:
            exp_id = f"{game}_{slug}"
            # A game `A_B` with a model `M` and a game `A` with a model `B_M` share a name.
            if exp_id.casefold() in used:
                raise UserError(
                    f"experiment.models: two experiments would be called {exp_id}; give one model "
                    "another alias"
                )
            used.add(exp_id.casefold())
            plan[exp_id] = Experiment(exp_id, game, model, slug, rank=len(plan))
    return plan


def directions_name(
    model: Model, slug: str, settings: Mapping[str, Any], hashes: Mapping[str, str]
) -> str:
    """Return the name of a model's directions file.

    The name depends on everything that the file depends on, so equal directions have one file.

    Args:
        model: The model.
        slug: Its folder-safe name.
        settings: The settings of the series.
        hashes: The hashes of `stimuli` and `prompts`.
    """
    parts = [
        model.entry,
        model.hashes,
        direction_settings(settings),
        hashes["stimuli"],
        hashes["prompts"],
        _direction_code(),
    ]
    return f"{slug}-{digest(parts)[:10]}"


# A dry run of 1,400 experiments needs it 1,400 times.
@cache
def _direction_code() -> str:
    return code_hash(DIRECTION_ROOMS)


def direction_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that directions depend on."""
    return {key: settings[key] for key in DIRECTION_SETTINGS}
