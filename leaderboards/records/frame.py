"""The tidy frame that everything else is made from: a row a backbone x task x seed, that is a row a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from leaderboards.records.entry import Entry
from leaderboards.records.names import row_names
from vtab_harness.api.errors import OptionError


class Column(NamedTuple):
    """What a column holds.

    Attributes:
        dtype: Of pandas.
        meaning: For a person; ends with no full stop.
    """

    dtype: str
    meaning: str


COLUMNS = {
    "backbone": Column("category", "the shortest part of the spec that tells the backbones of the frame apart"),
    "task": Column("category", "registered name"),
    "seed": Column("int64", "of the final training"),
    "accuracy": Column("float64", "share of the test examples that were right, 0..1; empty where training diverged"),
    "correct": Column("int64", "test examples that were right"),
    "examples": Column("int64", "test examples; 0 where training diverged"),
    "status": Column("category", "`finished` or `diverged`"),
    "protocol": Column("category", "name with version, changed settings and labels, as `linear-v1-5-shot`"),
    "train_examples": Column("category", "labels learned from: `1000`, another number, `5-shot`, `all`"),
    "draw": Column("int64", "which draw of that many labels; 0 is the official one, and what tables show"),
    "variant": Column("category", "of the data, as `vtab-1k` or `jpeg75`"),
    "title": Column("category", "of the task, as tables print it"),
    "group": Column("category", "of the task: `natural`, `specialized` or `structured`"),
    "classes": Column("int64", "of the task"),
    "task_version": Column("category", "of the task's labels and splits"),
    "spec": Column("category", "as the backbone was named on the command line"),
    "name": Column("category", "what a person calls the backbone; empty where nobody has named it"),
    "folder": Column("category", "what one row of a table is: the backbone and the numerics it ran with"),
    "parameters": Column("int64", "of the network"),
    "multiply_adds": Column("Int64", "of one image; empty where they could not be counted"),
    "feature_size": Column("int64", "dimension of the features"),
    "pretrained": Column("bool", "whether the weights are other than random"),
    "input_height": Column("int64", "in pixels"),
    "input_width": Column("int64", "in pixels"),
    "weights": Column("category", "sha256"),
    "architecture": Column("category", "JSON: source, name, arguments"),
    "overridden": Column("category", "JSON: settings of the protocol that are not its own"),
    "column": Column("category", "hash of what a column of a table has in common: data, task, protocol, labels, code"),
    "comparable": Column("category", "hash of all that must be equal for the gate: everything but weights and seed"),
    "test_images": Column("category", "hash of the test images: equal for tasks that share them"),
    "seconds": Column("float64", "spent on this record, over all phases; searches that seeds share count in each"),
    "test_seconds": Column("float64", "of the pass over the test images; empty where there was none"),
    "trained": Column("bool", "whether the network itself was trained, so that the test pass ran it"),
    "images_per_second": Column("float64", "test images a second through the network, as recorded; else empty"),
    "device": Column("category", "that it was computed on"),
    "device_name": Column("category", "of the processor or GPU"),
    "threads": Column("int64", "of the CPU, for one operator"),
    "started": Column("datetime64[us, UTC]", "when the run began; empty where the record's date is none"),
    "finished": Column("datetime64[us, UTC]", "when the record was written"),
    "predictions": Column("category", "sha256 of the predictions; empty where training diverged"),
    "right": Column("object", "a bit a test example, in order, as of `numpy.packbits`; empty where none were read"),
    "record": Column("object", "the file"),
}
"""The columns of a frame, in order. docs/frame.md is made from this."""


def as_markdown() -> str:
    """Returns `COLUMNS` as the table of docs/frame.md."""
    rows = [f"| `{name}` | {dtype} | {meaning} |" for name, (dtype, meaning) in COLUMNS.items()]
    return "\n".join(["| column | type | what it is |", "|---|---|---|", *rows]) + "\n"


def frame_of(entries: Iterable[Entry]) -> pd.DataFrame:
    """Returns records as a frame with `COLUMNS`, in the order given."""
    columns: list[list[object]] = [[] for _ in Entry._fields]
    # Texts come from other processes, and from a database, a copy for each record.
    known: dict[object, object] = {}
    for entry in entries:
        for column, value in zip(columns, entry, strict=True):
            column.append(known.setdefault(value, value) if isinstance(value, str) else value)
    read = pd.DataFrame(
        {name: pd.Series(column, dtype=object) for name, column in zip(Entry._fields, columns, strict=True)}
    )
    read["accuracy"] = read["correct"].astype("float64") / read["examples"].astype("float64")
    read["backbone"] = read["name"] = ""
    for name, (dtype, _) in COLUMNS.items():
        if dtype.startswith("datetime64"):
            read[name] = pd.to_datetime(read[name], errors="coerce", utc=True, format="ISO8601").astype(dtype)
        else:
            read[name] = read[name].astype(dtype)
    return with_names(read[[*COLUMNS]])


def with_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the frame with the names that tell its own backbones apart."""
    named = newest(frame)
    folders = named["folder"].astype(object).tolist()
    rows = zip(folders, named["spec"].astype(object), named["weights"].astype(object), strict=True)
    names = dict(zip(folders, row_names(list(rows), named["name"].astype(object).tolist()), strict=True))
    shown = frame["folder"].astype(object).map(names).astype("category")
    return frame.assign(backbone=shown)


def newest(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the newest record of each backbone, by folder; of equally new ones the first."""
    latest = frame.sort_values("finished", ascending=False, kind="stable", na_position="last")
    return latest.drop_duplicates("folder").sort_values("folder", key=lambda folders: folders.astype(object))


def check_frame(frame: pd.DataFrame) -> None:
    """Checks that a frame is one of ours, whatever else was put beside its columns.

    Raises:
        OptionError: Columns are missing or of another type; names them.
    """
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise OptionError(
            f"The frame lacks the columns {', '.join(missing)}.",
            "Take it from leaderboards.load, and keep its columns.",
        )
    if frame.empty:
        raise OptionError("The frame has no rows.", "Give results, or select less strictly.")


def load(
    *results: str | Path, verify: bool = True, names: Mapping[str, str] | None = None, newest: bool = False
) -> pd.DataFrame:
    """Reads results folders into a tidy frame: a row a backbone x task x seed, typed columns.

    What cannot be used is left out with a warning that names it: files that are no whole record of this version, and
    records that should be the same and disagree. Copies count once.

    Args:
        *results: Folders that `vtab run` wrote.
        verify: Whether predictions are counted again and compared with the score of their record.
        names: What to call backbones: name -> spec, in the form that `vtab_harness.evaluate` takes. Boards and
            comparisons of the frame use the names too.
        newest: Whether to take, of several results of one spec, those of its newest weights only.

    Returns:
        The columns are those of docs/frame.md.

    Raises:
        StorageError: A folder is missing, or holds no record that can be used.
        OptionError: A name cannot be used.

    Examples:
        >>> import leaderboards
        >>> frame = leaderboards.load("results")
        >>> frame.pivot_table("accuracy", "backbone", "task", observed=True).shape
        (2, 2)
    """
    from leaderboards.records.results import read_results
    from leaderboards.records.scan import find_records

    found = read_results(find_records([Path(folder) for folder in results]), verify=verify)
    found.require_some()
    found = found.asked_for(names or {}, newest)
    found.warn()
    return found.frame
