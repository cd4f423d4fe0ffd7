"""What every procedural source promises: the same images whatever is asked for, in whatever order."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.mini.source import ProceduralSource
from vtab_harness.formats.example_order import examples_by_split

NAMES = ("digits", "textures", "tissue", "terrain", "scenes", "sprites", "solids")


def declared(name: str) -> ImageSet:
    return import_module(f"vtab_harness.datasets.mini.{name}").IMAGES


def opened(images: ImageSet) -> ProceduralSource:
    module, factory = images.source.split(":")
    return getattr(import_module(module), factory)(images, ())


@pytest.fixture(params=NAMES)
def images(request: pytest.FixtureRequest) -> ImageSet:
    return declared(request.param)


def test_images_are_64_by_64_in_colour(images: ImageSet):
    for split, position, image in opened(images).images({"train": [0, 999], "test": [7]}):
        assert (split, position) in {("train", 0), ("train", 999), ("test", 7)}
        assert (image.shape, image.dtype) == ((64, 64, 3), np.uint8)
        assert np.ptp(image) > 20


def test_an_image_does_not_depend_on_what_else_is_wanted(images: ImageSet):
    source = opened(images)
    many = {position: image for _, position, image in source.images({"train": range(150)})}
    few = list(opened(images).images({"test": [3], "train": [149, 5, 64, 5]}))
    assert sorted((split, position) for split, position, _ in few) == [
        ("test", 3),
        ("train", 5),
        ("train", 64),
        ("train", 149),
    ]
    for split, position, image in few:
        if split == "train":
            np.testing.assert_array_equal(image, many[position])


def test_train_and_test_images_differ(images: ImageSet):
    found = [image.tobytes() for _, _, image in opened(images).images({"train": range(40), "test": range(40)})]
    assert len(set(found)) == len(found)


def test_keys_name_one_image_of_the_set_and_annotations_match_them(images: ImageSet):
    source = opened(images)
    keys = [*source.keys("train"), *source.keys("test")]
    assert keys == [str(number) for number in range(sum(images.sizes.values()))]
    for split, size in images.sizes.items():
        assert all(column.shape == (size,) for column in source.annotations(split).values())


def test_the_vtab_splits_resolve_and_do_not_overlap(images: ImageSet):
    found = examples_by_split(images, opened(images), ["train800", "val200", "test"])
    assert [len(found[split]) for split in ("train800", "val200", "test")] == [800, 200, images.sizes["test"]]
    assert not set(found["train800"]) & set(found["val200"])


@pytest.mark.parametrize("name", NAMES[1:])  # the digits are real, and no version changes them
def test_another_version_is_another_variant_with_other_images(name: str):
    images = declared(name)
    later = opened(replace(images, version="2"))
    assert (opened(images).variant, later.variant) == ("mini-1", "mini-2")
    (_, _, here), (_, _, there) = next(opened(images).images({"train": [0]})), next(later.images({"train": [0]}))
    assert (here != there).any()


def test_annotations_draw_nothing():
    def refuse(draws: object) -> np.ndarray:
        raise AssertionError("an image was drawn")

    source = ProceduralSource(declared("sprites"), lambda draws: {"index": draws.indices}, refuse)
    assert source.annotations("train")["index"].tolist() == list(range(1000))
    assert list(source.images({"train": []})) == []


@pytest.mark.parametrize("wanted", [{"validation": [0]}, {"train": [1000]}, {"train": [-1]}])
def test_what_the_set_does_not_have_is_refused(wanted: dict[str, list[int]]):
    with pytest.raises(DataError, match="mini_sprites"):
        list(opened(declared("sprites")).images(wanted))
