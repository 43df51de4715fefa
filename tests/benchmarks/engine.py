"""What the engine gains, as one table of ratios: `python tests/benchmarks/engine.py`.

Every ratio comes from alternating runs on the same machine and has its spread beside it. On a CPU,
seconds are the processor time of one thread. `--packages` names the python of an environment with
requirements.txt, `--model` the folder of the real model, `--series` a finished series folder.
Measures without them, or without a GPU, are listed as not measured.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "scripts"), str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from gpu import gpu_lines  # noqa: E402
from plain_ways import write_answers  # noqa: E402
from real import real_lines  # noqa: E402
from table import HEAD, Line, machine, ratio  # noqa: E402
from workload import (  # noqa: E402
    CPU,
    GPU,
    OPENING,
    OPTION,
    PACKAGES,
    QUICK,
    Work,
    alternate,
    build,
    package_ways,
    run,
    timed,
)

from emotion_games.engine.scoring import score_options, whole_texts  # noqa: E402

# Small batches for the cost of the hook, so that a pair of runs follows closely upon each other.
HOOK_ROWS = 19


def hook_line(work: Work, rounds: int) -> Line:
    """Compare the same batches with and without pushes, nothing shared."""
    ratios = []
    for batch in work.batches(budget=HOOK_ROWS * (work.shape.prompt + work.shape.answer)):
        ways = {
            name: lambda s=steered, b=batch: timed(
                work.model.device, lambda: run(work.instrument(share=False, steered=s), [b])
            )
            for name, steered in (("steered", True), ("unsteered", False))
        }
        ratios += ratio(alternate(ways, rounds), "steered", "unsteered")
    return Line("steered / unsteered, same batches", ratios, ("≤", 1.03))


def job_lines(work: Work, rounds: int, packages: str) -> Iterator[Line]:
    """Compare the whole job with one condition after the other, with hooks or the packages."""
    prompts, pushes = work.prompt_ids(), work.layer_pushes()

    def ours(repeats: int, share: bool = True) -> Callable[[], float]:
        return lambda: timed(
            work.model.device, lambda: run(work.instrument(share), work.batches(repeats))
        )

    def plain(repeats: int) -> Callable[[], float]:
        sizes = work.shape.answer, repeats
        return lambda: timed(
            work.model.device,
            lambda: write_answers("plain hooks", work.model.model, prompts, pushes, *sizes),
        )

    with ExitStack() as stack:
        ways = {"ours": ours(1), "unshared": ours(1, share=False), "plain": plain(1)}
        if packages:
            case = work.model.model, prompts, pushes, work.shape.answer
            ways |= stack.enter_context(package_ways(packages, *case))
        once = alternate(ways, rounds)
    yield Line("whole job / plain hooks, 1 repeat", ratio(once, "ours", "plain"), ("≤", 0.55))
    several = alternate({"ours": ours(5), "plain": plain(5)}, rounds)
    yield Line("whole job / plain hooks, 5 repeats", ratio(several, "ours", "plain"), ("≤", 0.4))
    yield Line(
        "lower layers not shared / shared, 1 repeat", ratio(once, "unshared", "ours"), ("≥", 1.3)
    )
    for name in PACKAGES:
        ratios = ratio(once, "ours", name) if packages else []
        note = "its own environment" if packages else "no --packages given"
        yield Line(f"whole job / {name}, 1 repeat", ratios, ("≤", 0.55), note)


def scoring_line(work: Work, rounds: int) -> Line:
    """Compare scoring the options of a batch that has been read with writing its answers."""
    batch, instrument = work.batches()[0], work.instrument()
    prompts = [work.model.token_ids(r.prompt) for r in batch]
    rows = instrument.read(prompts, [r.push for r in batch])
    uniforms = torch.from_numpy(np.stack([r.uniforms[0] for r in batch]))
    options = []
    for r, ids in zip(batch, prompts, strict=True):
        texts = list(r.options.values())
        found = whole_texts(work.model, r.prompt, r.opening, texts, r.closing)
        left = [text.after(len(ids)) for text in found]
        options.append(dict(zip(r.options, left, strict=True)))
    everyone = range(len(batch))

    def write() -> None:
        sampling = instrument.temperature, instrument.top_p
        rows.generate(everyone, uniforms, *sampling, lambda _: False)

    seconds = alternate(
        {
            "score": lambda: timed(
                work.model.device, lambda: score_options(rows, everyone, options)
            ),
            "write": lambda: timed(work.model.device, write),
        },
        rounds,
    )
    note = (
        f"{len(options[0])} options of {OPTION} tokens after {OPENING}, "
        f"{work.shape.answer} new tokens; without the prompts"
    )
    return Line(
        "scoring all options / generating", ratio(seconds, "score", "write"), ("≤", 0.5), note
    )


def start_line(series: Path | None) -> Line:
    """Return the share of the wall time that experiments spent before their first batch."""
    what, target = "import + load + directions / wall time of a demo experiment", ("≤", 0.35)
    if series is None:
        return Line(what, [], target, "no --series given")
    shares = []
    for row in json.loads((series / "experiment_report.json").read_text())["experiments"].values():
        if row["status"] != "completed":
            continue
        begun, ended = (datetime.fromisoformat(row[key]) for key in ("start_time", "end_time"))
        seconds = yaml.safe_load(
            next(series.glob(f"{row['exp_id']}_*/exp_config.yaml")).read_text()
        )["seconds"]
        if "import" not in seconds:
            return Line(what, [], target, "this series does not record the time of its imports")
        start = seconds["import"] + seconds["load"] + seconds["read"]
        shares.append(start / (ended - begun).total_seconds())
    return Line(what, shares, target, f"{len(shares)} experiments of {series.name}")


def cpu_lines(work: Work, rounds: int, packages: str) -> Iterator[Line]:
    """Yield everything that is measured on a CPU."""
    yield hook_line(work, rounds)
    yield scoring_line(work, 2 * rounds)
    yield from job_lines(work, rounds, packages)


def lines(options: argparse.Namespace) -> Iterator[Line]:
    """Yield the whole table."""
    yield from cpu_lines(build(QUICK if options.quick else CPU), options.rounds, options.packages)
    yield from real_lines(options.model, options.rounds, options.packages)
    yield start_line(options.series)
    if not torch.cuda.is_available():
        yield Line("GPU: whole job, prefill, decode, trials per second, memory", [], None, "no GPU")
        return
    work = build(QUICK if options.quick else GPU, "cuda", torch.bfloat16)
    yield from gpu_lines(work, options.rounds)


def main() -> None:
    """Print each line of the table as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds (3)")
    parser.add_argument(
        "--packages",
        default=os.environ.get("STEERING_PACKAGES_PYTHON", ""),
        metavar="PYTHON",
        help="python of an environment with tests/benchmarks/requirements.txt",
    )
    parser.add_argument("--model", type=Path, help="the folder of the fetched model `smollm2`")
    parser.add_argument("--series", type=Path, help="a finished series folder")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tiny model, to test that the table is made",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine(), HEAD, sep="\n\n", flush=True)
    for line in lines(options):
        print(line.text(), flush=True)


if __name__ == "__main__":
    main()
