"""DMLab: frames of a game, and how far away which kind of object is."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://storage.googleapis.com/dmlab-vtab/dmlab.tar.gz"

IMAGE_SET = ImageSet(
    name="dmlab",
    version="1",
    source="vtab_harness.datasets.dmlab.reader:open_source",
    sizes={"train": 65550, "validation": 22628, "test": 22735},
    splits=vtab_splits(Slice("train", 0, 65550), Slice("validation", 0, 22628), Slice("test", 0, 22735)),
    archives=(
        Archive(
            "dmlab.tar.gz",
            3017022789,
            "638b18fa69a5d61bbc310cd0b87ac603a39f41de0fdb07b6e77de274a24480a4",
            _PAGE,
            url="https://storage.googleapis.com/dmlab-vtab/dmlab.tar.gz",
        ),
    ),
    citation=(
        "X. Zhai et al.: A Large-scale Study of Representation Learning with the Visual Task Adaptation Benchmark."
        " arXiv:1910.04867, 2019."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="dmlab",
    tfds_columns=TfdsColumns("2.", key="filename"),
    community=(CommunityFolder("dmlab", "label", range(6)),),
    repositories=(Repository("clip-benchmark/wds_vtab-dmlab", "dmlab", "label", range(6)),),
)

TASK = Task(
    name="dmlab",
    title="DMLab",
    group="structured",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=6,
)
