"""The prepared cache: folders that another machine, an older version or a killed process may have left."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from small_source import IMAGE_SET, RARE, SHADE

from fuzzing.containers import safetensors_damaged
from fuzzing.damage import Mutator, damaged
from fuzzing.reader import Reader, in_file
from fuzzing.small_sets import DTD, write
from fuzzing.structures import json_damaged
from vtab_harness.api.data import SPLITS
from vtab_harness.datasets import dtd
from vtab_harness.prepared.certify import certify, data_identity
from vtab_harness.prepared.choice import choose
from vtab_harness.prepared.inventory import survey
from vtab_harness.prepared.manifest import ANNOTATIONS, KEYS, MANIFEST, PIXELS, SHAPES
from vtab_harness.prepared.prepared_set import PreparedSet, prepare, prepared_folder

_VARIANT = prepared_folder(IMAGE_SET, Path()) / "small"


def _input(name: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        prepare(IMAGE_SET, [], folder)
        return (folder / _VARIANT / "train800" / name).read_bytes()

    return make


def _read_prepared(folder: Path) -> None:
    survey(IMAGE_SET, [], folder)
    found = PreparedSet(IMAGE_SET, folder / _VARIANT, SPLITS)
    images = found.images("train800")
    images.read(0, len(images))
    for task in (SHADE, RARE):
        data_identity(found, task)
        certify(found, task)
    found.keys("train800")
    found.verify()


def _lengths(of: Mutator) -> Mutator:
    """Keeps the length, which is compared before a file is opened, half of the time."""

    def mutate(rng: Random, data: bytes) -> bytes:
        made = of(rng, data)
        return (made + bytes(len(data)))[: len(data)] if rng.random() < 0.5 else made

    return mutate


def _npy_damaged(rng: Random, data: bytes) -> bytes:
    """Damages bytes, or writes another array."""
    if rng.random() < 0.6:
        return damaged(rng, data)
    shapes = np.load(io.BytesIO(data))
    shapes[rng.randrange(len(shapes)), rng.randrange(3)] = rng.choice((-1, 0, 2**31, 2**62, -(2**63)))
    kinds = (shapes, shapes.astype("f8"), shapes.reshape(-1), shapes.astype("<U21"), shapes.astype("M8[s]"))
    buffer = io.BytesIO()
    np.save(buffer, rng.choice(kinds))
    return buffer.getvalue()


def _choice_input(name: str, content: bytes) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        write(folder / "data", DTD)
        base = prepared_folder(dtd.IMAGE_SET, folder)
        base.mkdir(parents=True)
        choose(dtd.IMAGE_SET, [folder / "data"], base)
        (base / "vtab-1k").mkdir()
        return (base / name).read_bytes() if (base / name).exists() else content

    return make


def _choose(folder: Path) -> None:
    chosen = choose(dtd.IMAGE_SET, [folder / "data"], prepared_folder(dtd.IMAGE_SET, folder))
    if chosen.prepared_from_this and chosen.folder.exists():
        chosen.remember()


_BASE = prepared_folder(dtd.IMAGE_SET, Path())

READERS = (
    *(
        Reader(
            f"prepared {name}", _input(name), mutate, in_file(f"{_VARIANT / 'train800' / name}", _read_prepared), share
        )
        for name, mutate, share in (
            (MANIFEST, json_damaged, 2.0),
            (SHAPES, _lengths(_npy_damaged), 1.0),
            (ANNOTATIONS, _lengths(safetensors_damaged), 1.0),
            (KEYS, _lengths(json_damaged), 1.0),
            (PIXELS, _lengths(damaged), 0.3),
        )
    ),
    *(
        Reader(f"prepared from {name}", _choice_input(name, content), json_damaged, in_file(f"{_BASE / name}", _choose))
        for name, content in ((".seen.json", b"{}"), ("vtab-1k/source.json", b'{"stamps": ["ab", "cd"]}'))
    ),
)
