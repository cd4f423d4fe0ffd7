import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import DataError, PluginError
from vtab_harness.formats.example_order import example_order, examples_by_split, keys_fingerprint

# CIFAR-100: keys are positions in the published files. The hashes are of the 800 and 200 keys, joined by newlines.
CIFAR_TRAIN800 = "5b25ee0661c3bc4a0f08116d4015d6f10127fe5ae74ac4fd72ca6f044fc0dd4c"
CIFAR_VAL200 = "93377e439662509b3af8a1e05deab26ef04521fc4e3123b9745627c03adf8b15"
CIFAR_TEST = "aa6d3ee41c0a810ee03e281aa17c5d81bbabd0eaa4e514f0304563ef3b08f0d2"
DSPRITES_TRAIN800 = "54130b46ffd225790c81835e4e9bd2e2633ecfe2f2bf81153be3dc4266ea3cbc"
DSPRITES_TEST = "047f98bb94c6f871024670465fccadf7bf82e15cb5cdf98f0644e6f5ba7991f8"
EUROSAT_TRAIN800 = "7dac90dec1b730631fee7361833db02241d4ed8f0b7a150fd07c65adac0ebb90"
EUROSAT_TEST = "244a530e55bd9aff04b483be85f0dce696ff31267ba2d7008683bb0f0cce0efc"
EUROSAT_CLASSES = {
    "AnnualCrop": 3000,
    "Forest": 3000,
    "HerbaceousVegetation": 3000,
    "Highway": 2500,
    "Industrial": 2500,
    "Pasture": 2000,
    "PermanentCrop": 2500,
    "Residential": 3000,
    "River": 2500,
    "SeaLake": 3000,
}


class Listed:
    variant = "listed"

    def __init__(self, **keys: Any) -> None:
        self._keys = keys
        self.asked: list[str] = []

    def keys(self, split: str) -> Any:
        self.asked.append(split)
        return self._keys[split]

    def annotations(self, split: str) -> Any:
        raise NotImplementedError

    def images(self, wanted: Any) -> Any:
        raise NotImplementedError


CIFAR = ImageSet(
    name="cifar100",
    version="1",
    source="nowhere:nothing",
    sizes={"train": 50000, "test": 10000},
    splits={
        "train800": (Slice("train", 0, 800),),
        "val200": (Slice("train", 45000, 45200),),
        "test": (Slice("test", 0, 10000),),
        "both": (Slice("train", 0, 3), Slice("test", 5, 7)),
    },
)


def test_cifar100_gives_the_published_examples() -> None:
    source = Listed(train=range(50000), test=range(10000))
    splits = examples_by_split(CIFAR, source, ["train800", "val200", "test"])
    keys = {split: [position for _, position in examples] for split, examples in splits.items()}
    assert keys["train800"][:4] == [16399, 1680, 47917, 17307]
    assert keys["val200"][:4] == [13431, 9237, 17462, 32685]
    assert keys["test"][:4] == [9933, 5669, 163, 6686]
    assert keys_fingerprint(keys["train800"]) == CIFAR_TRAIN800
    assert keys_fingerprint(keys["val200"]) == CIFAR_VAL200
    assert keys_fingerprint(keys["test"]) == CIFAR_TEST
    assert source.asked == ["train", "test"], "each source split is listed and hashed once"


def test_dsprites_gives_the_published_examples() -> None:
    order = example_order("train", range(737280))
    assert order[:4].tolist() == [16399, 634903, 206287, 470425]
    assert keys_fingerprint(order[:800].tolist()) == DSPRITES_TRAIN800
    assert keys_fingerprint(order[663552:].tolist()) == DSPRITES_TEST


def test_eurosat_gives_the_published_examples() -> None:
    keys = [f"{name}_{name}_{n}.jpg" for name, count in EUROSAT_CLASSES.items() for n in range(1, count + 1)]
    order = example_order("train", keys)
    assert keys[order[0]] == "Forest_Forest_687.jpg"
    assert keys_fingerprint(keys[i] for i in order[:800]) == EUROSAT_TRAIN800
    assert keys_fingerprint(keys[i] for i in order[21600:]) == EUROSAT_TEST


@given(st.sampled_from(["train", "test", "é"]), st.lists(st.text(max_size=8) | st.integers(), unique_by=str))
def test_order_equals_sorting_by_digest(split: str, keys: list[str | int]) -> None:
    def digest(position: int) -> bytes:
        return hashlib.md5(split.encode() + str(keys[position]).encode()).digest()

    assert example_order(split, keys).tolist() == sorted(range(len(keys)), key=digest)


def test_listing_order_does_not_matter() -> None:
    keys = [f"k{n}" for n in range(100)]
    backwards = keys[::-1]
    assert [keys[i] for i in example_order("train", keys)] == [backwards[i] for i in example_order("train", backwards)]


def test_split_name_salts_the_order() -> None:
    assert example_order("train", range(100)).tolist() != example_order("test", range(100)).tolist()


def test_parts_of_a_split_are_joined_in_their_order() -> None:
    source = Listed(train=range(50000), test=range(10000))
    assert examples_by_split(CIFAR, source, ["both"])["both"] == [
        ("train", 16399),
        ("train", 1680),
        ("train", 47917),
        ("test", 131),
        ("test", 9167),
    ]


def test_key_that_occurs_twice_is_named() -> None:
    with pytest.raises(DataError, match=r"'train'.*'b'.*more than once"):
        example_order("train", ["a", "b", "c", "b"])


def test_wrong_count_names_split_and_counts() -> None:
    with pytest.raises(DataError, match=r"'train' holds 49999 examples where 50000"):
        examples_by_split(CIFAR, Listed(train=range(49999)), ["val200"])


def test_unknown_split_lists_the_known() -> None:
    with pytest.raises(DataError, match=r"'dev'[\s\S]*train800, val200"):
        examples_by_split(CIFAR, Listed(), ["dev"])


def test_slice_beyond_the_source_is_refused() -> None:
    with pytest.raises(
        PluginError, match="'val200' holds examples 49900 to 50100 of 'train', of which there are 50000"
    ):
        replace(CIFAR, splits={"val200": (Slice("train", 49900, 50100),)})


def test_ordered_sources_are_taken_as_they_are() -> None:
    source = Listed(train=["c", "a", "b"])
    source.ordered = True  # type: ignore[attr-defined]
    small = replace(CIFAR, sizes={"train": 3}, splits={"some": (Slice("train", 1, 3),)})
    assert examples_by_split(small, source, ["some"])["some"] == [("train", 1), ("train", 2)]


def test_sources_may_know_the_splits() -> None:
    class Split(Listed):
        def vtab_split(self, split: str) -> list[tuple[str, int]] | None:
            return [("mine", 4), ("mine", 2)] if split == "val200" else None

    small = replace(CIFAR, sizes={"train": 3}, splits={"val200": (), "some": (Slice("train", 0, 3),)})
    found = examples_by_split(small, Split(train=[1, 2, 3]), ["val200", "some"])
    assert found["val200"] == [("mine", 4), ("mine", 2)]
    assert sorted(found["some"]) == [("train", 0), ("train", 1), ("train", 2)]
    with pytest.raises(DataError, match="no split 'test'"):
        examples_by_split(small, Split(), ["test"])
