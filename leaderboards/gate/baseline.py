"""The baseline: one small file with the predictions that later ones are paired with.

A safetensors file, so that nothing in it is ever executed: predicted classes as uint8, or uint16 where a task has more
than 256, and JSON with the protocol, the fingerprints of the examples and the scores. A sha256 over everything shows
damage and careless edits; it is no signature, so review a changed baseline like code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.runs import BackboneRuns, differing, examples_identity, image_identity
from vtab_harness import __version__
from vtab_harness.api.errors import StorageError
from vtab_harness.store import storage_errors, write_atomically

FORMAT = "vtab-harness/baseline/1"
_MAKE = "Make it again with `vtab gate RESULTS --baseline FILE --update`, from results that you trust."
Predictions = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True)
class BaselineTask:
    """What the baseline knows of one backbone on one task.

    Attributes:
        title: How tables print it.
        examples: How many test examples.
        identity: What must be equal in results that are held against it, see `leaderboards.runs.examples_identity`.
        images: What identifies the test images.
        correct: Seed -> how many right.
    """

    title: str
    examples: int
    identity: dict[str, str]
    images: str
    correct: dict[str, int]


@dataclass(frozen=True, slots=True)
class BaselineBackbone:
    """One backbone of a baseline.

    Attributes:
        spec: By which it is found again: its weights may have changed since, that is what the gate is for.
        key: Folder name at that time.
        weights: sha256 at that time.
        tasks: In the order of the suite.
    """

    spec: str
    key: str
    weights: str
    tasks: dict[str, BaselineTask]


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline.

    Attributes:
        protocol: Identity.
        suite: Name; None where the tasks belong to no suite.
        backbones: In the order of their folders.
        predictions: (index of the backbone, task, seed) -> predicted classes (n,), in example order.
        harness: Version that wrote it.
    """

    protocol: str
    suite: str | None
    backbones: tuple[BaselineBackbone, ...]
    predictions: dict[tuple[int, str, int], Predictions]
    harness: str = __version__


def make_baseline(
    protocol: str, suite: str | None, tasks: Sequence[str], backbones: Sequence[BackboneRuns]
) -> Baseline:
    """Takes results as the baseline.

    Raises:
        StorageError: A task is missing or diverged, two backbones have one spec, seeds saw different examples, or
            predictions are damaged; names it.
    """
    entries: list[BaselineBackbone] = []
    predictions: dict[tuple[int, str, int], Predictions] = {}
    for i, backbone in enumerate(backbones):
        if twin := [other.key for other in backbones[:i] if other.spec == backbone.spec]:
            raise StorageError(
                f"{twin[0]} and {backbone.key} are both {backbone.spec!r}, by which a baseline knows them.",
                "Leave the folder of the older one out of the results.",
            )
        found = {}
        for task in tasks:
            found[task], arrays = _task(backbone, task)
            predictions |= {(i, task, seed): array for seed, array in arrays.items()}
        entries.append(BaselineBackbone(backbone.spec, backbone.key, backbone.weights, found))
    return Baseline(protocol, suite, tuple(entries), predictions)


def _task(backbone: BackboneRuns, task: str) -> tuple[BaselineTask, dict[int, Predictions]]:
    runs = {seed: backbone.runs[task, seed] for seed in backbone.seeds(task)}
    if not runs:
        raise StorageError(f"{backbone.key} has no result for {task}.", "Finish it, or give --suite or fewer results.")
    first = next(iter(runs.values()))
    identity = examples_identity(first.record)
    arrays: dict[int, Predictions] = {}
    for seed, run in runs.items():
        if run.record.status == "diverged":
            raise StorageError(f"{run.path} diverged: nothing can be held against it.", "Use other settings.")
        if other := differing(identity, examples_identity(run.record)):
            raise StorageError(f"{first.path} and {run.path} have other examples ({', '.join(other)}).", "Run again.")
        predicted, _ = run.scored()
        arrays[seed] = predicted.astype(np.min_scalar_type(int(predicted.max(initial=0))))
    score = {str(seed): int((run.record.score or {})["correct"]) for seed, run in runs.items()}
    examples = len(next(iter(arrays.values())))
    return BaselineTask(
        str(first.record.task["title"]), examples, identity, image_identity(first.record), score
    ), arrays


def write_baseline(path: Path, baseline: Baseline) -> int:
    """Writes it, whole or not at all. Returns the size in bytes.

    Raises:
        StorageError: The file cannot be written.
    """
    from safetensors.numpy import save

    tensors = {f"{i}/{task}/{seed}": array for (i, task, seed), array in sorted(baseline.predictions.items())}
    about = json.dumps(
        {
            "protocol": baseline.protocol,
            "suite": baseline.suite,
            "harness": baseline.harness,
            "backbones": [asdict(backbone) for backbone in baseline.backbones],
        }
    )
    data = save(tensors, {"format": FORMAT, "about": about, "sha256": _digest(about, tensors)})
    with storage_errors(path, "writing the baseline"):
        write_atomically(path, data)
    return len(data)


def _digest(about: str, tensors: dict[str, Any]) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode() + array.tobytes())
    return digest.hexdigest()


def read_baseline(path: Path) -> Baseline:
    """Reads a baseline.

    Raises:
        StorageError: It is missing, half written, changed since it was written, or something else; names the file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise StorageError(f"There is no baseline {path}.", _MAKE)
    try:
        with safe_open(path, framework="numpy") as file:
            meta = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise StorageError(f"{path} is not a whole baseline: {error}.", _MAKE) from error
    if meta.get("format") != FORMAT:
        raise StorageError(f"{path} has the format {meta.get('format')!r}, not {FORMAT!r}.", _MAKE)
    about = meta.get("about", "")
    if meta.get("sha256") != _digest(about, tensors):
        raise StorageError(f"{path} was changed or damaged after it was written: its sha256 is another one.", _MAKE)
    try:
        value = json.loads(about)
        backbones = tuple(_backbone(entry) for entry in value["backbones"])
        predictions: dict[tuple[int, str, int], Predictions] = {
            (i, task, int(seed)): tensors[f"{i}/{task}/{seed}"]
            for i, backbone in enumerate(backbones)
            for task, entry in backbone.tasks.items()
            for seed in entry.correct
        }
        return Baseline(str(value["protocol"]), value["suite"], backbones, predictions, str(value["harness"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(f"{path} is not a baseline of this harness: {error}.", _MAKE) from error


def _backbone(entry: dict[str, Any]) -> BaselineBackbone:
    tasks = {name: BaselineTask(**task) for name, task in entry["tasks"].items()}
    return BaselineBackbone(str(entry["spec"]), str(entry["key"]), str(entry["weights"]), tasks)
