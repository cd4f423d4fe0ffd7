"""Image sets, their splits, and where their examples come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vtab_harness.api.errors import PluginError
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train800", "val200", "test")
"""What VTAB-1k needs: trained on, chosen on, tested on."""
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_folder_name(what: str, name: object) -> None:
    """Refuses what cannot be the name of a folder on every system, as all names and versions of data are.

    Args:
        what: Whose name it is, for the message.
        name: The name.

    Raises:
        PluginError: It is empty, longer than 100 characters, or has other characters than letters, digits, ``._-``.

    Examples:
        >>> check_folder_name("The name of the image set", "moths-2024")
    """
    if not isinstance(name, str) or not _FOLDER_NAME.fullmatch(name):
        raise PluginError(
            f"{what} is {name!r}, which cannot be part of a folder's name.",
            "Use letters, digits, '.', '_' and '-', a letter or digit first, and at most 100 characters.",
        )


@dataclass(frozen=True, slots=True)
class Slice:
    """Examples ``start`` (inclusive) to ``stop`` (exclusive) of one source split, in example order."""

    split: str
    start: int
    stop: int

    def __post_init__(self) -> None:
        """Checks that it is one.

        Raises:
            PluginError: It begins before 0 or ends before it begins.
        """
        whole = isinstance(self.start, int) and isinstance(self.stop, int)
        if not whole or not 0 <= self.start <= self.stop:
            raise PluginError(
                f"{self!r} is no slice of the split {self.split!r}.", "Give whole numbers with 0 <= start <= stop."
            )

    def __len__(self) -> int:
        return self.stop - self.start


def vtab_splits(train: Slice, val: Slice, test: Slice) -> dict[str, tuple[Slice, ...]]:
    """Returns VTAB's splits of an image set that has whole ones.

    Args:
        train: All training examples; the first 800 of them, or as many as there are, are ``train800``.
        val: All validation examples; the first 200 of them, or as many as there are, are ``val200``.
        test: The test examples.

    Examples:
        >>> splits = vtab_splits(Slice("train", 0, 4_500), Slice("train", 4_500, 5_000), Slice("test", 0, 1_000))
        >>> splits["train800"], splits["val200"]
        ((Slice(split='train', start=0, stop=800),), (Slice(split='train', start=4500, stop=4700),))
    """
    adjacent = (train.split, train.stop) == (val.split, val.start)
    return {
        "train800": (replace(train, stop=min(train.start + 800, train.stop)),),
        "val200": (replace(val, stop=min(val.start + 200, val.stop)),),
        "test": (test,),
        "train": (train,),
        "val": (val,),
        "trainval": (replace(train, stop=val.stop),) if adjacent else (train, val),
    }


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that a data set is published as.

    Attributes:
        name: File name, as it is found in the data folder.
        size: Bytes, or None where unknown.
        sha256: Hex digest, or None where unknown.
        page: Where a person finds it.
        url: Address of the file itself; empty where it has none that a program may fetch.
        instead_of: Name of another file that is not needed where this one is there.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    page: str = ""
    url: str = ""
    instead_of: str = ""


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images and raw annotations of one source data set, by split: a declaration.

    Several tasks may share an image set; decoding, resizing and features are then done once.

    Attributes:
        name: Registered name, also that of its folder.
        version: Changes whenever examples or pixels do.
        source: ``module:callable`` of a `SourceFactory`, imported on use.
        sizes: Examples in each source split.
        splits: For ``train800``, ``val200`` and ``test`` (and where known ``train``, ``val``) the slices that make it
            up, as positions in example order (see `vtab_harness.formats.example_order`). With ``train`` and ``val``,
            whole and apart from ``test``, other numbers of training examples than 1000 can be asked for. Every split
            whose name begins with ``train`` or ``val`` is learned from, and shares no example with ``test``.
        archives: The files it is published as; empty for procedural sets.
        citation: How to cite it.
        licence: Terms of use, as far as known.
        tfds: Builder of TensorFlow Datasets, with ``/config`` where it has some, whose prepared directory serves as
            well as the archives; empty where there is none.
        tfds_columns: How the examples of that builder are read.
        community: Folders of its tasks in the community's VTAB-1k, which serve as well.
        repositories: Copies on the Hugging Face Hub that serve as well.
        positional: Its keys only count the examples of a file, so that the keys of any file of that shape are right:
            data are certified only where the files that were read are the published ones.
        certificate: Package with ``certificate.json`` and ``order.txt``, which say what keys and labels VTAB-1k's
            splits must have (see `vtab_harness.prepared.certificates`); empty where nobody has certified them.
        origin: Folder, file or data set of the Hub that a person has named and that it is read from, in place of data
            folders; empty for sets that everybody knows by name. No part of what identifies it.
    """

    name: str
    version: str
    source: str
    sizes: Mapping[str, int]
    splits: Mapping[str, tuple[Slice, ...]]
    archives: tuple[Archive, ...] = ()
    citation: str = ""
    licence: str = ""
    tfds: str = ""
    tfds_columns: TfdsColumns = field(default_factory=TfdsColumns)
    community: tuple[CommunityFolder, ...] = ()
    repositories: tuple[Repository, ...] = ()
    positional: bool = False
    certificate: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        """Checks the declaration.

        Raises:
            PluginError: A name cannot be used, a slice lies outside its source split, or what is trained on, chosen on
                and tested on is not apart; names the splits.
        """
        what = f"The image set {self.name!r}"
        check_folder_name("The name of an image set", self.name)
        check_folder_name(f"{what}: its version", self.version)
        if not re.fullmatch(r"[\w.]+:[\w.]+", self.source):
            raise PluginError(f"{what} names the source {self.source!r}.", "Write it as module:callable.")
        for split, size in self.sizes.items():
            if not isinstance(size, int) or size < 0:
                raise PluginError(
                    f"{what} declares {size!r} examples in {split!r}.", "Give the number of examples, 0 or more."
                )
        for name, parts in self.splits.items():
            for part in parts:
                if part.split not in self.sizes or part.stop > self.sizes[part.split]:
                    raise PluginError(
                        f"{what}: its split {name!r} holds examples {part.start} to {part.stop} of {part.split!r}, of"
                        f" which there are {self.sizes.get(part.split, 'none')}.",
                        f"Take slices of what `sizes` declares: {dict(self.sizes)}.",
                    )
            self._check_apart(name, name)
        for name in self.splits:
            if name.startswith(("train", "val")):
                self._check_apart(name, "test")
        self._check_apart("train800", "val200")
        self._check_apart("train", "val")

    def _check_apart(self, first: str, second: str) -> None:
        """Refuses splits that share examples; of one split, parts that do."""
        names = dict.fromkeys((first, second))
        parts = sorted((p.split, p.start, p.stop) for name in names for p in self.splits.get(name, ()) if len(p))
        for (split, _, stop), (other, start, end) in pairwise(parts):
            if split == other and start < stop:
                raise PluginError(
                    f"The image set {self.name!r}: its {' and '.join(map(repr, names))} hold examples {start} to"
                    f" {min(stop, end)} of {split!r} twice.",
                    "What is trained on, chosen on and tested on must be apart; mend the slices.",
                )

    def size(self, split: str) -> int:
        """Returns the number of examples of a VTAB split such as ``train800``."""
        return sum(len(part) for part in self.splits[split])


class Source(Protocol):
    """One place that an image set can be read from.

    Positions count in the source's own listing order; the harness brings them into example order. Further members are
    optional, the first two for data that somebody has ordered or split already:

    - ``ordered: bool``: True where the listing order is the example order, so that positions are taken as they are.
    - ``vtab_split(split: str) -> Sequence[tuple[str, int]] | None``: the (source split, position) of each example of a
      VTAB split, in example order; None leaves it to the declared slices.
    - ``files: Sequence[Path]``: the published files that are read, which preparing compares with the declared archives.

    Attributes:
        variant: Which data these are exactly, for instance ``caltech-sorted``; results of two variants never share
            a table.
    """

    variant: str

    def keys(self, split: str) -> Sequence[str]:
        """Returns the example keys of a source split, in any fixed order."""
        ...

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns numeric columns, each of shape (n,) and aligned with `keys`."""
        ...

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Yields ``(split, position, image)`` once for each wanted position, in any order.

        Images are uint8 of shape (H, W, 3), or (H, W, 1) where grey, as TensorFlow decodes them.

        Raises:
            DataError: An image is missing, truncated or not an image; names the file.
        """
        ...


class SourceFactory(Protocol):
    """Opens the source of an image set."""

    def __call__(self, image_set: ImageSet, roots: Sequence[Path]) -> Source:
        """Opens the source.

        Args:
            image_set: What to open.
            roots: Folders with the person's data, searched in order; procedural sources ignore them.

        Raises:
            DataError: It is in none of the roots, or incomplete; says what to fetch and where to put it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pixels:
    """Some images as one flat buffer, ready for a single copy to the device.

    Attributes:
        data: All pixels one after another, shape (total bytes,), uint8, each image in (H, W, C) order.
        shapes: (H, W, C) of each image, shape (n, 3), int64.
    """

    data: NDArray[np.uint8]
    shapes: NDArray[np.int64]

    def uniform(self) -> tuple[int, int, int] | None:
        """Returns the common (H, W, C), or None where shapes differ or there is no image."""
        if len(self.shapes) == 0 or (self.shapes != self.shapes[0]).any():
            return None
        height, width, channels = (int(v) for v in self.shapes[0])
        return height, width, channels


class Images(Protocol):
    """The images of one prepared split, in example order. Carries no labels.

    Attributes:
        name: For messages, for instance ``caltech101/test``.
        fingerprint: sha256 (hex) over the pixels and shapes in order.
    """

    name: str
    fingerprint: str

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Pixels:
        """Reads images ``start`` to ``stop`` (exclusive) into fresh memory.

        Raises:
            DataError: The file behind it is damaged or gone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which data a result was computed on.

    Attributes:
        image_set: Name of the image set.
        version: Its version.
        variant: Data variant of the source.
        fingerprints: Per split: sha256 over keys, labels (per task) and pixels.
    """

    image_set: str
    version: str
    variant: str
    fingerprints: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
