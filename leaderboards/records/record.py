"""The one way in which tables, comparisons and the gate read a record, and what they ask of its identity."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.errors import StorageError
from vtab_harness.api.identity import Identity
from vtab_harness.api.records import Record, RecordHead, SearchBlock
from vtab_harness.sweep.store import read_head, read_predictions, read_record

_NO_RECORD = "is not a record that can be used"
_encode = msgspec.json.Encoder().encode
_rows: dict[bytes, str] = {}
_columns: dict[bytes, ColumnKeys] = {}


class ColumnKeys(NamedTuple):
    """What all records of one column have in common: `Identity.column`, `comparable` and `DataIdentity.test_images`."""

    column: str
    comparable: str
    test_images: str


class Usable(NamedTuple):
    """A record without its search, of which all can be told that a table or a comparison asks.

    Attributes:
        head: As read.
        row: `Identity.row`.
        column: `Identity.column`.
        comparable: `Identity.comparable`.
        test_images: `DataIdentity.test_images`; empty where nothing says so.
    """

    head: RecordHead
    row: str
    column: str
    comparable: str
    test_images: str


def read_usable(path: Path) -> Usable:
    """Reads one file.

    Raises:
        StorageError: It is not a record that can be used; names the file.
    """
    head = read_head(path)
    return Usable(head, row_of(head.identity), *column_keys(head.identity))


def read_answers(path: Path) -> tuple[Identity, NDArray[np.int32], NDArray[np.int32]]:
    """Reads what a record is of, with its predicted and its true classes, int32 (n,).

    Raises:
        StorageError: It is not a record that can be used, or its predictions cannot be; names the file.
    """
    head = read_head(path)
    found = read_predictions(path, head)
    return head.identity, found["predicted"], found["label"]


def read_whole(path: Path) -> Record | None:
    """Returns a record with its search; None where its file is gone or was changed since it was read."""
    try:
        return read_record(path)
    except StorageError:
        return None


def read_search(path: Path) -> SearchBlock | None:
    """Returns what was tried for a record; None as of `read_whole`."""
    found = read_whole(path)
    return None if found is None else found.search


def why_not(path: Path, error: StorageError) -> str:
    """Returns why the record at `path` is left out, as a clause that stands beside its name."""
    message = error.message.rstrip(".").replace(f"{path.parent}{os.sep}", "")
    for start, instead in ((f"{path.name} {_NO_RECORD}: ", ""), (f"{path.name} ", "it "), ("The pred", "its pred")):
        if message.startswith(start):
            return instead + message.removeprefix(start)
    return message


def row_of(identity: Identity) -> str:
    """Returns `Identity.row`; all records of a backbone share it, and for a hundred thousand it would take seconds."""
    # What a row is made of, and more than that: equal keys, equal rows.
    key = _encode((identity.backbone, identity.numerics))
    if key not in _rows:
        _rows[key] = identity.row
    return _rows[key]


def column_keys(identity: Identity) -> ColumnKeys:
    """Returns what all records of a task share."""
    key = _encode((identity.data, identity.task, identity.protocol, identity.labels, identity.numerics))
    if key not in _columns:
        images = identity.data.test_images if "test" in identity.data.splits else ""
        _columns[key] = ColumnKeys(identity.column, identity.comparable, images)
    return _columns[key]


def differences(one: Identity, other: Identity, skip: tuple[str, ...] = ("backbone", "seed")) -> str:
    """Says how `other` differs from `one`, as `Identity.differences`."""
    return ", ".join(one.differences(other, skip))


def column_differences(one: Identity, other: Identity) -> str:
    """Says why two results may not stand in one column: number format, micro-batch and TF32 may differ there."""
    alike = replace(one.numerics, code=other.numerics.code)
    return differences(one, replace(other, numerics=alike))
