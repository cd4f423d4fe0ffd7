"""Made-up boards and results folders that the tests of the leaderboards share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.board import BackboneRow, Board, TaskColumn
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
    Record,
    RunBlock,
    Score,
    Scored,
    SearchBlock,
    TaskBlock,
)
from vtab_harness.api.settings import ResultSettings
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.sweep.store import Store

GROUPS = ("natural",) * 7 + ("specialized",) * 4 + ("structured",) * 8
HARMFUL = (
    "timm:<img src=x onerror=alert(1)>",
    '=HYPERLINK("http://example.org","click")',
    "timm:two\nlines\tand a tab",
    "timm:emoji-\N{ROCKET}",
    "timm:" + "long" * 75,
    r"timm:a_b & 100% $x$ #1 {y} ~z ^ \input",
    "timm:pipe|and`tick`*star*",
)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def made_board(
    backbones: int = 5,
    tasks: int = 19,
    seeds: int = 3,
    rng: np.random.Generator | None = None,
    *,
    names: Sequence[str] = (),
    examples: int | NDArray[np.int64] = 2000,
    spread: float = 0.15,
    protocol: str = "linear-v1",
) -> Board:
    """Returns a complete board: true accuracies differ by backbone and task, seeds only by sampling.

    Args:
        names: Specs of the first backbones.
        examples: Test examples of every task, or int64 (tasks,).
        spread: Standard deviation of true accuracies over backbones.
    """
    rng = rng or np.random.default_rng(0)
    ns = np.broadcast_to(np.asarray(examples, np.int64), (tasks,))
    base = rng.uniform(0.35, 0.8, tasks)
    true = np.clip(base + rng.normal(0, spread, (backbones, 1)) + rng.normal(0, 0.03, (backbones, tasks)), 0.02, 0.98)
    shape = (backbones, tasks, seeds)
    counts = np.broadcast_to(ns[None, :, None], shape).copy()
    correct = rng.binomial(counts, np.broadcast_to(true[:, :, None], shape)).astype(np.int64)
    columns = vtab_columns(tasks)
    rows = []
    for i in range(backbones):
        spec = names[i] if i < len(names) else f"timm:made_{i}?pretrained=false"
        source = spec.partition(":")[0]
        step = 1000 * (i + 1) if "/step-" in spec else None
        rows.append(
            BackboneRow(
                key=f"made-{i:04d}-{sha(spec)[:8]}",
                name=spec.partition(":")[2].partition("?")[0] or spec,
                spec=spec,
                parameters=int(1e6 * (i + 1)),
                macs=int(3e8 * (i + 1)) if i % 7 != 6 else None,
                feature_size=64,
                pretrained=False,
                input_size=(224, 224),
                weights=sha(spec),
                architecture={"source": source, "name": f"made_{i}", "arguments": {}},
                step=step,
                source=source,
            )
        )
    order = sorted(range(backbones), key=lambda i: rows[i].key)
    board = Board(
        suite="vtab-1k" if tasks == 19 else "made",
        suite_version="1",
        protocol=protocol,
        train_examples="1000",
        variants={column.name: "vtab-1k" for column in columns},
        date="2026-01-02",
        tasks=columns,
        backbones=tuple(rows),
        seeds=tuple(range(seeds)),
        accuracy=correct / counts,
        correct=correct,
        examples=counts,
        status=np.full(shape, "finished", dtype="<U8"),
        seconds=rng.uniform(1, 100, shape),
        paths=np.array(
            [
                [
                    [
                        f"results/{row.key}/{column.name}/{protocol}/seed{seed}-{sha(row.key)[:12]}.json"
                        for seed in range(seeds)
                    ]
                    for column in columns
                ]
                for row in rows
            ],
            dtype=object,
        ).reshape(shape),
        images_per_second=rng.uniform(50, 5000, backbones),
    )
    return board.select(order)


def vtab_columns(tasks: int) -> tuple[TaskColumn, ...]:
    """Returns the columns of VTAB-1k; where another number is wanted, made-up ones in three groups."""
    if tasks == 19:
        found = [registry.tasks.get(name) for name in registry.suites.get("vtab-1k").tasks]
        return tuple(TaskColumn(t.name, t.title, t.group, t.num_classes, t.chance) for t in found)
    groups = [GROUPS[i * 19 // max(tasks, 1)] for i in range(tasks)]
    return tuple(TaskColumn(f"task_{i}", f"Task-{i}", group, 10, 0.1) for i, group in enumerate(groups))


def with_holes(
    board: Board, missing: Sequence[tuple[int, int]] = (), diverged: Sequence[tuple[int, int]] = ()
) -> Board:
    """Returns a board in which some (backbone, task) cells have no record, or one seed diverged."""
    accuracy, correct, examples = board.accuracy.copy(), board.correct.copy(), board.examples.copy()
    status, seconds, paths = board.status.copy(), board.seconds.copy(), board.paths.copy()
    for b, t in missing:
        accuracy[b, t], correct[b, t], examples[b, t] = np.nan, 0, 0
        status[b, t], seconds[b, t], paths[b, t] = "", np.nan, None
    for b, t in diverged:
        accuracy[b, t, 0], correct[b, t, 0], examples[b, t, 0], status[b, t, 0] = np.nan, 0, 0, "diverged"
    return replace(
        board, accuracy=accuracy, correct=correct, examples=examples, status=status, seconds=seconds, paths=paths
    )


def made_identity(
    task: str = "mini_digits",
    spec: str = "timm:made",
    *,
    seed: int = 0,
    protocol: str = "linear-v1",
    examples: int = 50,
    variant: str = "mini-1",
    weights: str | None = None,
    train_examples: str = "1000",
    changed: Mapping[str, Any] | None = None,
    precision: str = "fp32",
) -> Identity:
    """Returns the identity of a result: equal fingerprints for equal data, so that results can be paired."""
    declared = registry.tasks.get(task)
    name, _, version = protocol.partition("-v")
    split_of = {
        split: SplitIdentity(
            keys=sha(f"{declared.image_set.name} {variant} {split} keys {examples}"),
            labels=sha(f"{task} {variant} {split} labels {examples}"),
            pixels=sha(f"{declared.image_set.name} {variant} {split} pixels {examples}"),
        )
        for split in ("train800", "val200", "test")
    }
    architecture = {"source": spec.partition(":")[0], "name": spec.partition(":")[2].partition("?")[0], "spec": spec}
    return Identity(
        backbone=BackboneIdentity(weights or sha(spec), architecture, Transform((32, 32), (0.5,) * 3, (0.5,) * 3)),
        data=DataIdentity(declared.image_set.name, declared.image_set.version, variant, split_of),
        task=TaskIdentity(declared.name, declared.version),
        protocol=ProtocolIdentity(name, int(version or 1), {"some": 1, **(changed or {})}, changed or {}),
        labels=LabelsIdentity.of(TrainExamples.parse(train_examples)),
        numerics=Numerics(precision),
        seed=seed,
    )


def made_record(
    task: str = "mini_digits",
    spec: str = "timm:made",
    *,
    accuracy: float = 0.5,
    examples: int = 50,
    pretrained: bool = False,
    status: str = "finished",
    finished: str = "2026-01-02T03:04:05+00:00",
    device: str = "cpu",
    **options: Any,
) -> tuple[Record, Scored | None]:
    """Returns a record, and its predictions.

    The labels of a task are always the same, and so are the fingerprints, so that records can be paired. About
    `accuracy` of the predictions are right; which ones depends on spec, task and seed.

    Args:
        **options: For `made_identity`.
    """
    declared = registry.tasks.get(task)
    identity = made_identity(task, spec, examples=examples, **options)
    labels = np.random.default_rng(int(sha(task)[:8], 16)).integers(0, declared.num_classes, examples).astype(np.int32)
    rng = np.random.default_rng(int(sha(f"{spec} {task} {identity.seed}")[:8], 16))
    wrong = (labels + rng.integers(1, declared.num_classes, examples)) % declared.num_classes
    predicted = np.where(rng.random(examples) < accuracy, labels, wrong).astype(np.int32)
    scored = Scored(predicted, labels) if status == "finished" else None
    settings = ResultSettings(
        protocol=identity.protocol.name,
        set=identity.protocol.changed,
        train_examples=options.get("train_examples", "1000"),
        precision=identity.numerics.precision,
    )
    trials = tuple(
        Trial(
            settings={"strength": 10.0**i},
            validation_accuracy=min(1.0, max(0.0, accuracy - 0.05 * abs(i))),
            validation_loss=1.0 + abs(i),
            curve=((0, 2.3), (10, 1.5 + abs(i)), (20, 1.0 + abs(i))),
        )
        for i in range(-2, 3)
    )
    record = Record(
        identity=identity,
        status="finished" if scored is not None else "diverged",
        score=None if scored is None else Score(scored.correct / examples, scored.correct, examples),
        predictions=None,
        task=TaskBlock(declared.title, declared.group, declared.num_classes, declared.chance),
        backbone=BackboneBlock(
            spec=spec,
            feature_size=64,
            parameters=1_000_000 + int(sha(spec)[:5], 16),
            macs=10_000_000 + int(sha(spec)[:5], 16),
            pretrained=pretrained,
        ),
        learned_from=LearnedFrom(800, 200),
        asked=settings,
        used=settings,
        environment=Environment({"vtab-harness": "0.1.0"}, device, "made up", 1, "Linux x86_64"),
        run=RunBlock(
            seconds={"inputs": 1.0, "search": 2.0, "fit": 0.5, "test": 0.25},
            started=finished,
            finished=finished,
            command="vtab run",
            commit=None,
        ),
        search=SearchBlock(trials, 2 if scored is not None else None, None if scored is not None else 7),
    )
    return record, scored


def write_record(folder: Path, *args: Any, **options: Any) -> Path:
    """Writes one made-up record with its predictions; takes what `made_record` takes. Returns the file."""
    return Store(folder).write(*made_record(*args, **options))


def restate(path: Path, more: int) -> None:
    """Lets a record claim that `more` predictions were right than are; it does not contradict itself."""
    record = json.loads(path.read_text())
    correct, examples = record["score"]["correct"] + more, record["score"]["examples"]
    record["score"] = {"accuracy": correct / examples, "correct": correct, "examples": examples}
    path.write_text(json.dumps(record))


def write_records(
    folder: Path,
    backbones: int | Sequence[str] = 2,
    tasks: str | Sequence[str] = "mini",
    seeds: int = 1,
    *,
    accuracies: Sequence[float] = (),
    **options: Any,
) -> list[Path]:
    """Writes real records with predictions for every backbone x task x seed.

    Args:
        backbones: Specs, or how many.
        tasks: Names of tasks, or a suite.
        accuracies: Of the backbones, in order; evenly from 0.4 to 0.8 if not given.
        **options: For `made_record`.
    """
    specs = [f"timm:made_{i}" for i in range(backbones)] if isinstance(backbones, int) else list(backbones)
    names = registry.suites.get(tasks).tasks if isinstance(tasks, str) else tuple(tasks)
    levels = accuracies or np.linspace(0.4, 0.8, len(specs))
    return [
        write_record(folder, task, spec, seed=seed, accuracy=float(level), **options)
        for spec, level in zip(specs, levels, strict=True)
        for task in names
        for seed in range(seeds)
    ]
