"""SVHN: house numbers, cropped to one digit each."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.formats.tfds.features import number_in_id

_PAGE = "http://ufldl.stanford.edu/housenumbers/"

IMAGE_SET = ImageSet(
    name="svhn_cropped",
    version="1",
    source="vtab_harness.datasets.svhn_cropped.reader:open_source",
    sizes={"train": 73257, "test": 26032},
    splits=vtab_splits(Slice("train", 0, 65931), Slice("train", 65931, 73257), Slice("test", 0, 26032)),
    archives=tuple(
        Archive(name, size, sha256, _PAGE, f"{_PAGE}{name}")
        for name, size, sha256 in (
            ("train_32x32.mat", 182040794, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
            ("test_32x32.mat", 64275384, "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
        )
    ),
    citation=(
        "Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng: Reading Digits in Natural Images with"
        " Unsupervised Feature Learning. NIPS Workshop on Deep Learning and Unsupervised Feature Learning, 2011."
    ),
    licence="as stated on the page of the files",
    positional=True,
    certificate=__name__,
    tfds="svhn_cropped",
    tfds_columns=TfdsColumns("3.", key="id", key_of=number_in_id),
    community=(CommunityFolder("svhn", "label", range(10)),),
    repositories=(
        Repository("clip-benchmark/wds_vtab-svhn", "svhn", "label", range(10)),
        Repository("ufldl-stanford/svhn", "svhn", "label", range(10), "parquet", config="cropped_digits"),
    ),
)
"""The ``extra`` images of the same publisher belong to no VTAB split."""

TASK = Task(
    name="svhn",
    title="SVHN",
    group="natural",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=10,
)
