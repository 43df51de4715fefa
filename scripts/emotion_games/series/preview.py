"""The grid of a series as a short table, which a dry run prints; nothing is written.

It shows games × models, the trials of each experiment, how likely effects are to be claimed, and
what is done already.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, cast

from emotion_games import layout
from emotion_games.errors import UserError, counted
from emotion_games.experiment.analysis_plan import the_plan
from emotion_games.experiment.held_out import chosen_stories
from emotion_games.experiment.planned_power import (
    Known,
    assumed,
    expected_design,
    expected_figures,
    power_lines,
)
from emotion_games.experiment.power import Design
from emotion_games.experiment.spec import Settings
from emotion_games.experiment.trials import count_trials, longest_thoughts, option_orders
from emotion_games.games.catalog import apply_settings
from emotion_games.games.records import Game
from emotion_games.games.scenarios import Scenario, load_scenarios
from emotion_games.games.skipped import Skipped, label_block, summary
from emotion_games.series import completeness, state
from emotion_games.series.chosen import source_line
from emotion_games.series.config import SeriesConfig
from emotion_games.series.contexts import short_contexts
from emotion_games.series.earlier import earlier_results, known_effects
from emotion_games.series.folder import Series
from emotion_games.series.forecast import forecast
from emotion_games.series.models import Model
from emotion_games.series.sites import plan_sites

# Rows of the table for models of which nothing is done yet.
_SHOWN_UNTOUCHED = 12
# A power takes up to a second to compute.
_SHOWN_POWERS = 3
# The trials of an experiment are held in memory.
MOST_TRIALS = 10_000_000
NO_SCENARIO = "no scenario of its file can be used: this game will fail"


@dataclass
class GameCount:
    """A game with its settings, and the number of trials in one experiment of it.

    `readable` counts the entries of the scenario file that can be used, and `skipped` are those
    that cannot. `scenarios` counts those that were chosen, and `orders` the fewest option orders of
    any of them. `total` is None if no scenario can be used; `generated` are the trials with an
    answer. `stories` are the chosen scenarios.
    """

    game: Game
    settings: Settings
    readable: int
    skipped: list[Skipped]
    scenarios: int = 0
    orders: int = 0
    total: int | None = None
    generated: int = 0
    stories: tuple[Scenario, ...] = ()


def count_games(config: SeriesConfig) -> dict[str, GameCount]:
    """Return the number of trials of each game of a config.

    Raises:
        UserError: A game has more than MOST_TRIALS.
    """
    counts = {}
    for name, base in config.games.items():
        game = apply_settings(base, config.game_settings[name])
        path, labels = config.scenario_files[name], config.labels[name]
        show_payoffs = config.settings["show_payoffs"]
        scenarios, skipped = load_scenarios(path, game, labels, show_payoffs)
        # The settings of the plan: fewer scenarios than configured if the file has fewer.
        settings = cast(Settings, dict(config.settings))
        stories = tuple(chosen_stories(scenarios, name, settings).values())
        settings["num_scenarios"] = len(stories)
        count = GameCount(game, settings, len(scenarios), skipped, len(stories), stories=stories)
        kinds = Counter(tuple(story.options) for story in stories)
        for offered, number in kinds.items():
            trials = count_trials(offered, len(game.histories), settings, number)
            count.total = (count.total or 0) + trials["total"]
            count.generated += trials["generated"]
            # Scenarios may offer only some of the choices, and so have fewer orders.
            orders = len(option_orders(offered))
            count.orders = min(count.orders or orders, orders)
        if count.total and count.total > MOST_TRIALS:
            raise UserError(
                f"{name}: {count.total:,} trials a model; allowed: at most {MOST_TRIALS:,}; lower "
                "experiment.repeat, num_scenarios or arms.random"
            )
        counts[name] = count
    return counts


def hub_id_lines(models: Iterable[Model]) -> Iterator[str]:
    """Yield a line for each hub id that could also be the mistyped path of a folder."""
    for model in models:
        first, _, rest = model.path.partition("/")
        if model.is_fetched and rest and Path(first).is_dir():
            yield f"{model.path}: there is no such folder here, so it is taken for a hub id"


def preview(series: Series) -> str:
    """Return the table of a dry run."""
    counts = count_games(series.config)
    rows: dict[str, list[str]] = {}
    for exp_id, experiment in series.experiments.items():
        rows.setdefault(experiment.setup, []).append(_cell(series, exp_id))
    done = sum(cells.count("done") for cells in rows.values())
    total = sum(count.total or 0 for count in counts.values()) * len(rows)
    generated = sum(count.generated for count in counts.values()) * len(rows)
    lines = [
        f"Series ({series.how}): {series.folder}",
        f"{_factors(series)} = {counted(len(series.experiments), 'experiment')}, "
        f"{done:,} done; {total:,} trials, {generated:,} of them with an answer",
        *filter(None, [source_line(series.config.settings)]),
        *hub_id_lines(series.config.models),
    ]
    thoughts = longest_thoughts(cast(Settings, series.config.settings))
    if thoughts:
        lines.append(
            f"each trial begins with up to {thoughts:,} tokens of thoughts, {thoughts * total:,} "
            "in all"
        )
    lines.append("")
    for number, (name, count) in enumerate(counts.items(), start=1):
        text = NO_SCENARIO
        if count.total is not None:
            text = f"{count.total:,} trials a model, {count.scenarios} stories"
        lines += [f"  {number:>2}  {name:<28} {text}"]
        lines += [f"      {line}" for line in summary(count.skipped, count.readable)]
    lines += ["", *_power_table(series, counts), "", *_model_table(rows, len(counts)), ""]
    waiting: dict[str, list[tuple[int, int]]] = {}
    for experiment, cell in zip(series.experiments.values(), chain(*rows.values()), strict=True):
        count = counts[experiment.game]
        if cell != "done" and count.total:
            share = _share_left(series, experiment.exp_id)
            numbers = (round(share * count.total), round(share * count.generated))
            waiting.setdefault(experiment.label, []).append(numbers)
    device = series.config.runtime["device"]
    lines += [*forecast(series.config.base_dir, device, waiting, thoughts), ""]
    lines += short_contexts(series.config, {n: (c.game, c.stories) for n, c in counts.items()})
    return "\n".join([*lines, *label_advice(counts)])


def _factors(series: Series) -> str:
    """Return the factors of the grid; layer sets and positions only where there are several."""
    config = series.config
    sites = plan_sites(config.settings)
    numbers = {
        "layer sets": len({site.layer_set for site in sites}),
        "positions": len({site.position for site in sites}),
    }
    factors = [counted(len(config.games), "game"), counted(len(config.models), "model")]
    return " x ".join(factors + [f"{n} {what}" for what, n in numbers.items() if n > 1])


def skipped_lines(counts: Mapping[str, GameCount]) -> list[str]:
    """Return what is skipped of each game's scenarios, for the terminal of a run."""
    lines = []
    for name, count in counts.items():
        found = summary(count.skipped, count.readable)
        if count.total is None:
            found = [NO_SCENARIO, *found]
        if found:
            lines += [f"{name}:", *(f"  {line}" for line in found)]
    return [*lines, *label_advice(counts)]


def skipped_record(counts: Mapping[str, GameCount]) -> dict[str, Any]:
    """Return what the page of the series shows of skipped scenarios, as plain data."""
    games = {name: summary(count.skipped, count.readable) for name, count in counts.items()}
    return {
        "games": {name: lines for name, lines in games.items() if lines},
        "advice": label_advice(counts),
    }


def label_advice(counts: Mapping[str, GameCount]) -> list[str]:
    """Return what a user can add to the config so that entries with other labels can be used."""
    block = label_block([(count.game, count.skipped) for count in counts.values()])
    if not block:
        return []
    head = (
        "To use the entries with unknown labels, complete these lines and add them to the config:"
    )
    return [head, "experiment:", *(f"  {line}" for line in block), ""]


def _power_table(series: Series, counts: Mapping[str, GameCount]) -> list[str]:
    """Return the power of the experiments; those with the same power share their lines."""
    results = earlier_results(layout.series_home(series.config.base_dir))
    sharing: dict[tuple[Design, Known], list[str]] = {}
    for exp_id, experiment in series.experiments.items():
        count = counts[experiment.game]
        if count.total is not None:
            at_site = cast(Settings, {**count.settings, **experiment.site.settings})
            plan = the_plan(at_site, count.game)
            known = known_effects(results, exp_id, experiment.label, plan)
            known = known or assumed(plan, count.orders)
            key = expected_design(plan, count.scenarios, known), known
            sharing.setdefault(key, []).append(exp_id)
    lines = []
    for (design, known), exp_ids in list(sharing.items())[:_SHOWN_POWERS]:
        planned = series.config.settings["arms"]["random"]["matched"]
        more = f" and {len(exp_ids) - 1:,} more" if len(exp_ids) > 1 else ""
        size = f"{design.n_stories} stories, {planned} null directions, about "
        size += f"{design.n_nulls} undamaged"
        lines += [f"  {exp_ids[0]}{more} ({size}, {design.n_emotions} emotions):"]
        lines += [f"    {line}" for line in power_lines(expected_figures(design, known))]
    if len(sharing) > _SHOWN_POWERS:
        rest = sum(len(exp_ids) for exp_ids in list(sharing.values())[_SHOWN_POWERS:])
        lines.append(f"  and {rest:,} more experiments, of other sizes or with other variation")
    return lines


def _model_table(rows: Mapping[str, list[str]], games: int) -> list[str]:
    width = max(len(slug) for slug in [*rows, "model"])
    heads = "".join(f"{number:>8}" for number in range(1, games + 1))
    lines = [f"  {'model':<{width}}{heads}"]
    # A long list of models that are all untouched is cut off, and the others are always shown.
    untouched = 0
    for slug, cells in rows.items():
        untouched += set(cells) == {"-"}
        if set(cells) != {"-"} or untouched <= _SHOWN_UNTOUCHED:
            lines.append(f"  {slug:<{width}}" + "".join(f"{cell:>8}" for cell in cells))
    if untouched > _SHOWN_UNTOUCHED:
        hidden = untouched - _SHOWN_UNTOUCHED
        lines.append(f"  and {hidden} more models of which nothing is done yet")
    return lines


def _share_left(series: Series, exp_id: str) -> float:
    progress = state.read_state(series.folder, exp_id).get("progress")
    return 1 - progress["done"] / progress["total"] if progress and progress["total"] else 1.0


def _cell(series: Series, exp_id: str) -> str:
    last = state.read_state(series.folder, exp_id)
    status, _ = completeness.status_of(series.folder, exp_id, series.stamp, last)
    if status == "completed":
        return "done"
    progress = last.get("progress")
    if progress and progress["total"]:
        percent = f"{100 * progress['done'] // progress['total']}%"
        return f"failed {percent}" if status == "failed" else percent
    return status if status in ("failed", "running") else "-"
