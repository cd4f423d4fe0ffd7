"""Does pretraining on videos help? Several pretrainings, several seeds each, evaluated alike, in one table.

    python docs/examples/vivi_study.py docs/examples/vivi_demo.toml --out demo-results/vivi

Every step is one command of `vivi` or `vtab`, printed before it runs; what is finished is skipped when the script is
run again. The table gives means over pretraining seeds with 95 % t-intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Study:
    """What the TOML file says, and where results go."""

    plan: dict[str, Any]
    out: Path
    data: Path | None = None

    def prepare(self, jobs: int) -> Path:
        """Draws videos and makes shards of them."""
        videos, shards = self.plan["videos"], self.out / "shards"
        drawn, index = self.out / "videos", self.out / "index"
        workers = ["--workers", str(jobs)]
        size = str(videos["size"])
        run("vivi", "synth", drawn, "--videos", videos["count"], "--size", size, "--seed", videos["seed"], *workers)
        run("vivi", "index", drawn, "--out", index, *workers)
        frames = ["--fps", videos["fps"], "--short-side", size, "--frames-per-shot", videos["frames_per_shot"]]
        run("vivi", "shard", index, "--out", shards, *frames, *workers)
        return shards

    def backbone(self, method: str, seed: int) -> str:
        """Returns the spec of what a method makes; without a preset it is the untrained network."""
        common = self.plan["common"]
        if "preset" in self.plan["methods"][method]:
            return f"vivi:{self.out / f'{method}-{seed}'}"
        joint = "&" if "?" in common["encoder"] else "?"
        size = common["size"]
        options = f"pretrained=false&seed={seed}&input_size={size}&mean=0.5&std=0.5"
        return f"timm:{common['encoder']}{joint}{options}"

    def pretrain(self, shards: Path, method: str, seed: int) -> None:
        """Trains one network, unless the method is not to train."""
        settings = dict(self.plan["methods"][method])
        preset = settings.pop("preset", None)
        if preset is None:
            return
        settings = {**self.plan["common"], **settings, "seed": seed}
        texts = {k: ",".join(map(str, v)) if isinstance(v, list) else str(v) for k, v in settings.items()}
        given = [part for key, text in texts.items() for part in ("--set", f"{key}={text}")]
        run("vtab", "pretrain", preset, "--data", shards, "--out", self.out / f"{method}-{seed}", *given)

    def evaluate(self, method: str, seed: int) -> list[dict[str, Any]]:
        """Evaluates one network and returns its records."""
        records = []
        for evaluation in self.plan["evaluate"]:
            # Tasks outside mini need data sets; without --data they are left out.
            if "task" in evaluation and self.data is None:
                continue
            where = [part for key, value in evaluation.items() for part in (f"--{key}", str(value))]
            folders = ["--results", self.out / "results", "--cache", self.out.parent / "cache"]
            folders += [] if self.data is None else ["--data", self.data]
            spec = self.backbone(method, seed)
            found = run("vtab", "run", "--backbone", spec, *where, *folders, "--json", quiet=True)
            records += json.loads(found)["records"]
        return records


def run(program: str, *arguments: object, quiet: bool = False) -> str:
    """Runs a command of this environment and returns what it prints; ends the script if it fails."""
    texts = [str(argument) for argument in arguments]
    print("$", program, *texts, flush=True)
    # Several networks are trained side by side: a thread for each.
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    done = subprocess.run([BIN / program, *texts], capture_output=True, text=True, env={**os.environ, **threads})
    if done.returncode:
        sys.exit(f"{program} {' '.join(texts)}\nfailed:\n{done.stdout}{done.stderr}")
    if not quiet:
        print(done.stdout.rstrip().rpartition("\n")[2], flush=True)
    return done.stdout


def half_width(values: np.ndarray) -> float:
    """Returns half the 95 % t-interval of a mean; NaN for a single value."""
    if len(values) < 2:
        return float("nan")
    return float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)


def show(study: Study, records: dict[tuple[str, int], list[dict[str, Any]]]) -> None:
    """Prints the table: a row a method, means over seeds in percent."""
    seeds = study.plan["seeds"]
    first = next(iter(records.values()))
    suite = [r["identity"]["task"]["name"] for r in first if r["identity"]["task"]["name"].startswith("mini")]
    others = [r["identity"]["task"]["name"] for r in first if r["identity"]["task"]["name"] not in suite]
    groups = list(dict.fromkeys(r["task"]["group"] for r in first if r["identity"]["task"]["name"] in suite))
    table = Table(title=f"Linear accuracy in %, mean over {len(seeds)} pretraining seeds, 95 % t-interval of it")
    for heading in ("method", f"mini ({len(suite)} tasks)", *groups, *others):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for method in study.plan["methods"]:
        scores = [{r["identity"]["task"]["name"]: r for r in records[method, seed]} for seed in seeds]
        columns: list[list[str]] = [suite]
        columns += [[name for name in suite if scores[0][name]["task"]["group"] == group] for group in groups]
        columns += [[name] for name in others]
        cells = []
        for names in columns:
            values = np.array([100 * np.mean([by[name]["score"]["accuracy"] for name in names]) for by in scores])
            cells.append(f"{values.mean():.1f} ± {half_width(values):.1f}")
        table.add_row(method, *cells)
    Console(width=max(110, Console().width)).print(table)


def main() -> None:
    """Runs a study from its file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("plan", type=Path, help="TOML file")
    parser.add_argument("--out", type=Path, required=True, help="folder for videos, runs and results")
    parser.add_argument("--data", type=Path, help="folder with data sets, for evaluations on single tasks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="networks at a time")
    given = parser.parse_args()
    study = Study(tomllib.loads(given.plan.read_text(encoding="utf-8")), given.out, given.data)
    study.out.mkdir(parents=True, exist_ok=True)
    shards = study.prepare(given.jobs)
    work = [(method, seed) for seed in study.plan["seeds"] for method in study.plan["methods"]]

    def both(item: tuple[str, int]) -> list[dict[str, Any]]:
        study.pretrain(shards, *item)
        return study.evaluate(*item)

    with ThreadPoolExecutor(given.jobs) as pool:
        records = dict(zip(work, pool.map(both, work), strict=True))
    show(study, records)


if __name__ == "__main__":
    main()
