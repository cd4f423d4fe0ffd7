"""What a leaderboard needs of a record, flat, so that a hundred thousand of them fit in little memory and a cache."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from safetensors.numpy import load

from vtab_harness.api.records import Record
from vtab_harness.store import backbone_folder


class Entry(NamedTuple):
    """A record, or a file that should be one.

    Attributes:
        path: The file.
        error: Why it cannot be used; empty where it can. The other fields are then empty as well.
        backbone: Folder name that the harness gives the backbone, computed from the record and not from where it lies.
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
        protocol: Identity.
        overridden: JSON of the protocol's settings that are not its own.
        train_examples: How many labels were learned from.
        variant: Of the data.
        data: Hash over the fingerprints of all splits.
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
    data: str = ""
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
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of a hundred thousand files costs a second)
            record = _record(file.read())
    except msgspec.DecodeError as error:
        return Entry(path, f"half written or damaged: {error}")
    except (ValueError, RecursionError) as error:
        return Entry(path, f"not a record of this harness: {error}")
    except OSError as error:
        return Entry(path, f"cannot be read: {error.strerror}")
    try:
        entry = _flat(path, record)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        return Entry(path, f"not a record of this harness: {what}")
    if verify and entry.status == "finished":
        problem = check_predictions(path, record)
        if problem:
            return entry._replace(error=problem)
    return entry


class _Parts(msgspec.Struct):
    """The blocks of a record. The search, which is most of the file, is checked to be JSON and not built."""

    schema: Any = msgspec.UNSET
    task: Any = msgspec.UNSET
    protocol: Any = msgspec.UNSET
    backbone: Any = msgspec.UNSET
    data: Any = msgspec.UNSET
    seed: Any = msgspec.UNSET
    status: Any = msgspec.UNSET
    score: Any = msgspec.UNSET
    predictions: Any = msgspec.UNSET
    environment: Any = msgspec.UNSET
    run: Any = msgspec.UNSET
    search: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_DECODER = msgspec.json.Decoder(_Parts)


def _record(data: bytes) -> Record:
    """Parses a record without its search.

    Raises:
        ValueError: It is not one; `msgspec.DecodeError` where it is not even JSON.
    """
    try:
        parts = _DECODER.decode(data)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    found = {name: getattr(parts, name) for name in parts.__struct_fields__}
    if isinstance(parts.search, msgspec.Raw) and bytes(memoryview(parts.search)[:1]) == b"{":
        found["search"] = {}
    return Record.from_json({name: value for name, value in found.items() if value is not msgspec.UNSET})


def check_predictions(path: str, record: Record) -> str:
    """Counts the predictions beside a record; returns what is wrong with them, or an empty string.

    As `vtab_harness.store.read_predictions`, for a hundred thousand of them.
    """
    assert record.score is not None
    if record.predictions is None:
        return "it has a score and no predictions"
    # Only the name counts: a record cannot point out of its folder.
    name = os.path.basename(str(record.predictions["file"]))  # noqa: PTH119
    try:
        with open(os.path.join(os.path.dirname(path), name), "rb") as file:  # noqa: PTH118, PTH120, PTH123
            data = file.read()
    except (OSError, ValueError) as error:
        return f"its predictions {name!r} cannot be read: {getattr(error, 'strerror', None) or error}"
    if hashlib.sha256(data).hexdigest() != record.predictions["sha256"]:
        return f"{name!r} is not the file of predictions that it was written with"
    try:
        found = load(data)
        predicted, label = found["predicted"], found["label"]
    except Exception as error:  # safetensors has errors of its own, and none of them may end a whole leaderboard
        return f"its predictions cannot be read: {error}"
    count, right = len(label), int((predicted == label).sum()) if predicted.shape == label.shape else -1
    if (right, count) != (record.score["correct"], record.score["examples"]):
        said = f"{record.score['correct']} of {record.score['examples']}"
        return f"its predictions do not match its score: {right} of {count} are right, the record says {said}"
    return ""


def _flat(path: str, record: Record) -> Entry:
    backbone, data, run, score = record.backbone, record.data, record.run, record.score
    transform, protocol = backbone["transform"], record.protocol
    correct = examples = 0
    if score is not None:
        correct, examples = score["correct"], score["examples"]
        whole = isinstance(correct, int) and isinstance(examples, int)
        if not whole or not 0 <= correct <= examples or examples == 0:
            raise ValueError(f"its score says that {correct!r} of {examples!r} examples were right")
        if abs(float(score["accuracy"]) - correct / examples) > 1e-9:
            raise ValueError(f"its accuracy {score['accuracy']} is not {correct} of {examples}")
    seed = record.seed
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"its seed is {seed!r}")
    seconds = run.get("seconds") or {}
    test, speed = seconds.get("test"), run.get("images_per_second")
    height, width = transform["input_size"]
    macs = backbone["macs"]
    return Entry(
        path,
        "",
        backbone_key(record),
        str(backbone["spec"]),
        int(backbone["parameters"]),
        None if macs is None else int(macs),
        int(backbone["feature_size"]),
        int(bool(backbone["pretrained"])),
        int(height),
        int(width),
        str(backbone["weights"]),
        json.dumps(backbone["architecture"], sort_keys=True),
        str(record.task["name"]),
        str(record.task["version"]),
        int(record.task["num_classes"]),
        str(protocol["identity"]),
        json.dumps(dict(protocol.get("overridden") or {}), sort_keys=True),
        record.train_examples,
        str(data["variant"]),
        _fingerprint(data),
        seed,
        record.status,
        correct,
        examples,
        float(sum(seconds.values())),
        None if test is None else float(test),
        int(protocol["name"] == "finetune"),
        None if speed is None else float(speed),
        str(run.get("started") or ""),
        str(run.get("finished") or ""),
        "" if record.predictions is None else str(record.predictions["sha256"]),
    )


def backbone_key(record: Record) -> str:
    """Returns the folder name that the harness gives the backbone of a record, wherever the record lies now.

    Raises:
        KeyError: The record lacks a part of the backbone's identity.
    """
    backbone = record.backbone
    parts = (json.dumps(backbone[name], sort_keys=True) for name in ("architecture", "transform"))
    return _folder(
        str(backbone["spec"]), *parts, str(backbone["weights"]), str(record.environment.get("precision", ""))
    )


@lru_cache(4096)
def _folder(spec: str, architecture: str, transform: str, weights: str, precision: str) -> str:
    identity = {
        "architecture": json.loads(architecture),
        "transform": json.loads(transform),
        "weights": weights,
        "precision": precision,
    }
    return backbone_folder(spec, identity)


def _fingerprint(data: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for split, kinds in sorted(data["fingerprints"].items()):
        for kind, value in sorted(kinds.items()):
            digest.update(f"{split} {kind} {value};".encode())
    return digest.hexdigest()
