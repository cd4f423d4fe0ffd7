"""Two results that differ in anything share nothing that they must not share; two that are equal share all of it."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import IDENTITY, PRINTS

from vtab_harness.api.backbones import BackboneIdentity, Transform
from vtab_harness.api.identity import (
    CodeVersions,
    DataIdentity,
    Identity,
    LabelsIdentity,
    Numerics,
    ProtocolIdentity,
    SplitIdentity,
    TaskIdentity,
    plain_json,
)
from vtab_harness.api.train_examples import TrainExamples

words = st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=6)
plain = st.dictionaries(words, st.one_of(st.integers(-5, 5), st.floats(-2, 2), words, st.lists(st.integers(0, 3))))
thirds = st.tuples(*[st.floats(0.1, 1)] * 3)
prints = st.builds(SplitIdentity, words, words, words)
identities = st.builds(
    Identity,
    backbone=st.builds(
        BackboneIdentity,
        words,
        plain,
        st.builds(Transform, st.tuples(st.integers(1, 9), st.integers(1, 9)), thirds, thirds, words),
        words,
    ),
    data=st.builds(
        DataIdentity, words, words, words, st.fixed_dictionaries({"train800": prints, "val200": prints, "test": prints})
    ),
    task=st.builds(TaskIdentity, words, words),
    protocol=st.builds(ProtocolIdentity, words, st.integers(1, 3), plain, plain),
    labels=st.builds(LabelsIdentity, words, words),
    numerics=st.builds(
        Numerics,
        st.sampled_from(["fp32", "bf16"]),
        st.booleans(),
        st.none() | st.integers(1, 99),
        st.builds(CodeVersions, st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)),
    ),
    seed=st.integers(0, 9),
)

# Written down here once more, and by hand: which part of an identity each derived key must tell apart.
COVERS = {
    "record": {"backbone", "data", "task", "protocol", "labels", "numerics", "seed"},
    "unfinished trial": {"backbone", "data", "task", "protocol", "labels", "numerics"},
    "table cell": {"backbone", "data", "task", "protocol", "labels", "numerics", "seed"},
    "gate": {"data", "task", "protocol", "labels", "numerics"},
    "feature file": {"backbone", "numerics", "data"},
}


def shared(kind: str, one: Identity) -> Any:
    return {
        "record": lambda: (one.place, one.digest),
        "unfinished trial": lambda: one.search,
        "table cell": lambda: (one.row, one.column, one.seed),
        "gate": lambda: one.comparable,
        "feature file": lambda: one.features_key(one.data.splits["test"].pixels),
    }[kind]()


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if is_dataclass(value):
        return [leaf for f in fields(value) for leaf in leaves(getattr(value, f.name), (*path, f.name))]
    if path == ("data", "splits"):
        return [(*path, split, f) for split in value for f in ("keys", "labels", "pixels")]
    return [path]


def changed(value: Any, path: tuple[str, ...]) -> Any:
    """Returns a copy in which the leaf at a path has another value."""
    if not path:
        others = {bool: lambda v: not v, int: lambda v: v + 1, str: lambda v: v + "'", type(None): lambda v: 1000}
        if isinstance(value, tuple):
            return (value[0] + 1, *value[1:])
        if isinstance(value, dict):
            return {**value, "another key": 1}
        return others[type(value)](value)
    if isinstance(value, dict):
        return {**value, path[0]: changed(value[path[0]], path[1:])}
    return replace(value, **{path[0]: changed(getattr(value, path[0]), path[1:])})


LEAVES = leaves(IDENTITY)


def matters(kind: str, leaf: tuple[str, ...]) -> bool:
    if leaf[0] not in COVERS[kind]:
        return False
    if kind == "feature file" and leaf[0] == "data":
        return leaf == ("data", "splits", "test", "pixels")
    return not (kind == "feature file" and leaf == ("numerics", "micro_batch"))


@pytest.mark.parametrize("kind", COVERS)
@pytest.mark.parametrize("leaf", LEAVES, ids=".".join)
@settings(max_examples=5, deadline=None)
@given(one=identities)
def test_a_difference_in_any_field_tells_apart_what_it_must(kind: str, leaf: tuple[str, ...], one: Identity) -> None:
    other = changed(one, leaf)
    assert (shared(kind, one) != shared(kind, other)) == matters(kind, leaf)
    assert one.differences(other)


@settings(deadline=None)
@given(one=identities)
def test_equal_identities_share_everything_also_through_json(one: Identity) -> None:
    again = msgspec.json.decode(msgspec.json.encode(one), type=Identity)
    assert again.digest == one.digest
    assert again.differences(one) == []
    for kind in COVERS:
        assert shared(kind, one) == shared(kind, again)


@settings(deadline=None)
@given(one=identities, other=identities)
def test_two_identities_share_a_record_exactly_where_they_are_equal(one: Identity, other: Identity) -> None:
    equal = plain_json(one) == plain_json(other)
    assert (shared("record", one) == shared("record", other)) == equal
    assert (one.differences(other) == []) == equal


def test_tuples_and_lists_of_settings_are_the_same_settings() -> None:
    one = replace(IDENTITY, protocol=ProtocolIdentity("finetune", 1, {"lr": (0.1, 0.01)}, {}))
    other = replace(IDENTITY, protocol=ProtocolIdentity("finetune", 1, {"lr": [0.1, 0.01]}, {}))
    assert one.digest == other.digest


def test_differences_are_said_in_words() -> None:
    other = replace(
        IDENTITY,
        backbone=replace(IDENTITY.backbone, weights="5b", architecture={"code": "1"}),
        data=replace(IDENTITY.data, splits={"test": replace(PRINTS, pixels="x")}),
        numerics=Numerics("bf16", micro_batch=8),
    )
    said = IDENTITY.differences(other)
    assert {"other weights", "other code", "other pixels in test", "precision bf16, not fp32"} <= set(said)
    assert "micro_batch 8, not none" in said
    assert IDENTITY.differences(other, skip=("backbone", "data", "numerics")) == []


def test_names_under_which_results_share_a_table() -> None:
    def name(changes: dict[str, Any], examples: str = "1000") -> str:
        labels = LabelsIdentity(examples)
        return replace(IDENTITY, protocol=ProtocolIdentity("knn", 2, {}, changes), labels=labels).protocol_name

    assert name({}) == "knn-v2"
    assert name({}, "5-shot") == "knn-v2-5-shot"
    assert name({"k": [1]}).startswith("knn-v2-modified-")
    assert name({"k": [1]}, "all").endswith("-all")
    drawn = [LabelsIdentity.of(TrainExamples.parse(text)) for text in ("1000", "1000-draw2", "5-shot-draw11")]
    named = [replace(IDENTITY, labels=labels).protocol_name for labels in drawn]
    assert named == [IDENTITY.protocol_name + end for end in ("", "-draw2", "-5-shot-draw11")]
    assert [labels.draw for labels in drawn] == [0, 2, 11]
    assert LabelsIdentity(drawn="by hand").draw is None


def test_the_official_draw_is_what_it_was_before_there_were_others() -> None:
    """Written down from the version before, so that its records and kept features remain valid."""
    assert IDENTITY.digest == "c0a7333b3dcf5f246eaae6ce67990950ef82f4373159e2f6e604c44874047b24"
    assert IDENTITY.place == ("net-96e76b9a", "mini_digits", "linear-v1", "seed0-c0a7333b3dcf")
    assert IDENTITY.search == "8fd58010073ecf388fe8712f23a27ff1ea62a4d10c1085ed3ec380351e5a4458"
    assert IDENTITY.column == "16dee05a078f393fdab48c61bb84b099f60a8d5141b71d802a9bf69e7dd9fc2f"
    assert IDENTITY.comparable == "96c7f3dbda9e833b9fcac1b5cc4e56db6c12ff47d4b370e184ca66484167ab32"
    assert IDENTITY.features_key("aa") == "46659891888b46df16fa0386e0d7b6e917c804774464758bcd33f1fc5a9774e9"
