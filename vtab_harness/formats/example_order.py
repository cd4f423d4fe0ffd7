"""Example order: the rule that makes "the first 800 training examples" the same ones everywhere.

Examples of a source split are sorted by the md5 of split name and key; splits such as ``train800`` are slices of that
order. There is no seed and no class balancing.
Source: TensorFlow Datasets 1.2 to 4.9, which VTAB's splits are defined in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.errors import DataError

Key = str | int
STAND_IN = "tfds-position-"
"""Keys that begin so only count examples, where a directory or a copy of TFDS's examples does not tell their real
ones."""


@runtime_checkable
class SplitSource(Protocol):
    """A source that knows the VTAB splits themselves; see `Source`."""

    def vtab_split(self, split: str) -> Sequence[tuple[str, int]] | None:
        """Returns the (source split, position) of each example in order, or None for the declared slices."""
        ...


def example_order(split_name: str, keys: Sequence[Key]) -> NDArray[np.int64]:
    """Sorts the keys of one source split.

    Args:
        split_name: Name of the source split (``train``, ``validation``, ``test``); it salts the hash.
        keys: Distinct keys; integers count as their decimal digits.

    Returns:
        Positions in `keys` by ascending md5, shape (len(keys),), int64.

    Raises:
        DataError: A key occurs twice.
    """
    salted = hashlib.md5(split_name.encode(), usedforsecurity=False)
    digests = np.empty(len(keys), dtype="S16")
    raw = digests.view(np.uint8).reshape(len(keys), 16)
    for position, key in enumerate(keys):
        salt = salted.copy()
        salt.update(str(key).encode())
        raw[position] = np.frombuffer(salt.digest(), dtype=np.uint8)
    halves = raw.view(">u8")
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    twice = np.flatnonzero((ordered[1:] == ordered[:-1]).all(axis=1))
    if len(twice):
        raise DataError(f"split {split_name!r} holds the key {keys[order[twice[0]]]!r} more than once")
    return order.astype(np.int64)


def examples_by_split(image_set: ImageSet, source: Source, splits: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Resolves VTAB splits to the examples they consist of.

    Args:
        image_set: Declares the splits' slices.
        source: Gives the keys; or the order, or the splits themselves, if it has what `Source` calls optional.
        splits: Names such as ``train800``.

    Returns:
        Per split the (source split, position in the source's own listing) of each example, in example order.

    Raises:
        DataError: The image set has no such split, or the source holds more or fewer examples than declared.
    """
    orders: dict[str, NDArray[np.int64]] = {}
    resolved: dict[str, list[tuple[str, int]]] = {}
    for split in splits:
        if split not in image_set.splits:
            known = ", ".join(sorted(image_set.splits))
            raise DataError(f"{image_set.name} has no split {split!r}", f"Splits it has: {known}.")
        given = source.vtab_split(split) if isinstance(source, SplitSource) else None
        if given is not None:
            resolved[split] = list(given)
            continue
        resolved[split] = []
        for part in image_set.splits[split]:
            if part.split not in orders:
                orders[part.split] = _checked_order(image_set, source, part.split)
            order = orders[part.split]
            resolved[split].extend((part.split, position) for position in order[part.start : part.stop].tolist())
    return resolved


def _checked_order(image_set: ImageSet, source: Source, source_split: str) -> NDArray[np.int64]:
    """Returns the order of one source split, once its size has been compared with the declared one."""
    keys = source.keys(source_split)
    if len(keys) != image_set.sizes[source_split]:
        raise DataError(
            f"{image_set.name}: split {source_split!r} holds {len(keys)} examples where"
            f" {image_set.sizes[source_split]} are expected",
            "The data is incomplete or another edition; fetch it again.",
        )
    if getattr(source, "ordered", False):
        return np.arange(len(keys), dtype=np.int64)
    return example_order(source_split, keys)


def keys_fingerprint(keys: Iterable[Key]) -> str:
    """Returns the sha256 (hex) of keys, or of labels, joined by newlines: equal for equal examples in equal order."""
    return hashlib.sha256("\n".join(str(key) for key in keys).encode()).hexdigest()
