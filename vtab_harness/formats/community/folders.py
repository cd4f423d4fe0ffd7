"""The community's task folders: what they are called, and what their labels say of our annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """The folder of one task.

    Attributes:
        name: What it is called.
        column: Annotation column that its labels stand for.
        values: One value of that column for each class: any that the task's label rule puts into that class serves,
            as the lists hold nothing but classes.
    """

    name: str
    column: str
    values: Sequence[float]


FOLDERS: Mapping[str, tuple[TaskFolder, ...]] = {
    "caltech101": (TaskFolder("caltech101", "label", range(102)),),
    "cifar100": (TaskFolder("cifar", "label", range(100)),),
    "clevr": (
        TaskFolder("clevr_count", "count", range(3, 11)),
        TaskFolder("clevr_dist", "distance", (7.75, 8.25, 8.75, 9.25, 9.75, 10.25)),
    ),
    "diabetic_retinopathy_detection": (TaskFolder("diabetic_retinopathy", "label", range(5)),),
    "dmlab": (TaskFolder("dmlab", "label", range(6)),),
    "dsprites": (
        TaskFolder("dsprites_loc", "label_x_position", range(0, 32, 2)),
        TaskFolder("dsprites_ori", "label_orientation", (0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30, 33, 35, 38)),
    ),
    "dtd": (TaskFolder("dtd", "label", range(47)),),
    "eurosat": (TaskFolder("eurosat", "label", range(10)),),
    "kitti": (TaskFolder("kitti", "vehicle_distance", (4.0, 14.0, 40.0, 1000.0)),),
    "oxford_flowers102": (TaskFolder("oxford_flowers102", "label", range(102)),),
    "oxford_iiit_pet": (TaskFolder("oxford_iiit_pet", "label", range(37)),),
    "patch_camelyon": (TaskFolder("patch_camelyon", "label", range(2)),),
    "resisc45": (TaskFolder("resisc45", "label", range(45)),),
    "smallnorb": (
        TaskFolder("smallnorb_azi", "label_azimuth", range(18)),
        TaskFolder("smallnorb_ele", "label_elevation", range(9)),
    ),
    "sun397": (TaskFolder("sun397", "label", range(397)),),
    "svhn_cropped": (TaskFolder("svhn", "label", range(10)),),
}
"""Image set -> the folders of its tasks."""
