"""The README is short, its commands and examples work in a fresh clone, and no link is broken."""

import re
from pathlib import Path

import pytest

from emotion_games.games.scenarios import load_scenarios
from emotion_games.series.folder import find_series, open_series
from test_docs import ROOT, add, blocks_of, config_of, run
from tiny import tiny_model

MOST_WORDS = 1200
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md")])
# The pages whose examples and commands are tested here; docs/adding.md and others have their own.
TESTED = ("README.md", "config/README.md", "docs/migration.md", "docs/validation.md")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub makes them."""
    text = _FENCED.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_all_links_lead_to_a_file_and_a_heading(page):
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        links = _LINK.findall(_FENCED.sub("", page.read_text()))
        found = {(page.parent / link.partition("#")[0]).resolve() for link in links}
        new = {path for path in found if path.suffix == ".md"} - seen
        seen |= new
        waiting += new
    assert {page.resolve() for page in PAGES} <= seen | {ROOT / "README.md"}


def pages_of(clone: Path) -> str:
    return "\n".join((clone / page).read_text() for page in TESTED)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of the project, made with the README's commands, with the examples of the pages."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the project is no git repository")
    place = tmp_path_factory.mktemp("clone")
    setting_up = next(b.body for b in blocks_of(ROOT / "README.md") if "git clone" in b.body)
    # .ci/run installs the packages in a fresh environment.
    assert "pip install -q -r envs/requirements.txt" in (ROOT / ".ci" / "run").read_text()
    stand_ins = {
        "<address of this repository>": f"--quiet {ROOT}",
        "-m venv": "-m venv --without-pip",
        "pip install -r": "test -f",
    }
    for mark, meaning in stand_ins.items():
        assert mark in setting_up
        setting_up = setting_up.replace(mark, meaning)
    run(setting_up, place)
    (folder,) = place.iterdir()
    made = tiny_model("qwen2")
    made.model.save_pretrained(folder / "models" / "my-model")
    made.tokenizer.save_pretrained(folder / "models" / "my-model")
    for page in TESTED:
        for block in blocks_of(folder / page):
            add(block, folder)
    return folder


@pytest.fixture
def inside(clone, monkeypatch):
    monkeypatch.chdir(clone)
    return clone


def test_the_examples_of_the_readme_are_series(inside):
    (copying,) = (b.body for b in blocks_of(inside / "README.md") if b.body.startswith("mkdir"))
    run(copying, inside)
    blocks = [block for block in blocks_of(inside / "README.md") if block.path]
    for block in blocks:
        # A mark, and at most ten lines of text.
        assert len(block.body.splitlines()) <= 10, block.path
    found = [config_of(b.path, inside) for b in blocks if b.path.endswith(".yaml")]
    assert [series.name for series in found] == ["My_Model", "My_Stories", "My_Concept"]
    model, stories, concept = found
    assert len(model.models) == 2 and len(model.games) == 3
    (story,), problems = load_scenarios(
        stories.scenario_files["Stag_Hunt"], stories.games["Stag_Hunt"]
    )
    assert not problems and story.you.name == "you"
    assert concept.settings["emotions"] == ["generosity", "greed"]


def test_a_config_and_stories_of_the_reference_pipeline_are_read(inside):
    series = config_of("migrated.yaml", inside)
    assert series.game_settings["Escalation_Game"] == {"histories": ["escalations_1"]}
    game = series.games["Prisoners_Dilemma"]
    (story,), problems = load_scenarios(series.scenario_files[game.name], game)
    assert not problems and story.you.name == "Alice" and set(story.options) == set(game.labels)


@pytest.mark.slow
def test_every_snakemake_command_can_be_run(inside):
    found = re.findall(r"(?:^|`|&& )(snakemake [^`\n#]+)", pages_of(inside), re.MULTILINE)
    begun = find_series(config_of("config/demo.yaml", inside), inside, is_main=True)
    open_series(begun, {})
    stand_ins = {
        "configfile X": "configfile config/demo.yaml",
        "my_series.yaml": "config/demo.yaml",
        "name=N": "name=Other",
        "<folder name>": begun.folder.name,
        " --dry-run": "",
    }
    commands = []
    for command in found:
        for mark, meaning in stand_ins.items():
            command = command.replace(mark, meaning)
        commands.append(f"{command.strip()} --dry-run")
    assert len(set(commands)) >= 8
    for command in dict.fromkeys(commands):
        assert "experiments, 0 done" in run(command, inside)
