"""A table of ratios with their spread and targets, and a description of the machine."""

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
    """A line of the table.

    Attributes:
        what: The measure.
        ratios: Those of paired runs; none if it was not measured.
        target: A relation and a number.
        note: A remark.
    """

    what: str
    ratios: Sequence[float]
    target: tuple[str, float] | None = None
    note: str = ""

    def text(self) -> str:
        """Return the line in Markdown."""
        target = f"{self.target[0]} {self.target[1]:g}" if self.target else ""
        if not self.ratios:
            return f"| {self.what} | not measured | | {target} | | {self.note} |"
        middle = statistics.median(self.ratios)
        cells = (f"{middle:.3f}", spread(self.ratios), target, self._met(middle), self.note)
        return f"| {self.what} | {' | '.join(cells)} |"

    def _met(self, middle: float) -> str:
        if not self.target:
            return ""
        relation, number = self.target
        return "yes" if (middle <= number if relation == "≤" else middle >= number) else "no"


def spread(values: Sequence[float]) -> str:
    """Return a 95 % interval of the median from order statistics, or the range of few values."""
    ordered, n = sorted(values), len(values)
    # P(at most k of n values are below the median) is a sum of binomial terms. At either end, the
    # largest k with P <= .025 values may be left out.
    tails = [sum(math.comb(n, i) for i in range(k + 1)) / 2**n for k in range(n)]
    left_out = max((k for k, tail in enumerate(tails) if 2 * tail <= 0.05), default=None)
    if left_out is None:
        return f"{ordered[0]:.3f} to {ordered[-1]:.3f} (range of {n})" if n > 1 else "one run"
    return f"{ordered[left_out]:.3f} to {ordered[-1 - left_out]:.3f} (95 %, {n} pairs)"


def ratio(seconds: Mapping[str, Sequence[float]], above: str, below: str) -> list[float]:
    """Return the ratios of two ways, round by round."""
    return [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]


def machine() -> str:
    """Return processor, GPU, versions and load of this machine."""
    info = Path("/proc/cpuinfo")
    names = (
        [x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x]
        if info.exists()
        else []
    )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    python, libraries = platform.python_version(), (torch, transformers)
    versions = ", ".join(f"{library.__name__} {library.__version__}" for library in libraries)
    processor = names[0] if names else platform.processor() or platform.machine()
    cores, load = f"{os.cpu_count()} cores (one thread used)", os.getloadavg()[0]
    return f"{processor}, {cores}, {gpu}; Python {python}, {versions}; load {load:.1f}"
