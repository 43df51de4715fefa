"""The forecast of an experiment, with a simulated clock: right within a factor of 1.3."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from emotion_games.engine.batches import Measurement, Request
from emotion_games.experiment import measuring
from emotion_games.experiment.inputs import Control
from emotion_games.experiment.journal import Journal
from emotion_games.experiment.measuring import Session, measure_all
from emotion_games.experiment.pace import WRITING
from emotion_games.signals import Interrupted

CONDITIONS = [f"written-{n}" for n in range(4)] + [f"scored-{n}" for n in range(16)]


def request(key, length, writes, push=None):
    uniforms = (np.zeros(4),) if writes else ()
    return Request(key, f"{key:<{length}}", push, {"a": "yes", "b": "no"}, uniforms=uniforms)


def trials_of(stories=40):
    """Prompts of growing length, each under conditions of which some write an answer."""
    return [
        request(f"s{story:02}/{push}", 400 + 20 * story, push.startswith("written"), push)
        for story in range(stories)
        for push in CONDITIONS
    ]


def checks_of(number, writes):
    return [request(f"check|{n}", 500, writes) for n in range(number)]


def by_32(instrument, requests, answer_tokens, configured):
    return [requests[start : start + 32] for start in range(0, len(requests), 32)], 32


class Simulation:
    """Requests that take a simulated time; `reports` has (time, counts, seconds left)."""

    def __init__(self, stages, seconds, folder, monkeypatch):
        self.stages, self.seconds_of, self.now, self.reports = stages, seconds, 0.0, []
        self.chance, self.folder, self.stop_at = random.Random(0), folder, float("inf")
        monkeypatch.setattr(measuring.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(measuring, "measure", self.measure)
        monkeypatch.setattr(measuring, "_batches", by_32)

    def measure(self, instrument, batch, log):
        for r in batch:
            reading, writing = self.seconds_of(r)
            slower = self.chance.uniform(0.8, 1.25)
            self.now += slower * (reading + writing)
            instrument.seconds[WRITING] = instrument.seconds.get(WRITING, 0.0) + slower * writing
        return [Measurement(None, [], [], []) for _ in batch]

    def run(self):
        report = lambda counts, left: self.reports.append((self.now, counts, left))  # noqa: E731
        control = Control(lambda: self.now > self.stop_at, report, lambda _: None)
        journal = Journal(self.folder / "x.jsonl", "the same", lambda _: None)
        counted = {what: [r.key for r in requests] for what, requests in self.stages.items()}
        instrument = SimpleNamespace(seconds={})
        measure_all(Session(journal, control, counted), instrument, self.stages)
        return self.reports


def by_length(reading, answer):
    """Return the time of reading, for 500 characters, and that of writing an answer."""
    return lambda r: (reading * len(r.prompt) / 500, answer * len(r.uniforms))


def shown_after(reports, share):
    """Return (seconds left as reported, in truth) of each report after a share of the time."""
    start, end = reports[0][0], reports[-1][0]
    late = [
        (left, end - now) for now, _, left in reports[:-1] if now - start >= share * (end - start)
    ]
    assert late
    return late


SLOW_CHECK = by_length(0.1, 1.0)


@pytest.mark.parametrize(
    ("checks", "seconds"),
    [
        (checks_of(0, False), by_length(0.1, 0.0)),
        (checks_of(80, True), by_length(0.1, 1.0)),
        (checks_of(80, False), by_length(0.1, 1.0)),
        # Each check is ten times as expensive as a trial of its kind.
        (
            checks_of(20, True),
            lambda r: [(10 if "check" in r.key else 1) * part for part in SLOW_CHECK(r)],
        ),
        # As on a GPU: few rows of a batch write, which takes as long as if all did.
        (
            checks_of(80, True),
            lambda r: (0.1, len(r.uniforms) * (0.1 if "check" in r.key else 1.0)),
        ),
    ],
    ids=["no checks", "free answers", "comprehension", "slow checks", "slow answers of trials"],
)
def test_the_time_left_is_right_within_a_factor_of_1_3_after_30_percent(
    checks, seconds, tmp_path, monkeypatch
):
    stages = {"checks": checks, "trials": trials_of()}
    reports = Simulation(stages, seconds, tmp_path, monkeypatch).run()
    for left, truth in shown_after(reports, 0.3):
        assert truth / 1.3 < left < truth * 1.3


def test_a_plain_count_of_requests_would_be_wrong(tmp_path, monkeypatch):
    stages = {"checks": checks_of(80, True), "trials": trials_of()}
    reports = Simulation(stages, by_length(0.1, 10.0), tmp_path, monkeypatch).run()
    end, total = reports[-1][0], 80 + 800
    now, counts, left = next(report for report in reports if report[0] >= 0.3 * end)
    done = sum(n for n, _ in counts.values())
    assert now / done * (total - done) > 1.5 * (end - now)
    assert (end - now) / 1.3 < left < (end - now) * 1.3


def test_a_resumed_experiment_is_forecast_at_the_pace_of_its_own_run(tmp_path, monkeypatch):
    stages = {"checks": checks_of(80, True), "trials": trials_of()}
    first = Simulation(stages, by_length(0.1, 1.0), tmp_path, monkeypatch)
    first.stop_at = 100.0
    with pytest.raises(Interrupted, match=r"80 of 80 checks, \d+ of 800 trials; run the same"):
        first.run()
    # Another machine, four times as slow.
    again = Simulation(stages, by_length(0.4, 4.0), tmp_path, monkeypatch)
    done_before = first.reports[-1][1]
    reports = again.run()
    assert reports[0][1]["checks"] == (80, 80)
    assert reports[0][1]["trials"][0] == done_before["trials"][0] + 32
    for left, truth in shown_after(reports, 0.3):
        assert truth / 1.3 < left < truth * 1.3


def test_nothing_is_said_before_every_kind_of_work_has_been_measured(tmp_path, monkeypatch):
    stages = {"checks": checks_of(80, True), "trials": trials_of()}
    reports = Simulation(stages, by_length(0.1, 1.0), tmp_path, monkeypatch).run()
    # A batch of each comes first.
    assert [counts for _, counts, _ in reports[:2]] == [
        {"checks": (32, 80), "trials": (0, 800)},
        {"checks": (32, 80), "trials": (32, 800)},
    ]
    assert [left is None for *_, left in reports] == [True] + [False] * (len(reports) - 1)
    # Only the last report says that nothing is left.
    assert [left == 0 for *_, left in reports] == [False] * (len(reports) - 1) + [True]
