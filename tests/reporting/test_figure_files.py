import json
from xml.etree import ElementTree

import pytest
import yaml

from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.reporting.check_figures import direction_quality, manipulation_checks
from emotion_games.reporting.dose_figure import dose_response
from emotion_games.reporting.experiment_figures import choice_rates, choice_shares
from emotion_games.reporting.figure_files import plot_experiment, plot_series
from emotion_games.reporting.heat_map import contrast_heat_map
from emotion_games.reporting.page_data import FIGURES
from emotion_games.reporting.style import look
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

EMOTIONS = ("anger", "happiness")
SMALL = SETTINGS | {"emotions": list(EMOTIONS), "intensity": [0.5, 1.0]}


def statistics(**changes):
    """Analyse a small experiment: anger lowers cooperation, happiness damages the model."""
    game = a_game(
        **{key: changes.pop(key) for key in ("labels", "values", "histories") if key in changes}
    )
    simulated = {
        "n_scenarios": 13,
        "emotions": EMOTIONS,
        "intensities": (0.5, 1.0),
        "effects": {"anger": -0.4},
    } | changes
    checks = simulate_checks(EMOTIONS, (0.5, 1.0), broken=("happiness",))
    return analyse(simulate(game, n_random=4, **simulated), checks, game, SMALL)


@pytest.fixture(scope="module")
def stats():
    return statistics()


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def series_row(game, model, emotion="anger", **changes):
    row = {
        "exp_id": f"{game}_{model}",
        "game_name": game,
        "history": "none",
        "model_name": model,
        "emotion": emotion,
        "n_scenarios": 24,
        "estimate": -0.31,
        "damaged": False,
        "failed_check": None,
        "interim": False,
        "claim": True,
        "confidence": 0.95,
    }
    return row | changes


def test_every_figure_is_written_as_png_and_svg_and_the_same_numbers_give_the_same_file(
    stats, tmp_path
):
    (tmp_path / "stats_analysis.json").write_text(json.dumps(stats))
    directions = {
        "split_half": {"anger": [0.5, 0.7, 0.9], "happiness": [0.5, 0.6, 0.8]},
        "accuracy": [0.4, 0.8, 0.9],
        "reference": ["anger", "fear", "happiness"],
        "layers": [1],
    }
    (tmp_path / "exp_config.yaml").write_text(yaml.safe_dump({"directions": directions}))
    files = plot_experiment(tmp_path / "stats_analysis.json", tmp_path / "once")
    names = {"choice_rates", "dose_response", "manipulation_checks", "direction_quality"}
    assert sorted(file.name for file in files) == sorted(
        [f"{name}.png" for name in names] + [f"{name}.svg" for name in names]
    )
    assert names | {"choice_shares"} == set(FIGURES)
    again = plot_experiment(tmp_path / "stats_analysis.json", tmp_path / "again")
    for one, other in zip(files, again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        if one.suffix == ".svg":
            content = one.read_text()
            ElementTree.fromstring(content)
            assert "<dc:date>" not in content


def test_choice_rates_show_the_estimates_in_percent_with_n(stats):
    figure = choice_rates(stats)
    rates = {
        (r["arm"], r["emotion"]): r
        for r in stats["rates"]
        if r["measure"] == "scored" and r["intensity"] in (0, 1)
    }
    drawn = {round(float(x), 6) for line in figure.axes[0].lines for x in line.get_xdata()}
    for rate in rates.values():
        assert round(100 * rate["estimate"], 6) in drawn
    assert figure.axes[0].get_xlabel() == "cooperation, %"
    assert any("n = 13 scenarios" in text for text in texts(figure))


def test_choice_rates_show_every_null_direction_as_a_cross_beside_neutral(stats):
    figure = choice_rates(stats)
    (nulls,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    neutral = next(
        r["estimate"]
        for r in stats["rates"]
        if (r["condition"], r["measure"]) == ("neutral", "scored")
    )
    (record,) = [r for r in stats["null_directions"] if r["measure"] == "scored"]
    assert len(record["effects"]) == 4
    shown = [100 * (neutral + effect) for effect in record["effects"].values()]
    assert list(nulls.get_xdata()) == pytest.approx(shown)
    assert "null direction" in texts(figure)
    bare = choice_rates(stats | {"null_directions": []})
    assert "null direction" not in texts(bare) and "null directions" not in texts(bare)


def test_dose_response_shows_each_dose_the_random_band_and_which_doses_damage_the_model(stats):
    figure = dose_response(stats)
    anger, happiness = figure.axes
    record = next(
        r for r in stats["dose_response"] if (r["emotion"], r["measure"]) == ("anger", "chosen")
    )
    expected = [0.0] + [100 * dose["estimate"] for dose in record["doses"]]
    assert any(list(line.get_ydata()) == pytest.approx(expected) for line in anger.lines)
    scored = next(
        r for r in stats["dose_response"] if (r["emotion"], r["measure"]) == ("anger", "scored")
    )
    heights = [
        y for patch in anger.collections for path in patch.get_paths() for y in path.vertices[:, 1]
    ]
    assert max(heights) >= 100 * scored["random_band"]["high"] - 1e-9
    crosses = [sum(line.get_marker() == "x" for line in axis.lines) for axis in (anger, happiness)]
    assert crosses == [0, 4]


def test_histories_become_panels_and_three_choices_become_shares():
    stats = statistics(
        labels=("none", "some", "all"), values=(0.0, 0.5, 1.0), histories=("low", "high")
    )
    assert [axis.get_title() for axis in choice_rates(stats).axes] == stats["meta"]["histories"]
    assert len(choice_shares(stats).axes) == 6
    assert len(dose_response(stats).axes) == 4


def test_two_choices_need_no_figure_of_shares_and_no_checks_no_figure_of_checks(stats):
    assert choice_shares(stats) is None
    assert manipulation_checks(stats | {"induced": []}) is None
    assert direction_quality(stats, {}) is None
    assert dose_response(stats | {"dose_response": []}) is None


def failing(stats, emotion="anger"):
    """The same statistics with an emotion that failed its manipulation check."""
    induced = [
        one | {"came_through": False, "reason": "the push raised 'joy' more than 'anger'"}
        if one["emotion"] == emotion
        else one
        for one in stats["induced"]
    ]
    return stats | {"induced": induced}


def test_manipulation_checks_show_the_rise_of_each_emotion_under_each_push(stats):
    figure = manipulation_checks(stats)
    assert [axis.get_title() for axis in figure.axes] == [
        "word from a list",
        "own word",
        "held-out sentences",
    ]
    first = figure.axes[0]
    columns = [label.get_text() for label in first.get_xticklabels()]
    assert columns == ["anger", "happiness", "neutral"]
    rises = next(
        one["checks"]["named_emotion"]["rises"]
        for one in stats["induced"]
        if (one["emotion"], one["intensity"]) == ("happiness", 1.0)
    )
    row = [text for text in first.texts if text.get_position()[1] == 1]
    shown = [f"{rises[name]:+.2f}".replace("-", "−") for name in columns]
    assert [text.get_text() for text in row] == shown
    weights = [text.get_fontweight() for text in row]
    assert weights == ["bold" if name == "happiness" else "normal" for name in columns]


def test_an_emotion_that_failed_is_marked_in_every_figure_with_its_effect(stats):
    note = "‡ Manipulation check failed: anger, the push raised 'joy' more than 'anger'"
    for make in (choice_rates, dose_response, manipulation_checks):
        shown = texts(make(failing(stats)))
        assert "anger ‡" in shown and "happiness" in shown
        assert any(note in " ".join(text.split()) for text in shown)
        assert not any("‡" in text for text in texts(make(stats)))


def test_no_two_emotions_look_alike_in_grey():
    assert len({(look(n)["marker"], look(n)["linestyle"]) for n in range(9)}) == 9


def hatched(figure):
    return sum(bool(patch.get_hatch()) for axis in figure.axes for patch in axis.patches)


def test_the_heat_map_marks_what_is_claimed_and_shows_what_is_missing():
    rows = [
        series_row("Stag_Hunt", "a"),
        series_row("Stag_Hunt", "b", estimate=0.02, claim=False),
        series_row("Wait_Go", "a", damaged=True, claim=False),
    ]
    figure = contrast_heat_map(rows, [])
    assert hatched(figure) == 2
    shown = texts(figure)
    assert {"−31", "+2", "−31†", "–"} <= set(shown)
    bold = {text.get_text() for a in figure.axes for text in a.texts if text.get_weight() == "bold"}
    assert bold == {"−31"}, "only what is claimed"
    caption = " ".join(" ".join(shown).split())
    assert "Bold without hatching: the effect is claimed." in caption
    assert not any("INTERIM" in text for text in shown)


def test_an_interim_heat_map_marks_nothing_and_keeps_a_line_for_games_without_any_result():
    missing = [{"game_name": "Tri_Game", "model_name": "b"}]
    figure = contrast_heat_map([series_row("Stag_Hunt", "a")], missing)
    shown = texts(figure)
    assert hatched(figure) == 0
    assert any("INTERIM" in text for text in shown) and "Tri Game" in shown and "b" in shown
    assert shown.count("–") == 3
    assert (
        hatched(contrast_heat_map([series_row("Stag_Hunt", "a", interim=True, claim=False)], []))
        == 0
    )


def test_no_rows_no_heat_map():
    assert contrast_heat_map([], [{"game_name": "Tri_Game", "model_name": "b"}]) is None


@pytest.mark.parametrize("games, models", [(1, 1), (16, 3)])
def test_labels_of_one_to_sixteen_games_do_not_overlap_and_stay_in_the_figure(
    games, models, tmp_path
):
    rows = [
        series_row(f"Ultimatum_Game_{g}", f"model-{m}-of-long-name", emotion)
        for g in range(games)
        for m in range(models)
        for emotion in ("anger", "fear")
    ]
    results = tmp_path / "series_results.json"
    results.write_text(json.dumps({"rows": rows, "missing": []}))
    assert len(plot_series(results, tmp_path / "plots")) == 2
    figure = contrast_heat_map(rows, [])
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(one.y0 >= next_one.y1 for one, next_one in zip(boxes, boxes[1:], strict=False))
    assert all(figure.bbox.x0 <= box.x0 and box.y1 <= figure.bbox.y1 for box in boxes)
