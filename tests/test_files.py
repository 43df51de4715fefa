"""On a full disk the reserve makes room for the last state of a process."""

import pytest

from emotion_games import files
from emotion_games.series import state


@pytest.mark.parametrize("number", [28, 122], ids=["disk", "quota"])
def test_last_words_take_the_reserve_on_a_full_disk(tmp_path, number):
    reserve = tmp_path / "A.reserve"
    files.keep_reserve(reserve)
    assert reserve.stat().st_size == files.RESERVE_BYTES

    def say():
        if reserve.exists():
            raise OSError(number, "no room")
        state.record(tmp_path, "A", status="failed")
        return "said"

    assert files.write_final(reserve, say) == "said"
    assert state.read_state(tmp_path, "A") == {"status": "failed"}


def test_other_errors_are_not_tried_again(tmp_path):
    said = []

    def broken():
        said.append(1)
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        files.write_final(tmp_path / "A.reserve", broken)
    assert said == [1]
