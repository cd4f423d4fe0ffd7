"""A record made again from itself, and compared with what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from vtab_harness.api.errors import StorageError, VtabError
from vtab_harness.api.executors import Job
from vtab_harness.api.records import Record
from vtab_harness.sweep.job import JobRun
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import read_predictions, read_record


@dataclass(frozen=True, slots=True)
class Rerun:
    """A record and the one that was made again.

    Attributes:
        record: As it was.
        again: As it is now.
        examples: Test examples; 0 where both diverged.
        changed: Predictions that are another class now.
    """

    record: Record
    again: Record
    examples: int
    changed: int

    @property
    def equal(self) -> bool:
        """Whether status and every prediction are the same."""
        return self.record.status == self.again.status and not self.changed

    def environment_differences(self) -> list[str]:
        """Says what may explain a difference: device, threads, versions."""
        then, now = self.record.environment, self.again.environment
        names = [n for n in ("device", "device_name", "threads", "platform") if getattr(then, n) != getattr(now, n)]
        said = [f"{name.replace('_', ' ')} {getattr(now, name)}, not {getattr(then, name)}" for name in names]
        versions = dict.fromkeys([*then.versions, *now.versions])
        return said + [
            f"{name} {now.versions.get(name, 'absent')}, not {then.versions.get(name, 'absent')}"
            for name in versions
            if then.versions.get(name) != now.versions.get(name)
        ]


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(number, 1024)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rerun(path: Path, cache: Path | None = None, data: tuple[Path, ...] = (), device: str | None = None) -> Rerun:
    """Makes a record again with the settings that it says were used, features and search included.

    Prepared data are taken from the cache; nothing is written to the folder of the record. As many threads are used as
    then, because sums are split between them.

    Args:
        path: The record.
        cache: Folder with prepared data.
        data: Folders with data sets.
        device: Another device than the record's.

    Raises:
        StorageError: The record or its predictions cannot be used, or what would be computed now is something else: its
            identity differs, and the message says in what.
        VtabError: As of a sweep.
    """
    record = read_record(path)
    before = None if record.predictions is None else read_predictions(path, record)
    used, identity = record.used, record.identity
    with tempfile.TemporaryDirectory(prefix="vtab-rerun-") as folder:
        used_now = used if device is None else replace(used, device=device)
        settings = SweepSettings(
            **{f.name: getattr(used_now, f.name) for f in fields(used_now)},
            seeds=(identity.seed,),
            results=Path(folder) / "results",
            cache=cache,
            features=Path(folder) / "features",
            data=data,
            command=f"vtab rerun {path}",
        )
        run = JobRun(Job(record.backbone.spec, (identity.task.name,), settings))
        (work,) = run.question.all_work(run.prepare_data())
        if work.identity.digest != identity.digest:
            differs = "; ".join(identity.differences(work.identity))
            raise StorageError(
                f"{path} cannot be made again, because it would be another result now: {differs}.",
                "Bring back what it was made from: weights, code, data, or the version of the harness.",
            )
        with _threads(record.environment.threads):
            made = run.run()
        for failed in run.failed.values():
            raise VtabError(f"{path} could not be made again: {failed.error}")
        again = read_record(made[0])
        after = None if again.predictions is None else read_predictions(made[0], again)
    if before is None or after is None:
        return Rerun(record, again, 0, 0)
    if not np.array_equal(before["label"], after["label"]):
        raise VtabError(f"{path} has other labels than its data have now.", "Its predictions file is not its own.")
    changed = int((before["predicted"] != after["predicted"]).sum())
    return Rerun(record, again, len(after["label"]), changed)
