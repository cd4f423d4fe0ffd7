"""The community's VTAB-1k as a `Source`: its lists are the splits, its images were saved as JPEG of quality 75.

Results on it are not those on the published images (CIFAR-100 loses about ten points), hence a variant of its own.
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
from vtab_harness.api.layouts import CommunityFolder
from vtab_harness.formats.community.lists import FILES, ListedFiles, read_list
from vtab_harness.formats.decode import decode, decode_ahead

_PLACES = (".", "vtab-1k")


def open_community(image_set: ImageSet, roots: Sequence[Path]) -> CommunitySource | None:
    """Opens the task folders of an image set, in a root itself or in its folder ``vtab-1k``.

    Returns:
        None where no root has one.

    Raises:
        DataError: A list is missing or damaged.
    """
    for root in roots:
        for place in _PLACES:
            found = [
                (root / place / task.name, task) for task in image_set.community if _has_list(root / place / task.name)
            ]
            if found:
                return CommunitySource(found)
    return None


def _has_list(folder: Path) -> bool:
    # Any one list: a folder that lacks another is incomplete, which is worth saying.
    try:
        return any((folder / name).is_file() for name in FILES.values())
    except OSError:
        return False


class CommunitySource:
    """The folder of a task, or those of both tasks of an image set; a `Source`.

    Images come from the first folder. Of a second one the labels are taken, by the content of its image files; the
    columns of a task without a folder are not there.

    Attributes:
        variant: Always ``jpeg75``.
        files: The folders.
    """

    variant = "jpeg75"

    def __init__(self, folders: Sequence[tuple[Path, CommunityFolder]]) -> None:
        self.files = tuple(folder for folder, _ in folders)
        self._tasks = [task for _, task in folders]
        self._lists = [
            {split: read_list(folder, split, len(task.values)) for split in FILES} for folder, task in folders
        ]

    def vtab_split(self, split: str) -> Sequence[tuple[str, int]] | None:
        """Returns the lines of a list, in order; None for splits that there is no list of."""
        if split not in FILES:
            return None
        return [(split, position) for position in range(len(self._listed(split).paths))]

    def keys(self, split: str) -> Sequence[str]:
        """Returns the paths of a list.

        Raises:
            DataError: There is no such list.
        """
        return self._listed(split).paths

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns a column for each folder, of values that stand for the classes: shape (n,).

        Raises:
            DataError: The folders of the two tasks hold different images.
        """
        first = self._listed(split)
        columns = {self._tasks[0].column: _values(self._tasks[0], first.classes)}
        for task, lists in zip(self._tasks[1:], self._lists[1:], strict=True):
            columns[task.column] = _values(task, _matched(first, lists[split]))
        return columns

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted images; see `Source.images`.

        Raises:
            DataError: One is missing, damaged, or outside of its folder.
        """
        for (split, position), image in decode_ahead(self._jobs(wanted), self._damaged):
            yield split, position, image

    def _jobs(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[tuple[str, int], Callable[[], NDArray[np.uint8]]]]:
        for split, positions in wanted.items():
            listed = self._listed(split)
            for position in positions:
                yield (split, position), partial(_read_and_decode, listed, position)

    def _damaged(self, what: str) -> DataError:
        return DataError(f"{self._listed('test').folder} {what}", "Fetch and unpack the folder again.")

    def _listed(self, split: str) -> ListedFiles:
        if split not in FILES:
            raise DataError(
                f"The community's VTAB-1k has no split {split!r}, only {', '.join(FILES)}",
                "Use the published archives, or a directory that TensorFlow Datasets has prepared.",
            )
        return self._lists[0][split]


def _read_and_decode(listed: ListedFiles, position: int) -> NDArray[np.uint8]:
    return decode(listed.read(position), listed.where(position))


def _values(task: CommunityFolder, classes: Sequence[int]) -> NDArray[Any]:
    whole = all(isinstance(value, int) for value in task.values)
    return np.array(task.values, dtype=np.int64 if whole else np.float32)[np.array(classes, dtype=np.int64)]


def _matched(first: ListedFiles, second: ListedFiles) -> list[int]:
    """Returns the classes that the second list gives to the images of the first."""
    # Equal images may have several classes (a square looks the same turned by 90 degrees); any pairing of equal ones
    # gives the same pairs of image and class.
    classes: dict[bytes, list[int]] = {}
    for position in reversed(range(len(second.paths))):
        classes.setdefault(second.digest(position), []).append(second.classes[position])
    found = []
    for position in range(len(first.paths)):
        alike = classes.get(first.digest(position))
        if len(first.paths) != len(second.paths) or not alike:
            raise DataError(
                f"{first.folder / first.name} and {second.folder / second.name} name different images, such as"
                f" {first.where(position)}",
                "Keep only one of the two folders in the data folder.",
            )
        found.append(alike.pop())
    return found
