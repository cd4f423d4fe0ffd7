"""Reads CLEVR from its zip, or the folder in it. The key of an example is the name of its image file.

Scenes and images belong together by position, and by name where the scenes give it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.datasets.clevr.scenes import scenes
from vtab_harness.formats.decode import decode, decode_ahead
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.locate import locate

_FOLDER = "CLEVR_v1.0"
_ZIP = "CLEVR_v1.0.zip"
_PARTS = {"train": "train", "validation": "val"}
_MAX_BYTES = 1 << 26
"""Of one image file; the largest is a hundred times smaller."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds ``CLEVR_v1.0.zip`` or the folder in it; a `SourceFactory`.

    Raises:
        DataError: It is in none of the roots.
    """
    return Clevr(image_set, locate(image_set, roots, [_ZIP, _FOLDER]))


class Clevr:
    """The annotated images of the zip or folder (the test part has no annotations); a `Source`.

    Attributes:
        variant: Always the exact data: the keys are the published names.
        path: The zip or folder.
        files: The same.
    """

    variant = "vtab-1k"

    def __init__(self, image_set: ImageSet, path: Path) -> None:
        self.path = path
        self.files = (path,)
        self._set = image_set
        self._annotations: dict[str, Mapping[str, NDArray[Any]]] = {}

    def keys(self, split: str) -> Sequence[str]:
        """Returns ``CLEVR_<part>_<position>.png`` of each example of ``train`` or ``validation``."""
        return [f"CLEVR_{_PARTS[split]}_{position:06d}.png" for position in range(self._set.sizes[split])]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns what the tasks need of the scenes.

        Returns:
            ``count``, the number of objects, shape (n,), int64; and ``distance``, the third pixel coordinate of the
            object closest to the camera, shape (n,), float32.
        """
        if split not in self._annotations:
            self._annotations[split] = self._read_scenes(split)
        return self._annotations[split]

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted images; see `Source.images`.

        Raises:
            DataError: The zip is damaged, incomplete or another one, or one of the images is.
        """
        for (split, position), image in decode_ahead(self._jobs(wanted), partial(wrong, self._set, self.path)):
            yield split, position, image

    def _jobs(
        self, wanted: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[tuple[str, int], Callable[[], NDArray[np.uint8]]]]:
        with self._opened() as archive:
            for split in wanted:
                self._check_names(archive, split)
            for split, positions in wanted.items():
                keys = self.keys(split)
                for position in positions:
                    key = keys[position]
                    with archive.open(f"images/{_PARTS[split]}/{key}") as file:
                        data = file.read(_MAX_BYTES)
                    yield (split, position), partial(decode, data, f"{self.path}: {key}")

    def _read_scenes(self, split: str) -> Mapping[str, NDArray[Any]]:
        name = f"scenes/CLEVR_{_PARTS[split]}_scenes.json"
        keys = self.keys(split)
        counts = np.zeros(len(keys), dtype=np.int64)
        distances = np.zeros(len(keys), dtype=np.float32)
        position = -1
        with self._opened() as archive:
            if name not in archive.names:
                raise wrong(self._set, self.path, f"lacks {name}")
            with archive.open(name) as file:
                for position, scene in enumerate(scenes(file)):
                    if position == len(keys) or scene.get("image_filename", keys[position]) != keys[position]:
                        raise wrong(self._set, self.path, f"holds an unexpected scene {position} in {name}")
                    things = scene["objects"]
                    depths = np.array([thing["pixel_coords"][2] for thing in things], dtype=np.float32)
                    if len(depths) == 0 or not np.isfinite(depths).all():
                        raise wrong(self._set, self.path, f"holds no distance in scene {position} of {name}")
                    counts[position] = len(depths)
                    distances[position] = depths.min()
        if position + 1 != len(keys):
            raise wrong(
                self._set, self.path, f"holds {position + 1:,} scenes in {name} where {len(keys):,} are expected"
            )
        return {"count": counts, "distance": distances}

    def _check_names(self, archive: _Files, split: str) -> None:
        """Compares the images that there are with those that there should be."""
        folder = f"images/{_PARTS[split]}/"
        found = {name for name in archive.names if name.startswith(folder) and name.endswith(".png")}
        declared = {folder + key for key in self.keys(split)}
        if missing := declared - found:
            raise wrong(self._set, self.path, f"lacks {len(missing):,} images, such as {min(missing)}")
        if more := found - declared:
            raise wrong(self._set, self.path, f"holds {len(more):,} unexpected images, such as {min(more)}")

    @contextmanager
    def _opened(self) -> Iterator[_Files]:
        # RuntimeError: an encrypted member, or scenes nested beyond reason.
        with reading(self._set, self.path, KeyError, IndexError, TypeError, AttributeError, RuntimeError):
            if self.path.is_dir():
                yield _Folder(self.path)
            else:
                with zipfile.ZipFile(self.path) as archive:
                    yield _Zip(archive)


class _Folder:
    """The files of an unpacked folder, by name relative to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.names = frozenset(
            file.relative_to(path).as_posix() for pattern in ("images/*/*", "scenes/*") for file in path.glob(pattern)
        )

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return (self._path / name).open("rb")


class _Zip:
    """The members of the zip, by name relative to its one folder."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = frozenset(name.removeprefix(f"{_FOLDER}/") for name in archive.namelist())

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return self._archive.open(f"{_FOLDER}/{name}")


_Files = _Folder | _Zip
