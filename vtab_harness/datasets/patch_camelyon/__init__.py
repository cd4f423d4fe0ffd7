"""PatchCamelyon: patches of lymph nodes, with or without tumour tissue."""

from __future__ import annotations

from vtab_harness.api.data import Archive, ImageSet, Slice, vtab_splits
from vtab_harness.api.labels import Column
from vtab_harness.api.layouts import CommunityFolder, Repository, TfdsColumns
from vtab_harness.api.tasks import Task

_PAGE = "https://zenodo.org/record/2546921"
_PREFIX = "camelyonpatch_level_2_split"

IMAGE_SET = ImageSet(
    name="patch_camelyon",
    version="1",
    source="vtab_harness.datasets.patch_camelyon.reader:open_source",
    sizes={"train": 262144, "validation": 32768, "test": 32768},
    splits=vtab_splits(Slice("train", 0, 262144), Slice("validation", 0, 32768), Slice("test", 0, 32768)),
    archives=tuple(
        Archive(f"{_PREFIX}_{part}.h5.gz", size, sha256, _PAGE, f"{_PAGE}/files/{_PREFIX}_{part}.h5.gz")
        for part, size, sha256 in (
            ("train_x", 6421353462, "d619e741468a7ab35c7e4a75e6821b7e7e6c9411705d45708f2a0efc8960656c"),
            ("train_y", 21378, "b74126d2c01b20d3661f9b46765d29cf4e4fba6faba29c8e0d09d406331ab75a"),
            ("valid_x", 805965320, "f82ee1670d027b4ec388048d9eabc2186b77c009655dae76d624c0ecb053ccb2"),
            ("valid_y", 3038, "ce1ae30f08feb468447971cfd0472e7becd0ad96d877c64120c72571439ae48c"),
            ("test_x", 800875929, "79174c2201ad521602a5888be8f36ee10875f37403dd3f2086caf2182ef87245"),
            ("test_y", 3040, "0a522005fccc8bbd04c5a117bfaf81d8da2676f03a29d7499f71d0a0bd6068ef"),
        )
    ),
    citation=(
        "B. S. Veeling, J. Linmans, J. Winkens, T. Cohen, M. Welling: Rotation Equivariant CNNs for Digital Pathology."
        " MICCAI, 2018."
    ),
    licence="as stated on the page of the files",
    positional=True,
    certificate=__name__,
    tfds="patch_camelyon",
    tfds_columns=TfdsColumns("2.", key="id"),
    community=(CommunityFolder("patch_camelyon", "label", range(2)),),
    repositories=(Repository("clip-benchmark/wds_vtab-pcam", "patch_camelyon", "label", range(2)),),
)

TASK = Task(
    name="patch_camelyon",
    title="Camelyon",
    group="specialized",
    image_set=IMAGE_SET,
    label=Column("label"),
    num_classes=2,
)
