"""Diabetic Retinopathy: photographs of the retina, 5 grades of the disease."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://www.kaggle.com/c/diabetic-retinopathy-detection/data"

IMAGE_SET = ImageSet(
    name="diabetic_retinopathy_detection",
    version="1",
    source="vtab_harness.datasets.diabetic_retinopathy_detection.reader:open_source",
    sizes={"train": 35126, "validation": 10906, "test": 42670},
    splits=vtab_splits(Slice("train", 0, 35126), Slice("validation", 0, 10906), Slice("test", 0, 42670)),
    archives=(
        Archive("train.zip", page=_PAGE),
        Archive("test.zip", page=_PAGE),
        Archive("trainLabels.csv", page=_PAGE),
        Archive(
            "retinopathy_solution.csv",
            1181257,
            "a6af3d66804e81887da89b9261bcfb7da4f5bacedb070f1b5db83fa879ab60c9",
            "https://storage.googleapis.com/kaggle-forum-message-attachments/90528/2877/retinopathy_solution.csv",
            url="https://storage.googleapis.com/kaggle-forum-message-attachments/90528/2877/retinopathy_solution.csv",
        ),
    ),
    citation=(
        "Kaggle, EyePACS: Diabetic Retinopathy Detection. https://www.kaggle.com/c/diabetic-retinopathy-detection,"
        " 2015."
    ),
    licence="the rules of the Kaggle competition",
    certificate=__name__,
    tfds="diabetic_retinopathy_detection/btgraham-300",
    tfds_columns=TfdsColumns("3.", key="name"),
    community=(CommunityFolder("diabetic_retinopathy", "label", range(5)),),
    repositories=(
        Repository("clip-benchmark/wds_vtab-diabetic_retinopathy", "diabetic_retinopathy", "label", range(5)),
    ),
)
"""Its Kaggle test images with usage Public are the validation split, the Private ones the test split."""

TASK = Task(
    name="diabetic_retinopathy",
    title="Retinopathy",
    group="specialized",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=5,
    # Always the healthy grade 0.
    chance=31403 / 42670,
)
