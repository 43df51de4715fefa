"""Models of the hub are fetched whole and at one commit; without a network, from the cache."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
import torch
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from emotion_games.engine import fetching, hub
from emotion_games.engine.backend import ModelError
from emotion_games.engine.downloads import file_hash
from emotion_games.engine.models import load_model, weights_hash
from emotion_games.errors import UserError
from hub_cache import FIRST, SECOND, cache_model
from hub_server import serving
from tiny import tiny_model
from tiny_gguf import write_gguf

SCRIPTS = Path(__file__).parents[2] / "scripts"
CPU = {"device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    loaded = tiny_model("llama")
    loaded.model.save_pretrained(path)
    loaded.tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; connections to the hub fail at once, as without a network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection"))
    return tmp_path / "hub"


def fetch(entry, tmp_path, content=None):
    return fetching.fetch(entry, content, tmp_path / "models", print)


def error_of(entry, tmp_path, content=None):
    with pytest.raises(UserError) as caught:
        fetch(entry, tmp_path, content)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def test_a_model_in_the_cache_is_used_without_a_network_at_the_commit_of_its_branch(
    cache, folder, tmp_path
):
    cache_model(cache, "org/M", folder)
    source = fetch({"id": "org/M", "dtype": "float32"}, tmp_path)
    assert source["entry"] == {"id": "org/M", "dtype": "float32", "revision": FIRST}
    loaded = load_model(source["entry"], source["path"], CPU)
    assert torch.equal(loaded.model.lm_head.weight, tiny_model("llama").model.lm_head.weight)


def test_a_commit_stays_when_its_branch_moves(cache, folder, tmp_path):
    cache_model(cache, "org/M", folder)
    source = fetch({"id": "org/M"}, tmp_path)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    tiny_model("llama", seed=1).model.save_pretrained(other)
    cache_model(cache, "org/M", other, SECOND)
    loaded = load_model(source["entry"], source["path"], CPU)
    assert torch.equal(loaded.model.lm_head.weight, tiny_model("llama").model.lm_head.weight)
    now = fetch({"id": "org/M"}, tmp_path)
    assert now["entry"]["revision"] == SECOND
    hashes = [weights_hash(each["entry"], each["path"]) for each in (source, now)]
    assert hashes[0] != hashes[1]


def test_another_branch_and_a_commit_may_be_named(cache, folder, tmp_path):
    cache_model(cache, "org/M", folder, branch="v2")
    assert fetch({"id": "org/M", "revision": "v2"}, tmp_path)["entry"]["revision"] == FIRST
    assert fetch({"id": "org/M", "revision": FIRST}, tmp_path)["entry"]["revision"] == FIRST
    assert "nor does the cache" in error_of({"id": "org/M"}, tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_model_of_which_the_cache_lacks_a_file_is_refused(cache, folder, tmp_path, name):
    (cache_model(cache, "org/M", folder) / name).unlink()
    assert f"holds no {name}" in error_of({"id": "org/M"}, tmp_path)


def test_every_part_of_the_weights_is_needed(cache, tmp_path):
    loaded = tiny_model("llama")
    parts = tmp_path / "parts"
    loaded.model.save_pretrained(parts, max_shard_size="30KB")
    loaded.tokenizer.save_pretrained(parts)
    snapshot = cache_model(cache, "org/M", parts)
    assert fetch({"id": "org/M"}, tmp_path)["path"] == "org/M"
    last = sorted(snapshot.glob("model-*.safetensors"))[-1]
    last.unlink()
    assert f"holds no {last.name}" in error_of({"id": "org/M"}, tmp_path)


def test_a_commit_that_left_the_cache_is_named_with_what_to_do(cache, folder, tmp_path):
    cache_model(cache, "org/M", folder)
    source = fetch({"id": "org/M"}, tmp_path)
    shutil.rmtree(cache)
    with pytest.raises(ModelError, match=f"hf download org/M --revision {FIRST}"):
        load_model(source["entry"], source["path"], CPU)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"id": "org/none"},
            "the hub cannot be reached, nor does the cache",
        ),
        ({"id": "models/a/b"}, "there is no such folder here, and it is no hub id"),
        ({"id": "/no/such/folder"}, "there is no such folder here, and it is no hub id"),
    ],
)
def test_a_model_that_is_nowhere_is_refused_in_one_line(cache, tmp_path, entry, said):
    message = error_of(entry, tmp_path)
    assert (
        message.startswith(f"model {entry['id']}: there is no such folder here") and said in message
    )


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (GatedRepoError, 403, "accept its terms at https://huggingface.co/org/M, then log in"),
        (RepositoryNotFoundError, 401, "the hub has no such model, or it is private: check the id"),
        (RevisionNotFoundError, 404, "the hub has no revision 'v9' of it"),
        (HfHubHTTPError, 429, "the hub answers: too many requests"),
    ],
)
def test_what_the_hub_answers_is_said_with_what_to_do(
    cache, tmp_path, monkeypatch, kind, status, said
):
    request = httpx2.Request("GET", "https://huggingface.co/api/models/org/M")

    def refuse(*_, **__):
        raise kind("too many\nrequests", response=httpx2.Response(status, request=request))

    monkeypatch.setattr(HfApi, "repo_info", refuse)
    assert said in error_of({"id": "org/M", "revision": "v9"}, tmp_path)


def test_code_of_another_repository_is_refused_and_code_is_needed_only_if_it_may_run(
    cache, folder, tmp_path
):
    copy = tmp_path / "code"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "org/other--modeling.Model"}
    (copy / "config.json").write_text(json.dumps(config))
    cache_model(cache, "org/M", copy)
    assert fetch({"id": "org/M"}, tmp_path)
    message = error_of({"id": "org/M", "trust_remote_code": True}, tmp_path)
    assert "its code is in another repository (config.json: auto_map)" in message


def test_no_pickled_weights_and_no_code_are_fetched(cache, folder, tmp_path, monkeypatch):
    wanted = []
    download = hub.snapshot_download

    def record(*those, allow_patterns=None, **others):
        wanted.extend(allow_patterns)
        return download(*those, allow_patterns=allow_patterns, **others)

    monkeypatch.setattr(hub, "snapshot_download", record)
    cache_model(cache, "org/M", folder)
    fetch({"id": "org/M"}, tmp_path)
    assert "model.safetensors" in wanted and "*.json" in wanted
    assert not [each for each in wanted if each.endswith((".py", ".bin", ".pt", ".gguf", "*"))]
    fetch({"id": "org/M", "trust_remote_code": True}, tmp_path)
    assert "*.py" in wanted


def test_a_gguf_file_of_the_hub_is_converted_once(cache, tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    file = write_gguf(files / "M-Q8_0.gguf")
    cache_model(cache, "org/M-GGUF", files)
    entry = {"id": "org/M-GGUF", "gguf_file": file.name}
    source = fetch(entry, tmp_path)
    assert source["entry"] == entry | {"revision": FIRST}
    assert source["path"].startswith(str(tmp_path / "models" / "M-Q8_0-"))
    assert load_model(source["entry"], source["path"], CPU).depth == 2
    weights = tmp_path / source["path"] / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert fetch(entry, tmp_path) == source and weights.stat().st_mtime_ns == before
    assert FIRST in (tmp_path / source["path"] / "LICENSE").read_text()
    missing = error_of(entry | {"gguf_file": "none.gguf"}, tmp_path)
    assert f"there is no file none.gguf at commit {FIRST}" in missing


def test_a_gguf_file_here_is_converted_into_a_folder_that_appears_whole(tmp_path):
    file = write_gguf(tmp_path / "M.gguf")
    entry = {"id": str(file)}
    source = fetch(entry, tmp_path, file_hash(file))
    assert source["entry"] == entry and load_model(entry, source["path"], CPU)
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(file.read_bytes()[:-5000])
    error_of({"id": str(damaged)}, tmp_path, file_hash(damaged))
    visible = [path for path in (tmp_path / "models").iterdir() if path.name[0] != "."]
    assert [str(path) for path in visible] == [source["path"]]
    assert not list((tmp_path / "models").glob(".*.part"))


def test_a_converted_folder_with_a_missing_file_is_made_again(tmp_path):
    file = write_gguf(tmp_path / "M.gguf")
    source = fetch({"id": str(file)}, tmp_path, file_hash(file))
    weights = tmp_path / source["path"] / "model.safetensors"
    weights.unlink()
    fetch({"id": str(file)}, tmp_path, file_hash(file))
    assert weights.is_file()


def test_a_gguf_file_that_changed_since_the_run_began_is_refused(tmp_path):
    file = write_gguf(tmp_path / "M.gguf")
    before = file_hash(file)
    write_gguf(file, seed=1)
    assert "has changed since this run of the series began" in error_of(
        {"id": str(file)}, tmp_path, before
    )


FETCH_AND_LOAD = """
import sys, json
from pathlib import Path
from emotion_games.engine.fetching import fetch
from emotion_games.engine.models import load_model
from huggingface_hub import constants
source = fetch({"id": "org/M", "revision": "v1"}, None, Path("models"), print)
print(json.dumps(source))
constants.ENDPOINT = "http://127.0.0.1:9"
print(load_model(source["entry"], source["path"], {"device": "cpu"}).depth, "layers")
"""


def test_from_the_hub_come_the_files_that_are_read_and_no_others(folder, tmp_path):
    files = tmp_path / "files"
    shutil.copytree(folder, files)
    for name in ("pytorch_model.bin", "README.md", "modeling.py", "M.gguf", "other.safetensors"):
        (files / name).write_text("not needed")
    with serving("org/M", files, SECOND) as (address, asked):
        environment = {"HF_ENDPOINT": address, "HF_HUB_CACHE": str(tmp_path / "hub")}
        done = subprocess.run(
            [sys.executable, "-c", FETCH_AND_LOAD],
            env=os.environ | environment | {"PYTHONPATH": str(SCRIPTS), "HF_HUB_OFFLINE": "0"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    assert f'"revision": "{SECOND}"' in done.stdout and "4 layers" in done.stdout
    assert "org/M: fetching " in done.stdout
    needed = {path.name for path in folder.iterdir()}
    assert set(asked) == needed
