"""A made-up record that tests of records and of their store start from."""

from dataclasses import replace
from typing import Any

import msgspec

from vtab_harness.api.backbones import BackboneIdentity, Transform
from vtab_harness.api.identity import (
    DataIdentity,
    Identity,
    LabelsIdentity,
    Numerics,
    ProtocolIdentity,
    SplitIdentity,
    TaskIdentity,
)
from vtab_harness.api.protocols import Trial
from vtab_harness.api.records import (
    BackboneBlock,
    Environment,
    LearnedFrom,
    Record,
    RunBlock,
    Score,
    SearchBlock,
    TaskBlock,
)
from vtab_harness.api.settings import ResultSettings

PRINTS = SplitIdentity("1f", "2e", "3d")
IDENTITY = Identity(
    backbone=BackboneIdentity("4c", {"source": "timm", "name": "net", "arguments": {"width": 2}}, Transform()),
    data=DataIdentity("mini_digits", "1", "mini-1", dict.fromkeys(("train800", "val200", "test"), PRINTS)),
    task=TaskIdentity("mini_digits", "1"),
    protocol=ProtocolIdentity("linear", 1, {"l2_count": 25}, {}),
    labels=LabelsIdentity(),
    numerics=Numerics("fp32"),
    seed=0,
)
SETTINGS = ResultSettings()
RECORD = Record(
    identity=IDENTITY,
    status="finished",
    score=Score(0.75, 3, 4),
    predictions=None,
    task=TaskBlock("Mini-Digits", "natural", 10, 0.1),
    backbone=BackboneBlock("timm:net", 8, 100, None, False),
    learned_from=LearnedFrom(800, 200),
    asked=SETTINGS,
    used=SETTINGS,
    environment=Environment({"torch": "2"}, "cpu", "a processor", 1, "Linux x86_64"),
    run=RunBlock({"search": 1.0}, "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:06+00:00", "vtab run", None),
    search=SearchBlock((Trial({"l2": 0.1}, "finished", 0.5, 1.0),), 0),
)


def record_of(**changes: Any) -> Record:
    """Returns the record with some fields of its identity replaced."""
    return msgspec.structs.replace(RECORD, identity=replace(IDENTITY, **changes))
