"""The grid of a series as a short table: games × models, the trials of each experiment, and what is done already.

Knows the series, the report's evidence, how trials are counted and which scenarios are left out; writes nothing.
"""

from dataclasses import dataclass

from emotion_games.experiment.analysis_plan import the_plan
from emotion_games.experiment.power import planned_power
from emotion_games.experiment.trials import choose_scenarios, count_trials, option_orders
from emotion_games.games.catalog import Game, apply_settings
from emotion_games.games.scenarios import Scenario, load_scenarios
from emotion_games.series import completeness, state
from emotion_games.series.config import SeriesConfig
from emotion_games.series.folder import Series

# Models beyond this number of which nothing is done yet are told in one line.
_SHOWN_UNTOUCHED = 12
# Scenario entries of a game that cannot be used and are told in full.
_SHOWN_PROBLEMS = 3


@dataclass(frozen=True)
class Bank:
    """A game with its settings, the scenarios that can be played in it, and a line for each entry that cannot."""

    game: Game
    scenarios: list[Scenario]
    problems: list[str]


def scenario_banks(config: SeriesConfig) -> dict[str, Bank]:
    """Each game with what its scenario file holds."""
    banks = {}
    for name, base in config.games.items():
        game = apply_settings(base, config.game_settings[name])
        banks[name] = Bank(
            game, *load_scenarios(config.scenario_files[name], game, config.labels[name])
        )
    return banks


def trial_counts(
    config: SeriesConfig, banks: dict[str, Bank] | None = None
) -> dict[str, dict[str, int] | None]:
    """Trials of one experiment of each game; None where no scenario of its file can be used."""
    counted = {}
    for name, bank in (banks or scenario_banks(config)).items():
        game, scenarios = bank.game, bank.scenarios
        options = {scenario.scenario_id: list(scenario.options) for scenario in scenarios}
        chosen = choose_scenarios(
            list(options), config.settings["num_scenarios"], config.settings["seed"]
        )
        parts = [
            count_trials(options[scenario_id], len(game.histories), config.settings, 1)
            for scenario_id in chosen
        ]
        sums = {key: sum(part[key] for part in parts) for key in parts[0]} if parts else {}
        orders = min(
            (len(option_orders(options[scenario_id])) for scenario_id in chosen), default=0
        )
        counted[name] = sums | {"scenarios": len(parts), "orders": orders} if parts else None
    return counted


def preview(series: Series) -> str:
    """The table that a dry run shows."""
    banks = scenario_banks(series.config)
    counted = trial_counts(series.config, banks)
    games = list(series.config.games)
    rows = {
        key: [_cell(series, exp_id) for exp_id in ids] for key, ids in _by_model(series).items()
    }
    done = sum(cell == "done" for cells in rows.values() for cell in cells)
    total = sum(count["total"] for count in counted.values() if count) * len(rows)
    generated = sum(count["generated"] for count in counted.values() if count) * len(rows)
    lines = [
        f"Series ({series.how}): {series.folder}",
        f"{len(games)} games x {len(rows)} models = {len(series.experiments):,} experiments, {done:,} done; "
        f"{total:,} trials, {generated:,} of them with a written answer",
        "",
    ]
    for number, name in enumerate(games, start=1):
        count = counted[name]
        told = (
            f"{count['total']:,} trials a model" if count else "no scenario of its file can be used"
        )
        if count:
            told += f"; smallest effect {_detectable(series.config, banks[name].game, count)}"
        lines.append(f"  {number:>2}  {name:<28} {told}")
        lines += _unusable(banks[name])
    lines += ["", *_model_table(rows, len(games)), ""]
    return "\n".join(lines)


def _unusable(bank: Bank) -> list[str]:
    """How many entries of a game's scenarios are left out, and why the first of them are."""
    if not bank.problems:
        return []
    left_out, read = len(bank.problems), len(bank.problems) + len(bank.scenarios)
    lines = [f"      {left_out} of {read} entries of its scenarios cannot be used:"]
    lines += [f"        {problem}" for problem in bank.problems[:_SHOWN_PROBLEMS]]
    hidden = left_out - _SHOWN_PROBLEMS
    return [*lines, f"        and {hidden} more"] if hidden > 0 else lines


def _detectable(config: SeriesConfig, game: Game, count: dict[str, int]) -> str:
    """What the planned contrasts find with a power of 80 %, in points of the game's outcome."""
    plan = the_plan(config.settings | {"num_scenarios": count["scenarios"]}, game)
    found = planned_power(plan, count["orders"])
    if found["smallest_detectable_difference"] == float("inf"):
        return f"none with {count['scenarios']} scenarios (12 are needed)"
    told = f"{100 * found['smallest_detectable_difference']:.0f} points, {100 * found['with_holm']:.0f} after Holm"
    if found["from_random"] == float("inf"):
        return told
    alone, after = (100 * found[key] for key in ("from_random", "from_random_with_holm"))
    return f"{told} (against random directions {alone:.0f}, {after:.0f})"


def _by_model(series: Series) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for exp_id, experiment in series.experiments.items():
        grouped.setdefault(experiment.slug, []).append(exp_id)
    return grouped


def _model_table(rows: dict[str, list[str]], games: int) -> list[str]:
    width = max([len(slug) for slug in rows] + [len("model")])
    lines = [f"  {'model':<{width}}" + "".join(f"{number:>8}" for number in range(1, games + 1))]
    untouched = [slug for slug, cells in rows.items() if set(cells) == {"-"}]
    hidden = set(untouched[_SHOWN_UNTOUCHED:])
    shown = {slug: cells for slug, cells in rows.items() if slug not in hidden}
    lines += [
        f"  {slug:<{width}}" + "".join(f"{cell:>8}" for cell in cells)
        for slug, cells in shown.items()
    ]
    if hidden:
        lines.append(f"  and {len(hidden)} more models of which nothing is done yet")
    return lines


def _cell(series: Series, exp_id: str) -> str:
    said = state.read_state(series.folder, exp_id)
    status, _ = completeness.status_of(series.folder, exp_id, series.stamp, said)
    if status == "completed":
        return "done"
    progress = said.get("progress")
    if progress and progress["total"]:
        return f"{'failed ' if status == 'failed' else ''}{100 * progress['done'] // progress['total']}%"
    return {"failed": "failed", "running": "running"}.get(status, "-")
