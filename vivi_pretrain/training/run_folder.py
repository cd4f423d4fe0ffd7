"""The folder of a run: its settings, its checkpoints and what may be resumed.

Layout::

    OUT/run.json                        preset, settings, data; written once, compared at every resume
    OUT/metrics.jsonl, tensorboard/     figures, a line every few steps
    OUT/checkpoints/step-00005000/      the encoder as timm's local-dir:, and state.pt to go on from
    OUT/config.json, model.safetensors  the finished encoder
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import msgspec
import torch
from filelock import FileLock, Timeout
from torch import nn

from vivi_pretrain.settings import RENAMED
from vivi_pretrain.training.state import is_optimiser_of, is_state_of
from vivi_pretrain.watching.metrics import METRICS
from vtab_harness.api.errors import CheckpointError, OptionError, StorageError
from vtab_harness.api.pretrainers import CHECKPOINTS, FINISHED
from vtab_harness.backbones.checkpoint_file import open_torch
from vtab_harness.formats.json_file import parse_json, read_json
from vtab_harness.sweep.store import storage_errors, write_atomically

RUN, STATE = "run.json", "state.pt"
_MAX_RUN = 1 << 20


class _Run(msgspec.Struct):
    """What `RUN` holds."""

    preset: str
    settings: dict[str, Any]
    data: dict[str, Any]


class _LogLine(msgspec.Struct):
    """What a line of `METRICS` holds at least."""

    step: int


class RunFolder:
    """A run on disk.

    Args:
        root: Made by `open`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.metrics = root / METRICS
        self._lock = FileLock(root / ".lock")

    def lock(self) -> AbstractContextManager[object]:
        """Keeps a second process off this run, until the with-statement that it is used in ends.

        Raises:
            StorageError: One is at work here, or the folder cannot be written.
        """
        with storage_errors(self.root, "writing the run"):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                return self._lock.acquire(timeout=0)
            except Timeout:
                raise StorageError(
                    f"Another process is training in {self.root}.", "Wait for it, or choose another --out."
                ) from None

    @property
    def finished(self) -> bool:
        """Whether the last step was done and the encoder written."""
        return (self.root / FINISHED).is_file()

    def open(self, run: Mapping[str, Any], may_change: frozenset[str]) -> None:
        """Writes down what the run is, or checks that it is the same run.

        A run that left no checkpoint is not worth keeping: another takes its place.

        Args:
            run: ``preset``, ``settings`` and ``data``.
            may_change: Settings that a resumed run may change.

        Raises:
            OptionError: The folder holds a run with other settings or data; names the differences.
            CheckpointError: The folder's run.json is damaged.
        """
        path = self.root / RUN
        wanted = json.loads(json.dumps(run))
        if not path.exists():
            self._write_run(wanted)
            return
        try:
            found: _Run = read_json(path, _MAX_RUN, _Run)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}", "Choose another --out.") from error
        before, now = _flat(msgspec.structs.asdict(found)), _flat(wanted)
        for old, new in RENAMED.items():
            if f"settings.{old}" in before:
                before[f"settings.{new}"] = before.pop(f"settings.{old}") == "repeat"
        changed = [
            f"{key}: {before.get(key)!r} there, {now.get(key)!r} now"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key) and key.removeprefix("settings.") not in may_change
        ]
        if changed and not self.finished and not any((self.root / CHECKPOINTS).glob("step-*")):
            self._write_run(wanted)
        elif changed:
            raise OptionError(
                f"{self.root} holds a run with other settings: {'; '.join(changed)}.",
                "Choose another --out, or give the settings that the run was begun with.",
            )

    def _write_run(self, run: Mapping[str, Any]) -> None:
        with storage_errors(self.root, "writing the run"):
            write_atomically(self.root / RUN, (json.dumps(run, indent=1) + "\n").encode())

    def checkpoint(self, step: int) -> Path:
        """Returns where the checkpoint after a number of steps lies."""
        return self.root / CHECKPOINTS / f"step-{step:08d}"

    def states(self) -> list[Path]:
        """Returns the checkpoints that can be resumed from, the newest first."""
        found = (self.root / CHECKPOINTS).glob("step-*")
        return sorted((folder for folder in found if (folder / STATE).is_file()), reverse=True)

    def retain(self, keep: int) -> None:
        """Removes the states of all but the newest checkpoints; their encoders stay."""
        for folder in self.states()[keep:]:
            (folder / STATE).unlink(missing_ok=True)
        # Left by processes that were killed while they wrote.
        for partial in (self.root / CHECKPOINTS).glob(".partial-*"):
            shutil.rmtree(partial, ignore_errors=True)

    def begin_checkpoint(self, step: int) -> Path:
        """Returns a folder to write a checkpoint into; `commit` brings it to its place."""
        partial = self.root / CHECKPOINTS / f".partial-{step:08d}"
        with storage_errors(self.root, "writing the checkpoint"):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        return partial

    def save_state(self, folder: Path, state: Mapping[str, Any]) -> None:
        """Writes everything that is needed to go on.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        with storage_errors(self.root, "writing the checkpoint"):
            try:
                with (folder / STATE).open("wb") as file:
                    torch.save(dict(state), file)
                    file.flush()
                    os.fsync(file.fileno())
            except RuntimeError as error:
                # torch wraps what the file system said.
                cause = error.__context__
                raise cause if isinstance(cause, OSError) else OSError(str(error).splitlines()[0]) from error

    def commit(self, partial: Path, step: int) -> Path:
        """Brings a finished checkpoint to its place by one rename."""
        place = self.checkpoint(step)
        with storage_errors(self.root, "writing the checkpoint"):
            if place.exists():
                shutil.rmtree(place)
            partial.rename(place)
        return place

    def abandon(self, partial: Path) -> None:
        """Removes an unfinished checkpoint, to give its room back."""
        with suppress(OSError):
            shutil.rmtree(partial)

    def load_state(self, folder: Path) -> dict[str, Any]:
        """Reads a state, tensors and plain values only.

        Raises:
            CheckpointError: It is damaged.
        """
        try:
            with open_torch(folder / STATE) as file:
                state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        # A damaged archive fails wherever the damage is: zip directory, pickle stream or storage.
        except Exception as error:
            raise self._damaged(folder, str(error).partition("\n")[0] or "it is empty or cut off") from error
        if not isinstance(state, dict) or not {"step", "model"} <= state.keys():
            raise self._damaged(folder, "it is not the state of a run")
        return state

    def resume(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
        """Loads the newest state, where there is one, and returns the number of steps done.

        Raises:
            CheckpointError: It is damaged, or of another network or optimiser.
        """
        states = self.states()
        if not states:
            return 0
        state = self.load_state(states[0])
        weights: Any
        moments: Any
        step, weights, moments = (state.get(key) for key in ("step", "model", "optimiser"))
        if not isinstance(step, int) or step < 0:
            raise self._damaged(states[0], "it does not say how many steps were done")
        if not is_state_of(weights, model.state_dict()) or not is_optimiser_of(moments, optimiser):
            raise self._damaged(states[0], "it is of another network or optimiser")
        model.load_state_dict(weights)
        optimiser.load_state_dict(moments)
        return step

    def _damaged(self, folder: Path, what: str) -> CheckpointError:
        remedy = f"Delete {folder}; the run then goes on from {self._before(folder)}."
        return CheckpointError(f"{folder / STATE} is damaged: {what}", remedy)

    def _before(self, folder: Path) -> str:
        earlier = [other.name for other in self.states() if other.name < folder.name]
        return f"the checkpoint before it, {earlier[0]}" if earlier else "its first step: no earlier one can be resumed"

    def cut_metrics(self, step: int) -> None:
        """Removes the figures of steps that will be done again."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_bytes().splitlines():
            # The last line may be half written.
            with suppress(ValueError):
                found: _LogLine = parse_json(line, _LogLine)
                if found.step <= step:
                    kept.append(line + b"\n")
        with storage_errors(self.root, "writing metrics"):
            write_atomically(self.metrics, b"".join(kept))


def _flat(run: Mapping[str, Any]) -> dict[str, Any]:
    """Names nested values by their path, for a comparison that can name what differs."""
    flat: dict[str, Any] = {}
    for key, value in run.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": v for inner, v in _flat(value).items()}
        else:
            flat[key] = value
    return flat
