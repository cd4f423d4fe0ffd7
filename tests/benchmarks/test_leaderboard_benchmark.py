"""A leaderboard of 95,000 made-up records (1,000 backbones x 19 tasks x 5 seeds): seconds and peak memory.

The records are as long as those of `linear` (25 trials) and have predictions beside them, though of only 50 examples.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save

from leaderboards import load
from vtab_harness import registry
from vtab_harness.api.backbones import Transform
from vtab_harness.api.identity import (
    BackboneIdentity,
    DataIdentity,
    Identity,
    LabelsIdentity,
    Numerics,
    ProtocolIdentity,
    SplitIdentity,
    TaskIdentity,
)
from vtab_harness.api.protocols import Trial
from vtab_harness.api.records import (
    BackboneBlock,
    Environment,
    LearnedFrom,
    Predictions,
    Record,
    RunBlock,
    Score,
    SearchBlock,
    TaskBlock,
)
from vtab_harness.api.settings import ResultSettings

pytestmark = pytest.mark.benchmark_suite

BACKBONES, SEEDS, EXAMPLES = 1000, 5, 50
FIRST_SECONDS, AGAIN_SECONDS, PEAK_GB = 20.0, 3.0, 2.0
MAIN = (
    "import sys; from leaderboards.cli import leaderboard; from vtab_harness.cli.app import app;"
    "from vtab_harness.cli import main; sys.argv[0] = 'vtab'; main.main()"
)


def write_many(folder: Path, backbones: int = BACKBONES, seeds: int = SEEDS) -> int:
    """Writes records one after the other, holding one at a time; returns how many."""
    rng = np.random.default_rng(0)
    tasks = [registry.tasks.get(name) for name in registry.suites.get("vtab-1k").tasks]
    trial = Trial({}, "finished", 0.5, 1.2345678901234567, notes={"gradient_norm": 1.2345e-07, "iterations": 123.0})
    trials = tuple(replace(trial, settings={"strength": float(2.0**i)}) for i in range(25))
    strengths = {"strengths": [float(2.0**i) for i in range(25)]}
    protocol = ProtocolIdentity("linear", 1, strengths, {})
    environment = Environment({"torch": "2.9"}, "cpu", "made up", 1, "Linux x86_64")
    at = "2026-01-02T03:04:05+00:00"
    run = RunBlock({"inputs": 1.0, "search": 2.0, "fit": 0.5, "test": 0.25}, at, at, "vtab run", None)
    count = 0
    for b in range(backbones):
        spec = f"timm:made_{b}.a1_in1k"
        architecture = {"source": "timm", "name": f"made_{b}", "arguments": {}, "timm": "1.0.20"}
        backbone = BackboneIdentity(hashlib.sha256(spec.encode()).hexdigest(), architecture, Transform())
        settings = ResultSettings()
        level = rng.uniform(0.3, 0.8)
        for task in tasks:
            labels = rng.integers(0, task.num_classes, EXAMPLES).astype(np.int32)
            prints = SplitIdentity(*[hashlib.sha256(task.name.encode()).hexdigest()] * 3)
            parts = dict.fromkeys(("train800", "val200", "test"), prints)
            for seed in range(seeds):
                identity = Identity(
                    backbone=backbone,
                    data=DataIdentity(task.image_set.name, task.image_set.version, "vtab-1k", parts),
                    task=TaskIdentity(task.name, task.version),
                    protocol=protocol,
                    labels=LabelsIdentity(),
                    numerics=Numerics("fp32"),
                    seed=seed,
                )
                *folders, stem = identity.place
                place = folder.joinpath(*folders)
                place.mkdir(parents=True, exist_ok=True)
                right = rng.random(EXAMPLES) < level
                predicted = np.where(right, labels, (labels + 1) % task.num_classes).astype(np.int32)
                correct = int((predicted == labels).sum())
                data = save({"predicted": predicted, "label": labels})
                sha = hashlib.sha256(data).hexdigest()
                predictions = Predictions(f"{stem}-{sha[:8]}.predictions", sha)
                (place / predictions.file).write_bytes(data)
                record = Record(
                    identity=identity,
                    status="finished",
                    score=Score(correct / EXAMPLES, correct, EXAMPLES),
                    predictions=predictions,
                    task=TaskBlock(task.title, task.group, task.num_classes, task.chance),
                    backbone=BackboneBlock(spec, 64, 10**6 * (b + 1), 10**8 * (b + 1), pretrained=True),
                    learned_from=LearnedFrom(800, 200),
                    asked=settings,
                    used=settings,
                    environment=environment,
                    run=run,
                    search=SearchBlock(trials, 3),
                )
                (place / f"{stem}.json").write_text(json.dumps(record.as_json(), indent=1, sort_keys=True))
                count += 1
    return count


def build(results: Path, out: Path) -> tuple[float, float]:
    """Runs the command in a process of its own; returns seconds and peak resident GB, children included."""
    command = [sys.executable, "-c", MAIN, "leaderboard", str(results), "--out", str(out), "--no-plots"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert os.waitstatus_to_exitcode(status) == 0
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, max(usage.ru_maxrss, children) / 1e6


def test_a_leaderboard_of_95_000_records_is_built_in_20_seconds_and_again_in_3(tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "board"
    assert write_many(results) == BACKBONES * 19 * SEEDS
    # What was just written must not be on its way to the disk while the command is timed.
    os.sync()
    first, peak = build(results, out)
    again, _ = build(results, out)
    print(f"first {first:.1f} s, again {again:.1f} s, peak {peak:.2f} GB")
    frame = load(results, verify=False).set_index("record")
    tidy = pd.read_csv(out / "results.csv")
    # Named as seen from the folder of the table.
    tidy["record"] = [os.path.normpath(out / path) for path in tidy["record"]]
    tidy = tidy.set_index("record").reindex(frame.index)
    for name in ("folder", "task", "seed", "status", "correct", "examples", "protocol", "spec", "weights"):
        assert (tidy[name] == frame[name].astype(tidy[name].dtype)).all(), name
    np.testing.assert_allclose(tidy["accuracy"], 100 * frame["accuracy"], atol=5.1e-5)
    table = pd.read_csv(out / "leaderboard.csv").set_index("folder")
    scores = frame.groupby(["folder", "task"], observed=True)["accuracy"].median().unstack()
    np.testing.assert_allclose(table["mean_all_tasks"], 100 * scores.mean(axis=1).reindex(table.index), atol=5.1e-5)
    np.testing.assert_allclose(table[scores.columns], 100 * scores.reindex(table.index), atol=5.1e-5)
    assert first < FIRST_SECONDS
    assert peak < PEAK_GB
    assert again < AGAIN_SECONDS
