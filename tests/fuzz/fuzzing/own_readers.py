"""Somebody's own images: lists in CSV, image files, and what `datasets` has saved."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import Image

from fuzzing.damage import damaged
from fuzzing.reader import Reader, in_file
from fuzzing.structures import json_damaged
from fuzzing.texts import text_mutator
from vtab_harness.datasets.own import folder as own_folder
from vtab_harness.datasets.own import hub
from vtab_harness.datasets.own.reader import decoded


def _saved(kind: str, at: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 9), (at, 0, 255 - at)).save(buffer, kind)
    return buffer.getvalue()


def _list(folder: Path) -> bytes:
    for i in range(12):
        (folder / f"{i}.png").write_bytes(_saved("PNG", i))
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    return "".join(["path,label,split\n", *(f"{i}.png,{i % 2},{splits[i]}\n" for i in range(12))]).encode()


def _data_set(name: str) -> Callable[[Path], bytes]:
    """Returns a `Reader.make` that saves a data set and returns one of its files."""

    def make(folder: Path) -> bytes:
        import datasets

        kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])}
        rows = {"image": [{"bytes": _saved("PNG", i), "path": None} for i in range(12)], "label": [0, 1] * 6}
        saved = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
        datasets.disable_progress_bars()
        saved.save_to_disk(str(folder))
        return (folder / name).read_bytes()

    return make


def _read_data_set(folder: Path) -> None:
    source = hub.open_source(hub.declare(str(folder)).image_set, ())
    for _ in source.images({"train": range(len(source.keys("train")))}):
        pass


def _read_list(folder: Path) -> None:
    # Also whether it makes a task.
    source = own_folder.open_source(own_folder.declare(str(folder / "list.csv")).image_set, ())
    for split in ("train", "validation", "test"):
        with suppress(KeyError):
            source.annotations(split)


READERS = (
    Reader(
        "own list",
        _list,
        text_mutator(",,\n\n/", ("train", "../x", "0.png", '"', "split")),
        in_file("list.csv", _read_list),
    ),
    Reader("own image webp", lambda folder: _saved("WEBP"), damaged, lambda folder, data: decoded(data, "the file")),
    *(
        Reader(
            f"own data set {name}",
            _data_set(name),
            json_damaged if name.endswith("json") else damaged,
            in_file(name, _read_data_set),
            share=0.4,
        )
        for name in ("dataset_info.json", "state.json", "data-00000-of-00001.arrow")
    ),
)
