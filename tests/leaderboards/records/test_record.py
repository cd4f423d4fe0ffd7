"""What is asked of a record's identity, again and again."""

import dataclasses
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_boards import made_identity, write_record

from leaderboards.records.record import column_differences, column_keys, read_usable, row_of, why_not
from vtab_harness.api.errors import StorageError
from vtab_harness.api.identity import CodeVersions, Identity, LabelsIdentity, Numerics

NUMERICS = st.builds(
    Numerics,
    st.sampled_from(["fp32", "bf16"]),
    st.booleans(),
    st.none() | st.integers(1, 3),
    st.builds(CodeVersions, st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)),
)
MADE = st.builds(
    made_identity,
    task=st.sampled_from(["mini_digits", "mini_count"]),
    spec=st.sampled_from(["timm:a", "timm:b"]),
    seed=st.integers(0, 1),
    protocol=st.sampled_from(["linear-v1", "linear-v2"]),
    examples=st.integers(1, 2),
    variant=st.sampled_from(["x", "y"]),
    weights=st.sampled_from([None, "7" * 64]),
    changed=st.sampled_from([None, {"a": 1}, {"a": 1.0}, {"a": True}]),
)
IDENTITIES = st.builds(
    lambda identity, numerics, labels: dataclasses.replace(identity, numerics=numerics, labels=labels),
    MADE,
    NUMERICS,
    st.builds(LabelsIdentity, st.sampled_from(["1000", "all"]), st.sampled_from(["first in example order", "else"])),
)


@given(st.lists(IDENTITIES, min_size=1, max_size=8))
def test_what_is_remembered_is_what_the_identity_says(identities: list[Identity]) -> None:
    assert [row_of(identity) for identity in identities] == [identity.row for identity in identities]
    for identity in identities:
        expected = identity.column, identity.comparable, identity.data.test_images
        assert column_keys(identity) == expected


@given(st.lists(IDENTITIES, min_size=2, max_size=8))
def test_two_columns_differ_in_words_and_one_does_not(identities: list[Identity]) -> None:
    for one, other in itertools.pairwise(identities):
        if one.column == other.column:
            assert not column_differences(one, other)
        # 1, 1.0 and true are equal here, and three settings; there may be no words for that.
        elif one.protocol != other.protocol or repr(one.protocol) == repr(other.protocol):
            assert column_differences(one, other)


def test_a_reason_stands_beside_the_name_of_its_file(tmp_path: Path) -> None:
    path = write_record(tmp_path, "mini_digits")
    path.write_text("{")
    with pytest.raises(StorageError) as raised:
        read_usable(path)
    assert why_not(path, raised.value).startswith("it is half written or damaged: ")
    path.unlink()
    with pytest.raises(StorageError) as raised:
        read_usable(path)
    assert why_not(path, raised.value) == "it cannot be read: No such file or directory"
