"""Figures of a run: gathered on the device, read every few steps, written to JSONL and TensorBoard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from vtab_harness.api.errors import StorageError
from vtab_harness.formats.json_file import parse_json
from vtab_harness.sweep.store import storage_errors

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

METRICS = "metrics.jsonl"
"""Name of the log in the folder of a run."""


class Meter:
    """Means of figures over the steps since the last reading; adding never waits for the device.

    Args:
        device: Where figures are.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._first_bad = torch.full((), math.inf, device=device)

    def add(self, step: int, loss: Tensor, figures: Mapping[str, Tensor], whole: bool = True) -> None:
        """Adds the figures of one step, or of a part of it.

        Args:
            step: From 0; kept where the loss is not finite.
            loss: float32 ().
            figures: float32 () each, the same names at every step.
            whole: Whether this ends the step; parts of a step are summed.
        """
        for name, value in {"loss": loss, **figures}.items():
            value = value.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
        bad = torch.where(loss.detach().isfinite(), math.inf, float(step))
        self._first_bad = torch.minimum(self._first_bad, bad)
        self._steps += int(whole)

    def first_bad(self) -> int | None:
        """Returns the first step whose loss was not finite on any rank, or None. Waits for the device."""
        worst = self._first_bad.clone()
        if dist.is_initialized():
            dist.all_reduce(worst, op=dist.ReduceOp.MIN)
        value = float(worst)
        return None if math.isinf(value) else int(value)

    def read(self) -> dict[str, float]:
        """Returns the means over steps and ranks, and starts anew. Waits for the device, once."""
        if not self._steps:
            return {}
        values = torch.stack(list(self._sums.values())) / self._steps
        if dist.is_initialized():
            dist.all_reduce(values)
            values /= dist.get_world_size()
        names = list(self._sums)
        self._sums, self._steps = {}, 0
        return dict(zip(names, values.tolist(), strict=True))


class MetricLog:
    """Appends lines to ``metrics.jsonl``, and the same figures to TensorBoard where it is installed.

    Args:
        path: Of the JSONL file.
        tensorboard: Folder for TensorBoard.
        step: Steps done so far; later events of an interrupted run are dropped.
    """

    def __init__(self, path: Path, tensorboard: Path, step: int) -> None:
        self._path = path
        self._writer = _writer(tensorboard, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        try:
            with storage_errors(self._path.parent, "writing metrics"):
                self._writer.close()
        except StorageError:
            # Why the run ends is more than that its last figures are lost.
            if error is None:
                raise

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds a line.

        Args:
            step: Steps done so far.
            figures: Name -> value; values that are not finite become null, so that every line is JSON.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        line = {"step": step} | {name: value if math.isfinite(value) else None for name, value in figures.items()}
        with storage_errors(self._path.parent, "writing metrics"), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._writer is not None:
            # TensorBoard writes in a thread of its own; what went wrong there is said here, at a later step.
            with storage_errors(self._path.parent, "writing metrics"):
                for name, value in figures.items():
                    self._writer.add_scalar(name, value, step)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a ``metrics.jsonl``: the step, and figures by name, None where one was not finite.

    A half-written last line is left out, and so is whatever else is no such line.

    Raises:
        OSError: It cannot be read.
    """
    lines = []
    for text in path.read_bytes().splitlines():
        try:
            line: dict[str, float | None] = parse_json(text, dict[str, float | None])
        except ValueError:
            continue
        if line.get("step") is not None:
            lines.append(line)
    return lines


def _writer(folder: Path, step: int) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step)
