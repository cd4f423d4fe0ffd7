from dataclasses import replace
from pathlib import Path

import pytest
from small_archives import jpeg, png
from small_records import bytes_feature, integer_feature
from small_tfds import Examples, sized, write

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import DataError
from vtab_harness.datasets import caltech101, cifar100, dsprites, dtd, eurosat, oxford_iiit_pet, smallnorb, sun397
from vtab_harness.datasets.caltech101.splits import CLASS_SIZES, STRAYS, membership
from vtab_harness.formats.decode import decode
from vtab_harness.formats.example_order import example_order, examples_by_split
from vtab_harness.formats.tfds.source import TfdsSource, open_tfds
from vtab_harness.prepared.prepared_set import prepare

FILES = [f"Forest_{number}.jpg" for number in range(1, 8)]


def photo(name: str, label: int, feature: str = "file_name", image: bytes | None = None) -> dict[str, bytes]:
    return {
        "image": bytes_feature(jpeg(30 * label) if image is None else image),
        feature: bytes_feature(name.encode()),
        "label": integer_feature(label),
    }


def in_order(split: str, keys: list[str]) -> list[str]:
    return [keys[position] for position in example_order(split, keys)]


def opened(root: Path, image_set: ImageSet, splits: dict[str, list[Examples]], version: str) -> TfdsSource:
    image_set = sized(image_set, splits)
    write(root, image_set, splits, version)
    source = open_tfds(image_set, [root])
    assert source is not None
    return source


def forests(names: list[str]) -> dict[str, list[Examples]]:
    examples = [photo(name, int(name[7]), "filename") for name in names]
    return {"train": [examples[:3], examples[3:]]}


def test_stored_order_is_example_order(tmp_path: Path) -> None:
    names = [key.removeprefix("Forest_") for key in in_order("train", [f"Forest_{name}" for name in FILES])]
    assert names != FILES
    source = opened(tmp_path, eurosat.IMAGE_SET, forests(names), "2.0.0")
    assert source.variant == "vtab-1k"
    assert source.keys("train") == [f"Forest_{name}" for name in names]
    assert source.annotations("train")["label"].tolist() == [int(name[7]) for name in names]
    image_set = replace(
        eurosat.IMAGE_SET, sizes={"train": 7}, splits={"some": (Slice("train", 2, 4), Slice("train", 6, 7))}
    )
    assert examples_by_split(image_set, source, ["some"]) == {"some": [("train", 2), ("train", 3), ("train", 6)]}
    found = list(source.images({"train": [6, 2]}))
    assert [(split, at) for split, at, _ in found] == [("train", 2), ("train", 6)]
    for _, at, image in found:
        assert (image == decode(jpeg(30 * int(names[at][7])), "")).all()


def test_order_by_absolute_paths_is_another_variant(tmp_path: Path) -> None:
    source = opened(tmp_path, eurosat.IMAGE_SET, forests(FILES), "2.0.0")
    assert source.variant == "tfds-absolute-path"
    image_set = replace(eurosat.IMAGE_SET, sizes={"train": 7}, splits={"some": (Slice("train", 0, 2),)})
    # Still what that preparation had as its first examples.
    assert examples_by_split(image_set, source, ["some"]) == {"some": [("train", 0), ("train", 1)]}


def test_other_sets_out_of_order_are_unverified(tmp_path: Path) -> None:
    keys = in_order("train", [f"dotted/dotted_000{number}.jpg" for number in range(5)])[::-1]
    splits: dict[str, list[Examples]] = {"train": [[photo(key, 1) for key in keys]]}
    assert opened(tmp_path / "a", dtd.IMAGE_SET, splits, "3.0.1").variant == "unverified"
    twice: dict[str, list[Examples]] = {"train": [[photo("dotted/a.jpg", 1)] * 2]}
    assert opened(tmp_path / "b", dtd.IMAGE_SET, twice, "3.0.1").variant == "unverified"


def test_other_versions_are_other_variants(tmp_path: Path) -> None:
    splits: dict[str, list[Examples]] = {"train": [[photo("pug_1.jpg", 1)]]}
    assert opened(tmp_path / "a", oxford_iiit_pet.IMAGE_SET, splits, "3.2.0").variant == "vtab-1k"
    assert opened(tmp_path / "b", oxford_iiit_pet.IMAGE_SET, splits, "4.0.0").variant == "tfds-4.0.0"


def test_sprites_get_their_positions_only_if_the_order_agrees(tmp_path: Path) -> None:
    keys = in_order("train", [str(position) for position in range(32)])

    def sprites(wanted: list[str]) -> dict[str, list[Examples]]:
        zero = dict.fromkeys(("label_shape", "label_scale", "label_orientation", "label_x_position"), 0)
        return {
            "train": [
                [
                    {name: integer_feature(value) for name, value in (zero | {"label_y_position": int(key)}).items()}
                    for key in wanted
                ]
            ]
        }

    agreed = opened(tmp_path / "a", dsprites.IMAGE_SET, sprites(keys), "2.0.0")
    assert (agreed.variant, agreed.keys("train")) == ("vtab-1k", keys)
    other = opened(tmp_path / "b", dsprites.IMAGE_SET, sprites(keys[::-1]), "2.0.0")
    assert other.variant == "unverified"
    assert other.keys("train")[:2] == ["tfds-position-0", "tfds-position-1"]


def test_sets_without_keys(tmp_path: Path) -> None:
    poses = ("label_category", "instance", "label_elevation", "label_azimuth", "label_lighting")
    toy = {name: integer_feature(at) for at, name in enumerate(poses)}
    source = opened(tmp_path, smallnorb.IMAGE_SET, {"train": [[toy, toy]], "test": [[toy]]}, "2.0.0")
    assert source.variant == "vtab-1k"
    assert source.keys("train") == ["tfds-position-0", "tfds-position-1"]
    assert {name: values.tolist() for name, values in source.annotations("test").items()} == {
        name: [at] for at, name in enumerate(poses)
    }


def test_older_versions_may_lack_the_key(tmp_path: Path) -> None:
    bare = {"label": integer_feature(1), "coarse_label": integer_feature(2)}
    source = opened(tmp_path / "a", cifar100.IMAGE_SET, {"train": [[bare, bare]], "test": [[bare]]}, "3.0.0")
    assert source.variant == "vtab-1k"
    assert source.keys("train") == ["tfds-position-0", "tfds-position-1"]
    assert source.keys("test") == ["tfds-position-0"]
    assert opened(tmp_path / "b", eurosat.IMAGE_SET, {"train": [[bare]]}, "2.0.0").variant == "unverified"
    other = opened(tmp_path / "c", caltech101.IMAGE_SET, {"train": [[bare]], "test": [[bare]]}, "3.0.0")
    assert other.variant == "unverified"


def test_caltech_is_named_after_its_membership(tmp_path: Path) -> None:
    names = sorted(CLASS_SIZES, key=str.lower)

    def drawn(train: list[str], test: list[str]) -> dict[str, list[Examples]]:
        def photos(keys: list[str]) -> Examples:
            return [photo(key.split("/")[1], names.index(key.split("/")[0]), "image/file_name", b"") for key in keys]

        return {"train": [photos(train)], "test": [photos(test)]}

    sorted_draw = {split: in_order(split, list(keys)) for split, keys in membership(CLASS_SIZES, STRAYS).items()}
    source = opened(tmp_path / "a", caltech101.IMAGE_SET, drawn(**sorted_draw), "3.0.2")
    assert source.variant == "caltech-sorted"
    assert source.keys("train") == sorted_draw["train"]
    train, test = sorted_draw["train"][1:], [sorted_draw["train"][0], *sorted_draw["test"]]
    other = opened(tmp_path / "b", caltech101.IMAGE_SET, drawn(train, test), "3.0.2")
    assert other.variant.startswith("caltech-tfds-")
    assert len(other.variant) == len("caltech-tfds-") + 8


def test_the_image_that_newer_versions_leave_out_keeps_its_place(tmp_path: Path) -> None:
    lost = "/t/track/outdoor/sun_aophkoiosslinihb.jpg"
    others = [f"/{name}/sun_{number}.jpg" for name in ("a/abbey", "t/track/outdoor") for number in range(6)]
    keys = in_order("train", [*others, lost])
    gap = keys.index(lost)
    assert 0 < gap < len(keys) - 1
    there = [key for key in keys if key != lost]
    splits = {"train": [[photo(key, 3 if "track" in key else 1, image=jpeg(5 * at)) for at, key in enumerate(there)]]}
    image_set = replace(sun397.IMAGE_SET, sizes={"train": len(keys)}, splits={})
    write(tmp_path, image_set, splits, "4.0.0")
    source = open_tfds(image_set, [tmp_path])
    assert source is not None
    assert (source.variant, source.keys("train")) == ("vtab-1k", keys)
    assert source.annotations("train")["label"].tolist() == [3 if "track" in key else 1 for key in keys]
    wanted = [at for at in range(len(keys)) if at != gap]
    found = {at: image for _, at, image in source.images({"train": wanted})}
    assert sorted(found) == wanted
    for at, image in found.items():
        assert (image == decode(jpeg(5 * there.index(keys[at])), "")).all()
    with pytest.raises(DataError, match=f"lacks {lost}"):
        list(source.images({"train": [gap]}))


def test_wrong_examples_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wrong example 1 of 'train': its feature 'label'"):
        opened(tmp_path / "a", dtd.IMAGE_SET, {"train": [[photo("a", 1), {"file_name": bytes_feature(b"b")}]]}, "3.0.1")
    mixed: dict[str, list[Examples]] = {"train": [[photo("a", 1), {"label": integer_feature(1)}]]}
    with pytest.raises(DataError, match=r"wrong example 1 of 'train': its feature 'file_name'"):
        opened(tmp_path / "d", dtd.IMAGE_SET, mixed, "3.0.1")
    source = opened(tmp_path / "b", dtd.IMAGE_SET, {"train": [[photo("x/a.jpg", 1, image=png(3)[:-9])]]}, "3.0.1")
    with pytest.raises(DataError, match=r"train: x/a.jpg cannot be decoded"):
        list(source.images({"train": [0]}))
    bare = {"file_name": bytes_feature(b"x/a.jpg"), "label": integer_feature(1)}
    with pytest.raises(DataError, match="'image' is no text"):
        list(opened(tmp_path / "c", dtd.IMAGE_SET, {"train": [[bare]]}, "3.0.1").images({"train": [0]}))


def test_prepares(tmp_path: Path) -> None:
    splits = forests(FILES)
    image_set = replace(
        sized(eurosat.IMAGE_SET, splits),
        splits={
            "train800": (Slice("train", 4, 7),),
            "val200": (Slice("train", 1, 3),),
            "test": (Slice("train", 0, 1),),
        },
    )
    write(tmp_path / "data", image_set, splits, "2.0.0")
    found = prepare(image_set, [tmp_path / "data"], tmp_path / "cache")
    assert found.variant == "tfds-absolute-path"
    assert found.keys("train800") == [f"Forest_{name}" for name in FILES[4:]]
    assert found.labels("val200", eurosat.TASK.label).tolist() == [2, 3]
    assert (found.images("test").read(0, 1).data == decode(jpeg(30), "").reshape(-1)).all()


def test_nothing_there(tmp_path: Path) -> None:
    assert open_tfds(dtd.IMAGE_SET, [tmp_path]) is None
