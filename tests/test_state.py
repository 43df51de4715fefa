"""Files that a clock set back has left in the future come back to the present."""

import os
import time

from emotion_games import state


def test_files_from_the_future_come_back_to_the_present_and_others_stay(tmp_path):
    old, new = tmp_path / "a" / "old", tmp_path / "new"
    old.parent.mkdir()
    for path, seconds in ((old, 1_000.0), (new, time.time() + 86_400)):
        path.touch()
        os.utime(path, (seconds, seconds))
    state.leave_no_future([tmp_path, tmp_path / "not-there"])
    assert old.stat().st_mtime == 1_000.0 and new.stat().st_mtime <= time.time()
