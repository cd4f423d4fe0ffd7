"""A directory that TensorFlow Datasets has prepared, as a `Source`: its examples in the order in which they are stored.

Which variant that is, is told by the version, and by comparing the stored order with the one that the keys give. TFDS
up to 4.1 ordered EuroSAT and Resisc45 by absolute paths, and draws Caltech101's splits differently on each machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.api.layouts import Example, TfdsColumns
from vtab_harness.formats.decode import decode, decode_ahead
from vtab_harness.formats.example_order import STAND_IN, example_order, keys_fingerprint
from vtab_harness.formats.image_list import Listing
from vtab_harness.formats.progress import report
from vtab_harness.formats.tfds.directory import Directory, damaged, find_directory, read_directory
from vtab_harness.formats.tfds.features import content, integer, text
from vtab_harness.formats.tfds.shards import examples


def open_tfds(image_set: ImageSet, roots: Sequence[Path]) -> TfdsSource | None:
    """Opens the prepared directory of an image set.

    Returns:
        None where no root has one.

    Raises:
        DataError: It is damaged, or needs a package that is not installed.
    """
    path = find_directory(image_set, roots) if image_set.tfds else None
    if path is not None:
        report(f"reading the records of {path}")
    return None if path is None else TfdsSource(image_set, read_directory(image_set, path))


class TfdsSource:
    """The examples of a prepared directory; a `Source`. Opening it reads every record once.

    Keys are those of the archive's reader where the features tell them; else ``tfds-position-0`` and so on, which say
    nothing about the example: such a set can be certified by its labels only.

    Attributes:
        variant: ``vtab-1k``, or how the data differ from it.
        ordered: Stored order is example order.
        files: The directory.
    """

    ordered = True

    def __init__(self, image_set: ImageSet, directory: Directory) -> None:
        self._set = image_set
        self._directory = directory
        self.files = (directory.path,)
        self._columns = columns = image_set.tfds_columns
        self._gaps: dict[str, int] = {}
        self._keyed = bool(columns.key)
        self._listings = {split: self._list(split) for split in image_set.sizes}
        # Before keys are given up, as it compares them.
        self.variant = self._variant()
        if not self._keyed or (columns.confirmed and self.variant == columns.misordered):
            self._listings = {split: Listing(_positions(each), each.annotations) for split, each in self._lists()}

    def keys(self, split: str) -> Sequence[str]:
        """Returns the keys of a source split, in example order."""
        return self._listings[split].keys

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns the same columns as the archive's reader, each of shape (n,)."""
        return self._listings[split].annotations

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted images, in stored order; see `Source.images`.

        Raises:
            DataError: A file is damaged, or TFDS left the image out.
        """
        for (split, position), image in decode_ahead(self._jobs(wanted), partial(damaged, self._directory.path)):
            yield split, position, image

    def _jobs(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[tuple[str, int], Callable[[], NDArray[np.uint8]]]]:
        for split, positions in wanted.items():
            gap = self._gaps.get(split, len(self.keys(split)))
            if gap in positions:
                raise damaged(self._directory.path, f"lacks {self.keys(split)[gap]}, which TFDS could not decode")
            stored = {at - (at > gap) for at in positions}
            for at, example in examples(self._directory, split, stored):
                position = at + (at >= gap)
                where = f"{self._directory.path}: {split}: {self.keys(split)[position]}"
                yield (split, position), partial(self._decoded, example, where)

    def _decoded(self, example: Example, where: str) -> NDArray[np.uint8]:
        try:
            return image_of(self._columns, content(example, "image"), where)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from error

    def _list(self, split: str) -> Listing:
        rule = self._columns
        keys: list[str] = []
        values: dict[str, list[float]] = {name: [] for name in (*rule.integers, *rule.computed)}
        for at, example in examples(self._directory, split):
            try:
                if at == 0:
                    # The first speaks for all: a later one without the feature is damaged.
                    self._keyed = self._keyed and rule.key in example
                if self._keyed:
                    keys.append(text(example, rule.key) if rule.key_of is None else rule.key_of(example))
                for name in rule.integers:
                    values[name].append(integer(example, name))
                for name, value_of in rule.computed.items():
                    values[name].append(value_of(example))
            except ValueError as error:
                raise damaged(self._directory.path, f"holds a wrong example {at} of {split!r}: {error}") from error
        if self._keyed:
            self._fill_gap(split, keys, values)
        return Listing(keys, {name: _column(found) for name, found in values.items()})

    def _fill_gap(self, split: str, keys: list[str], values: dict[str, list[float]]) -> None:
        """Gives the one image that newer TFDS leaves out its place, so that positions behind it are right."""
        key = self._columns.skipped.get(split)
        if key is None or key in keys or len(keys) != self._set.sizes[split] - 1:
            return
        folder = key.rsplit("/", 1)[0]
        alike = next((at for at, other in enumerate(keys) if other.rsplit("/", 1)[0] == folder), None)
        if alike is None:
            return
        for column in values.values():
            column.append(column[alike])
        keys.append(key)
        gap = int(np.flatnonzero(example_order(split, keys) == len(keys) - 1)[0])
        for moved in (keys, *values.values()):
            moved.insert(gap, moved.pop())  # type: ignore[attr-defined]
        self._gaps[split] = gap

    def _variant(self) -> str:
        ordered = self._keyed and all(_in_order(split, each) for split, each in self._lists())
        version, rule = self._directory.version, self._columns
        if rule.drawn is not None and self._keyed:
            drawn = rule.drawn()
            if ordered and all(set(each.keys) == set(drawn[split]) for split, each in self._lists()):
                return rule.exact
            drawn_here = keys_fingerprint(key for _, each in self._lists() for key in each.keys)
            return f"{rule.misordered}-{drawn_here[:8]}"
        if not version.startswith(rule.versions):
            return f"tfds-{version}"
        if self._keyed:
            return rule.exact if ordered else rule.misordered
        # Where one version is known in several orders, nobody can tell without keys.
        return rule.exact if rule.misordered == "unverified" else "unverified"

    def _lists(self) -> list[tuple[str, Listing]]:
        return sorted(self._listings.items())


def image_of(columns: TfdsColumns, data: bytes, where: str) -> NDArray[np.uint8]:
    """Decodes the image of an example.

    Args:
        columns: Say what kind of image it is.
        data: Its file.
        where: What to call it in messages.

    Raises:
        DataError: It cannot be decoded.
        ValueError: It has values that its kind has not.
    """
    image = decode(data, where, columns.channels)
    if not columns.binary:
        return image
    if image.max() > 1:
        raise ValueError("it has values other than 0 and 1")
    # VTAB's tasks multiply by 255.
    return image * np.uint8(255)


def _column(values: list[float]) -> NDArray[Any]:
    return np.array(values, dtype=np.int64 if all(isinstance(value, int) for value in values) else np.float32)


def _positions(listing: Listing) -> list[str]:
    """Returns stand-ins for keys that nothing tells."""
    count = len(next(iter(listing.annotations.values())))
    return [f"{STAND_IN}{position}" for position in range(count)]


def _in_order(split: str, listing: Listing) -> bool:
    """Says whether the keys stand in the order that they give."""
    try:
        order = example_order(split, listing.keys)
    except DataError:
        return False  # A key twice.
    return bool((order == np.arange(len(order))).all())
