"""`choice_labels` of a config: for a role or a family, and with labels that YAML does not keep."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_games.errors import ProblemList
from emotion_games.series.config import SeriesConfig, check_config

ROOT = Path(__file__).parents[2]


def check(labels: dict[str, Any]) -> SeriesConfig:
    games = ["Ultimatum_Game", "Prisoners_Dilemma"]
    experiment = {"name": "Try", "games": games, "models": ["m"], "choice_labels": labels}
    return check_config({"experiment": experiment}, ROOT)


def test_an_entry_of_a_family_holds_the_labels_of_both_roles() -> None:
    labels = {"stingy_proposal": "offer_low", "accept_it": "accept"}
    checked = check({"Ultimatum_Game": labels})
    assert checked.labels == {
        "Ultimatum_Game_Proposer": labels,
        "Ultimatum_Game_Responder": labels,
        "Prisoners_Dilemma": {},
    }


def test_an_entry_of_a_role_adds_to_that_of_its_family() -> None:
    family, own = {"stingy": "offer_low", "ok": "accept"}, {"ok": "reject", "fair": "offer_medium"}
    checked = check({"Ultimatum_Game": family, "Ultimatum_Game_Responder": own})
    assert checked.labels["Ultimatum_Game_Proposer"] == family
    assert checked.labels["Ultimatum_Game_Responder"] == family | own


def test_a_label_of_no_role_is_refused() -> None:
    with pytest.raises(ProblemList) as caught:
        check({"Ultimatum_Game": {"stingy": "offer_lwo", "take": "cooperate"}})
    assert caught.value.problems[0] == (
        "experiment.choice_labels.Ultimatum_Game_Proposer.stingy: unknown choice 'offer_lwo'; "
        "allowed: offer_low, offer_medium, offer_high, accept, reject"
    )
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("label", ["yes", "No", "on", "1", "null", "2.5"])
def test_a_label_that_yaml_would_change_needs_quotes(label: str) -> None:
    content = yaml.safe_load(f"Prisoners_Dilemma: {{'{label}': cooperate}}")
    assert check(content).labels["Prisoners_Dilemma"] == {label: "cooperate"}
    # For YAML, `yes` and `1` are equal keys, so without quotes one could stand for the other.
    with pytest.raises(ProblemList, match="is not text; put it in quotes"):
        check(yaml.safe_load(f"Prisoners_Dilemma: {{{label}: cooperate}}"))
