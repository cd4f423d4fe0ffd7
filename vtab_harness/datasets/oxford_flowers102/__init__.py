"""Oxford Flowers 102: photographs of flowers, 102 species."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"

IMAGE_SET = ImageSet(
    name="oxford_flowers102",
    version="1",
    source="vtab_harness.datasets.oxford_flowers102.reader:open_source",
    sizes={"train": 1020, "validation": 1020, "test": 6149},
    splits=vtab_splits(Slice("train", 0, 1020), Slice("validation", 0, 1020), Slice("test", 0, 6149)),
    archives=tuple(
        Archive(name, size, sha256, _PAGE, f"{_PAGE}{name}")
        for name, size, sha256 in (
            ("102flowers.tgz", 344862509, "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246"),
            ("setid.mat", 14989, "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd"),
            ("imagelabels.mat", 502, "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d"),
        )
    ),
    citation=(
        "M.-E. Nilsback, A. Zisserman: Automated Flower Classification over a Large Number of Classes. ICVGIP, 2008."
    ),
    licence="as stated on the page of the archive",
    certificate=__name__,
    tfds="oxford_flowers102",
    tfds_columns=TfdsColumns("2.", key="file_name"),
    community=(CommunityFolder("oxford_flowers102", "label", range(102)),),
    repositories=(Repository("clip-benchmark/wds_vtab-flowers", "oxford_flowers102", "label", range(102)),),
)

TASK = Task(
    name="oxford_flowers102",
    title="Flowers102",
    group="natural",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=102,
    # Always class 50, which has the most test images.
    chance=238 / 6149,
)
