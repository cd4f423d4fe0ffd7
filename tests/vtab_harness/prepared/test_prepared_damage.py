"""Prepared data that was changed, cut off or forged after it was written."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ragged_source import IMAGE_SET
from safetensors.numpy import save

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


@pytest.mark.parametrize(
    "change",
    [
        {"count": "40"},
        {"count": True},
        {"slices": [["test", 0]]},
        {"split": ["test"]},
        {"keys": None},
        {"files": {}},
        {"files": {"pixels.bin": {"bytes": 1, "sha256": ""}}},
        # Hashing it would never end.
        {"files": {"../../../../../../../../dev/zero": {"bytes": 0, "sha256": ""}}},
    ],
)
def test_manifests_of_other_types_are_named(fresh: Path, prepared: PreparedSet, change: dict[str, Any]) -> None:
    path = prepared.folder / "test" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=r"manifest\.json"):
        unchecked(fresh)


def test_manifests_have_an_end(fresh: Path, prepared: PreparedSet) -> None:
    (prepared.folder / "test" / "manifest.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match=r"no readable manifest\.json"):
        unchecked(fresh)


def _saved(array: np.ndarray, before: bytes = b"", after: bytes = b"") -> bytes:
    """Returns an array as a file, with something in its header exchanged."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue().replace(before, after, 1)


SHAPES = np.tile([4, 5, 3], (40, 1)).astype(np.int64)


@pytest.mark.parametrize(
    "content",
    [
        _saved(SHAPES.reshape(-1)),
        _saved(SHAPES.astype("M8[s]")),
        _saved(SHAPES.astype(np.float64)),
        _saved(SHAPES[:, :2]),
        _saved(SHAPES[1:]),
        _saved(SHAPES * [1, -1, 1]),
        _saved(SHAPES * [2**30, 1, 1]),
        _saved(SHAPES * [1, 1, 100]),
        _saved(SHAPES, b"(40, 3)", b"(4" + b"0" * 5 + b"3"),
        _saved(SHAPES, b"(40, 3), }        ", b"(4" + b"0" * 9 + b", 3), }"),
        _saved(SHAPES, b"'shape'", b"'''ape'"),
        b"\x93NUMPY",
        b"",
    ],
)
def test_other_shapes_are_refused(prepared: PreparedSet, content: bytes) -> None:
    (prepared.folder / "test" / "shapes.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"shapes\.npy"):
        prepared.images("test")


@pytest.mark.parametrize("keys", [{"a": 1}, ["only one"], [1] * 40, "text"])
def test_other_keys_are_refused(prepared: PreparedSet, keys: object) -> None:
    (prepared.folder / "test" / "keys.json").write_text(json.dumps(keys))
    with pytest.raises(DataError, match=r"keys\.json"):
        prepared.keys("test")


def test_annotations_of_other_images_are_refused(prepared: PreparedSet) -> None:
    (prepared.folder / "test" / "annotations.safetensors").write_bytes(save({"label": np.zeros(39, np.int64)}))
    with pytest.raises(DataError, match=r"annotations\.safetensors is not about 40 images"):
        prepared.annotations("test")


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
