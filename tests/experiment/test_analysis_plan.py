"""The plan follows from the settings and the game; its hash changes with its content."""

import subprocess
import sys
from pathlib import Path

import pytest

from emotion_games.experiment.analysis_plan import CLAIM_RULE, plan_hash, the_plan
from simulated_trials import SETTINGS, a_game

ROOT = Path(__file__).parents[2]


def test_the_plan_names_what_is_tested():
    plan = the_plan(SETTINGS, a_game(histories=("low", "high")))
    assert plan["histories"] == ["low", "high"]
    claim = {"measure": "scored", "scenarios": 24, "null_directions": 59}
    assert plan["claim"] == claim | {"rule": CLAIM_RULE}
    assert plan["measures"] == ["scored", "scored_after", "chosen"]
    assert "prompted_minus_prompted_neutral" in plan["contrasts"]
    assert "shuffled_minus_neutral" not in plan["contrasts"]


def test_the_plan_names_given_vectors_and_is_the_old_one_without():
    assert "given_directions" not in the_plan(SETTINGS | {"directions": {}}, a_game())
    given = SETTINGS | {"directions": {"anger": "sha256"}}
    assert the_plan(given, a_game())["given_directions"] == ["anger"]


def test_planned_trials_are_counted():
    """2 orders x 24 scenarios x (1 neutral + 9 steered + 20 random + 4 prompted), one repeat."""
    assert the_plan(SETTINGS, a_game())["planned"]["trials"] == 2 * 24 * (1 + 9 + 20 + 4)
    assert the_plan(SETTINGS | {"num_scenarios": None}, a_game())["planned"]["trials"] is None


@pytest.mark.parametrize(
    ("primary", "measures"),
    [
        ("direct", ["scored", "scored_after", "chosen"]),
        ("after_rationale", ["scored_after", "scored", "chosen"]),
        ("written", ["chosen", "scored", "scored_after"]),
    ],
)
def test_the_primary_measure_comes_first(primary, measures):
    statistics = SETTINGS["statistics"] | {"primary": primary}
    plan = the_plan(SETTINGS | {"statistics": statistics}, a_game())
    assert plan["measures"] == measures and plan["claim"]["measure"] == measures[0]


def test_what_is_switched_off_is_not_planned():
    arms = {"random": {"matched": 0, "isotropic": 0}, "shuffled": True, "prompted": False}
    plan = the_plan(SETTINGS | {"arms": arms, "emotions": ["anger"]}, a_game())
    assert plan["contrasts"] == ["emotion_minus_neutral", "shuffled_minus_neutral"]


@pytest.mark.parametrize(
    "change",
    [
        {"headline_intensity": 0.5},
        {"layers": [3, 4]},
        {"emotions": ["anger"]},
        {"statistics": SETTINGS["statistics"] | {"equivalence_margin": 0.05}},
        {"statistics": SETTINGS["statistics"] | {"primary": "written"}},
    ],
)
def test_the_hash_changes_with_the_plan(change):
    assert plan_hash(the_plan(SETTINGS | change, a_game())) != plan_hash(
        the_plan(SETTINGS, a_game())
    )


def test_the_hash_does_not_depend_on_the_order_of_keys_or_on_running():
    turned = dict(reversed(SETTINGS.items())) | {"runtime": {"device": "cpu"}}
    assert plan_hash(the_plan(turned, a_game())) == plan_hash(the_plan(SETTINGS, a_game()))


def test_loading_the_plan_and_the_power_loads_nothing_heavy():
    heavy = "{'numpy', 'pandas', 'scipy', 'torch', 'statsmodels', 'transformers', 'pygambit'}"
    code = (
        "import sys; from emotion_games.experiment import analysis_plan, power; "
        f"sys.exit(bool({heavy} & set(sys.modules)))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": "scripts"}
        ).returncode
        == 0
    )


def test_a_decision_that_is_drawn_is_judged_by_the_probabilities_that_it_is_drawn_from():
    drawn = SETTINGS | {"decoding": "guided", "answer_form": "decision"}
    plan = the_plan(drawn, a_game())
    assert plan["measures"] == ["scored"]
    assert plan["claim"]["measure"] == "scored"
    for change in ({"decoding": "free"}, {"answer_form": "rationale"}):
        assert "chosen" in the_plan(drawn | change, a_game())["measures"]
