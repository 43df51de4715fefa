"""Names of models and experiments are short, safe, unique, and never change."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_games.errors import UserError
from emotion_games.series.grid import assign_slugs, directions_name, plan_experiments
from emotion_games.series.models import plan_models
from emotion_games.series.sites import Site, plan_sites

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "emotions": ["anger"],
    "layers": "past_middle",
    "direction_method": "contrast",
    "seed": 0,
    "headline_intensity": 0.2,
    "intensity_unit": "hidden_norm",
    "arms": {"random": {"matched": 20, "isotropic": 0}, "prompted": True},
}
SITE = Site("past_middle", None, "all")
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


def test_experiments_run_model_by_model():
    models = plan_models(["a/M", "b/N"], ROOT)
    plan = plan_experiments(["G", "H"], models, assign_slugs(models, {}), [SITE])
    assert list(plan) == ["G_M", "H_M", "G_N", "H_N"]
    assert [e.rank for e in plan.values()] == [0, 1, 2, 3]


def test_two_experiments_of_one_name_are_rejected():
    models = plan_models([{"id": "a/M", "alias": "B_M"}, "a/M2", {"id": "c", "alias": "M"}], ROOT)
    with pytest.raises(UserError, match="two experiments would be called"):
        plan_experiments(["A", "A_B"], models, assign_slugs(models, {}), [SITE])


def test_each_layer_set_at_each_position_is_an_experiment_with_a_name():
    models = plan_models(["a/M", "b/N"], ROOT)
    sets = {"early": [3, 4], "late": "past_middle"}
    sites = plan_sites({"layers": "x", "layer_sets": sets, "position": ["prompt", "answer"]})
    plan = plan_experiments(["G"], models, assign_slugs(models, {}), sites)
    assert list(plan) == [
        *("G_M_early_prompt", "G_M_early_answer", "G_M_late_prompt", "G_M_late_answer"),
        *("G_N_early_prompt", "G_N_early_answer", "G_N_late_prompt", "G_N_late_answer"),
    ]
    found = plan["G_M_early_answer"]
    assert (found.label, found.setup) == ("a/M · early · answer", "M_early_answer")
    own = {"layers": [3, 4], "layer_set": "early", "position": "answer"}
    assert found.site.settings == own


def test_only_factors_of_several_values_are_in_names():
    models = plan_models(["a/M"], ROOT)
    for sets, position, name in (
        ({}, "answer", "G_M"),
        ({"late": [7]}, "answer", "G_M"),
        ({"late": [7]}, ["all", "answer"], "G_M_all"),
        ({"late": [7], "early": [1]}, "answer", "G_M_late"),
    ):
        sites = plan_sites({"layers": [2], "layer_sets": sets, "position": position})
        plan = plan_experiments(["G"], models, assign_slugs(models, {}), sites)
        assert next(iter(plan)) == name


def test_a_model_with_the_name_of_a_site_is_rejected():
    models = plan_models(["a/M", {"id": "b/M", "alias": "M_late"}], ROOT)
    sets = {"late": [7], "early": [1], "late_late": [8]}
    sites = plan_sites({"layers": "x", "layer_sets": sets, "position": "all"})
    with pytest.raises(UserError, match="two experiments would be called G_M_late_late"):
        plan_experiments(["G"], models, assign_slugs(models, {}), sites)


def test_the_name_of_directions_depends_on_what_they_are_made_from():
    (model,) = plan_models(["a/M"], ROOT)
    name = directions_name(model, "M", SETTINGS, HASHES)
    assert name.startswith("M-")
    for same in (
        {"repeat": 5},
        {"arms": {"random": {"matched": 20, "isotropic": 0}, "prompted": False}},
    ):
        others = SETTINGS | same, HASHES | {"checks": "other"}
        assert directions_name(model, "M", *others) == name
    for settings, hashes in (
        (SETTINGS | {"layers": [1]}, HASHES),
        (SETTINGS | {"headline_intensity": 0.1}, HASHES),
        (SETTINGS | {"intensity_unit": "gap"}, HASHES),
        (SETTINGS | {"arms": {"random": {"matched": 30, "isotropic": 0}}}, HASHES),
        (SETTINGS | {"arms": {"random": {"matched": 20, "isotropic": 1}}}, HASHES),
        (SETTINGS, HASHES | {"stimuli": "other"}),
        (SETTINGS, HASHES | {"series": "20260102_030405"}),
    ):
        assert directions_name(model, "M", settings, hashes) != name
