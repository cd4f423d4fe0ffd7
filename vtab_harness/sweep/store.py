"""Records on disk: atomic, resumable, mergeable.

Layout of a results folder, all of it from `vtab_harness.api.identity.Identity`::

    <results>/<backbone>/<task>/<protocol>/seed0-<identity>.json                  the record
    <results>/<backbone>/<task>/<protocol>/seed0-<identity>-<hash>.predictions    safetensors: predicted, label
    <results>/<backbone>/<task>/<protocol>/search-<search>.log                    what was printed on the way to them
    <results>/.unfinished/<backbone>/<task>/<protocol>/<search>/                  trials and trained weights of a run
                                                                                  that was interrupted
    <results>/.leases/<backbone>/<task>/<protocol>/<search>/<part>/               who works on what now

Folders of several machines are merged by copying them into one. A record is written last and by renaming, so that one
that exists is whole, and its predictions are there. Reading changes nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vtab_harness.api.errors import StorageError
from vtab_harness.api.executors import Passed
from vtab_harness.api.identity import Identity
from vtab_harness.api.protocols import Trial, trial_key
from vtab_harness.api.records import Predictions, Record, RecordHead, Scored, parse_head
from vtab_harness.formats.json_file import read_bounded
from vtab_harness.leases import Holder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

UNFINISHED = ".unfinished"
_LARGEST_RECORD = 1 << 28
"""Bytes; a record of 10,000 trials with curves has a tenth of it."""
_LARGEST_PREDICTIONS = 1 << 31


@contextmanager
def storage_errors(folder: Path, doing: str) -> Iterator[None]:
    """Turns what the file system says into a message that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "Free some space and give the same command again: what is finished is kept."
            raise StorageError(f"The disk is full while {doing} in {folder}.", hint) from error
        hint = "Choose another folder, or mend its permissions."
        raise StorageError(f"Cannot go on {doing} in {folder}: {error.strerror or error}.", hint) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that it is there whole or not at all, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Store:
    """A results folder.

    Args:
        root: Made on first use.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self) -> None:
        """Finds out before hours are spent whether results can be written.

        Raises:
            StorageError: They cannot.
        """
        with storage_errors(self.root, "writing results"):
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"x")

    def path(self, identity: Identity) -> Path:
        """Returns where a record lies."""
        *folders, stem = identity.place
        return self.root.joinpath(*folders, f"{stem}.json")

    def read(self, identity: Identity) -> Record | None:
        """Returns the finished record that answers for an identity, or None where there is none.

        A file in its place that is damaged, or lacks its predictions, does not answer; it is left as it is, with a
        warning, until the new record is written.
        """
        path = self.path(identity)
        for attempt in (1, 2):
            if not path.exists():
                return None
            try:
                record = read_record(path)
            except StorageError as error:
                warnings.warn(f"{error.message} The result is computed again.", stacklevel=2)
                return None
            if record.predictions is None or predictions_file(path, record.predictions).exists():
                break
            # Asked twice, as another process may have put its record, with other predictions, in the place of this one.
            if attempt == 2:
                missing = record.predictions.file
                warnings.warn(f"{missing} is missing beside {path}. The result is computed again.", stacklevel=2)
                return None
        if record.identity.digest != identity.digest:
            warnings.warn(f"{path} is a record of something else. The result is computed again.", stacklevel=2)
            return None
        return record

    def passed_over(self, identity: Identity, spec: str) -> list[Passed]:
        """Returns the records that one might take for the answer and that are none, each with the difference.

        They are of the same task, protocol and seed, and of the same backbone or asked for by the same spec.

        Args:
            identity: What is asked.
            spec: By which the backbone is asked for.
        """
        row, task, protocol, stem = identity.place
        found = []
        pattern = f"{identity.backbone.readable}-*/{task}/{identity.protocol.name}-v*/seed{identity.seed}-*.json"
        for path in sorted(self.root.glob(pattern)):
            if path.parts[-4:] == (row, task, protocol, f"{stem}.json"):
                continue
            try:
                head = read_head(path)
            except StorageError:
                continue
            if head.identity.labels.drawn != identity.labels.drawn:
                # Another draw is wanted beside this one, not in its place.
                continue
            if path.parts[-4] == row or head.backbone.spec == spec:
                found.append(Passed(path, tuple(identity.differences(head.identity))))
        # Of the layout before, whose folders were named after the spec.
        old = f"{_old_folder(spec)}-????????/{task}/{protocol}/seed{identity.seed}.json"
        why = "of the layout before this version, which does not say all that makes a number what it is"
        found += [Passed(path, (why,)) for path in sorted(self.root.glob(old))]
        return found

    def write(self, record: Record, scored: Scored | None) -> Path:
        """Writes predictions, then the record, in the place that its identity gives.

        What stood in its place and was no such record is moved aside; nothing is lost.

        Args:
            record: Without `predictions`, which is filled in here.
            scored: Predicted and true classes; None where diverged.

        Raises:
            StorageError: The folder cannot be written or the disk is full.
        """
        from safetensors.numpy import save

        path = self.path(record.identity)
        with storage_errors(self.root, "writing results"):
            # Half written by a process that was killed.
            for left in path.parent.glob(f".{path.stem}*"):
                left.unlink(missing_ok=True)
            # Not what another process writes meanwhile, whose record may be the one that stays.
            older = list(path.parent.glob(f"{path.stem}-*.predictions"))
            beside = None
            if scored is not None:
                data = save({"predicted": scored.predicted, "label": scored.labels})
                digest = hashlib.sha256(data).hexdigest()
                # Named by content: an older record keeps its own predictions until the new one has taken its place.
                predictions = Predictions(f"{path.stem}-{digest[:8]}.predictions", digest)
                beside = path.with_name(predictions.file)
                write_atomically(beside, data)
                record = msgspec.structs.replace(record, predictions=predictions)
            text = json.dumps(record.as_json(), indent=1, sort_keys=True, allow_nan=False) + "\n"
            _move_aside_unless_record(path)
            write_atomically(path, text.encode())
            if beside is not None and not beside.exists():
                # Taken for older ones by another process, which wrote its record before this one.
                write_atomically(beside, data)
            there = read_head(path).predictions if older else None
            for predictions_file in older:
                if there is None or predictions_file.name != there.file:
                    predictions_file.unlink(missing_ok=True)
        return path

    def log(self, identity: Identity) -> Path:
        """Returns where the log of a cell lies: of all seeds of a task, for one backbone and one search."""
        return self.path(identity).with_name(f"search-{identity.search[:12]}.log")

    def unfinished(self, identity: Identity) -> Unfinished:
        """Returns what an interrupted run kept of a search and of the trainings after it."""
        row, task, protocol, _ = identity.place
        return Unfinished(self.root, self.root / UNFINISHED / row / task / protocol / identity.search[:12])

    def __iter__(self) -> Iterator[tuple[Path, Record]]:
        """Yields every record in the folder, in a fixed order; other JSON files give a warning and are left alone."""
        for path in sorted(self.root.rglob("*.json")):
            if any(part.startswith(".") for part in path.relative_to(self.root).parts):
                continue
            try:
                yield path, read_record(path)
            except StorageError as error:
                warnings.warn(f"{error.message} It is left out.", stacklevel=2)


def _old_folder(spec: str) -> str:
    prefix, _, name = spec.partition("?")[0].partition(":")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{prefix}-{name.rstrip('/').rsplit('/', 1)[-1]}").strip("-.")[:80]


def _move_aside_unless_record(path: Path) -> None:
    if not path.exists():
        return
    try:
        read_head(path)
    except StorageError as error:
        if isinstance(error.__cause__, OSError):
            # It may be a good one that this person must not read.
            raise error.__cause__ from error
        aside, number = path.with_name(f"{path.name}.unreadable"), 1
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.name}.unreadable{number}")
        path.rename(aside)


def read_record(path: Path) -> Record:
    """Reads one record.

    Raises:
        StorageError: It is missing, half written, of another version, or something else; names the file.
    """
    with _no_record(path):
        return Record.parse(read_bounded(path, _LARGEST_RECORD))


def read_head(path: Path) -> RecordHead:
    """Reads one record without its search.

    Raises:
        StorageError: As of `read_record`.
    """
    with _no_record(path):
        return parse_head(read_bounded(path, _LARGEST_RECORD))


@contextmanager
def _no_record(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise StorageError(f"{path} is not a record that can be used: {error}.", "Give a seed*.json file.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.", "Give a seed*.json file.") from error


def predictions_file(path: Path, predictions: Predictions) -> Path:
    """Returns the file of predictions; only the name counts, so that a record cannot point out of its folder."""
    return path.with_name(Path(predictions.file).name or "no-name")


def read_predictions(path: Path, record: RecordHead) -> dict[str, NDArray[np.int32]]:
    """Returns ``predicted`` and ``label``, int32 (n,), of the record at `path`.

    Raises:
        StorageError: The file is missing, not the one the record was written with, or does not give its score.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if record.predictions is None or record.score is None:
        raise StorageError(f"{path} has no predictions: its training diverged.")
    beside = predictions_file(path, record.predictions)
    try:
        data = read_bounded(beside, _LARGEST_PREDICTIONS)
        if hashlib.sha256(data).hexdigest() != record.predictions.sha256:
            raise ValueError(f"it is not the file that {path.name} was written with")
        found = load(data)
        if set(found) != {"predicted", "label"} or any(
            array.dtype != "int32" or array.shape != (record.score.examples,) for array in found.values()
        ):
            raise ValueError("it is not in the form that the harness writes")
        if any(array.min() < 0 or array.max() >= record.task.num_classes for array in found.values()):
            raise ValueError(f"it holds classes that are not in 0..{record.task.num_classes - 1}")
        if int((found["predicted"] == found["label"]).sum()) != record.score.correct:
            raise ValueError(f"it does not give the score that {path.name} states")
    except OSError as error:
        raise StorageError(f"The predictions {beside} cannot be read: {error.strerror or error}.", _AGAIN) from error
    except (ValueError, SafetensorError) as error:
        raise StorageError(f"The predictions {beside} cannot be used: {error}.", _AGAIN) from error
    return found


_AGAIN = "Run that task again with --overwrite."


_TRIAL = msgspec.json.Decoder(Trial)
_TRIES = msgspec.json.Decoder(tuple[int, str])


class Unfinished:
    """Trials and trained weights of a task whose record is not written yet.

    Args:
        root: The results folder.
        folder: The task's own folder below it; trainings keep their states there as well.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self.folder = folder

    def is_there(self) -> bool:
        """Whether anything is kept."""
        return self.folder.exists()

    def trials(self) -> dict[str, Trial]:
        """Returns the finished trials by canonical settings; the torn last line of a killed run is ignored."""
        trials: dict[str, Trial] = {}
        for path in sorted(self.folder.glob("trials*.jsonl")):
            for line in path.read_bytes().splitlines():
                try:
                    trial = _TRIAL.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
                trials[trial_key(trial.settings)] = trial
        return trials

    def keep(self, trial: Trial, writer: str) -> None:
        """Appends a finished trial.

        Args:
            trial: To be kept.
            writer: Names a file that nobody else appends to: over NFS two who append overwrite each other.
        """
        with storage_errors(self._root, "keeping a trial"):
            self.folder.mkdir(parents=True, exist_ok=True)
            # A leading newline ends the torn line that a killed run may have left.
            with (self.folder / f"trials-{writer}.jsonl").open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(msgspec.to_builtins(trial)) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def _weights(self, seed: int, choice: Trial) -> Path:
        # The choice is part of the name, so that weights of another choice are never taken for these.
        chosen = hashlib.sha256(trial_key(choice.settings).encode()).hexdigest()[:8]
        return self.folder / f"seed{seed}-{chosen}.safetensors"

    def fitted(self, seed: int, choice: Trial) -> dict[str, Tensor] | None:
        """Returns the weights that were trained for a seed with this choice, or None."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self._weights(seed, choice))
        except (OSError, SafetensorError):
            return None

    def keep_fitted(self, seed: int, choice: Trial, state: dict[str, Tensor]) -> None:
        """Keeps trained weights until the record of that seed is written."""
        from safetensors.torch import save

        with storage_errors(self._root, "keeping trained weights"):
            write_atomically(self._weights(seed, choice), save(state))

    def tries(self, part: str) -> tuple[int, str]:
        """Returns how many processes ended while they worked on a part of the task, and what the last one was."""
        try:
            found = _TRIES.decode((self.folder / f"tries-{part}.json").read_bytes())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return 0, ""
        return found

    def count_try(self, part: str, holder: Holder) -> None:
        """Adds a process that ended while it worked on a part."""
        count, _ = self.tries(part)
        last = f"process {holder.pid} on {holder.host}, in {holder.phase!r}"
        with storage_errors(self._root, "counting a try"):
            write_atomically(self.folder / f"tries-{part}.json", msgspec.json.encode((count + 1, last)))

    def forget_tries(self, part: str) -> None:
        """Begins to count anew, because the part has made progress."""
        (self.folder / f"tries-{part}.json").unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes everything, once all wanted seeds have records. The cell's lease must be held."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for parent in self.folder.parents:
            if parent == self._root:
                break
            try:
                parent.rmdir()
            except OSError:
                break
