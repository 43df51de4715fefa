"""Files of any kind, size and depth are read, or refused in one line, and never waited for."""

import os
from datetime import date
from pathlib import Path

import pytest

from emotion_games import data_files
from emotion_games.data_files import (
    DEEPEST,
    plain_problems,
    read_data,
    read_entries,
    read_file,
    read_text,
)
from emotion_games.errors import UserError


def reading(path: Path, read=read_data) -> str:
    """Return the message with which a file is refused."""
    with pytest.raises(UserError) as caught:
        read(path)
    return str(caught.value)


def written(folder: Path, text: str, name: str = "data.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return path


def test_a_pipe_a_device_a_folder_and_a_circle_of_links_are_not_opened(tmp_path: Path) -> None:
    pipe, circle = tmp_path / "pipe.yaml", tmp_path / "circle.yaml"
    os.mkfifo(pipe)
    circle.symlink_to(circle)
    assert reading(pipe) == f"{pipe}: cannot be read: not a regular file"
    assert reading(Path("/dev/zero")) == "/dev/zero: cannot be read: not a regular file"
    assert reading(tmp_path) == f"{tmp_path}: cannot be read: not a regular file"
    assert reading(circle).startswith(f"{circle}: cannot be read: Too many levels")
    assert reading(tmp_path / ("x" * 300)).endswith("cannot be read: File name too long")
    assert reading(tmp_path / "none.yaml").endswith("cannot be read: No such file or directory")


def test_a_file_is_not_read_beyond_its_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with open(path, "wb") as file:
        file.truncate(data_files.MOST_BYTES_OF_ENTRIES + 1)
    assert reading(path) == f"{path}: cannot be read: larger than 4 MiB"
    assert reading(path, read_text) == f"{path}: cannot be read: larger than 4 MiB"
    assert reading(path, read_entries) == f"{path}: cannot be read: larger than 64 MiB"
    assert reading(path, read_file) == f"{path}: cannot be read: larger than 64 MiB"


@pytest.mark.parametrize("name", ["data.json", "data.yaml"])
@pytest.mark.parametrize("levels", [DEEPEST + 1, 5_000, 200_000])
def test_nesting_without_end_is_one_line(tmp_path: Path, name: str, levels: int) -> None:
    path = written(tmp_path, "[" * levels + "]" * levels, name)
    assert reading(path) == f"{path}: nested in more than 40 levels"
    assert reading(path, read_entries) == f"{path}: nested in more than 40 levels"


def test_the_deepest_allowed_nesting_is_read(tmp_path: Path) -> None:
    data = read_data(written(tmp_path, "[" * DEEPEST + "]" * DEEPEST))
    assert str(data) == "[" * DEEPEST + "]" * DEEPEST


def test_blocks_nested_without_end_are_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "- " * 200_000 + "x")
    assert reading(path) == f"{path}: nested in more than 40 levels"


def test_aliases_that_multiply_are_one_line(tmp_path: Path) -> None:
    rows = [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path = written(tmp_path, "\n".join(["- &a0 [x]", *rows]))
    assert reading(path) == f"{path}: more than 20,000 values"
    assert reading(path, read_entries) == f"{path}: more than 1,000,000 values"
    path = written(tmp_path, "&a [*a]")
    assert reading(path) == f"{path}: nested in more than 40 levels"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nlist: [{b: 1, b: 2}]", "list[0].b: given twice; remove one"),
        ("a: .nan", "a: expected a number from -2^53 to 2^53, found nan"),
        ("a: [-.inf]", "a[0]: expected a number from -2^53 to 2^53, found -inf"),
        ("a: 1.0e+300", "a: expected a number from -2^53 to 2^53, found 1e+300"),
        (f"a: 0x{'f' * 9999}", "a: expected a number from -2^53 to 2^53, found a larger one"),
        (f"a: {'9' * 9999}", "not valid data: Exceeds the limit (4300 digits)"),
        ("1: a", "the key 1 is not text; put it in quotes"),
        ("{[a]: b}", "line 1, column 2: not valid YAML: a key must be text, not ['a']"),
        ("a: &a {b: 1}\nc: {<<: *a}", "line 2, column 5: not valid YAML: merge keys (<<) are"),
        ("a: !!binary QQ==", "a: expected text, a number, true, false or null, found b'A'"),
        ("a: !!python/name:os.system x", "line 1, column 4: not valid YAML: could not determine"),
    ],
)
def test_what_no_settings_can_mean_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    path = written(tmp_path, text)
    assert reading(path).startswith(f"{path}: {line}")


def test_every_repeated_key_of_a_json_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, '{"a": 1, "a": 2, "b": {"c": 1, "c": 1}}', "data.json")
    assert reading(path).splitlines() == [
        f"{path}: a: given twice; remove one",
        f"{path}: b.c: given twice; remove one",
    ]


def test_half_a_character_is_found_in_texts_and_keys(tmp_path: Path) -> None:
    path = written(tmp_path, r'{"a": "\ud83d", "\udc00": 1}', "data.json")
    assert reading(path).splitlines() == [
        rf"{path}: the key '\udc00' has half a character (an unpaired surrogate); remove it",
        rf"{path}: a: '\ud83d' has half a character (an unpaired surrogate); remove it",
    ]
    assert plain_problems({"a": "\U0001f600"}) == []


def test_bytes_that_are_no_utf8_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_bytes(b"a: \xff")
    assert reading(path) == f"{path}: not UTF-8 text (byte 3); save the file as UTF-8"


def test_values_that_only_python_has_are_not_plain() -> None:
    found = plain_problems({"when": date(2025, 1, 1)})
    assert found == [
        "when: expected text, a number, true, false or null, found datetime.date(2025, 1, 1); put "
        "it in quotes"
    ]


def test_only_visible_data_files_of_a_folder_count(tmp_path: Path) -> None:
    for name in ("b.yml", "a.json", "README.txt", ".a.json.swp", "._a.json", "c.YAML~", "d.YAML"):
        (tmp_path / name).touch()
    (tmp_path / "old.yaml").mkdir()
    names = [path.name for path in data_files.data_files(tmp_path)]
    assert names == ["a.json", "b.yml", "d.YAML"]
    assert data_files.data_files(tmp_path / "a.json") == [tmp_path / "a.json"]
