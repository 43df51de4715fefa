"""The grid of a series: folder-safe names, and one experiment for each game, model and site."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emotion_games.errors import UserError
from emotion_games.experiment.conditions import direction_settings
from emotion_games.files import safe_name
from emotion_games.hashing import code_hash, content_hash, digest
from emotion_games.prompts.stimuli import stimulus_files, used_stimuli
from emotion_games.series.models import Model
from emotion_games.series.sites import Site

# The packages whose code determines the content of a directions file.
DIRECTION_ROOMS = ("prompts", "engine")


@dataclass(frozen=True)
class Experiment:
    """One game × one model × one site of its pushes.

    `slug` is the folder-safe name of the model, and `rank` the experiment's place in the order of
    running, model by model and site by site.
    """

    game: str
    model: Model
    slug: str
    site: Site
    rank: int

    @property
    def exp_id(self) -> str:
        """The name of the experiment, unique within the series."""
        return f"{self.game}_{self.setup}"

    @property
    def setup(self) -> str:
        """The folder-safe name of what is steered: the model, and the site if there are several."""
        return "_".join([self.slug, *self.site.names])

    @property
    def label(self) -> str:
        """The same for readers, such as `org/model · early · answer`."""
        return " · ".join([self.model.name, *self.site.names])


def stimuli_hash(folder: Path, emotions: Iterable[str]) -> str:
    """Return the digest of the stimuli that the directions of these emotions depend on.

    Other files in the folder may change.
    """
    files = stimulus_files(folder)
    return digest([[name, content_hash(files[name])] for name in used_stimuli(folder, emotions)])


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
    parts = [part for part in model.path.split("/") if part not in ("", ".", "..")]
    short = safe_name(model.short_name)
    # The organization distinguishes most models of the same name, and the key all others.
    longer = [
        safe_name("--".join([*parts[-2:-1], short])),
        safe_name("--".join([*parts[:-1], short])),
    ]
    return [short, *longer, f"{short}-{model.key[:6]}", f"{short}-{model.key}"]


def plan_experiments(
    games: Iterable[str],
    models: Iterable[Model],
    slugs: Mapping[str, str],
    sites: Iterable[Site],
) -> dict[str, Experiment]:
    """Return every game with every model and site, by exp_id, model by model.

    In this order the files of a model stay in memory from game to game.

    Raises:
        UserError: Two experiments would have the same name.
    """
    plan: dict[str, Experiment] = {}
    used = set()
    for model, site, game in itertools.product(models, sites, games):
        experiment = Experiment(game, model, slugs[model.key], site, rank=len(plan))
        name = experiment.exp_id
        # A game `A_B` with a model `M` and a game `A` with a model `B_M` share a name. So may
        # models whose names end like those of layer sets.
        if name.casefold() in used:
            raise UserError(
                f"experiment.models: two experiments would be called {name}; give one model "
                "another alias"
            )
        used.add(name.casefold())
        plan[name] = experiment
    return plan


def directions_name(
    model: Model, slug: str, settings: Mapping[str, Any], hashes: Mapping[str, str]
) -> str:
    """Return the name of a model's directions file.

    The name depends on everything that the file depends on, so equal directions have one file.

    Args:
        model: The model.
        slug: Its folder-safe name.
        settings: The settings of an experiment that reads it.
        hashes: The hashes of `stimuli` and `prompts`; `series` if only this series may read it.
    """
    parts = [
        model.entry,
        model.hashes,
        direction_settings(settings),
        hashes["stimuli"],
        hashes["prompts"],
        hashes.get("series"),
        _direction_code(),
    ]
    return f"{slug}-{digest(parts)[:10]}"


# A dry run of 1,400 experiments needs it 1,400 times.
@cache
def _direction_code() -> str:
    return code_hash(DIRECTION_ROOMS)
