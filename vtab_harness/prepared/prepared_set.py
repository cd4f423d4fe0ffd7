"""The prepared cache: each image set decoded once, then streamed from disk in example order.

Layout: ``<cache>/prepared/<name>-<version>/<variant>/<split>/`` with the files of `vtab_harness.prepared.manifest`. A
split is built in a folder beside and appears by one rename, under a lease, so that a killed or a second process does no
harm.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.numpy import load

from vtab_harness.api.data import SPLITS as SPLITS
from vtab_harness.api.data import Images, ImageSet, Pixels
from vtab_harness.api.errors import DataError, StorageError
from vtab_harness.api.labels import LabelRule
from vtab_harness.formats.example_order import keys_fingerprint
from vtab_harness.formats.json_file import read_json
from vtab_harness.formats.progress import report
from vtab_harness.leases import LEASES, Lease, LostLeaseError, this_process, tidy, under_lease
from vtab_harness.prepared.choice import Choice, choose
from vtab_harness.prepared.manifest import (
    ANNOTATIONS,
    KEYS,
    MANIFEST,
    PIXELS,
    SHAPES,
    Manifest,
    damaged,
    pixel_fingerprint,
    read_shapes,
)
from vtab_harness.prepared.split_writer import Progress, write_splits

_PARTIAL = ".partial"
_MAX_KEYS = 1 << 28


def default_cache() -> Path:
    """Returns the person's cache folder for prepared data and features."""
    return user_cache_path("vtab-harness", appauthor=False)


def prepared_folder(image_set: ImageSet, cache: Path | None) -> Path:
    """Returns the folder of an image set in the cache; it has one folder a variant."""
    return (default_cache() if cache is None else cache) / "prepared" / f"{image_set.name}-{image_set.version}"


@dataclass(slots=True, eq=False)
class PreparedImages:
    """The images of one prepared split; see `Images`. Knows neither labels nor the rest of the set.

    Attributes:
        name: For messages, for instance ``caltech101/test``.
        fingerprint: sha256 (hex) over shapes and pixels in order.
        path: The file with the pixels.
        shapes: (H, W, C) of each image, shape (n, 3).
        starts: Where each image starts in the file, and last its end: bytes, shape (n + 1,).
    """

    name: str
    fingerprint: str
    path: Path
    shapes: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.shapes)

    def read(self, start: int, stop: int) -> Pixels:
        """Reads images ``start`` to ``stop`` (exclusive) into fresh memory.

        Raises:
            IndexError: There are no such images.
            DataError: The file is damaged or gone.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"{self.name} has {len(self)} images, not {start} to {stop}")
        data = np.empty(int(self.starts[stop] - self.starts[start]), dtype=np.uint8)
        try:
            # Opened for each read: threads and forked processes then share no file position. Read rather than
            # mapped: pages of a map count as this process's memory for as long as it lives.
            with self.path.open("rb", buffering=0) as file:
                file.seek(int(self.starts[start]))
                view = data.data
                while view:
                    count = file.readinto(view)
                    if not count:
                        raise damaged(self.path.parent, f"is damaged: {self.path.name} has become shorter")
                    view = view[count:]
        except OSError as error:
            raise damaged(self.path.parent, f"cannot be read: {error}") from error
        return Pixels(data, self.shapes[start:stop])


class PreparedSet:
    """The prepared splits of an image set.

    Attributes:
        image_set: The declaration.
        folder: Holds one folder a split.
        variant: Variant of the source, which its folder is named after; `vtab_harness.prepared.certify` says what was
            verified of it.
        manifests: By split, what was prepared.
    """

    def __init__(self, image_set: ImageSet, folder: Path, splits: Sequence[str]) -> None:
        """Opens prepared splits and checks that they are what is declared, and complete.

        Raises:
            DataError: They are not.
        """
        self.image_set = image_set
        self.folder = folder
        self.variant = folder.name
        self.manifests = {split: Manifest.load(folder / split) for split in splits}
        for split, manifest in self.manifests.items():
            manifest.check(folder / split, image_set)

    def images(self, split: str) -> Images:
        """Returns the images of a split, without labels."""
        folder, manifest = self._folder(split), self.manifests[split]
        shapes = read_shapes(folder, manifest.count)
        starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
        if starts[-1] != manifest.files[PIXELS].bytes:
            raise damaged(folder, f"is damaged: {SHAPES} does not fit {PIXELS}")
        return PreparedImages(f"{self.image_set.name}/{split}", manifest.pixels, folder / PIXELS, shapes, starts)

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns the annotation columns of a split, each of shape (n,), in example order."""
        folder = self._folder(split)
        try:
            columns = load((folder / ANNOTATIONS).read_bytes())
        # KeyError: a type that NumPy has no name for.
        except (OSError, SafetensorError, KeyError) as error:
            raise damaged(folder, f"has no readable {ANNOTATIONS}: {error}") from error
        if any(column.shape != (self.manifests[split].count,) for column in columns.values()):
            raise damaged(folder, f"is damaged: {ANNOTATIONS} is not about {self.manifests[split].count} images")
        return columns

    def labels(self, split: str, rule: LabelRule) -> NDArray[np.int64]:
        """Returns the classes of a split under a label rule, shape (n,), int64.

        Raises:
            DataError: The source that this was prepared from did not have the annotation that the rule needs.
        """
        try:
            return rule(self.annotations(split))
        except KeyError as error:
            raise DataError(
                f"{self.image_set.name} was prepared from a source without the annotation {error.args[0]!r}.",
                f"Delete {self.folder} and prepare it from the public archive, or from a source that has both tasks.",
            ) from error

    def keys(self, split: str) -> list[str]:
        """Returns the keys of a split in example order."""
        folder = self._folder(split)
        try:
            keys: list[str] = read_json(folder / KEYS, _MAX_KEYS, list[str])
        except (OSError, ValueError) as error:
            raise damaged(folder, f"has no readable {KEYS}: {error}") from error
        if len(keys) != self.manifests[split].count:
            raise damaged(folder, f"is damaged: {KEYS} does not name {self.manifests[split].count} images")
        return keys

    def fingerprints(self, rule: LabelRule | None = None) -> dict[str, dict[str, str]]:
        """Returns, by split, the sha256 (hex) of ``keys`` and ``pixels``, and under a label rule that of ``labels``."""
        prints = {split: {"keys": m.keys, "pixels": m.pixels} for split, m in self.manifests.items()}
        if rule is not None:
            for split, parts in prints.items():
                parts["labels"] = keys_fingerprint(self.labels(split, rule).tolist())
        return prints

    def verify(self) -> None:
        """Reads everything again and compares it with what was written.

        Raises:
            DataError: A file has changed; names it.
        """
        for split, manifest in self.manifests.items():
            folder = self._folder(split)
            manifest.check(folder, self.image_set)
            manifest.verify(folder)
            shapes = read_shapes(folder, manifest.count)
            if (
                keys_fingerprint(self.keys(split)) != manifest.keys
                or pixel_fingerprint(shapes, manifest.files[PIXELS].sha256) != manifest.pixels
            ):
                raise damaged(folder, f"is damaged: {folder / MANIFEST} does not fit the files beside it")

    def _folder(self, split: str) -> Path:
        if split not in self.manifests:
            raise DataError(f"{self.image_set.name}/{split} was not prepared (only {', '.join(self.manifests)}).")
        return self.folder / split


def prepare(
    image_set: ImageSet,
    roots: Sequence[Path],
    cache: Path | None = None,
    splits: Sequence[str] = SPLITS,
    progress: Progress | None = None,
    variant: str | None = None,
    choice: Choice | None = None,
) -> PreparedSet:
    """Opens the prepared splits of an image set, and prepares those that are not yet.

    What is prepared already needs no source. What the roots give is never passed over for it: where the files have
    changed since, or were never written down, the content is compared.

    Args:
        image_set: What to prepare.
        roots: Folders with the person's data.
        cache: Cache folder; `default_cache` if None.
        splits: VTAB splits that are wanted.
        progress: Told how many images are done while preparing.
        variant: Data variant; by default what the roots give, or the only one that is prepared.
        choice: The variant, where it is chosen already.

    Raises:
        DataError: The source or the prepared data is missing, incomplete or damaged, it is not clear which variant is
            meant, or the roots give other data of the variant than what is prepared.
        StorageError: The cache folder cannot be written or is full.
    """
    base = prepared_folder(image_set, cache)
    choice = choose(image_set, roots, base, variant) if choice is None else choice
    found = find(image_set, choice, splits)
    lease = base / LEASES / "prepare"
    if found is not None:
        tidy(lease, lambda: _remove_partials(base))
        return found

    def build(mine: Lease) -> PreparedSet:
        found = find(image_set, choice, splits)
        if found is None:
            if not choice.prepared_from_this:
                _compare_content(image_set, choice, progress, mine)
            _prepare_missing(image_set, choice, splits, progress, mine)
            choice.remember()
            found = PreparedSet(image_set, choice.folder, splits)
        return found

    def waiting() -> None:
        report(f"waiting for another process that prepares {image_set.name}")

    try:
        base.mkdir(parents=True, exist_ok=True)
        return under_lease(lease, this_process(), build, waiting)
    except OSError as error:
        raise StorageError(
            f"The cache folder {base} cannot be written: {error}",
            "Choose a folder with --cache in which you may write.",
        ) from error


def find(image_set: ImageSet, choice: Choice, splits: Sequence[str]) -> PreparedSet | None:
    """Opens what is prepared of the chosen variant, if no split is missing and it is what the roots give."""
    there = all((choice.folder / split).is_dir() for split in splits)
    return PreparedSet(image_set, choice.folder, splits) if there and choice.prepared_from_this else None


def _prepare_missing(
    image_set: ImageSet, choice: Choice, splits: Sequence[str], progress: Progress | None, lease: Lease
) -> None:
    """Builds the missing splits in a folder beside and moves them to their place."""
    missing = [split for split in splits if not (choice.folder / split).is_dir()]
    if not missing:
        return
    with _partial(choice, lease) as partial:
        folders = {split: partial / split for split in missing}
        write_splits(image_set, choice.source(), folders, _while_held(lease, image_set, progress))
        lease.check()
        choice.folder.mkdir(exist_ok=True)
        for split in missing:
            (partial / split).replace(choice.folder / split)


def _compare_content(image_set: ImageSet, choice: Choice, progress: Progress | None, lease: Lease) -> None:
    """Finds out whether what is prepared is what the roots give, where times of change do not tell.

    Raises:
        DataError: It is not.
    """
    there = [split for split in image_set.splits if (choice.folder / split).is_dir()]
    if not there:
        return
    report(f"comparing {image_set.name} with what is prepared, because its files have changed or were not known")
    before = {split: Manifest.load(choice.folder / split) for split in there}
    with _partial(choice, lease) as partial:
        folders = {split: partial / split for split in there}
        write_splits(image_set, choice.source(), folders, _while_held(lease, image_set, progress))
        now = {split: Manifest.load(partial / split) for split in there}
    other = [split for split in there if before[split].content != now[split].content]
    if other:
        raise DataError(
            f"{image_set.name}: the data folder gives other data of the variant {choice.variant} than what is prepared"
            f" in {choice.folder} ({', '.join(other)} differ).",
            "To use what the data folder gives, delete that folder and run again; to use what is prepared, leave --data"
            " out.",
        )


@contextmanager
def _partial(choice: Choice, lease: Lease) -> Iterator[Path]:
    _remove_partials(choice.base)
    partial = choice.base / f"{_PARTIAL}-{lease.token}"
    try:
        partial.mkdir()
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_partials(base: Path) -> None:
    """Removes what runs left that were killed, or lost the lease. The lease must be held."""
    for left in base.glob(f"{_PARTIAL}*"):
        shutil.rmtree(left, ignore_errors=True)


def _while_held(lease: Lease, image_set: ImageSet, progress: Progress | None) -> Progress:
    """Returns a listener that ends the work when another process has taken it over."""

    def told(done: int, total: int) -> None:
        if lease.lost:
            raise LostLeaseError
        lease.tell(f"preparing {image_set.name}", done, total)
        if progress is not None:
            progress(done, total)

    return told
