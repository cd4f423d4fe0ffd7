"""Image data sets as the Hub stores them, in Parquet, as a source: file names tell the keys, and keys the order.

Whoever made such a repository may have split it anew; where a set has one source split, all its tables are taken
together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.api.layouts import Repository
from vtab_harness.formats.certificate_files import certified_order
from vtab_harness.formats.example_order import example_order
from vtab_harness.formats.exports.copies import CopiedSplit, Copies, is_lossless
from vtab_harness.formats.exports.shards import wrong_copy
from vtab_harness.formats.exports.tables import Tables, numbered

_SPLIT = re.compile(r"(train|validation|valid|val|test)(?![a-zA-Z])")
_NAMES = {"val": "validation", "valid": "validation"}
_JPEG = b"\xff\xd8\xff"


def open_parquet(image_set: ImageSet, folder: Path, repository: Repository) -> Copies:
    """Opens a folder with the content of a repository.

    Raises:
        DataError: A file is missing or damaged, or names do not tell which examples these are.
    """
    tables = {
        split: Tables(files, repository.image) for split, files in _split_files(image_set, folder, repository).items()
    }
    keys = _keys(image_set, folder, repository, tables)
    splits = []
    for split, table in tables.items():
        size = image_set.sizes[split]
        if len(table) != size:
            raise wrong_copy(
                folder, f"holds {len(table):,} examples of {split!r} where {size:,} are expected: another edition"
            )
        labels = table.numbers(repository.label)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(repository.values):
            raise wrong_copy(folder, f"has labels in {repository.label!r} that are none of {len(repository.values)}")
        values = np.array(repository.values)
        values = values.astype(np.int64 if values.dtype.kind in "iu" else np.float32)
        rank = np.argsort(example_order(split, keys[split]))
        examples = [(split, at) for at in rank.tolist()]
        columns = {repository.column: values[labels]}
        splits.append(CopiedSplit(folder, examples, keys[split], columns, table.contents))
    return Copies(image_set, _variant(image_set, keys, tables), [folder], splits)


def _split_files(image_set: ImageSet, folder: Path, repository: Repository) -> dict[str, list[Path]]:
    """Returns the tables of each source split."""
    found: dict[str, list[Path]] = {}
    for path in sorted((folder / repository.config).rglob("*.parquet")):
        match = _SPLIT.match(path.name) or _SPLIT.match(path.parent.name)
        if match is not None:
            found.setdefault(_NAMES.get(match[1], match[1]), []).append(path)
    ordered = {split: numbered(files, folder) for split, files in found.items()}
    if len(image_set.sizes) == 1:
        (only,) = image_set.sizes
        return {only: [path for files in ordered.values() for path in files]}
    if missing := image_set.sizes.keys() - ordered.keys():
        raise wrong_copy(folder, f"holds no tables of {' and '.join(sorted(missing))}")
    return {split: ordered[split] for split in image_set.sizes}


def _keys(
    image_set: ImageSet, folder: Path, repository: Repository, tables: Mapping[str, Tables]
) -> dict[str, list[str]]:
    """Returns the keys of each split, by the first way of telling them from names that knows the certified ones."""
    if image_set.positional:
        return {split: [str(at) for at in range(len(table))] for split, table in tables.items()}
    names = {split: table.texts(f"{repository.image}.path") for split, table in tables.items()}
    wanted = {key for keys in certified_order(image_set).values() for key in keys}
    if all(name is not None for of_split in names.values() for name in of_split):
        for key_of in _ways(image_set):
            keys = {split: [key_of(str(name)) for name in of_split] for split, of_split in names.items()}
            if wanted and wanted <= {key for of_split in keys.values() for key in of_split}:
                return keys
    raise DataError(
        f"{folder} holds images whose names do not tell which examples of {image_set.name} they are.",
        "Use the published archives, or a repository that keeps the published file names.",
    )


def _ways(image_set: ImageSet) -> list[Callable[[str], str]]:
    """Returns what makes a key of a path: as TFDS's feature with the file name does, of all of it or its last part."""
    columns = image_set.tfds_columns

    def as_tfds(name: str) -> str:
        return name if columns.key_of is None else columns.key_of({columns.key: [name.encode()]})

    return [as_tfds, lambda path: as_tfds(path.rpartition("/")[2])]


def _variant(image_set: ImageSet, keys: Mapping[str, Sequence[str]], tables: Mapping[str, Tables]) -> str:
    """Returns the exact one, unless images are in another format than the published ones, which lost or made pixels."""
    firsts = [
        (keys[split][at], content) for split, table in tables.items() for at, content in table.contents(table.firsts())
    ]
    if all(_as_published(key, content) for key, content in firsts):
        return image_set.tfds_columns.exact
    digest = hashlib.sha256(b"".join(hashlib.sha256(content).digest() for _, content in firsts)).hexdigest()
    return f"reencoded-{digest[:8]}"


def _as_published(key: str, content: bytes) -> bool:
    """Says whether an image may be the published file: what was published as JPEG has to be one still."""
    return content.startswith(_JPEG) if key.lower().endswith((".jpg", ".jpeg")) else is_lossless(content)
