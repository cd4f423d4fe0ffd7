"""Finds the files that a data set is published as, and says exactly what to fetch where they are not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vtab_harness.api.data import Archive, ImageSet
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
