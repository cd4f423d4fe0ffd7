"""Finished videos of an index, one JSON line each, kept as they finish.

The first line says what the index is made with; a journal of other settings is refused. A line that was cut off by a
kill is overlooked, and its video done again. The journal stays beside the finished index, so that the same command can
add more videos.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, BinaryIO, Self

import msgspec

from vtab_harness.api.errors import OptionError, StorageError
from vtab_harness.formats.json_file import parse_json
from vtab_harness.sweep.store import storage_errors

JOURNAL = "journal.jsonl"


_Small = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_Large = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class _Header(msgspec.Struct):
    made_with: dict[str, Any]


class _Problem(msgspec.Struct):
    stage: str
    reason: str
    detail: str


class _Info(msgspec.Struct):
    width: _Small
    height: _Small
    rotation: _Small
    codec: str
    frame_rate: float


class _Entry(msgspec.Struct):
    """A line: what `vivi_pretrain.video.index.index_video` found, and for which key."""

    key: str
    problem: _Problem | msgspec.UnsetType = msgspec.UNSET
    info: _Info | None = None
    frames: _Large | None = None
    shots: list[tuple[_Large, _Large, float, float]] | None = None

    def __post_init__(self) -> None:
        found = {part is not None for part in (self.info, self.frames, self.shots)}
        # All three, or none where the problem says why.
        if len(found) > 1 or (found == {False} and self.problem is msgspec.UNSET):
            raise ValueError("a video with neither shots nor a problem")


class Journal:
    """Results by key, in a file that only grows.

    Args:
        folder: Of the index.
        made_with: What all results share; compared with what the file says.
        overwrite: Whether a journal made with something else is begun anew instead of refused.

    Raises:
        OptionError: The journal was made with something else.
        StorageError: The file cannot be read or written, or is no journal.
    """

    def __init__(self, folder: Path, made_with: Mapping[str, Any], overwrite: bool = False) -> None:
        self._path = folder / JOURNAL
        self._folder = folder
        self._offsets: dict[str, int] = {}
        header = (json.dumps({"made_with": made_with}, sort_keys=True) + "\n").encode()
        with storage_errors(folder, "keeping the journal"):
            if self._begun():
                differing = self._differing(made_with)
                if differing and not overwrite:
                    hint = "Choose another --out, give the old settings, or --overwrite to begin anew."
                    raise OptionError(f"The index in {folder} was begun with other settings: {differing}.", hint)
                if differing:
                    self._path.unlink()
            else:
                self._path.unlink(missing_ok=True)
            self._file: BinaryIO = self._path.open("a+b")
            if self._file.tell() == 0:
                self._file.write(header)
                self._file.flush()
            self._read_offsets()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with storage_errors(self._folder, "keeping the journal"):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._offsets

    def add(self, key: str, result: Mapping[str, Any]) -> None:
        """Keeps a result; it survives a kill of this process from here on."""
        with storage_errors(self._folder, "keeping the journal"):
            self._file.seek(0, os.SEEK_END)
            offset = self._file.tell()
            self._file.write((json.dumps({"key": key, **result}) + "\n").encode())
            self._file.flush()
        self._offsets[key] = offset

    def results(self, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yields the results of these keys, which must be there."""
        for key in keys:
            self._file.seek(self._offsets[key])
            result: dict[str, Any] = json.loads(self._file.readline())
            yield result

    def _begun(self) -> bool:
        """Whether there is a first line; one that was cut off counts as none."""
        if not self._path.exists():
            return False
        with self._path.open("rb") as file:
            return file.readline().endswith(b"\n")

    def _differing(self, made_with: Mapping[str, Any]) -> str:
        with self._path.open("rb") as file:
            try:
                found: _Header = parse_json(file.readline(), _Header)
                there, here = flat(found.made_with), flat(json.loads(json.dumps(made_with)))
            except ValueError as error:
                raise StorageError(f"{self._path} is no journal of ours.", "Choose another --out folder.") from error
        names = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
        return ", ".join(f"{name} was {there.get(name)} and is {here.get(name)}" for name in names)

    def _read_offsets(self) -> None:
        self._file.seek(0)
        offset = len(self._file.readline())
        for line in self._file:
            if line.endswith(b"\n"):
                with suppress(ValueError):  # a line torn by a kill or a full disk, ended since
                    entry: _Entry = parse_json(line, _Entry)
                    self._offsets[entry.key] = offset
            offset += len(line)
        if offset and not self._ends_line(offset):
            self._file.seek(0, os.SEEK_END)
            self._file.write(b"\n")
            self._file.flush()

    def _ends_line(self, size: int) -> bool:
        self._file.seek(size - 1)
        return self._file.read(1) == b"\n"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings as one level, with dotted names."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result
