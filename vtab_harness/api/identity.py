"""Identity: what makes a number that number and no other.

Everything that has to know whether two results are the same asks here, and keeps no list of its own: where a record
lies, whether it answers what is asked now, what of an unfinished run may be used again, the key of kept features, what
may stand in one table, what the gate may compare. Device and library versions are provenance, not identity: they stand
in the record's environment.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec

from vtab_harness.api.backbones import BackboneIdentity
from vtab_harness.api.train_examples import TrainExamples


@dataclass(frozen=True, slots=True)
class SplitIdentity:
    """One split: sha256 (hex) over its keys, its labels and its pixels, each in example order."""

    keys: str
    labels: str
    pixels: str


@dataclass(frozen=True, slots=True)
class DataIdentity:
    """Which data.

    Attributes:
        image_set: Registered name.
        version: Of its declaration.
        variant: What is proved of it, such as ``vtab-1k``, ``jpeg75``, ``unverified``.
        splits: By name, those that were learned from and ``test``.
    """

    image_set: str
    version: str
    variant: str
    splits: Mapping[str, SplitIdentity]

    @property
    def test_images(self) -> str:
        """What identifies the test images: equal for tasks that share them."""
        test = self.splits["test"]
        return _digest([self.image_set, test.keys, test.pixels])[:16]


@dataclass(frozen=True, slots=True)
class TaskIdentity:
    """Which task: registered name, and the version of its labels and splits."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ProtocolIdentity:
    """Which protocol.

    Attributes:
        name: Registered name.
        version: Changes whenever results would.
        settings: All of them, as plain JSON.
        changed: Those that are not the protocol's own, as plain JSON.
    """

    name: str
    version: int
    settings: Mapping[str, Any]
    changed: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LabelsIdentity:
    """Which labels were learned from.

    Attributes:
        examples: ``1000``, another number, ``5-shot`` (a class), or ``all``; those of the choice are among them.
        drawn: How they were drawn from all training labels.
    """

    examples: str = "1000"
    drawn: str = "first in example order"

    @classmethod
    def of(cls, examples: TrainExamples) -> Self:
        """Returns it of what a person asked for."""
        first = str(replace(examples, draw=0))
        return cls(first, f"draw {examples.draw} in example order") if examples.draw else cls(first)

    @property
    def draw(self) -> int | None:
        """Which draw; None where that is not known."""
        if self.drawn == LabelsIdentity().drawn:
            return 0
        found = re.fullmatch("draw ([1-9][0-9]{0,2}) in example order", self.drawn)
        return None if found is None else int(found[1])


@dataclass(frozen=True, slots=True)
class CodeVersions:
    """Versions of the harness' own code that decides pixels or features; each changes whenever its output would.

    Attributes:
        decoding: Of files to pixels.
        resize: Of pixels to network inputs.
        features: Of how a network is run and its output pooled.
    """

    decoding: int = 1
    resize: int = 1
    features: int = 1


@dataclass(frozen=True, slots=True)
class Numerics:
    """What of the arithmetic changes a result beyond rounding.

    Attributes:
        precision: ``fp32`` or ``bf16``, of the network.
        tf32: Whether fp32 products may be rounded to TF32; always False on devices that have none.
        micro_batch: Images that a network saw at once in training, where that is less than a step's batch and the
            network's output depends on it (batch norm, dropout); else None.
        code: Versions of our own code.
    """

    precision: str
    tf32: bool = False
    micro_batch: int | None = None
    code: CodeVersions = CodeVersions()


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a number that number and no other.

    Attributes:
        backbone: Weights, architecture, code, transform, what is taken as features.
        data: Image set, variant, and the very keys, labels and pixels.
        task: Name and version.
        protocol: Name, version and all settings.
        labels: How many were learned from, and how they were drawn.
        numerics: Number format and what else of the arithmetic changes the result.
        seed: Of the final training.

    Examples:
        >>> from vtab_harness.api.backbones import BackboneIdentity, Transform
        >>> from vtab_harness.api.identity import *
        >>> prints = SplitIdentity(keys="1f", labels="2e", pixels="3d")
        >>> one = Identity(
        ...     backbone=BackboneIdentity("4c", {"source": "timm", "name": "resnet18"}, Transform()),
        ...     data=DataIdentity("caltech101", "3.0.1", "caltech-sorted", {"train800": prints, "test": prints}),
        ...     task=TaskIdentity("caltech101", "1"),
        ...     protocol=ProtocolIdentity("linear", 1, {"l2_count": 25}, {}),
        ...     labels=LabelsIdentity(),
        ...     numerics=Numerics("fp32"),
        ...     seed=0,
        ... )
        >>> one.place
        ('resnet18-ff84a334', 'caltech101', 'linear-v1', 'seed0-bcc17301ca6d')
    """

    backbone: BackboneIdentity
    data: DataIdentity
    task: TaskIdentity
    protocol: ProtocolIdentity
    labels: LabelsIdentity
    numerics: Numerics
    seed: int

    @property
    def digest(self) -> str:
        """sha256 (hex) over all of it; equal where nothing differs."""
        return _digest(self)

    @property
    def row(self) -> str:
        """What stands in one row of a table: the backbone and the numerics it was run with, as a folder name."""
        n = self.numerics
        return f"{self.backbone.readable}-{_digest([self.backbone, n.precision, n.tf32, n.micro_batch])[:8]}"

    @property
    def protocol_name(self) -> str:
        """Name under which results may share a table, for instance ``finetune-v1``.

        With other settings than the protocol's own it carries a hash of them, and with other labels than VTAB-1k's 1000
        says which: ``linear-v1-modified-1a2b3c4d-5-shot``.
        """
        return protocol_name(self.protocol, self.labels)

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where the record lies: three folders and the stem of the file."""
        return self.row, self.task.name, self.protocol_name, f"seed{self.seed}-{self.digest[:12]}"

    @property
    def search(self) -> str:
        """Key of an unfinished search: everything but the seed of the final training, which a search does not use."""
        return _digest([self.backbone, self.data, self.task, self.protocol, self.labels, self.numerics])

    @property
    def column(self) -> str:
        """What may stand in one column of a table: the same examples, labels, protocol and harness code."""
        return _digest([self.data, self.task, self.protocol, self.labels, self.numerics.code])

    @property
    def comparable(self) -> str:
        """What the gate may compare: everything but backbone and seed."""
        return _digest([self.data, self.task, self.protocol, self.labels, self.numerics])

    def features_key(self, pixels: str) -> str:
        """Returns the key of kept features of some images.

        Args:
            pixels: sha256 over the images in order.
        """
        return features_key(self.backbone, self.numerics, pixels)

    def differences(self, other: Identity, skip: tuple[str, ...] = ()) -> list[str]:
        """Says in words how another identity differs from this one; empty where the digests are equal.

        Args:
            other: What it is held against.
            skip: Fields that may differ, for instance ``("backbone", "seed")``.
        """
        mine, theirs = _leaves(self), _leaves(other)
        names = [n for n in sorted({*mine, *theirs}) if n.partition(".")[0] not in skip]
        # Compared as they are hashed: 1 and 1.0 are two values.
        different = [name for name in names if _text(mine.get(name)) != _text(theirs.get(name))]
        if "data.variant" in different:
            # Other data have other fingerprints, which say nothing more.
            different = [name for name in different if not name.startswith("data.splits")]
        said = (_in_words(name, mine.get(name), theirs.get(name)) for name in different)
        return list(dict.fromkeys(said))


def protocol_name(protocol: ProtocolIdentity, labels: LabelsIdentity) -> str:
    """Returns the name under which results of a protocol may share a table; see `Identity.protocol_name`.

    Examples:
        >>> few = ProtocolIdentity("few", 1, {}, {})
        >>> protocol_name(few, LabelsIdentity()), protocol_name(few, LabelsIdentity("5-shot"))
        ('few-v1', 'few-v1-5-shot')
        >>> protocol_name(few, LabelsIdentity.of(TrainExamples.parse("1000-draw2")))
        'few-v1-draw2'
    """
    plain = f"{protocol.name}-v{protocol.version}"
    changed = f"{plain}-modified-{_digest(protocol.changed)[:8]}" if protocol.changed else plain
    own = LabelsIdentity()
    if labels == own:
        return changed
    named = changed if labels.examples == own.examples else f"{changed}-{labels.examples}"
    if labels.draw == 0:
        return named
    return f"{named}-{_digest(labels.drawn)[:8]}" if labels.draw is None else f"{named}-draw{labels.draw}"


def official_draw(name: str) -> str:
    """Returns a protocol's name on the official draw of as many labels, without what `protocol_name` adds for others.

    Examples:
        >>> official_draw("linear-v1-5-shot-draw2"), official_draw("linear-v1")
        ('linear-v1-5-shot', 'linear-v1')
    """
    return re.sub("-draw[0-9]+$", "", name)


def features_key(backbone: BackboneIdentity, numerics: Numerics, pixels: str) -> str:
    """Returns the key (hex) of kept features: equal keys, equal features.

    Args:
        backbone: Which.
        numerics: Of the forward pass.
        pixels: sha256 over the images in order.

    Examples:
        >>> from pathlib import Path
        >>> from vtab_harness.sweep.store import read_record
        >>> identity = read_record(next(Path("results").rglob("seed*.json"))).identity
        >>> len(features_key(identity.backbone, identity.numerics, pixels="0" * 64))
        64
    """
    return _digest([backbone, numerics.precision, numerics.tf32, numerics.code, pixels])


def plain_json(value: Any) -> Any:
    """Returns a value as JSON gives it back: tuples as lists, dataclasses as objects.

    Raises:
        TypeError: It holds something that JSON cannot.

    Examples:
        >>> plain_json({"rates": (0.1, 0.01)})
        {'rates': [0.1, 0.01]}
    """
    return json.loads(json.dumps(msgspec.to_builtins(value), allow_nan=False))


def _digest(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    # Written by the standard library, whose numbers are the same in every version.
    return json.dumps(msgspec.to_builtins(value), sort_keys=True, allow_nan=False)


def _leaves(identity: Identity) -> dict[str, Any]:
    """Returns the fields by their dotted names, as far down as words can tell them apart."""
    found: dict[str, Any] = {}
    open_: list[tuple[str, Any]] = list(msgspec.to_builtins(identity).items())
    while open_:
        name, value = open_.pop()
        if isinstance(value, dict) and value and name.count(".") < _DEEPEST:
            open_ += [(f"{name}.{key}", inner) for key, inner in value.items()]
        else:
            found[name] = value
    return found


_DEEPEST = 3


_WORDS = {
    "backbone.weights": "other weights",
    "backbone.output": "other features of the network",
    "task.version": "another version of the task",
    "data.version": "another version of the image set",
}


def _in_words(name: str, mine: Any, other: Any) -> str:
    if name in _WORDS:
        return _WORDS[name]
    if name.startswith("data.splits."):
        _, _, split, *kind = name.split(".")
        return f"other {kind[0]} in {split}" if kind else f"another split {split}"
    if name == "data.variant":
        return f"on {other}, not {mine}"
    if name.startswith("backbone.architecture.code"):
        return "other code"
    if name.startswith("numerics.code."):
        return f"another version of the harness' {name.rpartition('.')[2]}"
    what = name.partition(".")[2].replace(".", " ") or name
    shown = "none" if other is None else other
    return f"{what} {_short(shown)}, not {_short('none' if mine is None else mine)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
