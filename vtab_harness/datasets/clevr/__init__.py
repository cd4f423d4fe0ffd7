"""CLEVR: rendered scenes of simple solids, by their number and by the distance of the closest."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column, Thresholds
from vtab_harness.api.layouts import CommunityFolder, Example, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.formats.tfds.features import depths


def _depths(example: Example) -> list[float]:
    found = depths(example, "objects/pixel_coords")
    if not found:
        raise ValueError("it has no objects")
    return found


def _count(example: Example) -> int:
    return len(_depths(example))


def _distance(example: Example) -> float:
    return min(_depths(example))


IMAGE_SET = ImageSet(
    name="clevr",
    version="1",
    source="vtab_harness.datasets.clevr.reader:open_source",
    sizes={"train": 70000, "validation": 15000},
    splits=vtab_splits(Slice("train", 0, 63000), Slice("train", 63000, 70000), Slice("validation", 0, 15000)),
    archives=(
        Archive(
            "CLEVR_v1.0.zip",
            19021600724,
            "5cd61cf1096ed20944df93c9adb31e74d189b8459a94f54ba00090e5c59936d1",
            "https://cs.stanford.edu/people/jcjohns/clevr/",
            url="https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip",
        ),
    ),
    citation=(
        "J. Johnson, B. Hariharan, L. van der Maaten, L. Fei-Fei, C. L. Zitnick, R. Girshick: CLEVR: A Diagnostic"
        " Dataset for Compositional Language and Elementary Visual Reasoning. CVPR, 2017."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="clevr",
    tfds_columns=TfdsColumns("3.", (), key="file_name", computed={"count": _count, "distance": _distance}),
    community=(
        CommunityFolder("clevr_count", "count", range(3, 11)),
        CommunityFolder("clevr_dist", "distance", (7.75, 8.25, 8.75, 9.25, 9.75, 10.25)),
    ),
    repositories=(
        Repository(
            "clip-benchmark/wds_vtab-clevr_count_all",
            "clevr_count",
            "count",
            range(3, 11),
            revision="8b5dce4d5393a04fb58b9261b22a881b02e379b1",
        ),
        Repository(
            "clip-benchmark/wds_vtab-clevr_closest_object_distance",
            "clevr_distance",
            "distance",
            (7.75, 8.25, 8.75, 9.25, 9.75, 10.25),
            revision="ec9c04224a95836ca0344a6000ec8d8bc8a6d4f2",
        ),
    ),
)
"""The published validation set is VTAB's test set; the published test set has no annotations."""

COUNT = Task(
    name="clevr_count",
    title="Clevr-Count",
    group="structured",
    image_set=IMAGE_SET,
    # Three to ten objects.
    label=Column("count", offset=-3),
    num_classes=8,
)

DISTANCE = Task(
    name="clevr_distance",
    title="Clevr-Dist",
    group="structured",
    image_set=IMAGE_SET,
    label=Thresholds("distance", (8.0, 8.5, 9.0, 9.5, 10.0)),
    num_classes=6,
)
