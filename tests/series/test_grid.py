"""Names of models and experiments are short, safe, unique, and never change."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_games.errors import ProblemList, UserError
from emotion_games.series.grid import assign_slugs, directions_name, plan_experiments, plan_models

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "emotions": ["anger"],
    "layers": "middle_third",
    "direction_method": "mean_difference",
    "seed": 0,
}
HASHES = {"stimuli": "s", "prompts": "p", "checks": "c"}


def slugs_of(*entries, taken=()):
    models = plan_models(entries, ROOT)
    slugs = assign_slugs(models, dict(taken))
    return [slugs[model.key] for model in models]


def test_the_first_model_keeps_the_short_name():
    found = slugs_of("a/Llama", "b/Llama", "models/b/Llama/", "c/llama")
    assert found == ["Llama", "b--Llama", "models--b--Llama", "c--llama"]


def test_an_alias_replaces_the_short_name():
    assert slugs_of({"id": "a/Llama", "alias": "small"}, "b/Llama") == ["small", "Llama"]


def test_a_home_folder_is_expanded_unless_the_user_is_unknown(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    found = plan_models(["~/models/M/", "~nobody-here/M"], ROOT)
    assert [model.entry["id"] for model in found] == ["/home/me/models/M", "~nobody-here/M"]


def test_two_names_of_one_folder_are_one_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("models/M")
    os.symlink("models", "link")
    names = ["models/M", "./models/M", "models//M/", str(tmp_path / "models/M"), "link/M"]
    for other in names[1:]:
        with pytest.raises(ProblemList, match=r"models\[1\]: .*M is listed twice"):
            plan_models([names[0], other], ROOT)
        half = {"id": other, "dtype": "float16"}
        assert len(plan_models([names[0], half], ROOT)) == 2
    # Spellings of a path are one identity, so that a series continues.
    assert len({plan_models([name], ROOT)[0].key for name in names[:3]}) == 1


def test_a_folder_has_no_revisions_and_a_file_is_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("M")
    os.mkfifo("pipe")
    with pytest.raises(ProblemList) as caught:
        plan_models(
            [{"id": "M", "revision": "v2"}, "pipe", {"id": "org/M", "revision": "v2"}], ROOT
        )
    assert caught.value.problems == [
        "experiment.models[0].revision: M is a folder, which has no revisions; remove it, or name "
        "a hub id",
        "experiment.models[1].id: pipe is not a folder; name the folder of a model, or a hub id",
    ]


def test_recorded_slugs_never_change():
    (model,) = plan_models(["b/Llama"], ROOT)
    taken = assign_slugs([model], {})
    assert slugs_of("a/Llama", "b/Llama", taken=taken.items()) == ["a--Llama", "Llama"]
    assert slugs_of({"id": "b/Llama", "alias": "later"}, taken=taken.items()) == ["Llama"]


def test_an_alias_of_another_recorded_model_is_rejected():
    (model,) = plan_models([{"id": "a/M", "alias": "small"}], ROOT)
    with pytest.raises(UserError, match="'Small' names another model"):
        slugs_of({"id": "b/M", "alias": "Small"}, taken=assign_slugs([model], {}).items())


@given(st.lists(st.text("aB./-_ :é", min_size=1), min_size=1, max_size=8, unique=True))
def test_slugs_are_distinct_single_path_parts(ids):
    # `.` and `./.` are one folder.
    unique = list({os.path.realpath(name): name for name in ids}.values())
    found = slugs_of(*unique)
    assert len({slug.casefold() for slug in found}) == len(unique)
    for slug in found:
        assert slug not in (".", "..") and "/" not in slug and Path(slug).name == slug


def test_identity_leaves_out_what_only_affects_running():
    entry = {"id": "a/M/", "alias": "m", "device_map": "auto", "trust_remote_code": False}
    (plain,), (running,) = plan_models(["a/M"], ROOT), plan_models([entry], ROOT)
    assert plain.key == running.key and plain.entry == {"id": "a/M"}
    (other,) = plan_models([{"id": "a/M", "revision": "v2"}], ROOT)
    assert other.key != plain.key and other.name == "a/M@v2"


def test_demo_models_are_named_by_variant_and_seed():
    entries = [
        "demo",
        {"id": "demo", "variant": "flat"},
        {"id": "demo", "seed": 3},
        {"id": "demo", "variant": "flat", "seed": 1},
    ]
    names = [model.name for model in plan_models(entries, ROOT)]
    assert names == ["demo", "demo-flat", "demo-planted-3", "demo-flat-1"]
    with pytest.raises(ProblemList, match="demo is listed twice"):
        plan_models(["demo", {"id": "demo", "variant": "planted", "seed": 0}], ROOT)
    with pytest.raises(ProblemList, match="only the demo model has one"):
        plan_models([{"id": "a/M", "seed": 1}], ROOT)


def test_experiments_run_model_by_model():
    models = plan_models(["a/M", "b/N"], ROOT)
    plan = plan_experiments(["G", "H"], models, assign_slugs(models, {}))
    assert list(plan) == ["G_M", "H_M", "G_N", "H_N"]
    assert [e.rank for e in plan.values()] == [0, 1, 2, 3]


def test_two_experiments_of_one_name_are_rejected():
    models = plan_models([{"id": "a/M", "alias": "B_M"}, "a/M2", {"id": "c", "alias": "M"}], ROOT)
    with pytest.raises(UserError, match="two experiments would be called"):
        plan_experiments(["A", "A_B"], models, assign_slugs(models, {}))


def test_the_name_of_directions_depends_on_what_they_are_made_from():
    (model,) = plan_models(["a/M"], ROOT)
    name = directions_name(model, "M", SETTINGS, HASHES)
    assert name.startswith("M-")
    others = SETTINGS | {"repeat": 5}, HASHES | {"checks": "other"}
    assert directions_name(model, "M", *others) == name
    for settings, hashes in (
        (SETTINGS | {"layers": [1]}, HASHES),
        (SETTINGS, HASHES | {"stimuli": "other"}),
    ):
        assert directions_name(model, "M", settings, hashes) != name
