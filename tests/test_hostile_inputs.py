"""Whatever a config and its files hold, a dry run ends: with a table, or with one line a problem.

Valid configs and files are changed at random places, as data and as bytes, and read as the
Snakefile reads them.
"""

import contextlib
import copy
import io
import json
import os
import shutil
import signal
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError

from emotion_games.escapes import printable
from emotion_games.series import completeness
from emotion_games.series.folder import PINNED, open_series
from emotion_games.series.preview import count_games
from emotion_games.series.workflow import load_series
from emotion_games.signals import OWNER

ROOT = Path(__file__).parents[1]
GAME = "Ultimatum_Game_Responder"
# Seconds of the processor, and of the clock for what waits without using it.
LONGEST, LONGEST_WAIT = 10, 100


def nested(levels: int) -> list:
    data: list = []
    for _ in range(levels):
        data = [data]
    return data


STORIES = [
    {
        "id": f"story{n}",
        "game_name": "Ultimatum Game",
        "description": f"Alice offers Bob a part of {n} apples.",
        "participants": [{"name": "Alice", "role": "proposer"}, {"name": "Bob", "profile": "old"}],
        "responder_behavior_choices": {"accept": "Take them", "reject": "Refuse them"},
    }
    for n in range(2, 5)
]
CONFIG: dict[str, Any] = {
    "experiment": {
        "name": "Hostile",
        "games": [GAME],
        "models": ["org/M", {"id": "org/N", "alias": "n", "revision": "main", "dtype": "float16"}],
        "emotions": ["anger", "fear"],
        "intensity": [0.5, 1.0],
        "headline_intensity": 1.0,
        "intensity_unit": "gap",
        "repeat": 1,
        "num_scenarios": 2,
        "seed": 0,
        "layers": [3, 4],
        "direction_method": "mean_difference",
        "answer_form": "rationale",
        "decoding": "guided",
        "generation": {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 64},
        "scoring": {"direct": True},
        "arms": {"random": {"matched": 20, "isotropic": 0}, "shuffled": False},
        "checks": {"manipulation": True, "damage": True, "format": True},
        "show_payoffs": False,
        "scenarios": {GAME: "stories.json"},
        "choice_labels": {GAME: {"take": "accept"}},
        "game_settings": {GAME: {"endowment": 20, "histories": ["offer_low"]}},
        "stimuli": "emotions",
        "prompts": "prompts.yaml",
        "check_items": "checks.yaml",
        "statistics": {"primary": "direct", "confidence": 0.95, "equivalence_margin": 0.1},
        "output": {"base_dir": "results"},
        "runtime": {"device": "cpu", "threads": 1, "batch_tokens": None},
    }
}
# Files that a config can name, and what is in them.
FILES = {
    "stories.json": json.dumps(STORIES, indent=1),
    "stories.yaml": yaml.safe_dump(STORIES),
    "prompts.yaml": (ROOT / "config" / "prompts.yaml").read_text(),
    "checks.yaml": (ROOT / "config" / "checks.yaml").read_text(),
    "emotions/anger.txt": (ROOT / "config" / "emotions" / "anger.txt").read_text(),
    "game.yaml": (ROOT / "config" / "games" / GAME / "game.yaml").read_text(),
}
TRAPS = ["pipe.yaml", "circle.yaml", "a_folder", "traps", "deep.yaml", "bomb.yaml", "binary.json"]
VALUES = [
    *(None, True, False, 0, -1, 2, 0.5, 10**9, 10**17, 10**400, -(10**4000), 2**63),
    *(float("nan"), float("inf"), -float("inf"), 1e308, 5e-324, -0.0, date(2025, 1, 1), b"x"),
    *("", " ", "x", "demo", "yes", "1", "H\n", "a\x00b", "\x1b[31m", "\ud800", "é", "\u202e", "'"),
    *("x" * 256, "x" * 5000, "a/" * 3000, "../" * 3, "~nosuchuser/x", "~", "{x}", "x{0}", "*", "."),
    *("/dev/null", "/dev/zero", "/dev/null/x", "neutral", GAME, "Ultimatum_Game", "Draft", *TRAPS),
    *([], {}, [[]], [None], [float("nan")], {"x": 1}, {1: 2}, {None: None}, {"id": "org/M"}),
    *({"x\n": "\ud800"}, {"": ""}, ["x"] * 30_000, [1, "x"] * 600, {"a": {"b": {"c": {}}}}),
    "stories.yaml",
    *(nested(levels) for levels in (45, 200)),
]


def places(data: Any, path: tuple = ()) -> list[tuple]:
    """Return the paths to everything inside data."""
    found = [path] if path else []
    if isinstance(data, (dict, list)):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            found += places(item, (*path, key))
    return found


def changed(data: Any, changes: list[tuple[tuple, Any]]) -> Any:
    """Return data in which values are replaced; a change of a place that is gone does nothing."""
    data = copy.deepcopy(data)
    for path, value in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            inner = data
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
    return data


def changes_of(data: Any) -> st.SearchStrategy:
    one = st.tuples(st.sampled_from(places(data)), st.sampled_from(VALUES))
    return st.lists(one, min_size=1, max_size=3)


@st.composite
def damaged(draw: Any, text: str) -> bytes:
    """Draw the bytes of a text in which some are removed, repeated or replaced."""
    content = text.encode()
    junk = st.sampled_from(
        [b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\t", b"[" * 300, b"{", b"}", b'"', b"\\"]
        + [
            b": ",
            b"- ",
            b"&a ",
            b"*a ",
            b"<<: ",
            b"!!python/tuple ",
            b"%",
            b"#",
            b"\n",
            b"\xed\xa0\xbd",
        ]
        + [rb"\ud800", b"1e999", b".nan", b"-.inf", b"0x" + b"f" * 5000, b"9" * 5000, b"? ", b"| "]
    )
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 400)))
        middle = draw(junk | st.just(content[start:end] * 2) | st.binary(max_size=20))
        content = content[:start] + middle + content[end:]
    return content


# What is read: a config, and the content of files by name.
mutations = st.one_of(
    changes_of(CONFIG).map(lambda found: (changed(CONFIG, found), {})),
    damaged(yaml.safe_dump(CONFIG)).map(lambda content: (content, {})),
    changes_of(STORIES).map(
        lambda found: (CONFIG, {"stories.json": json.dumps(changed(STORIES, found), default=str)})
    ),
    st.sampled_from(sorted(FILES)).flatmap(
        lambda name: damaged(FILES[name]).map(lambda content: (CONFIG, {name: content}))
    ),
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, a workflow with one game and faulty drafts, and a folder of traps."""
    place = tmp_path_factory.mktemp("sandbox")
    for name in ("home", "workflow/config/games/Draft", f"workflow/config/games/{GAME}", "traps"):
        (place / name).mkdir(parents=True)
    shutil.copytree(ROOT / "config" / "demo", place / "workflow" / "config" / "demo")
    (place / "workflow" / "config" / "games" / "Draft" / "game.yaml").write_text("family: [")
    traps = place / "traps"
    os.mkfifo(traps / "pipe.yaml")
    (traps / "circle.yaml").symlink_to(traps / "circle.yaml")
    (traps / "a_folder").mkdir()
    os.mkfifo(traps / "a_folder" / "stories.json")
    (traps / "deep.yaml").write_text("[" * 200_000)
    rows = [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (traps / "bomb.yaml").write_text("\n".join(["- &a0 [x]", *rows]))
    (traps / "binary.json").write_bytes(bytes(range(256)))
    return place


def work_folder(sandbox: Path, files: dict[str, bytes | str]) -> Path:
    """Return a new working directory with the files that a config names, and the traps."""
    work = sandbox / "work"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(sandbox / "traps", work, symlinks=True, copy_function=copy_trap)
    shutil.copytree(ROOT / "config" / "emotions", work / "emotions")
    for name, content in (FILES | files).items():
        path = work / name
        if name == "game.yaml":
            path = sandbox / "workflow" / "config" / "games" / GAME / "game.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return work


def copy_trap(source: str, target: str) -> None:
    if Path(source).is_fifo():
        os.mkfifo(target)
    else:
        shutil.copy(source, target)


def seen(place: Path) -> dict[str, tuple[int, int]]:
    """Return the size and the time of everything in a folder."""
    found = {}
    for path in place.rglob("*"):
        info = path.lstat()
        found[str(path)] = (info.st_size, info.st_mtime_ns)
    return found


def opened(config: dict[str, Any], config_file: Path, sandbox: Path) -> Path | None:
    """Do what a dry run and the start of a run do; return the series, or None if it is refused."""
    workflow = SimpleNamespace(
        basedir=sandbox / "workflow",
        is_main_process=True,
        overwrite_configfiles=[config_file],
        output_settings=SimpleNamespace(dryrun=True),
        resource_settings=SimpleNamespace(cores=1),
    )
    output = io.StringIO()
    # The table of a dry run is printed when the process ends.
    at_once = mock.patch("atexit.register", lambda say, text: say(text))
    with contextlib.redirect_stderr(output), at_once:
        try:
            series = load_series(config, workflow)
        except SystemExit as refusal:
            head, *lines = str(refusal.code).split("\n")
            assert head.startswith("ERROR: the config (") and lines
            assert all(line.startswith("  ") and line.strip() for line in lines)
            assert printable(str(refusal.code)) == refusal.code
            return None
        counts = count_games(series.config)
        open_series(series, {name: count.total for name, count in counts.items()})
        completeness.rebuild(series.folder, wait_for_page=True)
    assert printable(output.getvalue()) == output.getvalue()
    return series.folder


@contextlib.contextmanager
def no_hang() -> Any:
    """Raise TimeoutError in whatever takes too long."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = [signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


def ends_well(mutation: Any, sandbox: Path) -> None:
    config, files = mutation
    work = work_folder(sandbox, files)
    config_file = work / "config.yaml"
    config_file.write_bytes(config if isinstance(config, bytes) else b"{}")
    before = seen(sandbox)
    with pytest.MonkeyPatch.context() as patch, no_hang():
        patch.chdir(work)
        patch.setenv("HOME", str(sandbox / "home"))
        for name in (PINNED, OWNER):
            patch.setenv(name, "")
        if isinstance(config, bytes):
            try:
                config = load_configfile(config_file)
            except (WorkflowError, yaml.YAMLError, ValueError, TypeError, AttributeError):
                # Snakemake's own end, before the Snakefile is read.
                return
        series = opened(config, config_file, sandbox)
    # The folders above a series are new, too.
    inside = {str(path) for path in (work / series).parents} if series else set()
    changes = {path for path, what in seen(sandbox).items() if before.get(path) != what}
    outside = {path for path in changes - inside if not series or str(work / series) not in path}
    assert not outside - {str(work)}
    assert before.keys() <= seen(sandbox).keys()


relaxed = settings(
    deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def test_the_unchanged_config_begins_a_series(sandbox: Path) -> None:
    work = work_folder(sandbox, {})
    (work / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        series = opened(CONFIG, work / "config.yaml", sandbox)
    assert series and series.name.startswith("Hostile_")


def refusal(sandbox: Path, text: str, config: Any = CONFIG, **of_workflow: Any) -> list[str]:
    """Return the lines with which a config file is refused before Snakemake plans any job."""
    work = work_folder(sandbox, {})
    (work / "config.yaml").write_text(text)
    workflow = SimpleNamespace(
        basedir=sandbox / "workflow", is_main_process=True,
        overwrite_configfiles=[work / "config.yaml"],
    )  # fmt: skip
    vars(workflow).update(of_workflow)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as caught:
        patch.chdir(work)
        load_series(config, workflow)
    return str(caught.value.code).replace(f"{work}/", "").splitlines()


def test_a_key_that_a_config_file_has_twice_is_refused(sandbox: Path) -> None:
    text = yaml.safe_dump(CONFIG) + f"  scenarios: {{{GAME}: a.json, {GAME}: b.json}}\n"
    assert refusal(sandbox, text) == [
        "ERROR: the config (config.yaml) cannot be used:",
        "  config.yaml: experiment.scenarios: given twice; remove one",
        f"  config.yaml: experiment.scenarios.{GAME}: given twice; remove one",
    ]


def test_a_workflow_in_a_folder_with_braces_is_refused(sandbox: Path) -> None:
    _, line = refusal(sandbox, "{}", basedir=sandbox / "{x}")
    assert line.endswith("{x}: Snakemake takes braces for wildcards; rename the folder or file")


def test_of_a_long_list_of_problems_the_first_50_are_shown(sandbox: Path) -> None:
    config = changed(CONFIG, [(("experiment", "intensity"), ["x", *range(1001, 1060)])])
    lines = refusal(sandbox, "{}", config)
    assert len(lines) == 52 and lines[1].startswith("  experiment.intensity: ")
    assert lines[-1].startswith("  and ") and lines[-1].endswith(" more")


@settings(relaxed, max_examples=50)
@given(mutation=mutations)
def test_no_input_gives_a_traceback_a_hang_or_a_stray_file(sandbox: Path, mutation: Any) -> None:
    ends_well(mutation, sandbox)


@pytest.mark.slow
@settings(relaxed, max_examples=500)
@given(mutation=mutations)
def test_no_input_of_500_gives_a_traceback_a_hang_or_a_stray_file(
    sandbox: Path, mutation: Any
) -> None:
    ends_well(mutation, sandbox)
