"""Reads DMLab's frames from the TFRecord files that it is published as. Only the records know the keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.formats.archives import Members
from vtab_harness.formats.decode import decode, decode_ahead
from vtab_harness.formats.image_list import Listing, labels
from vtab_harness.formats.locate import locate
from vtab_harness.formats.progress import named, report
from vtab_harness.formats.tfrecord import parse_example, records

_ARCHIVE = "dmlab.tar.gz"
_NAME = re.compile(r"dmlab-(train|validation|test)\.tfrecord(-(\d+)-of-(\d+))?")
_CLASSES = 6
_REPORTED = 64
"""Records after which progress is reported."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``dmlab.tar.gz``, or a folder ``dmlab`` with the files that it holds; a `SourceFactory`.

    Raises:
        DataError: It is in none of the roots.
    """
    return Dmlab(Members(image_set, locate(image_set, roots, (_ARCHIVE, f"dmlab/{_ARCHIVE}", "dmlab/dmlab", "dmlab"))))


class Dmlab:
    """The frames of the record files; a `Source`.

    Asking for keys or annotations reads everything once, for about a minute; getting images does so again.

    Attributes:
        variant: Always the exact data: the keys decide.
        files: The archive or folder.
    """

    variant = "vtab-1k"

    def __init__(self, members: Members) -> None:
        self._members = members
        self.files = (members.path,)
        self._listings: dict[str, Listing] | None = None

    def keys(self, split: str) -> Sequence[str]:
        """Returns the frames' file names, in stored order."""
        return self._listed()[split].keys

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns ``label``: shape (n,), int64, 0..5."""
        return self._listed()[split].annotations

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted frames in one pass; see `Source.images`.

        Raises:
            DataError: A file is damaged, incomplete or another one.
        """
        for (split, at), image in decode_ahead(self._jobs(wanted), self._members.wrong):
            yield split, at, image

    def _jobs(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[tuple[str, int], Callable[[], NDArray[np.uint8]]]]:
        targets = {(split, self.keys(split)[at]): at for split, positions in wanted.items() for at in positions}
        for split, key, _, data in self._frames(again=True):
            at = targets.pop((split, key), None)
            if at is not None:
                yield (split, at), partial(decode, data, f"{self._members.path}: {split}: {key}")
        if targets:
            raise self._members.wrong(f"has changed: {len(targets)} frames are no longer there")

    def _listed(self) -> dict[str, Listing]:
        if self._listings is None:
            keys: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
            values: dict[str, list[int]] = {split: [] for split in keys}
            for split, key, label, _ in self._frames():
                keys[split].append(key)
                values[split].append(label)
            self._listings = {split: Listing(keys[split], labels(values[split])) for split in keys}
        return self._listings

    def _frames(self, again: bool = False) -> Iterator[tuple[str, str, int, bytes]]:
        """Yields split, key, class and image file of every record.

        Args:
            again: The second pass.
        """
        seen: dict[str, set[int]] = {"train": set(), "validation": set(), "test": set()}
        expected = dict.fromkeys(seen, 1)
        number = 0
        for member in self._members:
            name = _NAME.fullmatch(member.parts[-1])
            if name is None:
                continue
            split, shard, count = name[1], int(name[3] or 0), int(name[4] or 1)
            if shard in seen[split] or expected[split] not in (1, count):
                raise self._members.wrong(f"holds {member.parts[-1]}, which belongs to other files or is there twice")
            seen[split].add(shard)
            expected[split] = count
            with self._members.reading():
                file = member.open()
                content = records(file)
            while True:
                # What the consumer raises must not pass through `reading`, hence no plain loop.
                with self._members.reading():
                    record = next(content, None)
                    frame = None if record is None else _frame(record, member.parts[-1])
                if frame is None:
                    break
                number += 1
                if number % _REPORTED == 0:
                    self._report(again)
                yield split, *frame
            file.close()
        for split, count in expected.items():
            if len(seen[split]) != count:
                raise self._members.wrong(f"holds {len(seen[split])} of {count} or more files of the {split} split")

    def _report(self, again: bool) -> None:
        """Says how much was read. Frames come unevenly, as most of them are wanted of one split only."""
        size = self._members.path.stat().st_size if self._members.read_bytes else 0
        what = f"{'reading' if again else 'listing'} {named([self._members.path])}"
        report(what, self._members.read_bytes + size * again, 2 * size)


def _frame(record: bytes, where: str) -> tuple[str, int, bytes]:
    """Returns key, class and image file of one record."""
    example = parse_example(record)
    match example.get("filename"), example.get("label"), example.get("image"):
        case [bytes(name)], [int(label)], [bytes(image)] if 0 <= label < _CLASSES:
            return name.decode(), label, image
    raise ValueError(f"{where} holds a record that is no frame with its name and a class from 0 to {_CLASSES - 1}")
