import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.clevr import COUNT, DISTANCE, IMAGE_SET
from vtab_harness.datasets.clevr.reader import open_source

SIZES = {"train": 6, "validation": 3}
PARTS = {"train": "train", "validation": "val"}
SMALL = replace(IMAGE_SET, sizes=SIZES, splits={})

Files = dict[str, bytes]


def pixels(split: str, at: int) -> np.ndarray:
    return np.random.default_rng([SIZES[split], at]).integers(0, 256, (5 + at, 7, 4), dtype=np.uint8)


def png(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def scene(split: str, at: int) -> dict[str, Any]:
    depths = [9.0 + at + 0.5 * number for number in range(3 + at)][::-1]
    return {
        "image_filename": f"CLEVR_{PARTS[split]}_{at:06d}.png",
        "image_index": at,
        "objects": [{"shape": "cube", "pixel_coords": [1, 2, depth]} for depth in depths],
    }


def scenes_json(split: str, scenes: list[dict[str, Any]]) -> bytes:
    return json.dumps({"info": {"split": PARTS[split], "license": 'scenes: ["'}, "scenes": scenes}).encode()


def contents() -> Files:
    files = {"README.txt": b"text", "images/test/CLEVR_test_000000.png": b"not read"}
    for split, count in SIZES.items():
        for at in range(count):
            files[f"images/{PARTS[split]}/CLEVR_{PARTS[split]}_{at:06d}.png"] = png(pixels(split, at))
        scenes = [scene(split, at) for at in range(count)]
        files[f"scenes/CLEVR_{PARTS[split]}_scenes.json"] = scenes_json(split, scenes)
    return files


def write(folder: Path, files: Files, layout: str = "zip") -> Path:
    folder.mkdir(exist_ok=True)
    if layout == "zip":
        with zipfile.ZipFile(folder / "CLEVR_v1.0.zip", "w") as archive:
            for name, data in files.items():
                archive.writestr(f"CLEVR_v1.0/{name}", data)
        return folder / "CLEVR_v1.0.zip"
    for name, data in files.items():
        path = folder / "CLEVR_v1.0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "CLEVR_v1.0"


def read_all(root: Path) -> None:
    source = open_source(SMALL, [root])
    list(source.images({split: range(count) for split, count in SIZES.items()}))
    for split in SIZES:
        source.annotations(split)


@pytest.mark.parametrize("layout", ["zip", "folder"])
@pytest.mark.parametrize("place", [".", "clevr"])
def test_reads_images_and_scenes(tmp_path: Path, layout: str, place: str) -> None:
    write(tmp_path / place, contents(), layout)
    source = open_source(SMALL, [tmp_path])
    assert source.variant == "vtab-1k"
    assert list(source.keys("validation")) == [f"CLEVR_val_00000{at}.png" for at in range(3)]
    assert source.keys("train")[5] == "CLEVR_train_000005.png"
    found = source.annotations("train")
    assert found["count"].tolist() == [3, 4, 5, 6, 7, 8]
    assert found["distance"].tolist() == [9, 10, 11, 12, 13, 14]
    assert found["distance"].dtype == np.float32
    assert COUNT.label(found).tolist() == [0, 1, 2, 3, 4, 5]
    assert DISTANCE.label(found).tolist() == [2, 4, 5, 5, 5, 5]
    images = {(split, at): image for split, at, image in source.images({"validation": [2], "train": [5, 0]})}
    assert set(images) == {("validation", 2), ("train", 5), ("train", 0)}
    # Alpha is dropped.
    assert all((image == pixels(split, at)[..., :3]).all() for (split, at), image in images.items())


def test_missing_zip_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        open_source(IMAGE_SET, [tmp_path])
    assert "CLEVR_v1.0.zip, CLEVR_v1.0" in error.value.message
    assert "5cd61cf1096ed20944df93c9adb31e74d189b8459a94f54ba00090e5c59936d1" in str(error.value.hint)
    assert "19,021,600,724" in str(error.value.hint)


TRAIN = "scenes/CLEVR_train_scenes.json"
IMAGE = "images/train/CLEVR_train_000003.png"


def changed_scenes(change: Callable[[list[dict[str, Any]]], object]) -> Files:
    scenes = [scene("train", at) for at in range(6)]
    change(scenes)
    return {TRAIN: scenes_json("train", scenes)}


@pytest.mark.parametrize("layout", ["zip", "folder"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({IMAGE: None}, "lacks 1 images, such as images/train/CLEVR_train_000003.png"),
        (
            {"images/val/CLEVR_val_000003.png": b""},
            "holds 1 unexpected images, such as images/val/CLEVR_val_000003.png",
        ),
        ({IMAGE: b"no picture"}, "CLEVR_train_000003.png is not an image"),
        ({IMAGE: png(pixels("train", 3))[:-20]}, "CLEVR_train_000003.png cannot be decoded"),
        ({TRAIN: None}, f"lacks {TRAIN}"),
        ({TRAIN: b"{}"}, "the list of scenes is missing"),
        ({TRAIN: b"[]"}, "the list of scenes is missing"),
        ({TRAIN: b"\xff\xfe"}, "cannot be read"),
        ({TRAIN: b'{"scenes": [1, 2]}'}, "a scene is not an object"),
        ({TRAIN: b'{"scenes": [' + b"[" * 100000}, "cannot be read"),
        ({TRAIN: scenes_json("train", [])}, "holds 0 scenes"),
        (changed_scenes(lambda s: s.pop()), "holds 5 scenes in scenes/CLEVR_train_scenes.json where 6 are expected"),
        (changed_scenes(lambda s: s.append(scene("train", 6))), "unexpected scene 6"),
        (changed_scenes(lambda s: s.reverse()), "unexpected scene 0"),
        (changed_scenes(lambda s: s[2]["objects"].clear()), "no distance in scene 2"),
        (changed_scenes(lambda s: s[2].pop("objects")), "cannot be read: 'objects'"),
        (changed_scenes(lambda s: s[2]["objects"][0].pop("pixel_coords")), "cannot be read: 'pixel_coords'"),
        (changed_scenes(lambda s: s[2]["objects"][0].update(pixel_coords=[1])), "cannot be read"),
        (changed_scenes(lambda s: s[2]["objects"][0].update(pixel_coords=[1, 2, "far"])), "cannot be read"),
        (
            changed_scenes(lambda s: s[2].update(objects=[{"pixel_coords": [0, 0, float("nan")]}])),
            "no distance in scene 2",
        ),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, change: dict[str, bytes | None], message: str, layout: str) -> None:
    files = {name: data for name, data in (contents() | change).items() if data is not None}
    path = write(tmp_path, files, layout)
    with pytest.raises(DataError) as error:
        read_all(tmp_path)
    assert message in error.value.message
    assert str(path) in error.value.message
    assert error.value.hint is not None


@pytest.mark.parametrize("kept", [0, 4, 0.5, 0.97, -1])
def test_truncated_zip_is_refused(tmp_path: Path, kept: float) -> None:
    path = write(tmp_path, contents())
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(DataError, match="the published file 19,021,600,724") as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


@pytest.mark.parametrize("name", [IMAGE, TRAIN])
def test_changed_byte_is_noticed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, contents())
    data = bytearray(path.read_bytes())
    at = data.find(contents()[name]) + len(contents()[name]) - 40
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        read_all(tmp_path)
    assert str(path) in error.value.message


def test_another_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "CLEVR_v1.0.zip", "w") as archive:
        archive.writestr("CLEVR_CoGenT_v1.0/images/trainA/CLEVR_trainA_000000.png", b"")
    with pytest.raises(DataError, match="lacks 6 images"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("distance", "label"),
    [
        (np.nextafter(np.float32(8), np.float32(0)), 0),
        (8.0, 0),
        (8.000001, 1),
        (8.4999999, 1),
        (8.5, 1),
        # 8.5 once in float32.
        (8.5000001, 1),
        (np.nextafter(np.float32(8.5), np.float32(9)), 2),
        (9.0, 2),
        (np.nextafter(np.float32(9), np.float32(10)), 3),
        (9.5, 3),
        (np.nextafter(np.float32(9.5), np.float32(10)), 4),
        (10.0, 4),
        (np.nextafter(np.float32(10), np.float32(11)), 5),
        (10.1, 5),
        (100.0, 5),
    ],
)
def test_distance_classes_around_their_bounds(distance: float, label: int) -> None:
    assert DISTANCE.label({"distance": np.array([distance])}).tolist() == [label]
    assert DISTANCE.label({"distance": np.array([distance], dtype=np.float32)}).tolist() == [label]


def test_count_classes() -> None:
    assert COUNT.label({"count": np.arange(3, 11)}).tolist() == list(range(8))
