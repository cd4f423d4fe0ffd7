"""How long a job will take: predicted from the seconds that records say they took.

Work is counted in multiply-adds: those of one image, times the images that pass through the network, a training step
as three forward passes. Records give seconds for a known amount of work, so that a job takes the seconds of the nearest
known jobs times the ratio of the work. Nearest is, in this order:

1. the same backbone on the same image set, as another seed or with fewer labels left to do,
2. the same backbone on other image sets,
3. another backbone on the same image set,
4. any other job,

always of the same protocol and on the same type of device; among several, the median of the `_NEAREST` with the most
similar work. Where no record says anything, `forward_rate` measures a forward pass.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from vtab_harness.api.errors import StorageError
from vtab_harness.api.protocols import EvaluationProtocol
from vtab_harness.api.records import RecordHead
from vtab_harness.sweep.store import read_head

if TYPE_CHECKING:
    from vtab_harness.engine.workbench import Workbench

TRAINING_COST = 3.0
"""Forward and backward pass together cost about three forward passes."""
_MOST_RECORDS = 400
"""That are read for a plan: 40 ms. Those of the plan's own backbones come first."""
_OTHER_ROWS = 20
_NEAREST = 5
_UNKNOWN_MACS = 1 << 30


@dataclass(frozen=True, slots=True)
class Learned:
    """What is learned from for one task: names of the two splits, their sizes, and the seeds that are to be done."""

    splits: tuple[str, ...]
    train: int
    validation: int
    seeds: int


def count_images(protocol: EvaluationProtocol, learned: Sequence[Learned], test: int) -> tuple[int, int]:
    """Returns how many images pass forward, and how many are trained on, for tasks that share an image set.

    Args:
        protocol: The protocol.
        learned: For each task.
        test: Size of the test split.
    """
    training = sum(protocol.training_images(of.train, of.train + of.validation, of.seeds) for of in learned)
    if protocol.consumes == "images":
        validation = sum(of.validation for of in learned) * len(protocol.grid())
        return test * sum(of.seeds for of in learned) + validation, training
    # Each split is gone through once, whichever of the tasks share it.
    sizes = {of.splits: of.train + of.validation for of in learned}
    return sum(sizes.values()) + (test if learned else 0), training


def work_of(macs: int | None, forward: int, training: int) -> float:
    """Returns multiply-adds of a job.

    Args:
        macs: Of one image; where that is unknown, about those of a small network.
        forward: Images that pass forward.
        training: Images that are trained on.
    """
    return (macs or _UNKNOWN_MACS) * (forward + TRAINING_COST * training)


@dataclass(frozen=True, slots=True)
class Timing:
    """A finished job.

    Attributes:
        weights: Fingerprint of the backbone.
        image_set: Name.
        work: Multiply-adds.
        seconds: That it took.
    """

    weights: str
    image_set: str
    work: float
    seconds: float


class Costs:
    """Predicts seconds.

    Args:
        timings: Finished jobs of one protocol on one type of device.
    """

    def __init__(self, timings: Iterable[Timing]) -> None:
        self._timings = [timing for timing in timings if timing.work > 0 and timing.seconds > 0]

    def seconds(self, weights: str, image_set: str, work: float) -> float | None:
        """Returns the seconds that a job will take; None where nothing is known of the like.

        Args:
            weights: Fingerprint of its backbone.
            image_set: Name of its image set.
            work: Multiply-adds.
        """
        if work == 0:
            return 0.0
        mine = [timing for timing in self._timings if timing.weights == weights]
        here = [timing for timing in self._timings if timing.image_set == image_set]
        like = [timing for timing in mine if timing.image_set == image_set] or mine or here or self._timings
        nearest = sorted(like, key=lambda timing: abs(math.log(timing.work / work)))[:_NEAREST]
        return work * statistics.median(timing.seconds / timing.work for timing in nearest) if nearest else None


def read_costs(
    results: Path, protocol: EvaluationProtocol, folder: str, device: str, readable: Iterable[str] = ()
) -> Costs:
    """Learns from the records of a results folder, from at most `_MOST_RECORDS` of them.

    Args:
        results: The results folder.
        protocol: Whose records are asked.
        folder: Name of the protocol's folders, see `vtab_harness.api.identity.Identity.protocol_name`.
        device: Type of the device.
        readable: How folders of backbones begin that come first.
    """
    timings: list[Timing] = []
    read = 0
    for row in _rows(results, tuple(readable)):
        if read >= _MOST_RECORDS:
            break
        by_images: dict[str, list[tuple[RecordHead, int]]] = {}
        for place in sorted(row.glob(f"*/{folder}")):
            head, seeds = _one_of(place)
            read += 1
            if head is not None and _tells(head, protocol, device):
                by_images.setdefault(head.identity.data.image_set, []).append((head, seeds))
        timings += (_timing(protocol, heads) for heads in by_images.values())
    return Costs(timings)


def _rows(results: Path, readable: tuple[str, ...]) -> Iterator[Path]:
    try:
        rows = sorted(path for path in results.iterdir() if path.name[0] != "." and path.is_dir())
    except OSError:
        return
    own = [path for path in rows if path.name.startswith(readable)]
    others = [path for path in rows if not path.name.startswith(readable)]
    # Evenly from all of them, where there are too many.
    yield from chain(own, others[:: max(1, len(others) // _OTHER_ROWS)])


def _one_of(place: Path) -> tuple[RecordHead | None, int]:
    """Returns one record of a task, and how many seeds there are."""
    paths = sorted(place.glob("seed*.json"))
    try:
        return (read_head(paths[0]), len({path.name.partition("-")[0] for path in paths})) if paths else (None, 0)
    except StorageError:
        return None, 0


def _tells(head: RecordHead, protocol: EvaluationProtocol, device: str) -> bool:
    """Says whether a record's seconds are those of all its work: kept features take none."""
    computed = protocol.consumes == "images" or head.run.images_per_second is not None
    return computed and head.score is not None and head.environment.device == device


def _timing(protocol: EvaluationProtocol, heads: Sequence[tuple[RecordHead, int]]) -> Timing:
    first = heads[0][0]
    identity, learned = first.identity, []
    for head, seeds in heads:
        splits = tuple(sorted(name for name in head.identity.data.splits if name != "test"))
        learned.append(Learned(splits, head.learned_from.train, head.learned_from.validation, seeds))
    test = 0 if first.score is None else first.score.examples
    work = work_of(first.backbone.macs, *count_images(protocol, learned, test))
    # Inputs and test images are shared by the tasks of an image set; each record says how long they took.
    shared = sum(max(head.run.seconds.get(phase, 0.0) for head, _ in heads) for phase in ("inputs", "test"))
    own = sum(head.run.seconds.get(phase, 0.0) for head, _ in heads for phase in ("search", "fit"))
    return Timing(identity.backbone.weights, identity.data.image_set, work, shared + own)


def forward_rate(bench: Workbench) -> float:
    """Returns measured images a second of the forward pass, after one batch of warming up."""
    import torch

    height, width = bench.backbone.transform.input_size
    inputs = torch.zeros(bench.batch_size, 3, height, width, device=bench.device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    bench.features(inputs)
    start = time.perf_counter()
    # Reading one number waits for the device, so that the clock sees all of the work.
    float(bench.features(inputs)[0, 0])
    return bench.batch_size / (time.perf_counter() - start)
