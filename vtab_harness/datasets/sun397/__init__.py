"""SUN397: photographs of places, 397 kinds."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://vision.princeton.edu/projects/2010/SUN/"
_LISTS = "https://github.com/tensorflow/datasets/tree/master/tensorflow_datasets/image_classification"

IMAGE_SET = ImageSet(
    name="sun397",
    version="1",
    source="vtab_harness.datasets.sun397.reader:open_source",
    sizes={"train": 76128, "validation": 10875, "test": 21750},
    splits=vtab_splits(Slice("train", 0, 76128), Slice("validation", 0, 10875), Slice("test", 0, 21750)),
    archives=(
        Archive(
            "SUN397.tar.gz",
            39077296924,
            "f404130965a7ad77bed5ececc71e720ab50f3cc1e1bb257257610d38f3b928ec",
            _PAGE,
            url=f"{_PAGE}SUN397.tar.gz",
        ),
        *(
            Archive(name, size, sha256, _LISTS)
            for name, size, sha256 in (
                ("sun397_tfds_tr.txt", 3070803, "764d9aa5c7b67a12b1a5ef784656a84f6a3a3cc0383ce9dc7acc59e3efd45791"),
                ("sun397_tfds_va.txt", 438722, "0f5f5e56d4c10ea6dd64108980ce1fa3d0a5d92b61ef92530f34b6aa2dbaf192"),
                ("sun397_tfds_te.txt", 877678, "e172ef48fe5e94e26b698b0cdc56d9e100ae072eeb44d2e9e9e5bc289337fccc"),
            )
        ),
    ),
    citation=(
        "J. Xiao, J. Hays, K. A. Ehinger, A. Oliva, A. Torralba: SUN Database: Large-scale Scene Recognition from Abbey"
        " to Zoo. CVPR, 2010."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="sun397/tfds",
    tfds_columns=TfdsColumns("4.", key="file_name", skipped={"train": "/t/track/outdoor/sun_aophkoiosslinihb.jpg"}),
    community=(CommunityFolder("sun397", "label", range(397)),),
)

TASK = Task(
    name="sun397",
    title="Sun397",
    group="natural",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=397,
    # Always living_room.
    chance=439 / 21750,
)
