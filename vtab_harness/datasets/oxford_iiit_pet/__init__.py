"""Oxford-IIIT Pets: photographs of cats and dogs, 37 breeds."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://www.robots.ox.ac.uk/~vgg/data/pets/"

IMAGE_SET = ImageSet(
    name="oxford_iiit_pet",
    version="1",
    source="vtab_harness.datasets.oxford_iiit_pet.reader:open_source",
    sizes={"train": 3680, "test": 3669},
    splits=vtab_splits(Slice("train", 0, 2944), Slice("train", 2944, 3680), Slice("test", 0, 3669)),
    archives=tuple(
        Archive(name, size, sha256, _PAGE, f"https://thor.robots.ox.ac.uk/~vgg/data/pets/{name}")
        for name, size, sha256 in (
            ("images.tar.gz", 791918971, "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d"),
            ("annotations.tar.gz", 19173078, "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91"),
        )
    ),
    citation=("O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar: Cats and Dogs. CVPR, 2012."),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="oxford_iiit_pet",
    # From version 4 on, a few damaged JPEGs are stored anew: other pixels.
    tfds_columns=TfdsColumns("3.", key="file_name"),
    community=(CommunityFolder("oxford_iiit_pet", "label", range(37)),),
    repositories=(
        Repository("clip-benchmark/wds_vtab-pets", "oxford_iiit_pet", "label", range(37)),
        Repository("timm/oxford-iiit-pet", "oxford_iiit_pet", "label", range(37), "parquet"),
    ),
)

TASK = Task(
    name="oxford_iiit_pet",
    title="Pets",
    group="natural",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=37,
    # Always one of the breeds with 100 test images.
    chance=100 / 3669,
)
