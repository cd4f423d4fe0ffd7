"""What a leaderboard needs of a record, flat, so that a hundred thousand of them fit in little memory and a cache."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from leaderboards.records.record import Usable, read_usable, why_not
from vtab_harness.api.errors import StorageError
from vtab_harness.sweep.store import read_predictions

_encode = msgspec.json.Encoder(order="sorted").encode


class Entry(NamedTuple):
    """A record, or a file that should be one.

    Attributes:
        path: The file.
        error: Why it cannot be used; empty where it can. Where nothing of it can be read, the other fields are empty.
        backbone: What stands in one row, `vtab_harness.api.identity.Identity.row`, wherever the record lies.
        spec: As given on the command line.
        parameters: Number of parameters.
        macs: Multiply-adds of one image, or None.
        feature_size: Dimension of the features.
        pretrained: 1 or 0.
        height: Of the input in pixels.
        width: Of the input in pixels.
        weights: sha256.
        architecture: JSON.
        task: Registered name.
        task_version: Of labels and splits.
        num_classes: From the declaration.
        protocol: `Identity.protocol_name`.
        overridden: JSON of the protocol's settings that are not its own.
        train_examples: How many labels were learned from.
        variant: Of the data.
        column: What may stand in one column, `Identity.column`.
        seed: Of the final training.
        status: ``finished`` or ``diverged``.
        correct: Test examples that were right.
        examples: Test examples.
        seconds: Sum over the phases.
        test_seconds: Of the pass over the test images, or None.
        trained: 1 where the network itself was trained, so that the test pass ran it; 0 where features were kept.
        images_per_second: As recorded, or None.
        started: ISO time.
        finished: ISO time.
        predictions: sha256 of the predictions, or empty.
    """

    path: str
    error: str = ""
    backbone: str = ""
    spec: str = ""
    parameters: int = 0
    macs: int | None = None
    feature_size: int = 0
    pretrained: int = 0
    height: int = 0
    width: int = 0
    weights: str = ""
    architecture: str = "{}"
    task: str = ""
    task_version: str = ""
    num_classes: int = 0
    protocol: str = ""
    overridden: str = "{}"
    train_examples: str = "1000"
    variant: str = ""
    column: str = ""
    seed: int = 0
    status: str = ""
    correct: int = 0
    examples: int = 0
    seconds: float = 0.0
    test_seconds: float | None = None
    trained: int = 0
    images_per_second: float | None = None
    started: str = ""
    finished: str = ""
    predictions: str = ""


def read_entry(path: str, verify: bool) -> Entry:
    """Reads one file; never raises for what the file holds.

    Args:
        path: Of a JSON file in a results folder.
        verify: Whether the predictions are counted again and compared with the score.
    """
    file, entry = Path(path), Entry(path)
    try:
        record = read_usable(file)
        entry = _flat(path, record)
        if verify and record.head.score is not None:
            read_predictions(file, record.head)
    except StorageError as error:
        return entry._replace(error=why_not(file, error))
    return entry


def _flat(path: str, record: Usable) -> Entry:
    head = record.head
    identity, backbone, run, score = head.identity, head.backbone, head.run, head.score
    transform = identity.backbone.transform
    return Entry(
        path,
        "",
        record.row,
        backbone.spec,
        backbone.parameters,
        backbone.macs,
        backbone.feature_size,
        int(backbone.pretrained),
        *transform.input_size,
        identity.backbone.weights,
        _encode(identity.backbone.architecture).decode(),
        identity.task.name,
        identity.task.version,
        head.task.num_classes,
        identity.protocol_name,
        _encode(identity.protocol.changed).decode(),
        identity.labels.examples,
        identity.data.variant,
        record.column,
        head.seed,
        head.status,
        0 if score is None else score.correct,
        0 if score is None else score.examples,
        float(sum(run.seconds.values())),
        run.seconds.get("test"),
        int(identity.protocol.name == "finetune"),
        run.images_per_second,
        run.started,
        run.finished,
        "" if head.predictions is None else head.predictions.sha256,
    )
