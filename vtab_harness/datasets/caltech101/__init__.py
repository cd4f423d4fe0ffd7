"""Caltech101: photographs of objects, 101 classes and one of background clutter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Example, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.datasets.caltech101.splits import CLASS_SIZES, STRAYS, membership
from vtab_harness.formats.tfds.features import integer, text

VARIANT = "caltech-sorted"
"""Says how the splits were drawn; see `vtab_harness.datasets.caltech101.splits`."""
_PAGE = "https://data.caltech.edu/records/mzrjq-6wc02"


def _key(example: Example) -> str:
    label = integer(example, "label")
    if not 0 <= label < len(CLASS_SIZES):
        raise ValueError(f"its class {label} is none of the {len(CLASS_SIZES)}")
    return f"{list(CLASS_SIZES)[label]}/{text(example, 'image/file_name')}"


def _drawn() -> Mapping[str, Sequence[str]]:
    return membership(CLASS_SIZES, STRAYS)


IMAGE_SET = ImageSet(
    name="caltech101",
    version="1",
    source="vtab_harness.datasets.caltech101.reader:open_source",
    sizes={"train": 3060, "test": 6084},
    splits=vtab_splits(Slice("train", 0, 2754), Slice("train", 2754, 3060), Slice("test", 0, 6084)),
    archives=(
        Archive(
            "101_ObjectCategories.tar.gz",
            131740031,
            "af6ece2f339791ca20f855943d8b55dd60892c0a25105fcd631ee3d6430f9926",
            _PAGE,
        ),
        Archive(
            "caltech-101.zip",
            137414764,
            "331234750fc7f77520e50d9565e8b6907b03565e30320da1401130db08c61f91",
            _PAGE,
            url=f"{_PAGE}/files/caltech-101.zip?download=1",
            instead_of="101_ObjectCategories.tar.gz",
        ),
    ),
    citation=(
        "L. Fei-Fei, R. Fergus, P. Perona: Learning Generative Visual Models from Few Training Examples: An Incremental"
        " Bayesian Approach Tested on 101 Object Categories. CVPR Workshop, 2004."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="caltech101",
    tfds_columns=TfdsColumns(
        "3.",
        key="image/file_name",
        key_of=_key,
        exact=VARIANT,
        misordered="caltech-tfds",
        drawn=_drawn,
    ),
    community=(CommunityFolder("caltech101", "label", range(102)),),
    repositories=(Repository("clip-benchmark/wds_vtab-caltech101", "caltech101", "label", range(102)),),
)
"""Membership of its splits: see `vtab_harness.datasets.caltech101.splits`."""

TASK = Task(
    name="caltech101",
    title="Caltech101",
    group="natural",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=102,
    # Always "airplanes": 770 of its 800 images are test images.
    chance=770 / 6084,
)
