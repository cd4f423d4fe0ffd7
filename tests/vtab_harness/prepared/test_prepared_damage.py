"""Prepared data that was changed, cut off or forged after it was written."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from ragged_source import IMAGE_SET

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import DataError
from vtab_harness.api.labels import Column
from vtab_harness.prepared.prepared_set import PreparedSet, prepare

ABSENT = replace(IMAGE_SET, source="no_such_module:nothing")


def unchecked(cache: Path) -> PreparedSet:
    return prepare(ABSENT, [], cache)


@pytest.mark.parametrize("name", ["pixels.bin", "shapes.npy", "annotations.safetensors", "keys.json"])
def test_one_changed_byte_is_found_and_named(fresh: Path, prepared: PreparedSet, name: str) -> None:
    path = prepared.folder / "test" / name
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"test/{name} has changed") as error:
        unchecked(fresh).verify()
    assert error.value.hint is not None
    assert "Delete that folder" in error.value.hint


@pytest.mark.parametrize("name", ["pixels.bin", "shapes.npy", "annotations.safetensors", "keys.json"])
def test_truncated_or_lost_file_is_found_on_opening(fresh: Path, prepared: PreparedSet, name: str) -> None:
    path = prepared.folder / "test" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{name} has \d+ bytes instead of \d+"):
        unchecked(fresh)
    path.unlink()
    with pytest.raises(DataError, match=f"no readable {name}"):
        unchecked(fresh)


def test_damage_while_open_is_found_on_reading(prepared: PreparedSet) -> None:
    images = prepared.images("test")
    path = prepared.folder / "test" / "pixels.bin"
    path.write_bytes(path.read_bytes()[:-1])
    images.read(0, 39)
    with pytest.raises(DataError, match="has become shorter"):
        images.read(0, 40)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        images.read(0, 1)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 99, "harness": "7.0"}'])
def test_unreadable_manifest_is_named(fresh: Path, prepared: PreparedSet, text: str) -> None:
    (prepared.folder / "val200" / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="val200") as error:
        unchecked(fresh)
    assert error.value.hint is not None


def test_forged_fingerprint_is_found(fresh: Path, prepared: PreparedSet) -> None:
    path = prepared.folder / "test" / "manifest.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"pixels": hashlib.sha256(b"").hexdigest()}))
    with pytest.raises(DataError, match=r"test/manifest\.json does not fit"):
        unchecked(fresh).verify()


def test_other_declaration_under_the_same_version_is_refused(fresh: Path, prepared: PreparedSet) -> None:
    changed: ImageSet = replace(IMAGE_SET, splits={**IMAGE_SET.splits, "test": (Slice("test", 5, 44),)})
    with pytest.raises(DataError, match="other examples than ragged/test is declared"):
        prepare(changed, [], fresh)


def test_annotation_that_the_source_did_not_have(prepared: PreparedSet) -> None:
    with pytest.raises(DataError, match="without the annotation 'azimuth'"):
        prepared.labels("test", Column("azimuth"))
