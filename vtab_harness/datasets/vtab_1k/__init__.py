"""The 19 tasks of VTAB-1k, and the suite of them all.

Source: google-research/task_adaptation (data/ and scripts/run_all_tasks.sh), arXiv 1910.04867.
"""

from __future__ import annotations

from vtab_harness.api.tasks import Suite

SUITE = Suite(
    name="vtab-1k",
    version="1",
    tasks=(
        "caltech101",
        "cifar100",
        "dtd",
        "oxford_flowers102",
        "oxford_iiit_pet",
        "svhn",
        "sun397",
        "patch_camelyon",
        "eurosat",
        "resisc45",
        "diabetic_retinopathy",
        "clevr_count",
        "clevr_distance",
        "dmlab",
        "kitti_distance",
        "dsprites_location",
        "dsprites_orientation",
        "smallnorb_azimuth",
        "smallnorb_elevation",
    ),
    summary="The 19 tasks of VTAB with 1000 labels each; the score is the plain mean over all of them.",
)
