"""EuroSAT: satellite images in RGB, 10 kinds of land use."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task
from vtab_harness.formats.tfds.features import class_and_file

_PAGE = "https://github.com/phelber/eurosat"

IMAGE_SET = ImageSet(
    name="eurosat",
    version="1",
    source="vtab_harness.datasets.eurosat.reader:open_source",
    sizes={"train": 27000},
    splits=vtab_splits(Slice("train", 0, 16200), Slice("train", 16200, 21600), Slice("train", 21600, 27000)),
    archives=(
        Archive(
            "EuroSAT.zip",
            94280567,
            "8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd",
            _PAGE,
            url="http://madm.dfki.de/files/sentinel/EuroSAT.zip",
        ),
    ),
    citation=(
        "P. Helber, B. Bischke, A. Dengel, D. Borth: EuroSAT: A Novel Dataset and Deep Learning Benchmark for Land Use"
        " and Land Cover Classification. arXiv:1709.00029, 2017."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="eurosat/rgb",
    tfds_columns=TfdsColumns("2.", key="filename", key_of=class_and_file, misordered="tfds-absolute-path"),
    community=(CommunityFolder("eurosat", "label", range(10)),),
    repositories=(
        Repository("clip-benchmark/wds_vtab-eurosat", "eurosat", "label", range(10)),
        Repository(
            "timm/eurosat-rgb",
            "eurosat",
            "label",
            range(10),
            "parquet",
            revision="b4e28552cd5f3932b6abc37eb20d3e84901ad728",
        ),
    ),
)

TASK = Task(
    name="eurosat",
    title="EuroSAT",
    group="specialized",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=10,
    # Always HerbaceousVegetation.
    chance=621 / 5400,
)
