import json
from xml.etree import ElementTree

import pytest
import yaml

from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.reporting.check_figures import direction_quality, emotions_landed
from emotion_games.reporting.dose_figure import dose_response
from emotion_games.reporting.experiment_figures import choice_rates, choice_shares
from emotion_games.reporting.figure_files import plot_experiment, plot_series
from emotion_games.reporting.forest_plot import MOST_LINES, forest_pages, forest_plot
from emotion_games.reporting.page_data import FIGURES
from emotion_games.reporting.size_figure import effect_by_model_size, size_words
from emotion_games.reporting.story_figures import story_spread, written_against_scored
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
        "layer_set": None,
        "position": "all",
        "emotion": emotion,
        "n_scenarios": 24,
        "n_parameters": 135_000_000,
        "estimate": -0.31,
        "low": -0.4,
        "high": -0.22,
        "low_corrected": -0.45,
        "high_corrected": -0.17,
        "null_low": -0.1,
        "null_high": 0.08,
        "smallest_claimed": 0.2,
        "moved": True,
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
    files = plot_experiment(tmp_path / "stats_analysis.json", tmp_path / "once")
    names = {"choice_rates", "dose_response", "story_spread", "written_against_scored"}
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
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    # The other cross is that of happiness, which damages the model.
    nulls, damaged = sorted(crosses, key=lambda line: -len(line.get_xdata()))
    neutral = next(
        r["estimate"]
        for r in stats["rates"]
        if (r["condition"], r["measure"]) == ("neutral", "scored")
    )
    (record,) = [r for r in stats["null_directions"] if r["measure"] == "scored"]
    assert len(record["effects"]) == 4
    shown = [100 * (neutral + effect) for effect in record["effects"].values()]
    assert list(nulls.get_xdata()) == pytest.approx(shown)
    assert len(damaged.get_xdata()) == 1 and "damages the model" in texts(figure)
    assert "null direction" in texts(figure)
    bare = choice_rates(stats | {"null_directions": []})
    assert "null direction" not in texts(bare) and "null directions" not in texts(bare)


def test_dose_response_shows_each_dose_and_the_null_band_of_the_same_measure(stats):
    figure = dose_response(stats)
    anger, happiness = figure.axes
    record = next(
        r for r in stats["dose_response"] if (r["emotion"], r["measure"]) == ("anger", "scored")
    )
    expected = [0.0] + [100 * dose["estimate"] for dose in record["doses"]]
    (curve,) = [line for line in anger.lines if len(line.get_xdata()) == 3]
    assert list(curve.get_ydata()) == pytest.approx(expected)
    (band,) = [c for c in anger.collections if c.get_hatch()]
    heights = band.get_paths()[0].vertices[:, 1]
    ends = record["random_band"]["low"], record["random_band"]["high"]
    assert [heights.min(), heights.max()] == pytest.approx([100 * end for end in ends])
    caption = " ".join(" ".join(texts(figure)).split())
    assert "expected cooperation under the choice probabilities" in caption
    assert "95 % prediction interval of one more null direction in the same measure" in caption
    crosses = [sum(line.get_marker() == "x" for line in axis.lines) for axis in (anger, happiness)]
    assert crosses == [0, 2]


def test_the_spread_shows_every_story_and_the_mean(stats):
    figure = story_spread(stats)
    effect = stats["emotion_analysis"]["anger"]
    rings = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 13]
    assert list(rings[0].get_xdata()) == [100 * v for v in effect["scenarios"].values()]
    drawn = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert 100 * effect["versus_neutral"]["estimate"] in drawn
    assert "one of 13 stories" in " ".join(" ".join(texts(figure)).split())
    assert story_spread(stats | {"emotion_analysis": {}}) is None


def test_written_choices_stand_against_choice_probabilities_at_every_dose(stats):
    figure = written_against_scored(stats)
    pair = {
        c["measure"]: 100 * c["estimate"]
        for c in stats["contrasts"]
        if (c["contrast"], c["emotion"], c["intensity"]) == ("emotion_minus_neutral", "anger", 0.5)
    }
    points = {
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in figure.axes[0].lines
        if len(line.get_xdata()) == 1
    }
    assert (pair["scored"], pair["chosen"]) in points and len(points) == 4
    only = [c for c in stats["contrasts"] if c["measure"] == "scored"]
    assert written_against_scored(stats | {"contrasts": only}) is None


def test_histories_become_panels_and_three_choices_become_shares():
    stats = statistics(
        labels=("none", "some", "all"), values=(0.0, 0.5, 1.0), histories=("low", "high")
    )
    assert [axis.get_title() for axis in choice_rates(stats).axes] == stats["meta"]["histories"]
    assert len(choice_shares(stats).axes) == 6
    assert len(dose_response(stats).axes) == 4


def test_two_choices_need_no_figure_of_shares_and_no_checks_no_figure_of_checks(stats):
    assert choice_shares(stats) is None
    assert emotions_landed(stats | {"induced": []}) is None
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


def test_the_checks_show_how_far_a_push_raises_its_own_emotion_and_the_others(stats):
    figure = emotions_landed(stats)
    assert [axis.get_title() for axis in figure.axes] == [
        "word from a list",
        "own word",
        "held-out sentences",
    ]
    effect = next(
        one["checks"]["named_emotion"]
        for one in stats["induced"]
        if (one["emotion"], one["intensity"]) == ("happiness", 1.0)
    )
    first = figure.axes[0]
    own = [line for line in first.lines if line.get_marker() == "o"][1]
    assert own.get_xdata()[0] == effect["rise"] and own.get_ydata()[0] == 1
    assert own.get_markerfacecolor() == "#0072B2"
    others = [line for line in first.lines if line.get_marker() == "|"][1]
    rises = {name: rise for name, rise in effect["rises"].items() if name != "happiness"}
    assert list(others.get_xdata()) == list(rises.values())


def test_an_emotion_that_failed_is_marked_in_every_figure_with_its_effect(stats):
    note = "‡ Manipulation check failed: anger, the push raised 'joy' more than 'anger'"
    for make in (choice_rates, dose_response, emotions_landed, story_spread):
        shown = texts(make(failing(stats)))
        assert "anger ‡" in shown and "happiness" in shown
        assert any(note in " ".join(text.split()) for text in shown)
        assert not any("‡" in text for text in texts(make(stats)))


def test_no_two_emotions_look_alike_in_grey():
    assert len({(look(n)["marker"], look(n)["linestyle"]) for n in range(9)}) == 9


def forest(rows, missing=()):
    ((lines, part),) = forest_pages(rows, missing)
    return forest_plot(rows, missing, lines, part)


def markers(figure):
    """How often each marker of an effect is drawn: its form, and whether it is filled."""
    found = {}
    for axis in figure.axes:
        for line in axis.lines:
            if line.get_marker() in ("D", "o", "x"):
                key = line.get_marker() + ("" if line.get_markerfacecolor() == "white" else "!")
                found[key] = found.get(key, 0) + 1
    return found


def test_the_forest_plot_tells_claimed_moved_unmoved_and_damaged_effects_apart():
    rows = [
        series_row("Stag_Hunt", "a"),
        series_row("Stag_Hunt", "b", claim=False),
        series_row("Wait_Go", "a", claim=False, moved=False, estimate=0.02),
        series_row("Wait_Go", "b", damaged=True, claim=False),
    ]
    figure = forest(rows)
    assert markers(figure) == {"D!": 1, "o!": 1, "o": 1, "x!": 1}
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["Stag Hunt", "a", "b", "Wait Go", "a", "b"]
    drawn = {tuple(line.get_xdata()) for line in figure.axes[0].lines}
    assert {(-31.0,), (-40.0, -22.0), (-45.0, -17.0), (20.0,), (-20.0,)} <= drawn
    bands = [c.get_paths()[0].vertices[:, 0] for c in figure.axes[0].collections]
    assert [(band.min(), band.max()) for band in bands] == [(-10.0, 8.0)] * 4
    assert "damages the model" in texts(figure)


def test_an_interim_forest_plot_marks_nothing_and_keeps_a_line_for_games_without_any_result():
    missing = [{"game_name": "Tri_Game", "model_name": "b"}]
    figure = forest([series_row("Stag_Hunt", "a")], missing)
    assert markers(figure) == {"o": 1}
    shown = texts(figure)
    assert any("INTERIM" in text for text in shown) and "Tri Game" in shown and "b" in shown
    assert "claimed" not in shown
    assert markers(forest([series_row("Stag_Hunt", "a", interim=True)])) == {"o": 1}


def test_no_rows_no_forest_plot():
    assert forest_pages([], [{"game_name": "Tri_Game", "model_name": "b"}]) == []


@pytest.mark.parametrize("games, models, pages", [(1, 1, 1), (16, 3, 2), (9, 13, 3), (1, 60, 2)])
def test_names_of_many_games_and_models_do_not_overlap_and_stay_in_the_figure(games, models, pages):
    rows = [
        series_row(f"Ultimatum_Game_{g}", f"model-{m}-of-long-name", emotion)
        for g in range(games)
        for m in range(models)
        for emotion in ("anger", "fear")
    ]
    found = forest_pages(rows, [])
    assert len(found) == pages and all(len(lines) <= MOST_LINES for lines, _ in found)
    named = [line for lines, _ in found for line in lines if line[1]]
    assert len(named) == len(set(named)) == games * models
    for lines, part in found:
        figure = forest_plot(rows, [], lines, part)
        assert figure.get_size_inches()[0] == 6.5 and figure.get_size_inches()[1] < 10
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
        assert all(one.y0 >= other.y1 for one, other in zip(boxes, boxes[1:], strict=False))
        assert all(figure.bbox.x0 <= box.x0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_effects_stand_over_the_number_of_parameters_on_a_log_axis():
    sizes = {"a": 135_000_000, "b": 7_000_000_000, "c": None}
    rows = [series_row("Stag_Hunt", model, n_parameters=size) for model, size in sizes.items()]
    figure = effect_by_model_size(rows, [])
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    drawn = {line.get_xdata()[0] for line in axis.lines if line.get_marker() == "D"}
    assert drawn == {135_000_000, 7_000_000_000}
    assert any("Without 1 models of unknown size" in " ".join(t.split()) for t in texts(figure))
    assert effect_by_model_size(rows[:1], []) is None
    assert [size_words(n) for n in (135e6, 1.5e9, 70e9, 299_200)] == ["135M", "1.5B", "70B", "299k"]


def test_each_place_of_the_pushes_has_panels_of_its_own():
    rows = [
        series_row("Stag_Hunt", f"{size}, {place}", n_parameters=size, position=place)
        for size in (10**8, 10**9)
        for place in ("all", "answer")
    ]
    figure = effect_by_model_size(rows, [])
    assert [axis.get_ylabel() for axis in figure.axes] == ["Stag\nHunt\nall", "Stag\nHunt\nanswer"]
    for axis in figure.axes:
        drawn = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "D"]
        assert sorted(drawn) == [10**8, 10**9]


def test_a_series_has_its_forest_plot_and_the_figures_of_each_model_once(stats, tmp_path):
    directions = {
        "split_half": {"anger": [0.5, 0.7, 0.9], "happiness": [0.5, 0.6, 0.8]},
        "accuracy": [0.4, 0.8, 0.9],
        "reference": ["anger", "fear", "happiness"],
        "layers": [1],
    }
    experiments = {}
    for game in ("Stag_Hunt", "Wait_Go"):
        folder = tmp_path / game
        folder.mkdir()
        (folder / "stats_analysis.json").write_text(json.dumps(stats))
        (folder / "exp_config.yaml").write_text(yaml.safe_dump({"directions": directions}))
        experiments[f"{game}_a-1"] = {"game_name": game, "output_dir": str(folder)}
    (tmp_path / "experiment_report.json").write_text(json.dumps({"experiments": experiments}))
    content = {"rows": [series_row("Stag_Hunt", "a-1")], "missing": []}
    (tmp_path / "series_results.json").write_text(json.dumps(content))
    files = plot_series(tmp_path, tmp_path / "plots")
    assert sorted(file.name for file in files if file.suffix == ".svg") == [
        "direction_quality.a-1.svg",
        "emotions_landed.a-1.svg",
        "forest_plot.svg",
    ]
