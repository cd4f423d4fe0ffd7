"""Records on disk: atomic, resumable, mergeable.

Layout of a results folder::

    <results>/<backbone>/<task>/<protocol>/seed0.json                  the record
    <results>/<backbone>/<task>/<protocol>/seed0-<hash>.predictions    predicted and true classes, safetensors
    <results>/.unfinished/<backbone>/<task>/<protocol>/                trials and trained weights of an interrupted run

Folders of several machines are merged by copying them into one. A record is written last and by renaming, so that one
that exists is whole, and its predictions are there.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtab_harness.api.errors import StorageError
from vtab_harness.api.protocols import Trial, trial_key
from vtab_harness.api.records import Record, Scored

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class RecordKey:
    """Where a result belongs.

    Attributes:
        backbone: Folder name of the backbone, see `backbone_folder`.
        task: Registered name.
        protocol: Protocol identity, which says as well how many examples were learned from.
        seed: Of the final training.
    """

    backbone: str
    task: str
    protocol: str
    seed: int


def short_hash(value: Any) -> str:
    """Returns eight hex digits of the sha256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def backbone_folder(spec: str, identity: Mapping[str, Any]) -> str:
    """Returns a readable folder name that is unique to a backbone's identity.

    Only the part of the spec before the options is used, and of a path only its end, so that no path of a machine gets
    into the name.
    """
    prefix, _, name = spec.partition("?")[0].partition(":")
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{prefix}-{name.rstrip('/').rsplit('/', 1)[-1]}").strip("-.")
    return f"{readable[:80]}-{short_hash(dict(identity))}"


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

    def path(self, key: RecordKey) -> Path:
        """Returns where a record lies."""
        return self.root / key.backbone / key.task / key.protocol / f"seed{key.seed}.json"

    def read(self, key: RecordKey) -> Record | None:
        """Returns a finished record, or None where there is none.

        A file of that name that is not a record of ours is moved aside with a warning, never overwritten.
        """
        path = self.path(key)
        if not path.exists():
            return None
        try:
            record = read_record(path)
            if record.predictions is None or path.with_name(record.predictions["file"]).exists():
                return record
            reason = f"{record.predictions['file']} is missing beside it"
        except StorageError as error:
            reason = error.message
        aside = path.with_name(f"{path.name}.unreadable")
        number = 1
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.name}.unreadable{number}")
        with storage_errors(self.root, "moving a damaged record aside"):
            path.rename(aside)
        warnings.warn(f"{reason} It was moved to {aside.name}, and the result is computed again.", stacklevel=2)
        return None

    def write(self, key: RecordKey, record: Record, scored: Scored | None) -> Path:
        """Writes predictions, then the record.

        Args:
            key: Where it belongs.
            record: Without `predictions`, which is filled in here.
            scored: Predicted and true classes; None where diverged.

        Raises:
            StorageError: The folder cannot be written or the disk is full.
        """
        from safetensors.numpy import save

        path = self.path(key)
        value = record.as_json()
        with storage_errors(self.root, "writing results"):
            if scored is not None:
                data = save({"predicted": scored.predicted, "label": scored.labels})
                digest = hashlib.sha256(data).hexdigest()
                # Named by content: an older record keeps its own predictions until the new one has taken its place.
                beside = path.with_name(f"{path.stem}-{digest[:8]}.predictions")
                write_atomically(beside, data)
                value["predictions"] = {"file": beside.name, "sha256": digest}
            write_atomically(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())
            for older in path.parent.glob(f"{path.stem}-*.predictions"):
                if value["predictions"] is None or older.name != value["predictions"]["file"]:
                    older.unlink()
        return path

    def unfinished(self, key: RecordKey) -> Unfinished:
        """Returns what an interrupted run kept for a task."""
        return Unfinished(self.root, self.root / UNFINISHED / key.backbone / key.task / key.protocol)

    def __iter__(self) -> Iterator[tuple[Path, Record]]:
        """Yields every record in the folder, in a fixed order; other JSON files give a warning and are left alone."""
        for path in sorted(self.root.rglob("*.json")):
            if UNFINISHED in path.relative_to(self.root).parts:
                continue
            try:
                yield path, read_record(path)
            except StorageError as error:
                warnings.warn(f"{error.message} It is left out.", stacklevel=2)


def read_record(path: Path) -> Record:
    """Reads one record.

    Raises:
        StorageError: It is missing, half written, or something else; names the file.
    """
    try:
        return Record.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not a record of this harness: {error}.", "Give a seed*.json file.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", "Give a seed*.json file.") from error


def read_predictions(path: Path, record: Record) -> dict[str, NDArray[np.int32]]:
    """Returns ``predicted`` and ``label``, int32 (n,), of the record at `path`.

    Raises:
        StorageError: The file is missing or not the one the record was written with.
    """
    from safetensors.numpy import load

    if record.predictions is None:
        raise StorageError(f"{path} has no predictions: its training diverged.")
    beside = path.with_name(Path(record.predictions["file"]).name)
    with storage_errors(beside, "reading predictions"):
        data = beside.read_bytes()
    if hashlib.sha256(data).hexdigest() != record.predictions["sha256"]:
        raise StorageError(
            f"{beside} is not the file that {path.name} was written with.", "Run again with --overwrite."
        )
    return load(data)


class Unfinished:
    """Trials and trained weights of a task whose record is not written yet.

    Args:
        root: The results folder.
        folder: The task's own folder below it.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder

    def trials(self) -> dict[str, Trial]:
        """Returns the finished trials by canonical settings; the torn last line of a killed run is ignored."""
        path = self._folder / "trials.jsonl"
        trials: dict[str, Trial] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    trial = Trial.from_json(json.loads(line))
                except (ValueError, TypeError, KeyError):
                    continue
                trials[trial_key(trial.settings)] = trial
        return trials

    def keep(self, trial: Trial) -> None:
        """Appends a finished trial."""
        with storage_errors(self._root, "keeping a trial"):
            self._folder.mkdir(parents=True, exist_ok=True)
            # A leading newline ends the torn line that a killed run may have left.
            with (self._folder / "trials.jsonl").open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(asdict(trial)) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def _weights(self, seed: int, choice: Trial) -> Path:
        # The choice is part of the name, so that weights of another choice are never taken for these.
        return self._folder / f"seed{seed}-{short_hash(dict(choice.settings))}.safetensors"

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

    def clear(self) -> None:
        """Removes everything, once all wanted seeds have records."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for parent in self._folder.parents:
            if parent == self._root:
                break
            try:
                parent.rmdir()
            except OSError:
                break
