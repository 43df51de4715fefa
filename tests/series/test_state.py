"""Files that a clock set back has left in the future come back to the present; a full disk has room for last words."""

import os
import time

import pytest

from emotion_games.series import state


def test_files_from_the_future_come_back_to_the_present_and_others_stay(tmp_path):
    old, new = tmp_path / "a" / "old", tmp_path / "new"
    old.parent.mkdir()
    for path, seconds in ((old, 1_000.0), (new, time.time() + 86_400)):
        path.touch()
        os.utime(path, (seconds, seconds))
    state.leave_no_future([tmp_path, tmp_path / "not-there"])
    assert old.stat().st_mtime == 1_000.0 and new.stat().st_mtime <= time.time()


@pytest.mark.parametrize("number", [28, 122], ids=["disk", "quota"])
def test_last_words_take_the_reserve_on_a_full_disk(tmp_path, number):
    reserve = tmp_path / "A.reserve"
    state.keep_reserve(reserve)
    assert reserve.stat().st_size == state.RESERVE_BYTES

    def say():
        if reserve.exists():
            raise OSError(number, "no room")
        state.record(tmp_path, "A", status="failed")
        return "said"

    assert state.say_last_words(reserve, say) == "said"
    assert state.read_state(tmp_path, "A") == {"status": "failed"}


def test_other_errors_are_not_tried_again(tmp_path):
    said = []

    def broken():
        said.append(1)
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        state.say_last_words(tmp_path / "A.reserve", broken)
    assert said == [1]
