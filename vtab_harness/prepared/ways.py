"""The shortest legal way to each image set: what is here, a mirror, its publisher, the Hub, or a person."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.api.layouts import Repository
from vtab_harness.fetch.download import fetch, may_fetch
from vtab_harness.fetch.hub import fetch_repository, size_on_hub
from vtab_harness.fetch.mirror import fetch_export, find_export, told
from vtab_harness.formats.exports.description import Description
from vtab_harness.prepared.inventory import look
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet, prepared_folder

Kind = Literal["prepared", "here", "mirror", "publisher", "hub", "by hand"]


@dataclass(frozen=True, slots=True)
class Way:
    """How an image set is come by.

    Attributes:
        image_set: Which.
        kind: Where it comes from.
        size: Bytes to fetch; None where nobody says.
        archives: Published files to fetch.
        by_hand: Published files that only a person may fetch.
        repositories: Copies on the Hub to fetch.
        export: On a mirror, as `find_export` gives it.
    """

    image_set: ImageSet
    kind: Kind
    size: int | None = 0
    archives: tuple[Archive, ...] = ()
    by_hand: tuple[Archive, ...] = ()
    repositories: tuple[Repository, ...] = ()
    export: tuple[str, bytes, Description] | None = field(default=None, repr=False)

    def addresses(self, mirrors: Sequence[str]) -> tuple[str, ...]:
        """Returns the web servers that it needs; any of them may do where there are mirrors."""
        if self.repositories:
            return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co",)
        if self.export is not None:
            return (self.export[0],)
        return tuple(dict.fromkeys([*mirrors, *(archive.url for archive in self.archives if archive.url)]))

    def fetch(self, root: Path, mirrors: Sequence[str], progress: Callable[[str, int], None]) -> None:
        """Fetches it into ``root/<image set>``.

        Args:
            root: Data folder.
            mirrors: Addresses of folders, tried first.
            progress: Told a name of a file and how many of its bytes are here.

        Raises:
            VtabError: It cannot be had; says why.
            OSError: The data folder cannot be written.
        """
        if self.export is not None:
            fetch_export(self.image_set, self.export, root, progress)
        for archive in self.archives:
            coming = partial(told, progress, f"{self.image_set.name}/{archive.name}")
            fetch(self.image_set, archive, root, mirrors, coming)
        for repository in self.repositories:
            fetch_repository(repository, root / self.image_set.name)

    def compare(self, prepared: PreparedSet) -> None:
        """Compares pixels with what a mirror said that they are.

        Raises:
            DataError: They are others.
        """
        if self.export is None:
            return
        mirror, _, description = self.export
        other = [
            s
            for s, told in description.splits.items()
            if s in prepared.manifests and prepared.manifests[s].pixels != told.pixels
        ]
        if other:
            raise DataError(
                f"{mirror}: the images of {self.image_set.name} ({', '.join(other)}) are not those that its description"
                " tells: they were encoded anew, or it was changed.",
                f"Delete {prepared.folder} and what was fetched, and use another mirror.",
            )


def way_to(image_set: ImageSet, root: Path, cache: Path | None, mirrors: Sequence[str]) -> Way:
    """Finds the shortest way to an image set.

    Raises:
        DataError: A mirror serves another edition.
    """
    base = prepared_folder(image_set, cache)
    if base.is_dir() and any(all((v / s).is_dir() for s in SPLITS) for v in base.iterdir() if v.name[0] != "."):
        return Way(image_set, "prepared")
    holding = look(image_set, [root])
    if holding.state == "found":
        return Way(image_set, "here")
    export = find_export(image_set, mirrors) if mirrors else None
    if export is not None:
        return Way(image_set, "mirror", sum(file.bytes for file in export[2].files.values()), export=export)
    here = {path.name for path in holding.files}
    fetched = [archive for archive in image_set.archives if may_fetch(archive, mirrors)]
    replaced = {archive.instead_of for archive in fetched}
    wanted = tuple(archive for archive in fetched if archive.name not in here | replaced)
    hand = tuple(
        archive for archive in image_set.archives if archive not in fetched and archive.name not in here | replaced
    )
    if not hand:
        return Way(image_set, "publisher", sum(archive.size or 0 for archive in wanted), wanted)
    copies = _copies(image_set)
    if copies:
        sizes = [size_on_hub(repository) for repository in copies]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        return Way(image_set, "hub", total, (), hand, copies)
    # A person who brings the rest should find that everything else has come.
    return Way(image_set, "by hand", sum(archive.size or 0 for archive in wanted), wanted, hand)


def _copies(image_set: ImageSet) -> tuple[Repository, ...]:
    """Returns one repository with file names, which tell examples, or else those of all tasks."""
    named = [each for each in image_set.repositories if each.layout == "parquet" and not image_set.positional]
    return tuple(named[:1] or [each for each in image_set.repositories if each.layout == "webdataset"])
