"""Progress of a training: a bar with losses and time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

# Seconds between lines in a log file, where there is no bar.
TELL_EVERY = 30


class TrainingProgress:
    """Shows how far a run is.

    Args:
        name: Of the run.
        done: Steps done before.
        total: Steps of the run.
    """

    def __init__(self, name: str, done: int, total: int) -> None:
        self._console = Console(stderr=True)
        self._live = sys.stderr.isatty()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            # Takes the room that is left; where that is little, figures are cut, not steps and time.
            TextColumn("{task.fields[figures]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._live, expand=True)
        self._task = self._progress.add_task(name, total=total, completed=done, figures="")
        self._name, self._total, self._first = name, total, done
        self._began = self._told = time.perf_counter()

    def __enter__(self) -> Self:
        self._progress.start()
        if self._first:
            self._console.print(f"{self._name}: going on after step {self._first}", highlight=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, done: int, figures: Mapping[str, float]) -> None:
        """Takes note of finished steps.

        Args:
            done: Steps done.
            figures: As they are logged.
        """
        short = [f"{name.removesuffix('_loss')} {value:.3f}" for name, value in figures.items() if "loss" in name]
        short += [f"{figures['images_per_second']:,.0f} images/s", f"waiting {100 * figures['waiting_share']:.0f} %"]
        text = ", ".join(short)
        self._progress.update(self._task, completed=done, figures=text)
        now = time.perf_counter()
        if not self._live and (now - self._told > TELL_EVERY or done == self._total):
            self._told = now
            left = (now - self._began) / (done - self._first) * (self._total - done)
            line = f"{self._name}: step {done} of {self._total}, {left:.0f} s left: {text}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
