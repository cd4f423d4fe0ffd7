"""small NORB: toys on a turntable, by azimuth and elevation of the camera."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
_TRAINING = "smallnorb-5x46789x9x18x6x2x96x96-training"
_TESTING = "smallnorb-5x01235x9x18x6x2x96x96-testing"

IMAGE_SET = ImageSet(
    name="smallnorb",
    version="1",
    source="vtab_harness.datasets.smallnorb.reader:open_source",
    sizes={"train": 24300, "test": 24300},
    splits=vtab_splits(Slice("train", 0, 24300), Slice("test", 0, 12150), Slice("test", 12150, 24300)),
    archives=tuple(
        Archive(f"{name}.mat.gz", size, sha256, _PAGE, f"{_PAGE}{name}.mat.gz")
        for name, size, sha256 in (
            (f"{_TRAINING}-dat", 131896188, "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873"),
            (f"{_TRAINING}-cat", 348, "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa"),
            (f"{_TRAINING}-info", 71052, "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32"),
            (f"{_TESTING}-dat", 130799817, "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474"),
            (f"{_TESTING}-cat", 347, "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff"),
            (f"{_TESTING}-info", 10428, "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2"),
        )
    ),
    citation=(
        "Y. LeCun, F. J. Huang, L. Bottou: Learning Methods for Generic Object Recognition with Invariance to Pose and"
        " Lighting. CVPR, 2004."
    ),
    licence="as stated on the page of the files",
    positional=True,
    certificate=__name__,
    tfds="smallnorb",
    tfds_columns=TfdsColumns(
        "2.", ("label_category", "instance", "label_elevation", "label_azimuth", "label_lighting"), channels=1
    ),
    community=(
        CommunityFolder("smallnorb_azi", "label_azimuth", range(18)),
        CommunityFolder("smallnorb_ele", "label_elevation", range(9)),
    ),
    repositories=(
        Repository("clip-benchmark/wds_vtab-smallnorb_label_azimuth", "smallnorb_azimuth", "label_azimuth", range(18)),
        Repository(
            "clip-benchmark/wds_vtab-smallnorb_label_elevation", "smallnorb_elevation", "label_elevation", range(9)
        ),
    ),
)
"""Validation and test are both cut from the published test set."""

AZIMUTH = Task(
    name="smallnorb_azimuth",
    title="sNORB-Azim",
    group="structured",
    image_set=IMAGE_SET,
    label=Column("label_azimuth"),
    num_classes=18,
)

ELEVATION = Task(
    name="smallnorb_elevation",
    title="sNORB-Elev",
    group="structured",
    image_set=IMAGE_SET,
    label=Column("label_elevation"),
    num_classes=9,
)
