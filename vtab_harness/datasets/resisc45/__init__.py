"""RESISC45: aerial photographs, 45 kinds of scenes."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.formats.tfds.features import class_and_file

_PAGE = "https://1drv.ms/u/s!AmgKYzARBl5ca3HNaHIlzp_IXjs"

IMAGE_SET = ImageSet(
    name="resisc45",
    version="1",
    source="vtab_harness.datasets.resisc45.reader:open_source",
    sizes={"train": 31500},
    splits=vtab_splits(Slice("train", 0, 18900), Slice("train", 18900, 25200), Slice("train", 25200, 31500)),
    archives=(Archive("NWPU-RESISC45.rar", page=_PAGE),),
    citation=(
        "G. Cheng, J. Han, X. Lu: Remote Sensing Image Scene Classification: Benchmark and State of the Art."
        " Proceedings of the IEEE 105(10), 2017."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="resisc45",
    tfds_columns=TfdsColumns("3.", key="filename", key_of=class_and_file, misordered="tfds-absolute-path"),
    community=(CommunityFolder("resisc45", "label", range(45)),),
    repositories=(
        Repository("clip-benchmark/wds_vtab-resisc45", "resisc45", "label", range(45)),
        Repository("timm/resisc45", "resisc45", "label", range(45), "parquet"),
    ),
)

TASK = Task(
    name="resisc45",
    title="Resisc45",
    group="specialized",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=45,
    # Always terrace.
    chance=164 / 6300,
)
