"""A table of ratios with their spread and targets, and the line that says on which machine they were measured."""

import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers

HEAD = "| measure | median ratio | spread | target | met | note |\n|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Line:
    """A line of the table: ratios of paired runs (none: not measured), and the target as (relation, number)."""

    what: str
    ratios: Sequence[float]
    target: tuple[str, float] | None = None
    note: str = ""

    def text(self) -> str:
        """The line in Markdown."""
        target = f"{self.target[0]} {self.target[1]:g}" if self.target else ""
        if not self.ratios:
            return f"| {self.what} | not measured | | {target} | | {self.note} |"
        middle = statistics.median(self.ratios)
        return f"| {self.what} | {middle:.3f} | {spread(self.ratios)} | {target} | {self._met(middle)} | {self.note} |"

    def _met(self, middle: float) -> str:
        if not self.target:
            return ""
        relation, number = self.target
        return "yes" if (middle <= number if relation == "≤" else middle >= number) else "no"


def spread(values: Sequence[float]) -> str:
    """An interval that holds the median with at least 95 % (order statistics), or the range of too few values."""
    ordered, n = sorted(values), len(values)
    # P(at most k of n values below the median) = sum of binomial terms; k values may be left out at either end.
    tails = [sum(math.comb(n, i) for i in range(k + 1)) / 2**n for k in range(n)]
    left_out = max((k for k, tail in enumerate(tails) if 2 * tail <= 0.05), default=None)
    if left_out is None:
        return f"{ordered[0]:.3f} to {ordered[-1]:.3f} (range of {n})" if n > 1 else "one run"
    return f"{ordered[left_out]:.3f} to {ordered[-1 - left_out]:.3f} (95 %, {n} pairs)"


def ratio(seconds: Mapping[str, Sequence[float]], above: str, below: str) -> list[float]:
    """Ratios of two ways, round by round."""
    return [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]


def machine() -> str:
    """Processor, GPU and versions, and how busy the machine is."""
    info = Path("/proc/cpuinfo")
    names = (
        [x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x]
        if info.exists()
        else []
    )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores (one thread used), {gpu}; {versions}; load {os.getloadavg()[0]:.1f}"
