"""dSprites: white shapes on black, by position and orientation."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import FloorDivided
from vtab_harness.api.layouts import CommunityFolder, Example, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.formats.tfds.features import integer

FACTORS = {"shape": 3, "scale": 6, "orientation": 40, "x_position": 32, "y_position": 32}
"""Latent factor -> number of its classes; the file counts through them, the last one fastest."""


def _position(example: Example) -> str:
    position = 0
    for name, bound in FACTORS.items():
        position = position * bound + integer(example, f"label_{name}")
    return str(position)


IMAGE_SET = ImageSet(
    name="dsprites",
    version="1",
    source="vtab_harness.datasets.dsprites.reader:open_source",
    sizes={"train": 737280},
    splits=vtab_splits(Slice("train", 0, 589824), Slice("train", 589824, 663552), Slice("train", 663552, 737280)),
    archives=(
        Archive(
            "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5",
            28024106,
            "729fa22e884c9c500e1f17415d580746b4c5894fbbb780a1319bbcfa39a745bb",
            "https://github.com/deepmind/dsprites-dataset",
            url="https://github.com/deepmind/dsprites-dataset/blob/master/dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5?raw=true",
        ),
    ),
    citation=(
        "L. Matthey, I. Higgins, D. Hassabis, A. Lerchner: dSprites: Disentanglement testing Sprites dataset."
        " https://github.com/deepmind/dsprites-dataset, 2017."
    ),
    licence="as stated on the page of the file",
    positional=True,
    certificate=__name__,
    tfds="dsprites",
    tfds_columns=TfdsColumns(
        "2.",
        tuple(f"label_{name}" for name in FACTORS),
        key="label_y_position",
        key_of=_position,
        channels=1,
        binary=True,
        confirmed=True,
    ),
    community=(
        CommunityFolder("dsprites_loc", "label_x_position", range(0, 32, 2)),
        CommunityFolder(
            "dsprites_ori", "label_orientation", (0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30, 33, 35, 38)
        ),
    ),
    repositories=(
        Repository(
            "clip-benchmark/wds_vtab-dsprites_label_x_position",
            "dsprites_location",
            "label_x_position",
            range(0, 32, 2),
        ),
        Repository(
            "clip-benchmark/wds_vtab-dsprites_label_orientation",
            "dsprites_orientation",
            "label_orientation",
            (0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30, 33, 35, 38),
        ),
    ),
)

LOCATION = Task(
    name="dsprites_location",
    title="dSpr-Loc",
    group="structured",
    image_set=IMAGE_SET,
    # 32 horizontal positions.
    label=FloorDivided("label_x_position", 2),
    num_classes=16,
    # Always class 0; it follows from the order, as the labels do from the keys.
    chance=4683 / 73728,
)

ORIENTATION = Task(
    name="dsprites_orientation",
    title="dSpr-Orient",
    group="structured",
    image_set=IMAGE_SET,
    # 40 orientations in bins of 3 and 2 by turns, so the classes differ in size by design.
    label=FloorDivided("label_orientation", 2.5),
    num_classes=16,
    # Always class 10.
    chance=5605 / 73728,
)
