"""What most readers give: lists that say which examples there are, and an archive that has to agree with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.errors import DataError
from vtab_harness.formats.archives import Member, Members
from vtab_harness.formats.decode import decode, decode_ahead

Decoder = Callable[[bytes, str], NDArray[np.uint8]]
"""(content of a file, what to call it in messages) -> image."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The examples of one source split.

    Attributes:
        keys: Their keys.
        annotations: Columns aligned with the keys.
    """

    keys: Sequence[str]
    annotations: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """An archive or folder with the images of some source splits.

    Attributes:
        members: Its files.
        key_of: Parts of a path inside -> example key, or None for what is no image of this data set.
        splits: Source splits whose images are here.
        complete: The lists name every image that belongs in it, so that one more is a sign of another edition.
    """

    members: Members
    key_of: Callable[[tuple[str, ...]], str | None]
    splits: tuple[str, ...]
    complete: bool = True


class ListedImages:
    """Images in archives, examples from lists; a `Source`.

    Args:
        listings: Source split -> its examples.
        places: Where the images are.
        decoder: Makes the image of a file.
        lists: Files that the listings come from.
        variant: What records call these data; ``vtab-1k`` is the exact data, as the keys decide.

    Attributes:
        variant: As given.
        files: Everything that is read: images and lists.
    """

    def __init__(
        self,
        listings: Mapping[str, Listing],
        places: Sequence[Place],
        decoder: Decoder = decode,
        lists: Sequence[Path] = (),
        variant: str = "vtab-1k",
    ) -> None:
        self.variant = variant
        self._listings = listings
        self._places = places
        self._decode = decoder
        self.files = (*(place.members.path for place in places), *lists)

    def keys(self, split: str) -> Sequence[str]:
        """Returns the keys of a source split, as listed."""
        return self._listings[split].keys

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        """Returns the columns of a source split, each of shape (n,)."""
        return self._listings[split].annotations

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        """Decodes the wanted images in one pass over each archive that has some; see `Source.images`.

        Raises:
            DataError: An archive is damaged, incomplete or another one, or an image cannot be decoded.
        """
        for place in self._places:
            targets = {
                self.keys(split)[at]: (split, at) for split in place.splits for at in wanted.get(split, ())
            }  # fmt: skip
            if not targets:
                continue
            for (split, at), image in decode_ahead(self._jobs(place, targets, wanted), place.members.wrong):
                yield split, at, image

    def _jobs(
        self, place: Place, targets: Mapping[str, tuple[str, int]], wanted: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[tuple[str, int], Callable[[], NDArray[np.uint8]]]]:
        """Yields what decodes each wanted image, in the order of `wanted` where that is possible."""
        members = self._found(place, targets)
        if place.members.lasting:
            found = dict(members)
            for target in ((split, at) for split, positions in wanted.items() for at in positions):
                if target in found:
                    yield target, partial(self._decode, found[target].read(), found[target].where)
        else:
            files = (Found(target, member.read(), member.where) for target, member in members)
            for file in in_wanted_order(files, wanted):
                yield file.target, partial(self._decode, file.content, file.where)

    def _found(self, place: Place, targets: Mapping[str, tuple[str, int]]) -> Iterator[tuple[tuple[str, int], Member]]:
        """Yields the wanted images of an archive, and compares it with the lists on the way."""
        missing = {key for split in place.splits for key in self.keys(split)}
        for member in place.members:
            key = place.key_of(member.parts)
            if key is None:
                continue
            if key in missing:
                missing.remove(key)
                if key in targets:
                    yield targets[key], member
            elif place.complete or key in targets:
                raise place.members.wrong(f"holds {'/'.join(member.parts)}, which it should not, or not twice")
        if missing:
            raise place.members.wrong(
                f"is incomplete, or it or the lists are of another data set: {len(missing)} images are missing, such as"
                f" {min(missing)}"
            )


def last(count: int, suffix: str = "") -> Callable[[tuple[str, ...]], str | None]:
    """Returns a `key_of` that joins the last `count` parts by slashes, of files with this suffix."""

    def key_of(parts: tuple[str, ...]) -> str | None:
        return "/".join(parts[-count:]) if len(parts) >= count and parts[-1].endswith(suffix) else None

    return key_of


def inside(keys: Sequence[str], wrong: Callable[[str], DataError]) -> None:
    """Refuses a list with names that lead out of the archive.

    Args:
        keys: Names in the list.
        wrong: Makes the error; its argument continues a sentence that starts with the list.

    Raises:
        DataError: One does.
    """
    for key in keys:
        if key.startswith("/") or ".." in key.split("/"):
            raise wrong(f"names the image {key!r}, which leads out of the archive")


def labels(values: Sequence[int]) -> Mapping[str, NDArray[Any]]:
    """Returns the one column ``label``, int64."""
    return {"label": np.array(values, dtype=np.int64)}


class Found(NamedTuple):
    """An image file of an archive.

    Attributes:
        target: Source split and position.
        content: The file.
        where: What to call it in messages.
    """

    target: tuple[str, int]
    content: bytes
    where: str


def in_wanted_order(
    files: Iterator[Found], wanted: Mapping[str, Sequence[int]], most: int = 1 << 29
) -> Iterator[Found]:
    """Yields files in the order of `wanted`; in the order in which they come where they are too many to hold.

    Images that come in example order are written once; others are written as they come, and once more in order. The
    files are small beside the images in them: those of Caltech101 have 130 MB, the images 1.6 GB.

    Args:
        files: Wanted files, in any order.
        wanted: Source split -> positions.
        most: Bytes of files that may be held.
    """
    held: dict[tuple[str, int], Found] = {}
    size = 0
    for file in files:
        held[file.target] = file
        size += len(file.content)
        if size > most:
            while held:
                yield held.pop(next(iter(held)))
            yield from files
            return
    for split, positions in wanted.items():
        for position in positions:
            if (split, position) in held:
                yield held.pop((split, position))
