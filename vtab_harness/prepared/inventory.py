"""What is there of an image set: prepared in the cache, found in a data folder, or to be fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.errors import DataError, NotFoundError
from vtab_harness.formats.locate import archives_in
from vtab_harness.formats.tfds.directory import find_directory
from vtab_harness.prepared.certificates import EXACT, UNVERIFIED
from vtab_harness.prepared.certify import certify, other_archives
from vtab_harness.prepared.choice import open_source
from vtab_harness.prepared.prepare_subsets import selections, with_selections
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet, prepared_folder

State = Literal["prepared", "damaged", "found", "incomplete", "missing"]


@dataclass(frozen=True, slots=True)
class Holding:
    """One image set as it is here; where several variants were prepared, one of them.

    Attributes:
        image_set: The declaration.
        state: ``found`` is ready to be prepared; ``incomplete`` are data folders with some of the files.
        variant: As the source declares it; None where there is no source, or only reading all of it would tell.
        prepared: Opened, where that is possible.
        bytes: Disk used by what is prepared.
        files: Published files that lie in the data folders, or a directory that TFDS has prepared.
        problem: What is wrong or missing, and what to do about it.
        doubt: Why data that can be used may not be the published ones, and what to do about it.
    """

    image_set: ImageSet
    state: State
    variant: str | None = None
    prepared: PreparedSet | None = None
    bytes: int = 0
    files: tuple[Path, ...] = ()
    problem: str = ""
    doubt: str = ""


def prepared_splits(image_set: ImageSet, cache: Path | None) -> dict[Path, list[str]]:
    """Returns, by folder of a variant, the splits that were prepared."""
    base = prepared_folder(image_set, cache)
    folders = sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    # Hidden ones are at work.
    return {
        folder: [split for split in image_set.splits if (folder / split).is_dir()]
        for folder in folders
        if folder.name[0] != "."
    }


def survey(image_set: ImageSet, roots: Sequence[Path], cache: Path | None) -> list[Holding]:
    """Looks for an image set; reads no image.

    Args:
        image_set: What to look for.
        roots: Data folders.
        cache: Cache folder; `default_cache` if None.
    """
    files = archives_in(image_set, roots)
    holdings = []
    for folder, splits in prepared_splits(image_set, cache).items():
        if not set(SPLITS) <= set(splits):
            continue
        used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        try:
            prepared = PreparedSet(image_set, folder, splits)
        except DataError as error:
            holdings.append(Holding(image_set, "damaged", folder.name, None, used, files, str(error)))
        else:
            holdings.append(
                Holding(image_set, "prepared", folder.name, prepared, used, files, doubt=doubt_of(prepared))
            )
    return holdings or [look(image_set, roots)]


def look(image_set: ImageSet, roots: Sequence[Path]) -> Holding:
    """Looks for an image set in data folders only, whether it was prepared or not."""
    files = archives_in(image_set, roots)
    try:
        source = _quickly_opened(image_set, roots)
    except DataError as error:
        return Holding(image_set, "incomplete" if files else "missing", files=files, problem=str(error))
    # A publisher may pack the same files anew, so that this is a doubt rather than an error.
    doubt = "\n".join(
        f"{path} has {path.stat().st_size:,} bytes, and the published file {archive.size:,}:"
        " it is another edition, or damaged."
        f"\n  {_consequence(image_set)} Fetch it again from {archive.page or 'its publisher'}"
        for path in files
        for archive in image_set.archives
        if archive.name == path.name and archive.size not in (None, path.stat().st_size)
    )
    if isinstance(source, Path):
        return Holding(image_set, "found", files=(*files, source), doubt=doubt)
    return Holding(image_set, "found", source.variant, files=files, doubt=doubt)


def _consequence(image_set: ImageSet) -> str:
    if image_set.positional:
        return f"What can be read of it is used, and results are stamped {UNVERIFIED}."
    return "What can be read of it is used, and certified as far as its examples have the published names."


def doubt_of(prepared: PreparedSet) -> str:
    """Says why a prepared set may not be the published data, and what to do about it; empty where nothing does.

    That keys or labels differ from the certificates is not among it.
    """
    name, positional = prepared.image_set.name, prepared.image_set.positional
    again = f"delete {prepared.folder}, and prepare it again."
    if others := other_archives(prepared):
        # Where keys are names, they are certified whatever file they came in.
        meaning = f"results are stamped {UNVERIFIED}" if positional else "only its keys are certified"
        verb = "is not the published file of its name" if len(others) == 1 else "are not the published files"
        return (
            f"{name} was prepared from {', '.join(others)}, which {verb}: {meaning}.\n"
            f"  To replace it, put the published file there, {again}"
        )
    if prepared.variant == EXACT and certify(prepared).untold:
        return (
            f"{name} was not prepared from the published files as they are, but from unpacked ones, from a directory of"
            f" TFDS,\n  or by an earlier version that did not compare them. Keys are positions: results are stamped"
            f" {UNVERIFIED}.\n  To certify it, put the published files, still packed and with no unpacked ones beside"
            f" them, into the data folder,\n  {again}"
        )
    return ""


def _quickly_opened(image_set: ImageSet, roots: Sequence[Path]) -> Source | Path:
    """Opens the source; of a prepared TFDS directory returns the path, as opening it reads every record."""
    try:
        return open_source(replace(image_set, tfds="", community=()), roots)
    except NotFoundError:
        directory = find_directory(image_set, roots) if image_set.tfds else None
        return open_source(image_set, roots) if directory is None else directory


def verify(image_set: ImageSet, cache: Path | None) -> dict[Path, DataError | None]:
    """Reads everything that was prepared of an image set again, for other numbers of training examples as well.

    Returns:
        By folder of a split: what is wrong with it, or None.
    """
    found: dict[Path, DataError | None] = {}
    for folder, splits in prepared_splits(image_set, cache).items():
        for split in [*splits, *selections(image_set, folder)]:
            # One by one, so that damage in the first does not hide that in the second.
            try:
                PreparedSet(with_selections(image_set, folder, [split]), folder, [split]).verify()
            except DataError as error:
                found[folder / split] = error
            else:
                found[folder / split] = None
    return found
