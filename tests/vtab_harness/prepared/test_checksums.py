import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness import registry
from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.datasets.dsprites import IMAGE_SET
from vtab_harness.datasets.patch_camelyon.reader import PatchCamelyon
from vtab_harness.datasets.vtab_1k import SUITE
from vtab_harness.formats.locate import open_any
from vtab_harness.prepared.checksums import Hashing, compare_files, differing_files, files_of
from vtab_harness.prepared.manifest import ArchiveRecord

POSITIONAL = {
    task.image_set.name: task.image_set for task in map(registry.tasks.get, SUITE.tasks) if task.image_set.positional
}
CONTENT = {"a.zip": b"pixels" * 1000, "b.txt": b"labels"}


class Reader:
    """Says what it reads, and nothing else."""

    variant = "vtab-1k"

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def keys(self, split: str) -> Sequence[str]:
        return []

    def annotations(self, split: str) -> Mapping[str, Any]:
        return {}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Any:
        return iter(())


def declared(**changes: Any) -> ImageSet:
    archives = [Archive(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()]
    archives[0] = replace(archives[0], **changes)
    return replace(IMAGE_SET, archives=tuple(archives))


def written(folder: Path) -> list[Path]:
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in CONTENT]


def hashed(image_set: ImageSet, paths: Sequence[Path]) -> tuple[ArchiveRecord, ...]:
    with Hashing(image_set, Reader(paths)) as hashing:
        return hashing.records()


def test_published_files_are_recognised(tmp_path: Path) -> None:
    records = hashed(declared(), written(tmp_path))
    assert records == tuple(
        ArchiveRecord(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()
    )
    assert compare_files(declared(), records) == "exact"
    assert compare_files(declared(), ()) == "unknown"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"sha256": "0" * 64}, "differs"),
        ({"size": 7}, "differs"),
        ({"sha256": None}, "unknown"),
        ({"size": None}, "exact"),
        ({"name": "other.zip"}, "unknown"),
        ({"size": 7, "sha256": None}, "differs"),
    ],
)
def test_one_other_file_decides(tmp_path: Path, changes: dict[str, Any], verdict: str) -> None:
    image_set = declared(**changes)
    records = hashed(image_set, written(tmp_path))
    assert compare_files(image_set, records) == verdict
    assert differing_files(image_set, records) == (["a.zip"] if verdict == "differs" else [])


def test_folders_and_vanished_files_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "a.zip").mkdir()
    records = hashed(declared(), [tmp_path / "a.zip", tmp_path / "b.txt"])
    assert records == (ArchiveRecord("a.zip"), ArchiveRecord("b.txt"))
    assert compare_files(declared(), records) == "unknown"


def test_file_that_is_exchanged_meanwhile_is_not_the_one_that_was_hashed(tmp_path: Path) -> None:
    paths = written(tmp_path)
    with Hashing(declared(), Reader(paths)) as hashing:
        while hashing.waiting:
            pass
        os.utime(paths[0], ns=(1, 1))
        records = hashing.records()
    assert [record.sha256 is None for record in records] == [True, False]
    assert compare_files(declared(), records) == "unknown"


def test_failure_ends_the_hashing(tmp_path: Path) -> None:
    big = tmp_path / "a.zip"
    big.write_bytes(bytes(1 << 24))
    image_set = declared(size=None)
    with pytest.raises(ZeroDivisionError), Hashing(image_set, Reader([big]), part=1) as hashing:
        raise ZeroDivisionError
    # Byte by byte it would take many seconds.
    assert hashing.records()[0].sha256 is None


@given(st.lists(st.sampled_from(["exact", "differs", "unknown"])))
def test_verdict_of_several_files(each: list[str]) -> None:
    image_set = replace(IMAGE_SET, archives=tuple(Archive(str(at), 1, "ab") for at in range(len(each))))
    sha256 = {"exact": "ab", "differs": "cd", "unknown": None}
    records = [ArchiveRecord(str(at), 1, sha256[one]) for at, one in enumerate(each)]
    worst = "differs" if "differs" in each else "unknown" if "unknown" in each or not each else "exact"
    assert compare_files(image_set, records) == worst


def test_image_sets_of_positions_have_every_sha256() -> None:
    """Otherwise nothing could certify them."""
    assert set(POSITIONAL) == {"cifar100", "dsprites", "patch_camelyon", "smallnorb", "svhn_cropped"}
    for image_set in POSITIONAL.values():
        assert all(archive.size and archive.sha256 for archive in image_set.archives)


@pytest.mark.parametrize("name", sorted(POSITIONAL))
def test_readers_of_positions_say_what_they_read(name: str, tmp_path: Path) -> None:
    image_set = POSITIONAL[name]
    for archive in image_set.archives:
        (tmp_path / archive.name).touch()
    source = open_any(image_set, [tmp_path])
    assert {path.name for path in files_of(source)} == {archive.name for archive in image_set.archives}
    assert not isinstance(source, PatchCamelyon) or len(files_of(source)) == 6
