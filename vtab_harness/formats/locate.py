"""Finds the files that a data set is published as, and says exactly what to fetch where they are not there.

`open_any` opens an image set from whatever a person has: archives, a directory prepared by TFDS, a copy from the Hub,
or the community's folder.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import Archive, ImageSet, Source, SourceFactory
from vtab_harness.api.errors import NotFoundError


def locate(image_set: ImageSet, roots: Sequence[Path], names: Sequence[str]) -> Path:
    """Finds one file or folder of a data set, in a data folder itself or in its folder named like the image set.

    Args:
        image_set: Names the folder, and describes the files in its `archives`.
        roots: Data folders, searched in order.
        names: Names under which the same content is known (an archive, its unpacked form), the preferred one first;
            relative paths such as ``images/jpg`` are possible.

    Returns:
        The first that exists: roots before folders before names.

    Raises:
        NotFoundError: There is none; says what is looked for, where, and what to fetch.
    """
    for root in roots:
        for folder in (root, root / image_set.name):
            for name in names:
                path = folder / name
                # A folder that may not be entered counts as absent: another root may have the data.
                try:
                    found = path.exists()
                except OSError:
                    found = False
                if found:
                    return path
    raise NotFoundError(_absence(image_set, roots, names), how_to_get(image_set, names))


def archives_in(image_set: ImageSet, roots: Sequence[Path]) -> tuple[Path, ...]:
    """Returns those published files of a data set that are in the data folders."""
    folders = [folder for root in roots for folder in (root, root / image_set.name)]
    places = [folder / archive.name for archive in image_set.archives for folder in folders]
    return tuple(dict.fromkeys(path for path in places if _is_file(path)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _absence(image_set: ImageSet, roots: Sequence[Path], names: Sequence[str]) -> str:
    if not roots:
        return f"{image_set.name} was not found: no data folder was given"
    places = ", ".join(f"{root} and {root / image_set.name}" for root in roots)
    here = [path.name for path in archives_in(image_set, roots)]
    if here:
        what = f"none of {', '.join(names)} is" if len(names) > 1 else f"{names[0]} is not"
        return f"{image_set.name} is incomplete: {what} in {places}; found: {', '.join(here)}"
    return f"{image_set.name} was not found: none of {', '.join(names)} is in {places}"


def how_to_get(image_set: ImageSet, names: Sequence[str]) -> str:
    """Returns the advice that goes with missing or damaged files: which ones to fetch, and from where.

    Args:
        image_set: Describes its files.
        names: Which of them; where none of these is described, all are named.
    """
    archives = [archive for archive in image_set.archives if archive.name in names] or list(image_set.archives)
    wanted = "; or ".join(_describe(archive) for archive in archives) or " or ".join(names)
    return f"Fetch {wanted}, and put it into a data folder or its folder {image_set.name}."


def _describe(archive: Archive) -> str:
    facts = []
    if archive.size is not None:
        facts.append(f"{archive.size:,} bytes")
    if archive.sha256 is not None:
        facts.append(f"sha256 {archive.sha256}")
    inside = f" ({', '.join(facts)})" if facts else ""
    return f"{archive.name}{inside}" + (f" from {archive.page}" if archive.page else "")


def open_any(image_set: ImageSet, roots: Sequence[Path]) -> Source:
    """Opens the declared source; where its files are absent, prepared TFDS data, a copy, then the community's folder.

    Damaged files are reported, not passed over: other data would be another variant, which nobody asked for.

    Args:
        image_set: What to open.
        roots: Folders with the person's data, searched in order.

    Raises:
        NotFoundError: There is none of them; says what to fetch.
        DataError: What there is cannot be used.
    """
    module, _, attribute = image_set.source.partition(":")
    factory: SourceFactory = getattr(importlib.import_module(module), attribute)
    try:
        return factory(image_set, roots)
    except NotFoundError as error:
        # Their readers are of no use to most people, who have the archives.
        from vtab_harness.formats.community.source import open_community
        from vtab_harness.formats.exports.find import open_copies
        from vtab_harness.formats.tfds.source import open_tfds

        source = open_tfds(image_set, roots) or open_copies(image_set, roots) or open_community(image_set, roots)
        if source is not None:
            return source
        others = []
        if image_set.tfds:
            others.append(f"a directory that TensorFlow Datasets has prepared ({image_set.tfds}/<version>)")
        if image_set.community:
            folders = " or ".join(task.name for task in image_set.community)
            others.append(f"the folder {folders} of the community's VTAB-1k (variant jpeg75)")
        if image_set.repositories:
            folders = " or ".join(each.name for each in image_set.repositories)
            others.append(f"a folder with the content of {folders} on the Hugging Face Hub, called like it")
        hint = error.hint or ""
        if image_set.archives or image_set.repositories:
            hint += f"\nvtab data get --task {image_set.name} --data FOLDER fetches what a program may fetch."
        if others:
            hint += f"\nThis would do too: {', or '.join(others)}."
        raise NotFoundError(error.message, hint.lstrip()) from error
