from dataclasses import replace
from pathlib import Path

import pytest
from ragged_source import IMAGE_SET
from tiny_source import cifar100

from vtab_harness.api.data import Archive
from vtab_harness.datasets.eurosat import IMAGE_SET as EUROSAT
from vtab_harness.datasets.oxford_flowers102 import IMAGE_SET as FLOWERS
from vtab_harness.prepared.inventory import survey, verify
from vtab_harness.prepared.prepared_set import PreparedSet, prepare


def change(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_prepared_is_found_without_a_source(prepared: PreparedSet, fresh: Path) -> None:
    (holding,) = survey(replace(IMAGE_SET, source="no_such_module:nothing"), [], fresh)
    assert (holding.state, holding.variant) == ("prepared", "noise")
    assert holding.prepared is not None
    assert holding.bytes == sum(path.stat().st_size for path in prepared.folder.rglob("*") if path.is_file())


def test_every_prepared_variant_is_listed(fresh: Path) -> None:
    prepare(cifar100("exact"), [], fresh)
    prepare(cifar100("jpeg75"), [], fresh, variant="jpeg75")
    assert [holding.variant for holding in survey(cifar100("exact"), [], fresh)] == ["jpeg75", "vtab-1k"]


def test_missing_incomplete_and_found(tmp_path: Path) -> None:
    (missing,) = survey(FLOWERS, [tmp_path], tmp_path / "cache")
    assert missing.state == "missing"
    assert "oxford_flowers102 was not found" in missing.problem
    (tmp_path / "oxford_flowers102").mkdir()
    (tmp_path / "oxford_flowers102" / "setid.mat").write_bytes(b"")
    (incomplete,) = survey(FLOWERS, [tmp_path], tmp_path / "cache")
    assert incomplete.state == "incomplete"
    assert [path.name for path in incomplete.files] == ["setid.mat"]
    assert "none of imagelabels.mat, flowers-102/imagelabels.mat is in" in incomplete.problem
    assert "found: setid.mat" in incomplete.problem
    (tmp_path / "EuroSAT.zip").write_bytes(b"cut off")
    (found,) = survey(EUROSAT, [tmp_path], tmp_path / "cache")
    assert found.state == "found"
    assert "has 7 bytes, and the published file 94,280,567" in found.doubt
    assert "Fetch it again from https://" in found.doubt
    assert not (tmp_path / "cache").exists(), "looking writes nothing"


def test_doubts_of_what_was_prepared(fresh: Path) -> None:
    declared = cifar100("exact")
    prepare(declared, [], fresh)
    assert [holding.doubt for holding in survey(declared, [], fresh)] == [""]
    (archive,) = declared.archives
    (other,) = survey(replace(declared, archives=(replace(archive, sha256="0" * 64),)), [], fresh)
    assert other.doubt.startswith("cifar100 was prepared from tiny_source.py, which is not the published file")
    assert "results are stamped unverified" in other.doubt
    (unknown,) = survey(replace(declared, archives=()), [], fresh)
    assert unknown.doubt.startswith("cifar100 was not prepared from the published files as they are")


def test_prepared_tfds_directory_is_found_without_reading_it(tmp_path: Path) -> None:
    directory = tmp_path / "eurosat" / "rgb" / "2.0.0"
    directory.mkdir(parents=True)
    (directory / "dataset_info.json").write_text("not read")
    (holding,) = survey(EUROSAT, [tmp_path], tmp_path / "cache")
    assert (holding.state, holding.variant, holding.files) == ("found", None, (directory,))


def test_half_prepared_is_not_prepared(prepared: PreparedSet, fresh: Path) -> None:
    (prepared.folder / "val200").rename(prepared.folder.parent / ".elsewhere")
    (holding,) = survey(IMAGE_SET, [], fresh)
    assert (holding.state, holding.bytes) == ("found", 0)


def test_damage_that_shows_at_once(prepared: PreparedSet, fresh: Path) -> None:
    (prepared.folder / "test" / "manifest.json").write_text("{")
    (holding,) = survey(IMAGE_SET, [], fresh)
    assert (holding.state, holding.prepared) == ("damaged", None)
    assert "manifest.json" in holding.problem


@pytest.mark.parametrize("name", ["pixels.bin", "shapes.npy", "annotations.safetensors", "keys.json"])
def test_one_changed_byte_is_found_and_named(prepared: PreparedSet, fresh: Path, name: str) -> None:
    assert set(verify(IMAGE_SET, fresh).values()) == {None}
    change(prepared.folder / "val200" / name, -2)
    change(prepared.folder / "test" / name, -2)
    found = verify(IMAGE_SET, fresh)
    assert found[prepared.folder / "train800"] is None
    for split in ("val200", "test"):
        assert str(prepared.folder / split / name) in str(found[prepared.folder / split])


def test_nothing_prepared_is_nothing_verified(tmp_path: Path) -> None:
    assert verify(replace(IMAGE_SET, archives=(Archive("any.zip"),)), tmp_path) == {}
