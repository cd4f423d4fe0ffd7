"""The baseline: one small file with the predictions that later ones are paired with.

A safetensors file, so that nothing in it is ever executed: predicted classes as uint8, or uint16 where a task has more
than 256, and JSON with the protocol, the identities of the results and the scores. A sha256 over everything shows
damage and careless edits; it is no signature, so review a changed baseline like code.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from leaderboards.records.record import differences, why_not
from leaderboards.records.runs import BackboneRuns, Run
from vtab_harness import __version__
from vtab_harness.api.errors import StorageError
from vtab_harness.api.identity import Identity
from vtab_harness.api.records import Count
from vtab_harness.sweep.store import storage_errors, write_atomically

FORMAT = "vtab-harness/baseline/2"
_WITH = "with `vtab gate RESULTS --baseline FILE --update`, from results that you trust."
_FIRST, _AGAIN = f"Make one {_WITH}", f"Make it again {_WITH}"
_LARGEST_HEADER = 1 << 25
"""Bytes; 100 backbones on the 19 tasks of VTAB-1k have a sixth of it."""
_DTYPES = ("U8", "U16", "U32")
Predictions = NDArray[np.unsignedinteger[Any]]


class BaselineTask(Struct, frozen=True):
    """What the baseline knows of one backbone on one task.

    Attributes:
        title: How tables print it.
        examples: How many test examples.
        identity: Of the result with the first seed: says what must be equal in results that are held against it.
        correct: Seed -> how many right.
    """

    title: str
    examples: Annotated[int, Meta(ge=1, le=2**62)]
    identity: Identity
    correct: Annotated[dict[Count, Count], Meta(min_length=1)]


class BaselineBackbone(Struct, frozen=True):
    """One backbone of a baseline.

    Attributes:
        spec: By which it is found again: its weights may have changed since, that is what the gate is for.
        tasks: In the order of the suite.
    """

    spec: str
    tasks: Annotated[dict[str, BaselineTask], Meta(min_length=1)]

    @property
    def identity(self) -> Identity:
        """Of one of its results."""
        return next(iter(self.tasks.values())).identity


class _About(Struct, frozen=True):
    """A baseline without its predictions, as the file holds it."""

    protocol: str
    suite: str | None
    harness: str
    backbones: tuple[BaselineBackbone, ...]

    def arrays(self) -> dict[str, int]:
        """Returns the name of each array of predictions with its length."""
        return {
            f"{i}/{task}/{seed}": entry.examples
            for i, backbone in enumerate(self.backbones)
            for task, entry in backbone.tasks.items()
            for seed in entry.correct
        }


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline.

    Attributes:
        protocol: Its name, as `vtab_harness.api.identity.Identity.protocol_name` gives it.
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

    A seed whose predictions cannot be used is left out with a warning, as long as the task has another.

    Raises:
        StorageError: A task has no result that can be used, or diverged, two backbones have one spec, or the seeds of a
            task were measured in several ways; names it.
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
        entries.append(BaselineBackbone(backbone.spec, found))
    return Baseline(protocol, suite, tuple(entries), predictions)


def _task(backbone: BackboneRuns, task: str) -> tuple[BaselineTask, dict[int, Predictions]]:
    runs = backbone.of(task)
    arrays: dict[int, Predictions] = {}
    kept: list[Run] = []
    problems = []
    for run in runs:
        if run.diverged:
            raise StorageError(f"{run.path} diverged: nothing can be held against it.", "Use other settings.")
        if run.comparable != runs[0].comparable:
            words = differences(runs[0].identity(), run.identity())
            raise StorageError(
                f"{runs[0].path} and {run.path} differ ({words}).", "Choose with --variant, or leave the older one out."
            )
        try:
            predicted, _ = run.scored()
        except StorageError as error:
            problems.append(f"{run.path} is left out: {why_not(run.path, error)}")
            continue
        arrays[run.seed] = predicted.astype(np.min_scalar_type(int(predicted.max())))
        kept.append(run)
    if not kept:
        why = "; ".join(filter(None, [*problems, backbone.reasons(task)]))
        raise StorageError(
            f"{backbone.key} has no result for {task}{f' that can be used: {why}' if why else ''}.",
            "Finish it, or give --suite or fewer results.",
        )
    for problem in problems:
        warnings.warn(f"{problem}.", stacklevel=4)
    first = kept[0]
    correct = {run.seed: run.correct for run in kept}
    examples = len(arrays[first.seed])
    if other := [run.path for run in kept if len(arrays[run.seed]) != examples]:
        raise StorageError(f"{kept[0].path} and {other[0]} have another number of test examples.", "Run again.")
    return BaselineTask(first.title, examples, first.identity(), correct), arrays


def write_baseline(path: Path, baseline: Baseline) -> int:
    """Writes it, whole or not at all. Returns the size in bytes.

    Raises:
        StorageError: The file cannot be written.
    """
    from safetensors.numpy import save

    tensors = {f"{i}/{task}/{seed}": array for (i, task, seed), array in sorted(baseline.predictions.items())}
    parts = _About(baseline.protocol, baseline.suite, baseline.harness, baseline.backbones)
    about = msgspec.json.encode(parts).decode()
    data = save(tensors, {"format": FORMAT, "about": about, "sha256": _digest(about, tensors)})
    with storage_errors(path, "writing the baseline"):
        write_atomically(path, data)
    return len(data)


def _digest(about: str, tensors: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode() + array.tobytes())
    return digest.hexdigest()


def read_baseline(path: Path) -> Baseline:
    """Reads a baseline.

    What it declares is compared with what it holds before any predictions are read.

    Raises:
        StorageError: It is missing, half written, changed since it was written, or something else; names the file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise StorageError(f"There is no baseline {path}.", _FIRST)
    try:
        _check_header(path)
        with safe_open(path, framework="numpy") as file:
            meta = file.metadata() or {}
            about = _about(path, meta)
            names = file.keys()
            declared = about.arrays()
            if len(names) != len(declared) or set(names) != set(declared):
                raise ValueError("it does not hold the predictions that it declares")
            for name, examples in declared.items():
                part = file.get_slice(name)
                if part.get_shape() != [examples] or part.get_dtype() not in _DTYPES:
                    raise ValueError(f"its predictions {name} are not as it declares")
            tensors = {name: file.get_tensor(name) for name in declared}
    except (SafetensorError, OSError, ValueError) as error:
        raise StorageError(f"{path} is not a whole baseline: {error}.", _AGAIN) from error
    if meta.get("sha256") != _digest(meta["about"], tensors):
        raise StorageError(f"{path} was changed or damaged after it was written: its sha256 is another one.", _AGAIN)
    predictions: dict[tuple[int, str, int], Predictions] = {
        (i, task, seed): tensors[f"{i}/{task}/{seed}"]
        for i, backbone in enumerate(about.backbones)
        for task, entry in backbone.tasks.items()
        for seed in entry.correct
    }
    return Baseline(about.protocol, about.suite, about.backbones, predictions, about.harness)


def _check_header(path: Path) -> None:
    """Raises ValueError where the header is larger than that of any baseline; reading it would take minutes."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _LARGEST_HEADER:
        raise ValueError(f"its header has {size:,} bytes")


_ABOUT = msgspec.json.Decoder(_About)


def _about(path: Path, meta: Mapping[str, str]) -> _About:
    if meta.get("format") == "vtab-harness/baseline/1":
        what = "which does not say all that makes a number what it is"
        raise StorageError(f"{path} is a baseline of the version before, {what}.", _AGAIN)
    if (found := meta.get("format", "")) != FORMAT:
        # Of another version, or a file that never was one.
        hint = _AGAIN if found.startswith(FORMAT.rpartition("/")[0]) else _FIRST
        raise StorageError(f"{path} has the format {found or None!r}, not {FORMAT!r}.", hint)
    try:
        about = _ABOUT.decode(meta.get("about", ""))
        for backbone in about.backbones:
            for task, entry in backbone.tasks.items():
                _check_entry(about.protocol, task, entry)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise StorageError(f"{path} is not a baseline of this harness: {error}.", _AGAIN) from error
    return about


def _check_entry(protocol: str, task: str, entry: BaselineTask) -> None:
    identity = entry.identity
    if (identity.task.name, identity.protocol_name) != (task, protocol):
        raise ValueError(f"what it says of {task} is of {identity.task.name} under {identity.protocol_name}")
    if "test" not in identity.data.splits:
        raise ValueError(f"the identity of {task} says nothing of the test split")
    if max(entry.correct.values()) > entry.examples:
        raise ValueError(f"of {task} it says that more were right than there are")
    # Takes every part, so that no later question can fail.
    _ = identity.digest
