import base64
import csv
import gzip
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from emotion_games import layout
from emotion_games.analysis.experiment_statistics import analyse
from emotion_games.analysis.series_statistics import summarize
from emotion_games.escapes import csv_cell
from emotion_games.experiment.conditions import Position, nulls_needed
from emotion_games.experiment.trial_table import write_trials
from emotion_games.reporting import page, page_data, transcripts, trials_file
from emotion_games.reporting.figure_files import plot_experiment
from simulated_trials import SETTINGS, a_game, simulate, simulate_checks

EMOTIONS = ("anger", "happiness")
# Enough null directions for a claim about two emotions.
NULLS = 70
ARMS = SETTINGS["arms"] | {"random": {"matched": NULLS, "isotropic": 0}}
SMALL = SETTINGS | {"emotions": list(EMOTIONS), "intensity": [0.5, 1.0], "arms": ARMS}
EVIL = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"
CHROMIUM, CHROMEDRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,1000",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A result folder of one finished experiment; every answer contains a script."""
    folder = tmp_path_factory.mktemp("finished")
    game = a_game(histories=("low", "high"))
    made = {
        "n_scenarios": 24,
        "emotions": EMOTIONS,
        "intensities": (0.5, 1.0),
        "effects": {"anger": -0.5},
        "random_sd": 0.03,
        "arms": ("prompted", "combined"),
        "instructions": {"calm": 0.2},
    }
    trials = simulate(game, n_random=NULLS, unparsed=0.05, **made)
    answered_freely(trials)
    stats = analyse(trials, simulate_checks(EMOTIONS, (0.5, 1.0), n_random=NULLS), game, SMALL)
    trials["output"] = trials["output"].where(trials["output"] == "", EVIL + trials["output"])
    angry = (trials["arm"] == "steered") & (trials["emotion"] == "anger")
    trials["thoughts"] = angry.map({True: "They started it.", False: ""})
    write_trials(trials, folder / "exp_results.csv", folder / "exp_results.json")
    (folder / "stats_analysis.json").write_text(json.dumps(stats))
    (folder / "exp_config.yaml").write_text(
        "directions: {split_half: {anger: [0.5, 0.9]}, accuracy: [0.5, 0.9], layers: [1], "
        "reference: [anger, happiness]}"
    )
    plot_experiment(folder / "stats_analysis.json", folder / "plots")
    return folder


def answered_freely(trials):
    """Add a free answer to the first trial of each scenario, in neutral and at the headline."""
    asked = trials["generated"] & (trials["history"] == "low") & trials["intensity"].isin([0, 1])
    asked &= trials["arm"].isin(["neutral", "steered"])
    asked &= ~trials.duplicated(["scenario_id", "history", "arm", "emotion", "intensity"])
    trials["free_output"] = trials["output"].where(~asked, EVIL).where(asked, "")
    trials["free_choice"] = trials["choice"].where(asked, "")
    trials["free_method"] = trials["extraction_method"].where(asked, "")


def row(
    series,
    exp_id,
    game,
    model,
    status="completed",
    error=None,
    done=10,
    total=10,
    folder=None,
    **more,
):
    """Return a row of the completeness report; with `folder` its results are a link to it."""
    place = series / f"{exp_id}_20250210_163355"
    if folder:
        place.symlink_to(folder)
    times = {"start_time": "2025-02-10T16:33:55", "end_time": None}
    names = {"game_name": game, "model_name": model, "exp_id": exp_id, "output_dir": str(place)}
    return (
        names
        | times
        | {"status": status, "error": error, "progress": {"done": done, "total": total}}
        | more
    )


def report(series, *rows, **more):
    content = {
        "last_updated": "2025-02-10T18:00:00",
        "experiments": {row["exp_id"]: row for row in rows},
    }
    content |= more
    (series / "experiment_report.json").write_text(json.dumps(content))


def written(series):
    page.write_page(series)
    return (series / layout.PAGE).read_text(encoding="utf-8")


def block(html):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S).group(1)
    )


@pytest.fixture
def partial(tmp_path, finished):
    """One experiment finished, one running, one failed, one pending."""
    report(
        tmp_path,
        row(tmp_path, "Stag_Hunt_a", "Stag_Hunt", "a", folder=finished),
        row(tmp_path, "Stag_Hunt_b", "Stag_Hunt", "b", "running", done=1200, total=3000),
        row(
            tmp_path,
            "Wait_Go_a",
            "Wait_Go",
            "a",
            "failed",
            "CUDA out of memory & <b>more</b>",
            done=5,
            total=3000,
        ),
        row(tmp_path, "Wait_Go_b", "Wait_Go", "b", "pending", done=0, total=None),
    )
    return tmp_path


@pytest.fixture
def complete(tmp_path, finished):
    """Two finished experiments, summarized."""
    rows = [
        row(tmp_path, f"Stag_Hunt_{model}", "Stag_Hunt", model, folder=finished)
        for model in ("a", "b")
    ]
    report(tmp_path, *rows)
    summarize(tmp_path)
    return tmp_path


def test_free_answers_stand_beside_the_figures_of_the_format_check(complete):
    data = block(written(complete))
    cell = data["cells"]["Stag_Hunt_a"]
    shown = [(row["emotion"], row["answers"]) for row in cell["format"]]
    assert shown == [("neutral", 24), ("anger", 24), ("happiness", 24)]
    for row in cell["format"]:
        estimate, low, high = row["readable"]
        assert 0.3 < low < estimate <= high <= 1 and len(row["difference"]) == 3
        assert 0.9 < row["mass"] < 1
    # Conditions in turn, with what the model would have said.
    assert [one["emotion"] for one in cell["free_answers"]] == [
        row["emotion"] for row in cell["format"]
    ] * 2
    assert all(one["text"] == EVIL and one["guided"] for one in cell["free_answers"])
    facts = dict(cell["facts"])
    assert facts["scenarios without room for some effects, in neutral"].endswith(" at ceiling")
    assert facts["probability of all options together"].endswith(" %, by condition")


def test_instructions_and_words_beside_the_push_are_rows(complete, finished):
    cell = block(written(complete))["cells"]["Stag_Hunt_a"]
    stats = json.loads((finished / "stats_analysis.json").read_text())
    assert [(r["instruction"], r["emotion"]) for r in cell["instructions"]] == [
        ("calm", emotion) for emotion in EMOTIONS
    ]
    row, record = cell["instructions"][0], stats["instructions"][0]
    change = record["change"]
    assert row["change"] == pytest.approx([change["estimate"], *change["interval"]], rel=1e-3)
    assert row["p_corrected"] == record["p_corrected"] < 0.01
    assert row["undone"][0] == pytest.approx(0.8, abs=0.1)
    assert cell["instructions"][1]["undone"] is None
    both = cell["combined"][0]["both_minus_vector"]
    assert both[0] == pytest.approx(stats["combined"][0]["both_minus_vector"]["estimate"], rel=1e-3)


def test_an_interim_page_has_no_verdict_about_instructions(partial):
    (row, _) = block(written(partial))["cells"]["Stag_Hunt_a"]["instructions"]
    assert {"change", "under"} <= set(row) and not {"p_corrected", "undone"} & set(row)


def test_a_series_without_experiments_has_a_page(tmp_path):
    html = written(tmp_path)
    assert (
        "No experiment has started" in html
        and "Interim" in html
        and html.rstrip().endswith("</html>")
    )
    report(tmp_path)
    assert "No experiment is recorded yet" in written(tmp_path)


def test_a_partial_grid_shows_status_progress_and_error(partial):
    html = written(partial)
    assert re.sub(r"\s+", " ", html).count('<td class="completed">') == 1
    assert "1,200 of 3,000 trials (40 %)" in html
    assert "CUDA out of memory &amp; &lt;b&gt;more&lt;/b&gt;" in html
    assert (
        "1 completed" in html and "1 running" in html and "1 pending" in html and "1 failed" in html
    )
    assert block(html)["cells"]["Wait_Go_a"]["error"] == "CUDA out of memory & <b>more</b>"


def test_the_page_counts_trials_and_checks_and_shows_the_time_left(tmp_path):
    more = {"checks": {"done": 100, "total": 100}, "seconds_left": 7260.4}
    running = row(tmp_path, "a", "Wait_Go", "a", "running", done=140, total=300, **more)
    waiting = row(tmp_path, "b", "Wait_Go", "b", "pending", done=0, total=300)
    report(tmp_path, running, waiting, seconds_left=14520.0, experiments_of_unknown_time=1)
    html = written(tmp_path)
    assert "140 of 300 trials, 100 of 100 checks (60 %)" in html
    assert '<progress max="100" value="60">' in html
    assert '<small class="soft">2 h 1 min left</small>' in html
    assert "1 running; 4 h 2 min left, and 1 experiment of unknown time." in html
    assert "0 of 300 trials (0 %)" in html and html.count("</small>") == 3


def test_the_page_of_a_running_experiment_says_what_neutral_leaves_room_for(tmp_path):
    more = {"headroom": "headroom: 3 at floor, 0 at ceiling of 24"}
    running = row(tmp_path, "a", "Wait_Go", "a", "running", done=140, total=300, **more)
    report(tmp_path, running)
    assert f'<small class="soft">{more["headroom"]}</small>' in written(tmp_path)
    report(tmp_path, running | {"status": "completed", "done": 300})
    assert more["headroom"] not in re.sub(r"<script.*", "", written(tmp_path), flags=re.DOTALL)


def test_cells_that_are_not_planned_differ_from_pending_ones(tmp_path):
    report(
        tmp_path,
        row(tmp_path, "x", "Stag_Hunt", "a", "pending"),
        row(tmp_path, "y", "Wait_Go", "b", "pending"),
    )
    assert written(tmp_path).count("not planned") == 2


def test_an_interim_page_contains_no_verdict(partial):
    html = written(partial)
    data = block(html)
    assert "Interim." in html and data["final"] is False
    verdicts = {"p", "p_corrected", "moved", "claim", "checklist", "undone"}
    assert verdicts == set(page.VERDICTS)
    assert len(data["effects"]) == 2 and not verdicts & set().union(*data["effects"])
    cell = data["cells"]["Stag_Hunt_a"]
    assert cell["text"] == "" and {len(record) for record in cell["contrasts"]} == {11}
    assert "corrected p 0" not in html and "is claimed (" not in html
    assert "False claims to expect" not in html
    assert "1 of 4 experiments are complete, so nothing is claimed yet." in html


def test_a_complete_page_shows_what_has_moved_and_what_is_claimed(complete):
    html = written(complete)
    data = block(html)
    assert "Interim." not in html and data["final"] is True
    # One row for each emotion and experiment, at the mean over histories.
    assert [(e["exp_id"], e["emotion"], e["history"]) for e in data["effects"]] == [
        (f"Stag_Hunt_{model}", emotion, "mean") for model in ("a", "b") for emotion in EMOTIONS
    ]
    for effect in data["effects"]:
        assert effect["moved"] == effect["claim"] == (effect["emotion"] == "anger")
        assert (effect["p"] < 0.05) == effect["claim"]
        assert effect["measure"] == "choice probabilities"
    cell = data["cells"]["Stag_Hunt_a"]
    assert "An effect of anger is claimed (corrected p 0.0" in cell["text"]
    assert {len(record) for record in cell["contrasts"]} == {13}
    assert "at most 0.1 of 2 experiments would have one" in html
    assert "2 of 4 effects are claimed: anger lowers cooperation by " in html
    assert "Claims are not testable" not in html


def test_a_claim_is_a_checklist_with_numbers(complete):
    anger, happiness = block(written(complete))["effects"][:2]
    needed = [passed for name, passed, _ in anger["checklist"] if not name.startswith("also")]
    assert needed == [True] * 5
    names = {name: (passed, text) for name, passed, text in happiness["checklist"]}
    assert names["differs from neutral"][0] is False
    assert names["the push does not damage the model"][0] is True
    passed, text = names["enough stories and undamaged null directions, all trials done"]
    assert passed and text.startswith("24 stories, 24 needed; 70 null directions, ")
    low, high = anger["band"]
    assert low < 0 < high < anger["to_claim"] < 0.3 and anger["to_move"] < anger["to_claim"]
    low, high = anger["corrected"]
    assert low < anger["effect"][1] and anger["effect"][2] < high


def test_the_demo_and_the_plan_stand_at_the_top(complete):
    assert 'id="demo"' not in written(complete)
    models = {"key": {"name": "demo", "entry": {"id": "demo"}}}
    record = {"models": models, "started": "2026-01-02T03:04:05"}
    (complete / ".state" / "series.json").write_text(json.dumps(record))
    html = written(complete)
    assert "This series checks the instrument." in html
    assert "series begun 2026-01-02 03:04:05; 2 plan hashes" in html
    assert html.index('id="demo"') < html.index('id="verdict"') < html.index('id="effects"')


def test_all_trials_are_beside_the_page_with_the_prompted_arm(complete, finished):
    written(complete)
    text = layout.page_trials_path(complete, "Stag_Hunt_a").read_text()
    exp_id, packed = json.loads(f"[{text.removeprefix('trials(').rstrip().removesuffix(')')}]")
    content = json.loads(gzip.decompress(base64.b64decode(packed)))
    with open(finished / "exp_results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert exp_id == "Stag_Hunt_a" and len(content["rows"]) == len(rows)
    for shown, row in zip(content["rows"], rows, strict=True):
        texts = [content["shared"][place] for place in shown[:8]]
        choice = row["choice"] if row["choice"] in ("cooperate", "defect") else ""
        assert texts[3:7] == [row["arm"], row["emotion"], row["instruction"], choice]
        assert (texts[7], shown[9]) == (row["input"], row["trial_id"])
        assert shown[12:] == [row["thoughts"], row["output"]]
    assert "prompted" in content["shared"]
    facts = dict(block(written(complete))["cells"]["Stag_Hunt_a"]["facts"])
    pairs = [(r["choice"], transcripts.chances(r)) for r in rows]
    pairs = [(choice, chances) for choice, chances in pairs if choice in chances]
    share = sum(chances[choice] == max(chances.values()) for choice, chances in pairs) / len(pairs)
    fact = facts["written choice is the likeliest option"]
    assert fact == f"{100 * share:.0f} % of {len(pairs):,} answers"


def test_a_page_says_why_nothing_can_be_claimed(tmp_path, finished):
    stats = json.loads((finished / "stats_analysis.json").read_text())
    for nulls in stats["null_directions"]:
        nulls["n_directions"] = 20
    place = tmp_path / "few"
    place.mkdir()
    (place / "stats_analysis.json").write_text(json.dumps(stats))
    (place / "exp_results.csv").symlink_to(finished / "exp_results.csv")
    report(tmp_path, row(tmp_path, "x", "Stag_Hunt", "a", folder=place))
    assert (
        f"<strong>Claims are not testable: they need {nulls_needed(2)} undamaged null directions "
        "instead of 20.</strong>"
    ) in written(tmp_path)
    # Where no claim is testable, none can be false.
    assert "False claims" not in (tmp_path / "series_report.html").read_text()
    both = tmp_path / "both"
    both.mkdir()
    rows = [row(both, "x", "Stag_Hunt", "a", folder=place)]
    report(both, *rows, row(both, "y", "Chicken", "a", folder=finished))
    assert "<strong>x: Claims are not testable: they need " in written(both)


def test_long_thoughts_and_tables_of_earlier_versions_can_be_read(tmp_path, finished):
    table = pd.read_csv(finished / "exp_results.csv", dtype=str, keep_default_na=False)
    table.loc[0, "thoughts"] = "so " * 100_000
    table.to_csv(tmp_path / "long.csv", index=False)
    table.drop(columns=["thoughts", "instruction"]).to_csv(tmp_path / "old.csv", index=False)
    for name in ("long", "old"):
        written = trials_file.write_trials(tmp_path / f"{name}.csv", "x", tmp_path / f"{name}.js")
        assert written.n_trials == len(table)
    plan = json.loads((finished / "stats_analysis.json").read_text())["plan"]
    for name in ("long", "old"):
        sampled, _ = transcripts.transcripts_of(tmp_path / f"{name}.csv", plan)
        assert sampled[0]["cards"]


def test_an_experiment_with_many_null_directions_has_a_small_page(finished, complete):
    cell = block(written(complete))["cells"]["Stag_Hunt_a"]
    assert {record[0] for record in cell["contrasts"]} <= {
        "emotion_minus_neutral",
        "emotion_minus_random",
        "emotion_minus_other_emotions",
        "prompted_minus_prompted_neutral",
    }
    assert len(cell["contrasts"]) < 60


def test_an_experiment_with_fewer_trials_than_planned_keeps_the_page_interim(complete, finished):
    stats = json.loads((finished / "stats_analysis.json").read_text())
    stats["meta"]["interim"] = True
    place = complete / "short"
    place.mkdir()
    (place / "stats_analysis.json").write_text(json.dumps(stats))
    (place / "exp_results.csv").symlink_to(finished / "exp_results.csv")
    report(complete, row(complete, "x", "Stag_Hunt", "c", folder=place))
    assert block(written(complete))["final"] is False


def test_a_figure_with_claims_is_removed_when_the_series_grows(complete):
    (complete / "plots").mkdir()
    (complete / "plots" / "effect_by_model_size.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg'/>"
    )
    assert len(block(written(complete))["figures"]) == 1
    grown = json.loads((complete / "experiment_report.json").read_text())["experiments"]
    report(complete, *grown.values(), row(complete, "new", "Tri_Game", "a", "pending"))
    assert block(written(complete))["figures"] == []


def test_a_script_in_an_answer_or_an_error_is_shown_as_text(tmp_path, finished):
    rows = [
        row(tmp_path, "x", "Stag_Hunt", "a", folder=finished),
        row(tmp_path, "y", EVIL, EVIL, "failed", EVIL),
    ]
    report(tmp_path, *rows)
    html = written(tmp_path)
    assert len(re.findall(r"<script", html)) == 2 and "<img src=x" not in html
    answers = [
        card["answer"] for one in block(html)["cells"]["x"]["transcripts"] for card in one["cards"]
    ]
    assert any(answer.startswith(EVIL) for answer in answers)


def test_transcripts_hold_one_trial_under_every_emotion_and_one_random_direction(
    complete, finished
):
    decisions = block(written(complete))["cells"]["Stag_Hunt_a"]["transcripts"]
    assert len(decisions) == transcripts.MOST_TRANSCRIPTS
    assert [one["history"] for one in decisions].count("low") == transcripts.MOST_TRANSCRIPTS // 2
    assert len({one["scenario"] for one in decisions if one["history"] == "low"}) == 4
    with open(finished / "exp_results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for one in decisions:
        assert [card["emotion"] for card in one["cards"]] == [
            "neutral",
            "anger",
            "happiness",
            "random_0",
        ]
        assert one["cards"][-1]["answer"] == "" and one["cards"][-1]["probabilities"]
        same = [
            r
            for r in rows
            if f"({r['scenario_id']})" in one["scenario"] and r["history"] == one["history"]
        ]
        same = [r for r in same if ", ".join(json.loads(r["option_order"])) == one["order"]]
        for card in one["cards"]:
            trial = next(
                r
                for r in same
                if (r["arm"], r["emotion"], float(r["intensity"]))
                == (card["arm"], card["emotion"], card["intensity"])
            )
            assert card["answer"] == trial["output"] and card["choice"] == transcripts.choice_of(
                trial
            )


def test_which_transcripts_are_shown_does_not_depend_on_the_answers():
    keys = [(f"s{n}", "none", "[]", "0", "0") for n in range(40)]
    assert transcripts._sample(keys) == transcripts._sample(reversed(keys))
    assert transcripts._sample(keys[:3]) and len(transcripts._sample(keys[:3])) == 3


def test_the_page_shows_what_the_model_wrote_and_not_how_the_table_escapes_it(tmp_path, finished):
    wrote = "=1 \x1b[2J \\x1b"
    with open(finished / "exp_results.csv", newline="") as file:
        texts = {"thoughts": csv_cell(f"{wrote}?"), "output": csv_cell(wrote)}
        rows = [one | texts for one in csv.DictReader(file)]
    with open(tmp_path / "exp_results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    plan = json.loads((finished / "stats_analysis.json").read_text())["plan"]
    sampled, _ = transcripts.transcripts_of(tmp_path / "exp_results.csv", plan)
    shown = {(card["thoughts"], card["answer"]) for one in sampled for card in one["cards"]}
    assert shown == {(f"{wrote}?", wrote)}


def test_trials_are_read_once(complete, monkeypatch):
    first = block(written(complete))

    def no_trials(path):
        raise AssertionError(f"{path} was read again")

    for module in (transcripts, trials_file):
        monkeypatch.setattr(module, "rows_of", no_trials)
    assert block(written(complete)) == first


def test_damaged_statistics_affect_one_cell_only(partial, tmp_path_factory):
    damaged = tmp_path_factory.mktemp("damaged")
    (damaged / "stats_analysis.json").write_text('{"meta": {}')
    rows = json.loads((partial / "experiment_report.json").read_text())["experiments"]
    report(partial, *rows.values(), row(partial, "z", "Tri_Game", "a", folder=damaged))
    cells = block(written(partial))["cells"]
    assert "cannot be read" in cells["z"]["error"] and cells["Stag_Hunt_a"]["contrasts"]


def test_tables_are_complete_and_figures_and_transcripts_share_the_rest_equally(
    complete, monkeypatch
):
    full = block(written(complete))
    monkeypatch.setattr(page, "MOST_BYTES", 60_000)
    html = written(complete)
    data = block(html)
    assert data["effects"] == full["effects"]
    shown = []
    for exp_id, cell in data["cells"].items():
        assert cell["contrasts"] == full["cells"][exp_id]["contrasts"]
        assert cell["text"] == full["cells"][exp_id]["text"]
        assert cell["transcripts"][0] == full["cells"][exp_id]["transcripts"][0]
        shown.append(len(cell["transcripts"]) + len(cell["figures"]))
    assert shown[0] == shown[1] < transcripts.MOST_TRANSCRIPTS + 4
    omitted = int(re.search(r"(\d+) figures and decisions did not fit", html).group(1))
    assert omitted + sum(shown) == 2 * (transcripts.MOST_TRANSCRIPTS + 4)
    assert page._size(data) <= 60_000


def test_half_a_surrogate_pair_does_not_stop_the_page(tmp_path):
    report(tmp_path, row(tmp_path, "x", "Stag_Hunt", "a", "failed", "bad \ud83d text"))
    assert "bad ? text" in written(tmp_path)


@pytest.mark.slow
def test_a_hundred_experiments_stay_under_five_megabytes(tmp_path, finished):
    big = tmp_path / "big"
    big.mkdir()
    for name in ("stats_analysis.json", "plots"):
        (big / name).symlink_to(finished / name)
    with open(finished / "exp_results.csv", newline="") as file:
        rows = [
            one
            for one in csv.DictReader(file)
            if one["arm"] in ("neutral", "steered") or one["emotion"] == "random_0"
        ]
    for one in rows:
        one["input"] = "Wörter, die Platz brauchen. " * 130
        one["output"] = one["output"] and "这个邻居一直很公平。" * 120
    with open(big / "exp_results.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    report(
        tmp_path,
        *(
            row(tmp_path, f"g{n}_m", f"game_{n // 7}", f"model_{n % 7}", folder=big)
            for n in range(100)
        ),
    )
    html = written(tmp_path)
    assert len(html.encode()) < 5_000_000
    cells = block(html)["cells"].values()
    assert len(cells) == 100 and all(cell["transcripts"] and cell["contrasts"] for cell in cells)
    omitted = int(re.search(r"(\d+) figures and decisions did not fit", html).group(1))
    shown = sum(len(cell["transcripts"]) + len(cell["figures"]) for cell in cells)
    assert omitted + shown == 100 * (transcripts.MOST_TRANSCRIPTS + 4)


def test_a_reader_never_sees_half_a_page(partial):
    page.write_page(partial)
    seen, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            seen.append((partial / layout.PAGE).read_text().rstrip().endswith("</html>"))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        page.write_page(partial)
    stop.set()
    reader.join()
    assert len(seen) > 5 and all(seen)


def test_on_a_full_disk_the_old_page_stays_and_no_job_fails(partial, monkeypatch, capsys):
    before = written(partial)

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    page.refresh(partial, least_seconds=0)
    assert (partial / layout.PAGE).read_text() == before
    assert "No space left" in capsys.readouterr().err
    assert not [path for path in partial.iterdir() if path.name.endswith(".tmp")]


def test_refresh_writes_at_most_every_few_seconds(partial):
    page.refresh(partial)
    first = (partial / layout.PAGE).stat().st_mtime_ns
    page.refresh(partial)
    assert (partial / layout.PAGE).stat().st_mtime_ns == first
    page.refresh(partial, least_seconds=0)
    assert (partial / layout.PAGE).stat().st_mtime_ns > first


def test_a_page_that_takes_long_is_written_less_often(partial, monkeypatch):
    page.refresh(partial)
    now = time.time()
    os.utime(partial / layout.PAGE, (now - 15, now - 15))
    monkeypatch.setattr(page, "_last_cost", 1.0)
    page.refresh(partial)
    assert (partial / layout.PAGE).stat().st_mtime < now - 10
    monkeypatch.setattr(page, "_last_cost", 0.1)
    page.refresh(partial)
    assert (partial / layout.PAGE).stat().st_mtime > now - 10


def test_writing_the_page_loads_nothing_heavy():
    code = "import sys, emotion_games.reporting.page; print([m for m in sys.modules if m in %r])"
    heavy = ("torch", "numpy", "pandas", "matplotlib", "scipy", "yaml")
    scripts = str(Path(page.__file__).parents[2])
    shown = subprocess.run(
        [sys.executable, "-c", code % (heavy,)],
        capture_output=True,
        text=True,
        cwd=scripts,
        check=True,
    )
    assert shown.stdout.strip() == "[]"


def test_the_templates_have_one_block_of_data_and_no_address_of_the_network():
    files = list((Path(page.__file__).parent / "templates").glob("*"))
    texts = [file.read_text() for file in files]
    assert len(texts) == 4 and all(len(text.splitlines()) <= 300 for text in texts)
    whole = "".join(texts)
    assert whole.count("application/json") == 1
    assert not any(word in whole for word in ("innerHTML", "http://", "https://"))


# The tests below need a browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    selenium = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: no browser test of the page"
    )
    if not CHROMIUM.exists() or not CHROMEDRIVER.exists():
        missing = (
            f"{CHROMIUM} or {CHROMEDRIVER} is missing (apt-get install chromium chromium-driver)"
        )
        pytest.skip(f"no browser test of the page: {missing}")
    options = selenium.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(str(CHROMEDRIVER)))
    yield driver
    driver.quit()


def opened(browser, series, fragment=""):
    """Open the page from the file system, as in a new tab, with empty logs."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get((series / layout.PAGE).as_uri() + fragment)
    return browser


def ids(browser, name):
    return browser.find_element("id", name)


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not reached within {seconds} s"
        time.sleep(0.05)


def requested(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]


def test_browser_opens_the_page_from_the_file_system_without_network_or_error(browser, complete):
    page.write_page(complete)
    opened(browser, complete, "#cell=Stag_Hunt_a")
    images = (
        "return [...document.querySelectorAll('#figures img')]"
        ".filter(i => i.naturalWidth > 50).length"
    )
    until(lambda: browser.execute_script(images) == 4)
    urls = requested(browser)
    assert urls and all(url.startswith(("file://", "blob:", "data:")) for url in urls), urls
    # The page, and the trials of the experiment that is open.
    assert sum(url.startswith("file://") for url in urls) == 2
    assert browser.get_log("browser") == []


def test_browser_shows_a_script_in_an_answer_as_text(browser, complete):
    page.write_page(complete)
    opened(browser, complete, "#cell=Stag_Hunt_a")
    assert "</script><script>window.pwned" in ids(browser, "cards").text
    assert browser.execute_script(
        "return window.pwned === undefined && !document.querySelector('.card img, .card script')"
    )


def test_browser_filters_and_sorts_and_keeps_both_in_the_address(browser, complete):
    page.write_page(complete)
    opened(browser, complete)
    rows = "return [...document.querySelectorAll('#effects tbody tr')].map(r => r.innerText)"
    assert len(browser.execute_script(rows)) == 4
    ids(browser, "find").send_keys("anger b")
    until(lambda: len(browser.execute_script(rows)) < 4)
    assert all("anger" in text for text in browser.execute_script(rows))
    assert "of 4 rows" in ids(browser, "found").text and "find=anger" in browser.current_url
    ids(browser, "find").clear()
    ids(browser, "find").send_keys(" ")
    header = (
        "return [...document.querySelectorAll('#effects th')]"
        ".find(h => h.innerText.startsWith('emotion − neutral'))"
    )
    column = (
        "return [...document.querySelectorAll('#effects tbody tr')]"
        ".map(r => parseFloat(r.cells[5].innerText.replace('−', '-')))"
    )
    for name, order in (("ascending", 1), ("descending", -1)):
        browser.execute_script(header).find_element("tag name", "button").send_keys("\n")
        until(lambda name=name: browser.execute_script(header).get_attribute("aria-sort") == name)
        values = browser.execute_script(column)
        assert len(values) == 4 and [order * v for v in values] == sorted(order * v for v in values)
    address = browser.current_url
    opened(browser, complete, "#" + address.partition("#")[2])
    assert browser.execute_script(header).get_attribute("aria-sort") == "descending"


def test_browser_drills_down_to_a_decision_and_back(browser, complete):
    page.write_page(complete)
    opened(browser, complete)
    assert not ids(browser, "cell").is_displayed()
    browser.find_element("css selector", "a[data-cell=Stag_Hunt_b]").send_keys("\n")
    until(lambda: ids(browser, "cell").is_displayed())
    assert ids(browser, "cell-title").text == "Stag Hunt, b: completed"
    lists = [card.text for card in browser.find_elements("css selector", "#checklists .card")]
    assert [text.split("\n")[0] for text in lists] == [
        "anger, intensity 1: claimed",
        "happiness, intensity 1: not moved",
    ]
    browser.find_element("css selector", "#in-words summary").send_keys("\n")
    until(lambda: "An effect of anger is claimed" in ids(browser, "text").text)
    cards = [card.text for card in browser.find_elements("css selector", "#cards .card")]
    assert [card.split("\n")[0] for card in cards] == [
        "neutral",
        "anger, intensity 1",
        "happiness, intensity 1",
        "null direction 0, intensity 1",
    ]
    first = ids(browser, "set").get_attribute("value")
    ids(browser, "next").send_keys("\n")
    until(lambda: ids(browser, "set").get_attribute("value") != first)
    assert "cell=Stag_Hunt_b" in browser.current_url and "set=2" in browser.current_url
    opened(browser, complete, "#" + browser.current_url.partition("#")[2])
    assert ids(browser, "set").get_attribute("value") == "2"
    ids(browser, "cfind").send_keys("random scored")
    until(lambda: len(browser.find_elements("css selector", "#contrasts tbody tr")) == 2)
    ids(browser, "close").send_keys("\n")
    until(lambda: not ids(browser, "cell").is_displayed())
    assert browser.get_log("browser") == []


def test_browser_searches_all_trials_and_keeps_the_filters_in_the_address(browser, complete):
    page.write_page(complete)
    opened(browser, complete, "#cell=Stag_Hunt_a&tarm=prompted&temotion=anger&tfind=garden")
    shown = "return [...document.querySelectorAll('#trials summary')].map(r => r.innerText)"
    until(lambda: browser.execute_script(shown))
    summaries = browser.execute_script(shown)
    assert len(summaries) == 50
    assert all(text.startswith("anger (event in the prompt): ") for text in summaries)
    assert re.match(r"96 of [\d,]+ trials", ids(browser, "tfound").text)
    ids(browser, "tmore").send_keys("\n")
    until(lambda: len(browser.execute_script(shown)) == 96)
    ids(browser, "tfind").send_keys(" nowhere")
    until(lambda: not browser.execute_script(shown))
    named = {
        "combined": "anger (push, and event in the prompt), intensity 1: ",
        "instructed": "anger (instruction calm), intensity 1: ",
        "random": "null direction 0, intensity 1: ",
    }
    for arm, name in named.items():
        emotion = "random_0" if arm == "random" else "anger"
        opened(browser, complete, f"#cell=Stag_Hunt_a&tarm={arm}&temotion={emotion}")
        until(lambda: browser.execute_script(shown))
        assert all(text.startswith(name) for text in browser.execute_script(shown))
    opened(browser, complete, "#cell=Stag_Hunt_a&tfind=started")
    until(lambda: browser.execute_script(shown))
    assert all(text.startswith("anger, ") for text in browser.execute_script(shown))
    browser.find_element("css selector", "#trials summary").send_keys("\n")
    until(lambda: browser.find_elements("css selector", "#trials details details pre"))
    thoughts = "return document.querySelector('#trials details details pre').textContent"
    assert browser.execute_script(thoughts) == "They started it."
    assert browser.get_log("browser") == []


def test_browser_at_phone_width_needs_no_sideways_scrolling_of_the_page(browser, complete):
    page.write_page(complete)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        opened(browser, complete, "#cell=Stag_Hunt_a&wide=1")
        until(lambda: browser.find_elements("css selector", "#trials summary"))
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        box = "document.querySelector('#effects')"
        assert browser.execute_script(f"{box}.scrollLeft = 200; return {box}.scrollLeft") == 200
        name = browser.find_element("css selector", "#effects tbody th").rect
        assert 0 <= name["x"] < 30, "the name of the row stays"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_browser_shows_an_interim_page_without_marks(browser, partial):
    page.write_page(partial)
    opened(browser, partial, "#cell=Wait_Go_a")
    assert "Interim" in ids(browser, "interim").text
    heads = [head.text for head in browser.find_elements("css selector", "#effects th")]
    assert "emotion − neutral" in heads and not any(
        word in head for head in heads for word in ("claim", "moved", "corrected")
    )
    assert "CUDA out of memory & <b>more</b>" in ids(browser, "cell-error").text
    ids(browser, "live").send_keys(" ")
    until(lambda: "live=1" in browser.current_url)
    assert browser.get_log("browser") == []


def test_the_page_has_words_for_every_position_of_a_push():
    assert set(page_data.PUSHED) == set(Position)
