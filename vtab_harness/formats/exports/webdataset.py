"""CLIP_benchmark's exports: WebDatasets that were written while TensorFlow Datasets was read, without keys.

Which examples they hold, and in what order, is proved by the labels: those of train800, val200 and test have to be the
certified ones in the certified order, once the turns in which files are read are undone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import DataError
from vtab_harness.api.layouts import Repository
from vtab_harness.formats.certificate_files import certified_labels, certified_order
from vtab_harness.formats.example_order import STAND_IN, keys_fingerprint
from vtab_harness.formats.exports.copies import CopiedSplit, Copies, Example, is_lossless
from vtab_harness.formats.exports.reading_order import candidates
from vtab_harness.formats.exports.shards import COUNT, LABEL, Sample, contents, read_shards, wrong_copy

_MANY = ("train800", "val200")


def open_webdataset(image_set: ImageSet, found: Sequence[tuple[Path, Repository]]) -> Copies:
    """Opens the copies of the tasks of an image set; the first gives the images, all give their labels.

    Args:
        image_set: What to open.
        found: Folders, and what is known of them.

    Raises:
        DataError: One is damaged or incomplete, or two hold different images.
    """
    taken = [_Export(image_set, folder, repository) for folder, repository in found]
    first = taken[0]
    splits = []
    for name, samples in first.splits.items():
        columns = {each.repository.column: each.values(name, first) for each in taken}
        examples, keys = first.orders[name], first.keys(name)
        splits.append(CopiedSplit(first.folder / name, examples, keys, columns, partial(contents, samples)))
    return Copies(image_set, first.variant(), [folder for folder, _ in found], splits)


class _Export:
    """The folder of one task."""

    def __init__(self, image_set: ImageSet, folder: Path, repository: Repository) -> None:
        self.folder, self.repository, self._set = folder, repository, image_set
        names = sorted(path.name for path in folder.iterdir() if (path / COUNT).is_file())
        # What VTAB-1k uses comes first, as it is certified by itself.
        names.sort(key=lambda name: name not in _MANY)
        self.splits = {name: read_shards(folder / name) for name in names}
        self._classes = {name: [self._class(sample) for sample in samples] for name, samples in self.splits.items()}
        self.proved: set[str] = set()
        """VTAB splits whose labels are the certified ones."""
        self.contradicted: set[str] = set()
        self.orders = {name: self._order(name) for name in names}

    def _class(self, sample: Sample) -> int:
        text = sample.notes[LABEL].strip()
        if not text.isdigit() or len(text) > 9 or int(text) >= len(self.repository.values):
            raise wrong_copy(
                sample.shard, f"gives the class {text[:20]!r} where there are {len(self.repository.values)}"
            )
        return int(text)

    def _order(self, name: str) -> list[Example]:
        """Returns which example each sample is, and notes which VTAB splits that proves."""
        parts = self._parts(name)
        as_read = None
        checked: dict[str, bool] = {}
        for order in candidates(parts, self._set.sizes):
            as_read = order if as_read is None else as_read
            checked = dict(self._checked(dict(zip(order, self._classes[name], strict=True))))
            if not checked or all(checked.values()):
                self.proved |= checked.keys()
                return order
        assert as_read is not None
        self.contradicted |= checked.keys()
        return as_read

    def _parts(self, name: str) -> tuple[Slice, ...]:
        """Returns what a folder holds, going by its name and its size."""
        count = len(self.splits[name])
        splits, sizes = self._set.splits, self._set.sizes
        both = (*splits.get("train800", ()), *splits.get("val200", ()))
        known = [splits.get(name), (Slice(name, 0, sizes[name]),) if name in sizes else None]
        known += [both if name == "train800val200" else None]
        for parts in filter(None, known):
            if sum(map(len, parts)) == count:
                return parts
        raise wrong_copy(
            self.folder / name,
            f"holds {count:,} samples, which is no split of {self._set.name}: it is another edition, or incomplete",
        )

    def _checked(self, classes: Mapping[Example, int]) -> Iterator[tuple[str, bool]]:
        """Yields the certified VTAB splits that lie within some examples, and whether their labels are right."""
        for split in ("train800", "val200", "test"):
            wanted = certified_labels(self._set, self.repository.task, split)
            examples = [(part.split, at) for part in self._set.splits[split] for at in range(part.start, part.stop)]
            if wanted is not None and all(example in classes for example in examples):
                yield split, keys_fingerprint(classes[example] for example in examples) == wanted

    def keys(self, name: str) -> list[str]:
        """Returns certified keys where labels prove them, and what counts examples elsewhere."""
        order = certified_order(self._set)
        known = {
            (part.split, part.start + at): order[split][at]
            for split in self.proved & order.keys()
            for part in self._set.splits[split]
            for at in range(len(part))
        }
        return [known.get(example, f"{STAND_IN}{example[1]}") for example in self.orders[name]]

    def values(self, name: str, first: _Export) -> np.ndarray:
        """Returns the values of the column, for the samples of the first copy.

        Raises:
            DataError: This copy holds other images.
        """
        values = np.array(self.repository.values)
        classes = self._classes.get(name)
        if self is not first and (classes is None or self._sizes(name) != first._sizes(name)):
            raise DataError(
                f"{self.folder} and {first.folder} hold different images of {name!r}.",
                "Keep only one of the two folders in the data folder.",
            )
        typed = values.astype(np.int64 if values.dtype.kind in "iu" else np.float32)
        return typed[np.array(classes, dtype=np.int64)]

    def _sizes(self, name: str) -> list[int]:
        # Both were written by one program from the same images, which it packs to the same sizes.
        return [sample.size for sample in self.splits[name]]

    def variant(self) -> str:
        """Returns the exact one where nothing speaks against it."""
        samples = [sample for split in self.splits.values() for sample in split]
        firsts = {sample.shard: at for at, sample in reversed(list(enumerate(samples)))}
        # One image of each shard: a program saves all in the same way.
        if not all(is_lossless(content) for _, content in contents(samples, sorted(firsts.values()))):
            sizes = ",".join(str(sample.size) for sample in samples)
            return f"reencoded-{hashlib.sha256(sizes.encode()).hexdigest()[:8]}"
        return "unverified" if self.contradicted else self._set.tfds_columns.exact
