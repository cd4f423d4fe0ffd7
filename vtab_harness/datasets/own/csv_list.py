"""Images that a CSV file lists with their labels, and perhaps with their splits."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.own.collection import MOST_IMAGES, SPLIT_NAMES, Collection
from vtab_harness.datasets.own.folder import of_paths
from vtab_harness.formats.json_file import read_bounded

COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "image"),
    "label": ("label", "class", "target", "category"),
    "split": ("split", "set", "subset"),
}
"""What is read -> the headings that it goes by, the first that is there."""
_MOST_BYTES = 1 << 30
_NAMED = 3
_HEADING = "Give it a heading such as path,label or path,label,split."


def listed(file: Path) -> Collection:
    """Reads a list.

    Paths begin at the folder of the file and stay in it. Splits are train, val and test, in every row or in none.

    Raises:
        DataError: It is no such list, or names files that are not there.
    """
    try:
        text = read_bounded(file, _MOST_BYTES).decode("utf-8-sig")
        # As spreadsheets write it where the comma ends the whole part of a number.
        separator = next((sign for sign in ",;\t" if sign in text.partition("\n")[0]), ",")
        rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
        heading = [name.strip().lower() for name in next(rows, [])]
        at = {what: _column(heading, names) for what, names in COLUMNS.items()}
        if at["path"] is None or at["label"] is None:
            missing = "path" if at["path"] is None else "label"
            raise DataError(f"{file} has no column {missing!r}, only {', '.join(heading[:10]) or 'none'}.", _HEADING)
        found: dict[str, tuple[list[str], list[str]]] = {}
        lost: list[str] = []
        for number, row in enumerate(rows, start=2):
            if row:
                split, path, label = _cells(file, number, row, at)
                paths, labels = found.setdefault(split, ([], []))
                paths.append(path)
                labels.append(label)
                if not (file.parent / path).is_file():
                    lost.append(path)
            if number > MOST_IMAGES:
                raise DataError(f"{file} lists more than {MOST_IMAGES:,} images.", "Give a shorter list.")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text in UTF-8: {error}.", "Save it as CSV in UTF-8.") from error
    except (csv.Error, ValueError) as error:
        raise DataError(f"{file} is not a list in CSV: {error}.", _HEADING) from error
    if lost:
        some = ", ".join(lost[:_NAMED])
        more = f" and {len(lost) - _NAMED:,} more" if len(lost) > _NAMED else ""
        raise DataError(
            f"{file} lists images that are not in {file.parent}: {some}{more}.",
            "Put them there, or take their rows out. Paths begin at the folder of the list.",
        )
    if found and "train" not in found:
        raise DataError(
            f"{file} lists nothing for the split train.", "Leave the column split out, or name train in it."
        )
    splits = {split: of_paths(file.parent, *found[split]) for split in sorted(found)}
    _check_apart(file, splits={split: paths for split, (paths, _) in found.items()})
    return Collection(str(file), splits, (file, *(file.parent / path for paths, _ in found.values() for path in paths)))


def _column(heading: list[str], names: tuple[str, ...]) -> int | None:
    return next((heading.index(name) for name in names if name in heading), None)


def _cells(file: Path, number: int, row: list[str], at: Mapping[str, int | None]) -> tuple[str, str, str]:
    """Returns split, path and label of a row."""
    where = f"{file}, row {number}"
    cells = {what: row[i].strip() if i < len(row) else "" for what, i in at.items() if i is not None}
    path, label = cells["path"].replace("\\", "/"), cells["label"]
    if not path or not label:
        raise DataError(f"{where} has no {'label' if path else 'path'}.", "Fill it in, or take the row out.")
    leads_out = path.startswith("/") or ".." in path.split("/") or "\0" in path
    if leads_out or not (file.parent / path).resolve().is_relative_to(file.parent.resolve()):
        raise DataError(f"{where} names {path!r}, which leads out of the folder of the list.", "Put the list above it.")
    split = SPLIT_NAMES.get(cells.get("split", "train").lower())
    if split is None:
        raise DataError(f"{where} has the split {cells['split']!r}.", "Write train, val or test.")
    return split, path, label


def _check_apart(file: Path, splits: Mapping[str, list[str]]) -> None:
    """Refuses a file that is listed twice: it may be both learned from and tested on."""
    seen: set[str] = set()
    for paths in splits.values():
        for path in paths:
            if path in seen:
                raise DataError(f"{file} lists {path} twice.", "Keep one of the rows.")
            seen.add(path)
