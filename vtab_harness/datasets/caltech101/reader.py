"""Reads Caltech101 where it lies: the published archive, the zip that wraps it, or the extracted folder.

Which examples there are, and in which split, comes from `vtab_harness.datasets.caltech101.splits`, never from what is
found; what is found has to agree with it.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import Archive, ImageSet, Source
from vtab_harness.api.errors import DataError, NotFoundError
from vtab_harness.datasets.caltech101.classes import CLASS_SIZES, STRAYS
from vtab_harness.datasets.caltech101.splits import membership
from vtab_harness.formats.decode import decode
from vtab_harness.formats.decode_ahead import decode_ahead
from vtab_harness.formats.errors import difference
from vtab_harness.formats.reorder import Found, in_wanted_order

_FOLDER = "101_ObjectCategories"
_TAR = "101_ObjectCategories.tar.gz"
_ZIP = "caltech-101.zip"
_PLACES = (".", "caltech101", "caltech-101")
_MAX_BYTES = 1 << 26
"""Of one image file; the largest is a thousand times smaller."""


def open_source(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Finds Caltech101 in the first root that has it; a `SourceFactory`.

    Args:
        image_set: The declaration.
        roots: Folders that hold the archive, the zip or the extracted folder, either directly or in a folder
            ``caltech101`` or ``caltech-101``.

    Raises:
        NotFoundError: None of them has it.
    """
    for root in roots:
        for place in _PLACES:
            for name in (_TAR, _ZIP, _FOLDER):
                path = root / place / name
                if path.is_dir() if name == _FOLDER else path.is_file():
                    return Caltech101(path, archives=image_set.archives)
    searched = ", ".join(str(root) for root in roots) or "no data folder was given"
    page = image_set.archives[0].page if image_set.archives else ""
    raise NotFoundError(
        f"{image_set.name} was not found (searched: {searched})",
        f"Fetch {_TAR} or {_ZIP} from {page or 'its publisher'} and put it into one of the data folders.",
    )


class Caltech101:
    """The images of one archive or folder; a `Source`.

    Attributes:
        variant: Says how the splits were drawn.
        path: The archive or folder.
        files: The same.
    """

    variant = "caltech-sorted"

    def __init__(
        self,
        path: Path,
        sizes: Mapping[str, int] = CLASS_SIZES,
        strays: Mapping[str, tuple[str, ...]] = STRAYS,
        archives: Sequence[Archive] = (),
    ) -> None:
        """Declares what has to be there; nothing is read.

        Args:
            path: The archive or folder.
            sizes: Class folder -> its images.
            strays: Class folder -> its images with names out of the row.
            archives: The published files, which a damaged one is compared with.
        """
        self.path = path
        self.files = (path,)
        self._archives = archives
        self._sizes = sizes
        self._keys = membership(sizes, strays)
        names = sorted(sizes, key=str.lower)
        self._labels = {name: label for label, name in enumerate(names)}

    def keys(self, split: str) -> Sequence[str]:
        """Returns ``<ClassDir>/<file>.jpg`` of each example of ``train`` or ``test``."""
        return self._keys[split]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns ``label``, the position of the class in the alphabetical list: shape (n,), int64, 0..101."""
        labels = [self._labels[key.split("/")[0]] for key in self._keys[split]]
        return {"label": np.array(labels, dtype=np.int64)}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted images in one pass; see `Source.images`.

        Raises:
            DataError: The archive is damaged, incomplete or another one.
        """
        files = in_wanted_order(self._wanted(wanted), wanted)
        jobs = ((file.target, partial(decode, file.content, file.where)) for file in files)
        for (split, position), image in decode_ahead(jobs, self._wrong):
            yield split, position, image

    def _wanted(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[Found]:
        """Yields the file of each wanted image, and checks the rest on the way."""
        targets = {self._keys[split][at]: (split, at) for split, positions in wanted.items() for at in positions}
        missing = {key for keys in self._keys.values() for key in keys}
        for key, data in self._files(targets.keys()):
            if key not in missing:
                raise self._wrong(f"holds {key}, which the published data set has not, or not twice")
            missing.remove(key)
            if data is not None:
                yield Found(targets[key], data, f"{self.path}: {key}")
        if missing:
            first = min(missing)
            raise self._wrong(f"is incomplete: {len(missing)} images are missing, such as {first}")

    def _files(self, wanted: Any) -> Iterator[tuple[str, bytes | None]]:
        """Yields the key of every image there is, with its bytes where wanted."""
        try:
            if self.path.is_dir():
                yield from self._from_folder(wanted)
            else:
                yield from self._from_archive(wanted)
        except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
            raise self._wrong(f"cannot be read: {error}") from error

    def _from_folder(self, wanted: Any) -> Iterator[tuple[str, bytes | None]]:
        for file in sorted(self.path.glob("*/*.jpg")):
            key = f"{file.parent.name}/{file.name}"
            if not file.name.startswith("._"):
                yield key, file.read_bytes() if key in wanted else None

    def _from_archive(self, wanted: Any) -> Iterator[tuple[str, bytes | None]]:
        with ExitStack() as stack:
            packed: IO[bytes] = stack.enter_context(self.path.open("rb"))
            if self.path.name == _ZIP:
                packed = self._tar_in_zip(stack.enter_context(zipfile.ZipFile(packed)))
            # Decompressed here, because tarfile's own streaming checks neither the end nor the checksum.
            plain = stack.enter_context(gzip.GzipFile(fileobj=packed))
            tar = stack.enter_context(tarfile.open(fileobj=plain, mode="r|"))
            for member in tar:
                parts = self._safe_parts(member)
                image = member.isfile() and parts[-1].endswith(".jpg") and not parts[-1].startswith("._")
                if not image or len(parts) != 3 or parts[0] != _FOLDER:
                    continue
                key = f"{parts[1]}/{parts[2]}"
                content = tar.extractfile(member) if key in wanted else None
                yield key, content.read() if content is not None else None
            while plain.read(1 << 20):
                pass

    def _tar_in_zip(self, archive: zipfile.ZipFile) -> IO[bytes]:
        for name in archive.namelist():
            if name.rsplit("/")[-1] == _TAR and not name.startswith("__MACOSX"):
                return archive.open(name)
        raise self._wrong(f"holds no {_TAR}")

    def _safe_parts(self, member: tarfile.TarInfo) -> tuple[str, ...]:
        """Returns the parts of a member's name; nothing is written to disk, but such an archive is not the real one."""
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise self._wrong(f"holds {member.name!r}, which leads out of it or is no plain file")
        if member.size > _MAX_BYTES:
            raise self._wrong(f"holds {member.name!r} of {member.size} bytes, too large for an image of this data set")
        return path.parts or (".",)

    def _wrong(self, what: str) -> DataError:
        return DataError(
            f"{self.path} {what}{difference(self._archives, self.path)}",
            f"Fetch {_TAR} or {_ZIP} again in its place; nothing else needs to change.",
        )
