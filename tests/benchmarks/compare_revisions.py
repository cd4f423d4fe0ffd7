"""Is the checkout slower than another revision? Runs pytest-benchmark suites for both by turns, in one job.

python tests/benchmarks/compare_revisions.py [--base REVISION] [--rounds 5] [--limit 1.10] [SUITE...]

Seconds of another machine, or of another hour, say nothing. So base and head are measured by turns, who begins
alternating, and only ratios within a turn count. A benchmark is slower where the whole interval of its ratio is past
the limit. The benchmarks are those of the checkout for both; one that base cannot run is listed and not compared.

Exit codes: 0 none is slower, 1 at least one is, 2 it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITES = ("tests/benchmarks/test_speed.py",)
LIMIT, ROUNDS, CONFIDENCE = 1.10, 5, 0.90


class MeasuringError(Exception):
    """A revision could not be measured; the message is for a person."""


@dataclass(frozen=True)
class Ratio:
    """Head's seconds over base's.

    Attributes:
        median: Over the turns.
        low: Lower end of the interval of the median.
        high: Upper end.
        turns: How many there were.
    """

    median: float
    low: float
    high: float
    turns: int

    def slower(self, limit: float) -> bool:
        """Returns whether the whole interval is past a limit."""
        return self.low > limit


def ratio_of(base: Sequence[float], head: Sequence[float]) -> Ratio:
    """Returns the median of the turns' ratios with its interval from order statistics, which assumes no distribution.

    The interval is the narrowest pair of order statistics that holds the true median with `CONFIDENCE`, or from the
    smallest to the largest where there are fewer turns than that needs (five give 93.75 %).

    Args:
        base: Seconds, one a turn.
        head: Seconds of the same turns.

    Raises:
        ValueError: The turns are none, or not the same number, or not positive.
    """
    if not base or len(base) != len(head) or min(*base, *head) <= 0:
        raise ValueError(f"{len(base)} turns of base and {len(head)} of head cannot be compared")
    ratios = sorted(b / a for a, b in zip(base, head, strict=True))
    turns, inwards = len(ratios), 0
    # Leaving out k at each end misses the median with probability 2 P(Binomial(turns, 1/2) <= k).
    while inwards + 1 < turns / 2:
        outside = 2 * sum(math.comb(turns, i) for i in range(inwards + 2)) / 2**turns
        if outside > 1 - CONFIDENCE:
            break
        inwards += 1
    return Ratio(statistics.median(ratios), ratios[inwards], ratios[turns - 1 - inwards], turns)


def read_seconds(report: Path) -> dict[str, float]:
    """Returns benchmark -> seconds from a JSON file of pytest-benchmark.

    The least of the rounds: what else the machine does can only add to it.
    """
    found = json.loads(report.read_text(encoding="utf-8"))
    return {str(item["name"]): float(item["stats"]["min"]) for item in found["benchmarks"]}


def compare(turns: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> tuple[dict[str, Ratio], list[str]]:
    """Returns benchmark -> ratio, and the benchmarks that base does not have.

    Args:
        turns: (seconds of base, seconds of head) by benchmark.

    Raises:
        MeasuringError: A benchmark is in some turns of head, or of base, and not in others.
    """
    names = list(dict.fromkeys(name for _, head in turns for name in head))
    ratios, new = {}, []
    for name in names:
        base, head = ([side[name] for side in sides if name in side] for sides in zip(*turns, strict=True))
        if not base and len(head) == len(turns):
            new.append(name)
        elif len(base) == len(head) == len(turns):
            ratios[name] = ratio_of(base, head)
        else:
            raise MeasuringError(f"{name} was measured in {len(base)} turns of base and {len(head)} of head.")
    return ratios, new


def table(ratios: Mapping[str, Ratio], new: Sequence[str], limit: float) -> list[str]:
    """Returns lines for a person."""
    width = max(map(len, [*ratios, *new]), default=0)
    lines = [f"{'':{width}}  head / base   interval"]
    for name, ratio in ratios.items():
        mark = f"  SLOWER than {limit:.2f} x" if ratio.slower(limit) else ""
        lines.append(f"{name:{width}}  {ratio.median:11.3f}   {ratio.low:.3f} to {ratio.high:.3f}{mark}")
    lines += [f"{name:{width}}  {'-':>11}   base cannot run it" for name in new]
    return lines


def git(*words: str) -> str:
    """Returns what a git command prints, or raises `MeasuringError`."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasuringError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def default_base() -> str:
    """Returns the merge base with main; on main itself the last commit, or the one before if nothing has changed."""
    head = git("rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        try:
            base = git("merge-base", "HEAD", main)
        except MeasuringError:
            continue
        if base != head:
            return base
    return head if git("status", "--porcelain", "--untracked-files=no") else git("rev-parse", "HEAD~1")


def unpack(revision: str, folder: Path) -> None:
    """Writes the files of a revision into a folder; unlike a worktree it leaves nothing in ``.git`` when killed."""
    done = subprocess.run(["git", "-C", str(ROOT), "archive", revision], capture_output=True, check=False)
    if done.returncode:
        raise MeasuringError(f"git archive {revision}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tar:
        tar.extractall(folder, filter="data")


def measure(tree: Path, suites: Sequence[str], report: Path) -> dict[str, float]:
    """Runs the checkout's benchmarks on the packages of a tree; returns benchmark -> seconds."""
    options = ["-q", "-m", "benchmark_suite", "--benchmark-enable", f"--benchmark-json={report}"]
    # The leaderboard's plugin would import its package before the tree that is measured is known.
    options += [
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-p",
        "no:cacheprovider",
        "-p",
        "no:vtab-gate",
    ]
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [str(tree), before]))
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path, "VTAB_BENCHMARK_TREE": str(tree)}
    command = [sys.executable, "-m", "pytest", *options, *(str(ROOT / suite) for suite in suites)]
    # From the tree: Python would put the folder it is started in before all others.
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if not report.exists() or (tree == ROOT and done.returncode):
        raise MeasuringError(f"The benchmarks did not run on {tree}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return read_seconds(report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"test files; default {' '.join(SUITES)}")
    parser.add_argument("--base", help="revision; default: the merge base with main")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each; default {ROUNDS}")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"largest ratio that is well; default {LIMIT}")
    options = parser.parse_args(arguments)
    if options.rounds < 3:
        parser.error("--rounds: fewer than 3 turns have no spread worth the name")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            revision = options.base or default_base()
            base = Path(temporary) / "base"
            unpack(revision, base)
            print(f"base {git('log', '-1', '--format=%h %s', revision)}\nhead {ROOT}", flush=True)
            turns = []
            for turn in range(options.rounds):
                trees = [base, ROOT] if turn % 2 == 0 else [ROOT, base]
                report = Path(temporary) / f"{turn}-{{}}.json"
                seconds = {
                    tree: measure(tree, options.suites or SUITES, Path(str(report).format(number)))
                    for number, tree in enumerate(trees)
                }
                turns.append((seconds[base], seconds[ROOT]))
                print(f"turn {turn + 1} of {options.rounds}", flush=True)
        ratios, new = compare(turns)
    except MeasuringError as error:
        print(error, file=sys.stderr)
        return 2
    if not ratios:
        print("No benchmark ran on both.", file=sys.stderr)
        return 2
    print("\n".join(table(ratios, new, options.limit)))
    return int(any(ratio.slower(options.limit) for ratio in ratios.values()))


if __name__ == "__main__":
    sys.exit(main())
