"""The heat map of a sweep shows each setting in its cell, and marks the chosen and damaged ones."""

import itertools

from matplotlib.patches import Rectangle

from emotion_games.reporting.figure_files import draw
from emotion_games.reporting.sweep_map import sweep_map

SETS = {"early": [2, 3], "upper_half": [6, 8, 9]}
DOSES = [0.1, 0.2, 0.4]


def settings():
    found = []
    for (name, layers), position, dose in itertools.product(SETS.items(), ("all", "answer"), DOSES):
        kind = "damaged" if dose == 0.4 else "unclear" if name == "early" else "cleared"
        found.append(
            {
                "model": "org/M",
                "layer_set": name,
                "layers": layers,
                "position": position,
                "intensity": dose,
                "raised_most": round(10 * dose) + 2,
                "checked": 6,
                "specific_rise": 3 * dose - 0.4,
                "damage": kind,
                "damage_reason": "",
                "perplexity_ratio": 1 + dose * len(layers),
                "split_half": 0.9 - len(layers) / 20,
                "outcome_change": dose / 4,
                "null_change": 0.012 if dose == 0.2 else None,
                "chosen": (name, position, dose) == ("upper_half", "answer", 0.2),
            }
        )
    return found


def test_each_panel_has_a_row_for_each_place_and_a_column_for_each_dose(tmp_path):
    figure = sweep_map(settings())
    panels = figure.axes
    assert [axis.get_title().split("\n")[0] for axis in panels] == [
        "Manipulation", "Damage", "Stability", "Outcome",
    ]  # fmt: skip
    rows = [label.get_text() for label in panels[0].get_yticklabels()]
    assert rows == [
        "early (2–3) · all", "early (2–3) · answer", "upper half (6, 8, 9) · all",
        "upper half (6, 8, 9) · answer",
    ]  # fmt: skip
    columns = [label.get_text() for label in panels[1].get_xticklabels()]
    assert columns == ["0.1", "0.2", "0.4"]
    texts = {text.get_position(): text.get_text() for text in panels[0].texts}
    assert texts[2, 3] == "6 of 6\n+0.80" and texts[0, 0] == "3 of 6\n−0.10"
    assert {t.get_position(): t.get_text() for t in panels[3].texts}[1, 0] == "5.0"
    # No dose changes the directions.
    assert len(panels[2].texts) == 4
    assert draw(tmp_path / "sweep", sweep_map, settings())[0].stat().st_size > 10_000


def test_the_chosen_setting_is_outlined_in_every_panel_and_unfit_ones_are_hatched():
    figure = sweep_map(settings())
    for axis, outlined in zip(figure.axes, (1, 1, 1, 1), strict=True):
        thick = [p for p in axis.patches if isinstance(p, Rectangle) and p.get_linewidth() > 2]
        assert len(thick) == outlined
    hatches = [p.get_hatch() for p in figure.axes[1].patches if p.get_hatch()]
    assert hatches.count("xxxx") == 4 and hatches.count("////") == 4
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["damages the model", "not cleared of damage", "chosen"]
    assert "not used for the choice" in figure.texts[-1].get_text().replace("\n", " ")


def test_numbers_that_are_not_known_are_dashes():
    unknown = [
        one | {"perplexity_ratio": None, "checked": 0, "outcome_change": None, "chosen": False}
        for one in settings()
    ]
    figure = sweep_map(unknown)
    for place in (0, 1, 3):
        assert {text.get_text() for text in figure.axes[place].texts} == {"–"}
