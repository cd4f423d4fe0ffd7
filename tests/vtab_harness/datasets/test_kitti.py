from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_archives import folder, order_of, png, read_all, refused, zipped

from vtab_harness.api.data import Source
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.kitti import IMAGE_SET, TASK
from vtab_harness.datasets.kitti.reader import NO_VEHICLE, closest_vehicle, open_source, video_split
from vtab_harness.formats.archives import Members
from vtab_harness.formats.image_list import Listing

SPLITS = ("train", "validation", "test")
SMALL = replace(IMAGE_SET, sizes={"train": 2, "validation": 2, "test": 2}, splits={})


def line(kind: str, depth: float | str) -> str:
    return f"{kind} 0.00 0 -1.57 614.24 181.78 727.31 284.77 1.57 1.73 4.15 1.00 1.75 {depth} -1.62"


OBJECTS = [
    [("Car", 30.0), ("Van", 8.0), ("Pedestrian", 2.0)],
    [("Pedestrian", 5.0)],
    [("Truck", 8.01)],
    [("DontCare", -1000), ("Tram", 3.0), ("Car", 20.0)],
    [("Cyclist", 1.0), ("Van", 20.01)],
    [],
]
LABELS = [0, 3, 1, 1, 2, 3]
KIT = {
    # Images 0 to 5 are lines 6, 1, 2, 3, 4, 5 of the mapping.
    "mapping/train_rand.txt": b"6,1,2,3,4,5\n",
    "mapping/train_mapping.txt": b"".join(
        f"2011_09_26 {video}_sync {frame:010d}\n".encode() for frame, video in enumerate(["a", "a", "b", "b", "c", "c"])
    ),
    "readme.txt": b"",
}
OBJECT_FILES = {
    f"training/label_2/{number:06d}.txt": "\n".join(line(*each) for each in objects).encode()
    for number, objects in enumerate(OBJECTS)
}
IMAGES = {f"training/image_2/{number:06d}.png": png(40 * number) for number in range(6)} | {
    "testing/image_2/000000.png": png(255),
    "testing/image_2/000077.png": png(255),
}
FIRST = {
    "train800": ["004448.png", "007426.png", "003007.png", "000503.png"],
    "val200": ["003382.png", "001691.png", "003884.png", "005860.png"],
    "test": ["004316.png", "003116.png", "002016.png", "006893.png"],
}
KEYS = {
    "train800": "672f709eeee9eb443881e527ce86585d21ab1127fd1614850103146160935681",
    "val200": "ac4167613b6a217163505f338691be885d1aa79307d66cc1ba083b7f965b2091",
    "test": "ae80872e21c3eed88c202b71931eb3ca7e7ec599e86a0384d418a00a12429861",
}


def write(root: Path, **change: Mapping[str, bytes | None]) -> None:
    for name, files in (("image_2", IMAGES), ("label_2", OBJECT_FILES), ("kit", KIT)):
        kept = {path: data for path, data in {**files, **change.get(name, {})}.items() if data is not None}
        zipped(root / ("devkit_object.zip" if name == "kit" else f"data_object_{name}.zip"), kept)


def opened(root: Path) -> Source:
    return open_source(SMALL, [root])


@pytest.mark.parametrize("layout", ["zips", "folders"])
@pytest.mark.parametrize("place", [".", "kitti"])
def test_reads_every_layout(tmp_path: Path, layout: str, place: str) -> None:
    if layout == "zips":
        write(tmp_path / place)
    else:
        folder(tmp_path / "kitti", {**IMAGES, **OBJECT_FILES, **KIT})
    source = opened(tmp_path)
    keys = {split: list(source.keys(split)) for split in SPLITS}
    # Images of one video stay together: 1 and 2 are of a, 3 and 4 of b, 5 and 0 of c.
    assert sorted(map(sorted, keys.values())) == [
        ["000000.png", "000005.png"],
        ["000001.png", "000002.png"],
        ["000003.png", "000004.png"],
    ]
    for split in SPLITS:
        labels = TASK.label(source.annotations(split)).tolist()
        assert labels == [LABELS[int(key[:6])] for key in keys[split]]
    images = read_all(source, SPLITS)
    assert {key: int(image[0, 0, 0]) for key, image in images.items()} == {
        f"{number:06d}.png": 40 * number for number in range(6)
    }


@pytest.mark.parametrize(
    ("distance", "label"),
    [
        (-5.0, 0),
        (8.0, 0),
        (8.0000001, 0),  # The same number in float32.
        (np.nextafter(np.float32(8), np.float32(9)), 1),
        (8.01, 1),
        (20.0, 1),
        (np.nextafter(np.float32(20), np.float32(21)), 2),
        (20.01, 2),
        (999.0, 2),
        (np.nextafter(np.float32(999), np.float32(1000)), 3),
        (NO_VEHICLE, 3),
    ],
)
def test_label_at_and_around_the_edges(distance: float, label: int) -> None:
    for kind in (np.float32, np.float64):
        assert TASK.label({"vehicle_distance": np.array([distance], dtype=kind)}).tolist() == [label]


@pytest.mark.parametrize(
    ("objects", "distance"),
    [
        ([("Car", 1)], 1),
        ([("Car", 30), ("Van", 1)], 1),
        ([("Pedestrian", 1), ("Person_sitting", 1), ("Cyclist", 1), ("Tram", 1), ("Misc", 1)], NO_VEHICLE),
        ([("Truck", -3.5), ("Car", 2)], -3.5),
        ([("DontCare", -1000)], NO_VEHICLE),
    ],
)
def test_distance_of_the_closest_vehicle(tmp_path: Path, objects: list[tuple[str, float]], distance: float) -> None:
    content = "\n".join(line(*each) for each in objects).encode() + b"\n"
    assert closest_vehicle(Members(IMAGE_SET, tmp_path), "000000", content) == distance


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("kit", {"mapping/train_rand.txt": None}, "holds no train_rand.txt"),
        ("kit", {"mapping/train_mapping.txt": None}, "holds no train_mapping.txt"),
        ("kit", {"mapping/train_rand.txt": b"1,2,7"}, "does not fit its train_mapping.txt"),
        ("kit", {"mapping/train_rand.txt": b"0,1,2"}, "does not fit its train_mapping.txt"),
        ("kit", {"mapping/train_rand.txt": b"1,two"}, "cannot be read"),
        ("kit", {"mapping/train_rand.txt": b"1"}, "only 1 videos"),
        ("label_2", {"training/label_2/000003.txt": None}, "holds no 000003"),
        ("label_2", {"training/label_2/000003.txt": b"Car 1 2 3"}, "other than 15 columns"),
        ("label_2", {"training/label_2/000003.txt": line("Car", "far").encode()}, "could not convert"),
        ("image_2", {"training/image_2/000003.png": None}, "1 images are missing, such as 000003.png"),
        ("image_2", {"training/image_2/000006.png": png(0)}, "000006.png, which it should not"),
        ("image_2", {"training/image_2/000003.png": png(0)[:-8]}, "000003.png cannot be decoded"),
    ],
)
def test_damage_is_refused(tmp_path: Path, name: str, change: dict[str, bytes | None], message: str) -> None:
    write(tmp_path, **{name: change})
    path = tmp_path / ("devkit_object.zip" if name == "kit" else f"data_object_{name}.zip")
    assert message in refused(path, lambda: read_all(opened(tmp_path), SPLITS)).message


@pytest.mark.parametrize("name", ["devkit_object.zip", "data_object_label_2.zip", "data_object_image_2.zip"])
def test_missing_companion_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=name) as error:
        opened(tmp_path)
    assert next(archive.sha256 for archive in IMAGE_SET.archives if archive.name == name) in str(error.value.hint)


@pytest.mark.shared
def test_order_of_the_real_lists(shared_data: Path) -> None:
    numbers = video_split(Members(IMAGE_SET, shared_data / "raw" / "kitti_devkit_mapping"))
    assert {split: len(of_split) for split, of_split in numbers.items()} == IMAGE_SET.sizes
    found = {
        split: Listing([f"{number:06d}.png" for number in of_split], {"number": np.array(of_split)})
        for split, of_split in numbers.items()
    }
    resolved = order_of(IMAGE_SET, found, "number")
    assert {split: first for split, (first, _, _) in resolved.items()} == FIRST
    assert {split: keys for split, (_, keys, _) in resolved.items()} == KEYS


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    source = open_source(IMAGE_SET, [shared_data / "tfds_fake"])
    images = read_all(source, SPLITS)
    assert sorted(images) == [f"{number:06d}.png" for number in range(10)]
    assert {image.shape for image in images.values()} == {(375, 1242, 3)}
