"""How far a sweep is, in one bar: on a terminal, and in a notebook."""

from __future__ import annotations

import sys
import time
import warnings
from types import TracebackType
from typing import Any, Self

from vtab_harness.api.executors import JobOutcome
from vtab_harness.sweep.plan import PlannedJob

_EVERY = 0.2
"""Seconds between two drawings within a job."""


class Bar:
    """Shows a bar over the jobs of a sweep, with what the present one does.

    Args:
        shown: None shows it on a terminal and in a notebook only, not in a log.
    """

    def __init__(self, shown: bool | None = None) -> None:
        self._shown = shown
        self._bar: Any = None
        self._drawn = 0.0
        self._there: set[tuple[str, tuple[str, ...]]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, planned: list[PlannedJob]) -> None:
        """Takes note of the plan; there is no bar where nothing is left to do."""
        self._there = {(item.job.backbone, item.job.tasks) for item in planned if not item.missing}
        todo = sum(bool(item.missing) for item in planned)
        if not todo:
            return
        with warnings.catch_warnings():
            # Without ipywidgets a notebook gets the bar in letters, which is no reason for a warning.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
        hidden = (False if _in_notebook() else None) if self._shown is None else not self._shown
        self._bar = tqdm(total=todo, unit="job", disable=hidden, dynamic_ncols=True)

    def phase(self, name: str, done: int, total: int) -> None:
        """Takes note of progress inside a job."""
        if self._bar is not None:
            now = time.monotonic()
            self._bar.set_postfix_str(f"{name} {done}/{total}" if total else name, refresh=now - self._drawn > _EVERY)
            self._drawn = now if now - self._drawn > _EVERY else self._drawn

    def outcome(self, outcome: JobOutcome) -> None:
        """Takes note of a finished job; one that another process works on will come back."""
        known = (outcome.job.backbone, outcome.job.tasks) in self._there
        if self._bar is not None and not known and not outcome.busy:
            self._bar.update(1)


def _in_notebook() -> bool:
    # That IPython or its kernel is imported does not say that this process is one.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
