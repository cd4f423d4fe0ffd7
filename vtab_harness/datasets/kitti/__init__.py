"""KITTI: photographs from a car, and how far away the closest vehicle is."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Thresholds
from vtab_harness.api.layouts import CommunityFolder, Example, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.formats.tfds.features import depths

_PAGE = "http://www.cvlibs.net/datasets/kitti/"

NO_VEHICLE = 1000.0
"""Distance given to images without a vehicle; the farthest labelled object is closer."""
_VEHICLES = 3
"""Of TFDS's types of objects the first three: car, van, truck."""


def _closest_vehicle(example: Example) -> float:
    kinds, places = example.get("objects/type", ()), depths(example, "objects/location")
    if len(kinds) != len(places):
        raise ValueError("its objects have more or fewer types than places")
    near = (depth for kind, depth in zip(kinds, places, strict=True) if isinstance(kind, int) and 0 <= kind < _VEHICLES)
    return min(near, default=NO_VEHICLE)


IMAGE_SET = ImageSet(
    name="kitti",
    version="1",
    source="vtab_harness.datasets.kitti.reader:open_source",
    sizes={"train": 6347, "validation": 423, "test": 711},
    splits=vtab_splits(Slice("train", 0, 6347), Slice("validation", 0, 423), Slice("test", 0, 711)),
    archives=tuple(
        Archive(name, size, sha256, _PAGE, f"https://s3.eu-central-1.amazonaws.com/avg-kitti/{name}")
        for name, size, sha256 in (
            (
                "data_object_image_2.zip",
                12569945557,
                "351c5a2aa0cd9238b50174a3a62b846bc5855da256b82a196431d60ff8d43617",
            ),
            ("data_object_label_2.zip", 5601213, "4efc76220d867e1c31bb980bbf8cbc02599f02a9cb4350effa98dbb04aaed880"),
            ("devkit_object.zip", 63794, "ce0b76b69c0c5f89690a0d65b7302bbbdb962a0c7e8aba6efc7050d1b04b4cf1"),
        )
    ),
    citation=(
        "A. Geiger, P. Lenz, R. Urtasun: Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite. CVPR,"
        " 2012."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="kitti",
    tfds_columns=TfdsColumns("3.", (), key="image/file_name", computed={"vehicle_distance": _closest_vehicle}),
    community=(CommunityFolder("kitti", "vehicle_distance", (4.0, 14.0, 40.0, 1000.0)),),
    repositories=(
        Repository(
            "clip-benchmark/wds_vtab-kitti_closest_vehicle_distance",
            "kitti_distance",
            "vehicle_distance",
            (4.0, 14.0, 40.0, 1000.0),
        ),
    ),
)

TASK = Task(
    name="kitti_distance",
    title="KITTI-Dist",
    group="structured",
    image_set=IMAGE_SET,
    label=Thresholds("vehicle_distance", (8, 20, 999)),
    num_classes=4,
    # Always 8 to 20 metres.
    chance=265 / 711,
)
