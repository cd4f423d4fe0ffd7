"""The checkpoints of a pretraining run, as they appear."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vtab_harness.api.errors import DataError
from vtab_harness.api.pretrainers import CHECKPOINTS, FINISHED

POLL_SECONDS = 5.0


def checkpoints(run: Path) -> list[Path]:
    """Returns the checkpoints of a run that are there, the oldest first.

    Raises:
        DataError: The folder does not exist.
    """
    if not run.is_dir():
        raise DataError(f"The folder {run} does not exist.", "Name the --out folder of vtab pretrain.")
    found = (run / CHECKPOINTS).glob("step-*")
    return sorted(folder for folder in found if (folder / FINISHED).is_file())


def new_checkpoints(run: Path, poll: float = POLL_SECONDS, until: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Yields each checkpoint of a run once, and ends when the run is finished.

    Args:
        run: Folder of the run; waited for if it is not there yet.
        poll: Seconds between looks.
        until: Asked at every look; true ends the watch although the run is not finished.
    """
    seen: set[Path] = set()
    while True:
        # Asked first: a checkpoint written before the end is then surely seen.
        finished = (run / FINISHED).is_file()
        fresh = [folder for folder in (checkpoints(run) if run.is_dir() else []) if folder not in seen]
        for folder in fresh:
            seen.add(folder)
            yield folder
        if (finished and not fresh) or until():
            return
        if not fresh:
            time.sleep(poll)
