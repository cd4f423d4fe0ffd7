"""CIFAR-100: thumbnails of objects, 100 classes."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.formats.tfds.features import number_in_id

IMAGE_SET = ImageSet(
    name="cifar100",
    version="1",
    source="vtab_harness.datasets.cifar100.reader:open_source",
    sizes={"train": 50000, "test": 10000},
    splits=vtab_splits(Slice("train", 0, 45000), Slice("train", 45000, 50000), Slice("test", 0, 10000)),
    archives=(
        Archive(
            "cifar-100-binary.tar.gz",
            168513733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            "https://www.cs.toronto.edu/~kriz/cifar.html",
            url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        ),
    ),
    citation="A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images. University of Toronto, 2009.",
    licence="as stated on the page of the archive",
    positional=True,
    certificate=__name__,
    tfds="cifar100",
    tfds_columns=TfdsColumns("3.", ("label", "coarse_label"), key="id", key_of=number_in_id),
    community=(CommunityFolder("cifar", "label", range(100)),),
    repositories=(
        Repository("clip-benchmark/wds_vtab-cifar100", "cifar100", "label", range(100)),
        Repository("uoft-cs/cifar100", "cifar100", "label", range(100), "parquet", "img", "fine_label"),
    ),
)

TASK = Task(
    name="cifar100",
    title="CIFAR-100",
    group="natural",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=100,
    # Balanced by construction: 100 test images a class.
    chance=100 / 10000,
)
