"""The engine's benchmark prints its whole table. The speed of this machine is not tested."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent / "benchmarks" / "engine.py"
MEASURED = (
    "steered / unsteered, same batches",
    "scoring all options / generating",
    "whole job / plain hooks, 1 repeat",
    "whole job / plain hooks, 5 repeats",
    "lower layers not shared / shared, 1 repeat",
)
NOT_MEASURED = {
    "whole job / steering-vectors, 1 repeat": "no --packages given",
    "whole job / repeng, 1 repeat": "no --packages given",
    "real model: jobs / plain hooks": "no --model given",
    "import + load + directions / wall time of a demo experiment": "no --series given",
    "GPU: whole job, prefill, decode, trials per second, memory": "no GPU",
}


@pytest.mark.slow
@pytest.mark.skipif(
    torch.cuda.is_available(), reason="the lines of a GPU are not those of this test"
)
def test_the_table_holds_every_measure_and_says_what_was_not_measured():
    command = [sys.executable, str(SCRIPT), "--quick", "--rounds", "2", "--packages", ""]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    machine, table = done.stdout.strip().split("\n\n")
    assert (
        "torch" in machine
        and "transformers" in machine
        and "load" in machine
        and "no GPU" in machine
    )
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert lines[0] == ["measure", "median ratio", "spread", "target", "met", "note"]
    rows = {line[0]: line[1:] for line in lines[2:]}
    assert list(rows) == [*MEASURED, *NOT_MEASURED]
    for what in MEASURED:
        ratio, spread, target, met, _ = rows[what]
        assert float(ratio) >= 0 and re.fullmatch(r"[≤≥] [\d.]+", target) and met in ("yes", "no")
        assert re.fullmatch(r"one run|[\d.]+ to [\d.]+ \((range of|95 %,) \d+( pairs)?\)", spread)
    for what, reason in NOT_MEASURED.items():
        ratio, spread, _, met, note = rows[what]
        assert (ratio, spread, met, note) == ("not measured", "", "", reason)
