"""Describable Textures: photographs of textures, 47 adjectives."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://www.robots.ox.ac.uk/~vgg/data/dtd/"

IMAGE_SET = ImageSet(
    name="dtd",
    version="1",
    source="vtab_harness.datasets.dtd.reader:open_source",
    sizes={"train": 1880, "validation": 1880, "test": 1880},
    splits=vtab_splits(Slice("train", 0, 1880), Slice("validation", 0, 1880), Slice("test", 0, 1880)),
    archives=(
        Archive(
            "dtd-r1.0.1.tar.gz",
            625239812,
            "e42855a52a4950a3b59612834602aa253914755c95b0cff9ead6d07395f8e205",
            _PAGE,
            url=f"{_PAGE}download/dtd-r1.0.1.tar.gz",
        ),
    ),
    citation=("M. Cimpoi, S. Maji, I. Kokkinos, S. Mohamed, A. Vedaldi: Describing Textures in the Wild. CVPR, 2014."),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="dtd",
    tfds_columns=TfdsColumns("3.", key="file_name"),
    community=(CommunityFolder("dtd", "label", range(47)),),
    repositories=(Repository("clip-benchmark/wds_vtab-dtd", "dtd", "label", range(47)),),
)

TASK = Task(
    name="dtd",
    title="DTD",
    group="natural",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=47,
)
