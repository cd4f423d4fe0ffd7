"""What a leaderboard needs of a record, flat, so that a hundred thousand of them fit in little memory and a cache."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from leaderboards.records.record import Usable, read_usable, why_not
from vtab_harness import registry
from vtab_harness.api.errors import StorageError
from vtab_harness.sweep.store import read_predictions

_encode = msgspec.json.Encoder(order="sorted").encode
_LARGEST_CLAIM = 1 << 24


TRAIN_THE_NETWORK = ("finetune", "lora")
"""Protocols that run each test image through a network of their own, which another seed would train otherwise."""


class Entry(NamedTuple):
    """A record, or a file that should be one. `leaderboards.records.frame.COLUMNS` says what the fields are.

    Attributes:
        error: Why it cannot be used; empty where it can. Of such a file the other fields hold what it seems to be a
            record of, by where it lies and what it says; the rest is empty.
    """

    record: str
    error: str = ""
    folder: str = ""
    spec: str = ""
    parameters: int = 0
    multiply_adds: int | None = None
    feature_size: int = 0
    pretrained: int = 0
    input_height: int = 0
    input_width: int = 0
    weights: str = ""
    architecture: str = "{}"
    task: str = ""
    title: str = ""
    group: str = ""
    classes: int = 0
    task_version: str = ""
    protocol: str = ""
    overridden: str = "{}"
    train_examples: str = "1000"
    draw: int = 0
    variant: str = ""
    column: str = ""
    comparable: str = ""
    test_images: str = ""
    seed: int = 0
    status: str = ""
    correct: int = 0
    examples: int = 0
    seconds: float = 0.0
    test_seconds: float | None = None
    trained: int = 0
    images_per_second: float | None = None
    device: str = ""
    device_name: str = ""
    threads: int = 0
    started: str = ""
    finished: str = ""
    predictions: str = ""
    right: bytes = b""


def read_entry(path: str, verify: bool) -> Entry:
    """Reads one file; never raises for what the file holds.

    Args:
        path: Of a JSON file in a results folder.
        verify: Whether the predictions are counted again and compared with the score.
    """
    file = Path(path)
    try:
        record = read_usable(file)
        entry = _flat(path, record)
        if verify and record.head.score is not None:
            found = read_predictions(file, record.head)
            entry = entry._replace(right=np.packbits(found["predicted"] == found["label"]).tobytes())
    except StorageError as error:
        return unusable(path, why_not(file, error))
    return entry


class _Named(msgspec.Struct):
    spec: str = ""


class _Claims(msgspec.Struct):
    """What records of every version say in the same place."""

    backbone: _Named


_CLAIMS = msgspec.json.Decoder(_Claims)


def unusable(path: str, why: str) -> Entry:
    """Returns a file with what it seems to be a record of, by where it lies and what it says.

    Args:
        path: Of the file or folder.
        why: It cannot be used, as a clause.
    """
    file, spec = Path(path), ""
    try:
        if file.is_file() and file.stat().st_size <= _LARGEST_CLAIM:
            spec = _CLAIMS.decode(file.read_bytes()).backbone.spec
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    folder, task, protocol, _ = ("", "", "", "", *file.parts)[-4:]
    known = task in registry.tasks.names()
    return Entry(path, why, folder, spec, task=task if known else "", protocol=protocol)


def _flat(path: str, record: Usable) -> Entry:
    head = record.head
    identity, backbone, run, score = head.identity, head.backbone, head.run, head.score
    height, width = identity.backbone.transform.input_size
    return Entry(
        record=path,
        folder=record.row,
        spec=backbone.spec,
        parameters=backbone.parameters,
        multiply_adds=backbone.macs,
        feature_size=backbone.feature_size,
        pretrained=int(backbone.pretrained),
        input_height=height,
        input_width=width,
        weights=identity.backbone.weights,
        architecture=_encode(identity.backbone.architecture).decode(),
        task=identity.task.name,
        title=head.task.title,
        group=head.task.group,
        classes=head.task.num_classes,
        task_version=identity.task.version,
        protocol=identity.protocol_name,
        overridden=_encode(identity.protocol.changed).decode(),
        train_examples=identity.labels.examples,
        # One whose draw is not known is under a protocol of its own as well.
        draw=-1 if identity.labels.draw is None else identity.labels.draw,
        variant=identity.data.variant,
        column=record.column,
        comparable=record.comparable,
        test_images=record.test_images,
        seed=head.seed,
        status=head.status,
        correct=0 if score is None else score.correct,
        examples=0 if score is None else score.examples,
        seconds=float(sum(run.seconds.values())),
        test_seconds=run.seconds.get("test"),
        trained=int(identity.protocol.name in TRAIN_THE_NETWORK),
        images_per_second=run.images_per_second,
        device=head.environment.device,
        device_name=head.environment.device_name,
        threads=head.environment.threads,
        started=run.started,
        finished=run.finished,
        predictions="" if head.predictions is None else head.predictions.sha256,
    )
