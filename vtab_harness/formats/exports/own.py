"""Reads what ``vtab data export`` wrote: keys and annotations come with it, and are compared with its description."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.formats.example_order import keys_fingerprint
from vtab_harness.formats.exports.copies import CopiedSplit, Copies, is_lossless
from vtab_harness.formats.exports.description import Description, columns_fingerprint, read_description
from vtab_harness.formats.exports.shards import Contents, contents, read_shards, wrong_copy
from vtab_harness.formats.exports.tables import Tables, numbered
from vtab_harness.formats.json_file import parse_json

KEY = "key"
NOTE = "json"
"""Suffix of the file of a sample with its key and annotations."""


def open_export(image_set: ImageSet, folder: Path) -> Copies:
    """Opens an export.

    Raises:
        DataError: A file is missing or damaged, or holds something else than the description says.
    """
    description = read_description(image_set, folder)
    for name, file in description.files.items():
        path = folder / name
        if not path.is_file():
            raise wrong_copy(folder, f"lacks {name}")
        if path.stat().st_size != file.bytes:
            raise wrong_copy(path, f"has {path.stat().st_size:,} bytes instead of {file.bytes:,}")
    read = _read_webdataset if description.layout == "webdataset" else _read_parquet
    checked = _Checked(folder, description)
    splits = []
    firsts: list[bytes] = []
    for name, split in description.splits.items():
        declared = tuple((part.split, part.start, part.stop) for part in image_set.splits.get(name, ()))
        if split.slices != declared:
            raise wrong_copy(folder, f"holds other examples than {image_set.name}/{name} is declared to have")
        keys, columns, given, at = read(folder, name, description)
        found = (len(keys), keys_fingerprint(keys), columns_fingerprint(columns))
        if found != (split.count, split.keys, split.annotations):
            raise wrong_copy(folder / name, "holds other keys or annotations than the description of the export says")
        examples = [(part, place) for part, start, stop in split.slices for place in range(start, stop)]
        if len(examples) != len(keys):
            raise wrong_copy(folder / name, f"holds {len(keys):,} examples where {len(examples):,} are declared")
        firsts += [content for _, content in given(at)]
        splits.append(CopiedSplit(folder / name, examples, keys, columns, checked.contents(given)))
    return Copies(image_set, _variant(description, firsts), [folder], splits)


def _variant(description: Description, firsts: Sequence[bytes]) -> str:
    if all(map(is_lossless, firsts)):
        return description.variant
    return f"reencoded-{hashlib.sha256(b''.join(firsts)).hexdigest()[:8]}"


class _Checked:
    """Compares all files with their checksums once, before the first image is read."""

    def __init__(self, folder: Path, description: Description) -> None:
        self._folder = folder
        self._waiting = dict(description.files)

    def contents(self, given: Contents) -> Contents:
        def read(wanted: Sequence[int]) -> Iterator[tuple[int, bytes]]:
            while self._waiting:
                name, expected = next(iter(self._waiting.items()))
                with (self._folder / name).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                if digest != expected.sha256:
                    raise wrong_copy(self._folder / name, f"has sha256 {digest} instead of {expected.sha256}")
                del self._waiting[name]
            yield from given(wanted)

        return read


_Read = tuple[list[str], Mapping[str, NDArray[Any]], Contents, list[int]]
"""Keys, columns, images, and the positions of the first image of each file."""


def _read_webdataset(folder: Path, split: str, description: Description) -> _Read:
    samples = read_shards(folder / split, (NOTE,))
    keys: list[str] = []
    rows: list[list[float]] = []
    for sample in samples:
        try:
            note = parse_json(sample.notes[NOTE], dict[str, str | int | float])
            keys.append(str(note[KEY]))
            rows.append([_number(note[name]) for name in description.columns])
        except (ValueError, KeyError) as error:
            raise wrong_copy(sample.shard, f"holds a sample with a wrong .{NOTE}: {error!r}") from error
    columns = {
        name: np.array([row[at] for row in rows]).astype(kind)
        for at, (name, kind) in enumerate(description.columns.items())
    }
    firsts = {sample.shard: at for at, sample in reversed(list(enumerate(samples)))}

    def given(wanted: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        return contents(samples, wanted)

    return keys, columns, given, sorted(firsts.values())


def _number(value: str | int | float) -> int | float:
    """Returns a number as it is.

    Raises:
        ValueError: It is a text.
    """
    if isinstance(value, str):
        raise ValueError(f"{value!r} is no number")
    return value


def _read_parquet(folder: Path, split: str, description: Description) -> _Read:
    files = [folder / name for name in description.files if name.startswith(f"data/{split}-")]
    if not files:
        raise wrong_copy(folder, f"lists no file of {split}")
    table = Tables(numbered(files, folder), "image")
    keys = [str(key) for key in table.texts(KEY)]
    columns = {name: table.numbers(name).astype(kind) for name, kind in description.columns.items()}
    return keys, columns, table.contents, table.firsts()
