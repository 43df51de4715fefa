"""Stories at floor and ceiling are counted by their neutral outcome in the primary measure."""

from types import SimpleNamespace

import pytest

from emotion_games.experiment.headroom import count_room, headroom_line
from emotion_games.experiment.trials import plan_trials
from simulated_trials import SETTINGS, a_game

LABELS = ["cooperate", "defect"]


def test_the_bounds_themselves_leave_no_room():
    found = count_room([0.05, 0.0500001, 0.5, 0.9499999, 0.95, 1.0, 0.0])
    assert found == {"n_scenarios": 7, "at_floor": 2, "at_ceiling": 2}


@pytest.fixture
def line():
    """A function that returns the line of two histories with some neutral probabilities."""

    def line(primary, shares, key="scores"):
        statistics = SETTINGS["statistics"] | {"primary": primary}
        settings = SETTINGS | {"statistics": statistics, "decoding": "free"}
        game, stories = a_game(histories=("none", "later")), [f"s{i}" for i in range(len(shares))]
        trials = plan_trials(dict.fromkeys(stories, LABELS), ["none", "later"], settings, 1)
        options = SimpleNamespace(options={"cooperate": "Help.", "defect": "Leave."})
        questions = SimpleNamespace(
            game=game, settings=settings, trials=trials, scenarios=dict.fromkeys(stories, options)
        )
        records = {}
        for trial in trials:
            if trial.condition.name == "neutral":
                share = shares[stories.index(trial.scenario_id)][trial.order[0] == "cooperate"]
                scores = {"probabilities": {"cooperate": share, "defect": 1 - share}}
                text = '{"rationale": "x", "decision": "%s"}' % ("Help." if share else "Leave.")
                records[trial.request_key] = {
                    "scores": scores if key == "scores" else None,
                    "answers": [text],
                    "after": [scores if key == "after" else None],
                }
        return headroom_line(questions, records)

    return line


HEAD = "headroom: stories with cooperation of at most 0.05 or at least 0.95 in neutral "


def test_the_mean_over_option_orders_counts_and_each_history_is_shown(line):
    # The first story is at floor in one order only.
    found = line("direct", [(0.0, 0.2), (0.0, 0.1), (1.0, 0.9), (0.5, 0.5)])
    counts = "1 at floor, 1 at ceiling of 4"
    assert found == f"{HEAD}(none: {counts}; later: {counts})"


def test_probabilities_after_the_rationale_count_if_they_are_primary(line):
    found = line("after_rationale", [(0.0, 0.0), (0.5, 0.5)], "after")
    assert "none: 1 at floor, 0 at ceiling of 2" in found


def test_written_choices_count_if_they_are_primary(line):
    found = line("written", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0)], "choices")
    assert "none: 1 at floor, 1 at ceiling of 3" in found


def test_nothing_measured_is_said(line):
    assert line("direct", [(0.5, 0.5)], "after") == f"{HEAD}(none measured)"
