"""What the entries under `models` are: their identity, their names, and what is refused."""

import os
import socket
from pathlib import Path

import pytest

from emotion_games.engine import smollm2
from emotion_games.errors import ProblemList
from emotion_games.series.grid import assign_slugs
from emotion_games.series.models import plan_models
from tiny_gguf import write_gguf

ROOT = Path(__file__).parents[2]


def problems_of(*entries):
    with pytest.raises(ProblemList) as caught:
        plan_models(entries, ROOT)
    return caught.value.problems


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
        "experiment.models[1].id: pipe is not a folder; name the folder of a model, a .gguf file, "
        "or a hub id",
    ]


def test_identity_leaves_out_what_only_affects_running():
    running = {"alias": "m", "device_map": "auto", "gpus": 2}
    entry = {"id": "a/M/", "trust_remote_code": False} | running
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


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EMOTION_GAMES_HASHES", raising=False)
    os.makedirs("models")
    return write_gguf(Path("models/Tiny-1B.gguf"))


def test_a_gguf_file_is_a_model_whose_name_says_how_it_is_stored(file):
    (model,) = plan_models([f"./{file}"], ROOT)
    assert model.entry == {"id": "models/Tiny-1B.gguf"} and model.is_fetched
    assert model.name == "models/Tiny-1B.gguf (Q8_0)"
    assert assign_slugs([model], {}) == {model.key: "Tiny-1B-Q8_0"}
    (half,) = plan_models([{"id": str(file), "dtype": "float16"}], ROOT)
    assert half.name == "models/Tiny-1B.gguf (Q8_0, dtype=float16)"
    assert half.made_folder != model.made_folder


def test_a_name_that_says_it_already_does_not_say_it_twice(file):
    file.rename("models/Tiny.q8_0.gguf")
    (model,) = plan_models(["models/Tiny.q8_0.gguf"], ROOT)
    assert assign_slugs([model], {}) == {model.key: "Tiny.q8_0"}


def test_an_edited_gguf_file_is_another_model_in_another_folder(file):
    (before,) = plan_models([str(file)], ROOT)
    (again,) = plan_models([str(file)], ROOT)
    write_gguf(file, seed=1)
    (after,) = plan_models([str(file)], ROOT)
    assert before.hashes == again.hashes != after.hashes
    assert before.key == after.key and before.made_folder != after.made_folder


def test_a_job_does_not_read_the_whole_gguf_file_again(file, monkeypatch):
    (before,) = plan_models([str(file)], ROOT)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
    assert plan_models([str(file)], ROOT)[0].hashes == before.hashes


def test_a_gguf_file_in_a_folder_may_be_named_by_both(file):
    (one,) = plan_models([{"id": "models", "gguf_file": file.name}], ROOT)
    assert one == plan_models([str(file)], ROOT)[0]
    (line,) = problems_of(str(file), {"id": "models/", "gguf_file": file.name})
    assert "is listed twice" in line


def test_a_gguf_file_of_the_hub_is_named_by_repository_and_file():
    entry = {"id": "org/M-GGUF", "gguf_file": "M-Q4_K_M.gguf"}
    (model,) = plan_models([entry], ROOT)
    assert model.entry == entry and model.is_fetched and model.made_folder is None
    assert model.name == "org/M-GGUF/M-Q4_K_M.gguf"
    assert assign_slugs([model], {}) == {model.key: "M-Q4_K_M"}


def test_smollm2_is_named_by_the_model_and_how_it_is_stored():
    models = plan_models(["smollm2", {"id": "smollm2", "dtype": "bfloat16"}], ROOT)
    assert [model.name for model in models] == [
        "SmolLM2-135M-Instruct (Q4_1)",
        "SmolLM2-135M-Instruct (Q4_1, dtype=bfloat16)",
    ]
    slugs = assign_slugs(models, {})
    assert slugs[models[0].key] == "SmolLM2-135M-Instruct-Q4_1"
    assert len({*slugs.values()}) == 2 and len({model.made_folder for model in models}) == 2
    assert all(model.is_fetched and model.is_fixed for model in models)
    assert models[0].hashes == {"gguf": smollm2.GGUF_SHA256}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("models/none.gguf", "id: models/none.gguf: no such file"),
        ({"id": "models", "gguf_file": "none.gguf"}, "id: models/none.gguf: no such file"),
        ("text.gguf", "id: text.gguf: not a GGUF file"),
        ("text.txt", "id: text.txt is not a folder; name the folder of a model, a .gguf file"),
        ({"id": "smollm2", "revision": "v1"}, "revision: smollm2 has none; remove it"),
        ({"id": "demo", "gguf_file": "x.gguf"}, "gguf_file: demo has none; remove it"),
        (
            {"id": "models/Tiny-1B.gguf", "revision": "v1"},
            "revision: models/Tiny-1B.gguf is a file, which has no revisions; remove it",
        ),
    ],
)
def test_an_entry_that_names_no_model_is_refused_in_one_line(file, entry, said):
    Path("text.gguf").write_text("no model" * 10)
    Path("text.txt").write_text("no model" * 10)
    (line,) = problems_of(entry)
    assert line.startswith(f"experiment.models[0].{said}")


def test_only_what_cannot_change_is_fixed(file):
    commit = {"id": "org/M", "revision": "a" * 40}
    entries = ["org/M", {"id": "org/M", "revision": "v1"}, commit, "demo", str(file), "models"]
    fixed = [model.is_fixed for model in plan_models(entries, ROOT)]
    assert fixed == [False, False, True, True, True, True]


def test_no_model_needs_a_network_before_its_jobs(file, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection"))
    plan_models(["org/M", {"id": "org/M", "gguf_file": "x.gguf"}, "smollm2", str(file)], ROOT)
