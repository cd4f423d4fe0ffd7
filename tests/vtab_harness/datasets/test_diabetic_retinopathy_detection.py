import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_archives import folder, jpeg, labels_by_key, order_of, read_all, refused, zipped

from vtab_harness.api.data import Source
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.diabetic_retinopathy_detection import IMAGE_SET, TASK
from vtab_harness.datasets.diabetic_retinopathy_detection.reader import open_source, read_lists
from vtab_harness.formats.example_order import keys_fingerprint
from vtab_harness.formats.opencv import opencv

SPLITS = ("train", "validation", "test")
SMALL = replace(IMAGE_SET, sizes={"train": 2, "validation": 1, "test": 1}, splits={})
TRAIN = b"image,level\n10_left,0\n10_right,4\n"
TEST = b"image,level,Usage\n1_left,2,Public\n1_right,3,Private\n"
LISTS = {"trainLabels.csv": TRAIN, "retinopathy_solution.csv": TEST}

FIRST = {
    "train800": ["13816_right", "7654_left", "37320_right", "21820_right"],
    "val200": ["21749_left", "11667_right", "38135_left", "7663_right"],
    "test": ["8250_left", "27754_right", "3441_left", "2634_left"],
}
KEYS = {
    "train800": "791f64de0577c42d936acf2cc6802ffec359afc20c9dd6306dae15bcb68c862b",
    "val200": "2f0e505845102cf58e9c4234bca038a695c959cc3bbb016d1e4dd3b982a6dd60",
    "test": "2f5cc26730b8d631e65542cd17daf8eee2002829c738995c71f414c7c0dc54b0",
}
LABELS = {
    "train800": "50f797d65225c863d79a459cd4c2690253d88d19d8f65a2e4292dce5c3938555",
    "val200": "99c1c576e03cadcb7830d4fa6c7a30f1048adb1a298975c9dd7a1cc8ca4198e9",
    "test": "16733e78a74b3369ee3990d306b95667a361850a4c37e07be54a9f2a563a7c2b",
}
HISTOGRAMS = {
    "train800": [586, 61, 112, 21, 20],
    "val200": [146, 15, 31, 2, 6],
    "test": [31403, 3042, 6282, 977, 966],
}


def eye(radius: int, size: tuple[int, int] = (400, 300), grey: int = 120) -> bytes:
    """A grey disc on black, the shape of these photographs."""
    x, y = np.meshgrid(np.arange(size[0]) - size[0] // 2, np.arange(size[1]) - size[1] // 2)
    pixels = np.where(x * x + y * y <= radius * radius, grey, 0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


IMAGES = {
    "train/10_left.jpeg": eye(100),
    "train/10_right.jpeg": eye(140),
    "test/1_left.jpeg": eye(120, (260, 200)),
    "test/1_right.jpeg": jpeg(0, (40, 30)),
    "test/readme.txt": b"",
}


def opened(root: Path) -> Source:
    pytest.importorskip("cv2")
    return open_source(SMALL, [root])


@pytest.mark.parametrize("layout", ["zips", "folders"])
@pytest.mark.parametrize("place", [".", "diabetic_retinopathy_detection"])
def test_reads_every_layout(tmp_path: Path, layout: str, place: str) -> None:
    if layout == "folders":
        folder(tmp_path / "diabetic_retinopathy_detection", {**IMAGES, "sample/10_left.jpeg": eye(99)})
        folder(tmp_path / place, LISTS)
    else:
        for part in ("train", "test"):
            zipped(tmp_path / place / f"{part}.zip", {n: d for n, d in IMAGES.items() if n.startswith(part)})
        zipped(tmp_path / place / "trainLabels.csv.zip", {"trainLabels.csv": TRAIN})
        folder(tmp_path / place, {"retinopathy_solution.csv": TEST})
    source = opened(tmp_path)
    assert labels_by_key(source, SPLITS) == {"10_left": 0, "10_right": 4, "1_left": 2, "1_right": 3}
    images = read_all(source, SPLITS)
    # Eyes come out with a radius of 300, of which 270 is kept, however large they were.
    assert images["10_left"].shape == (540, 540, 3)
    assert images["10_right"].shape == (540, 540, 3)
    # Nothing to see: the height becomes 600.
    assert images["1_right"].shape == (540, 540, 3)
    # The whole height is kept: it is below 540 after scaling the disc, 241 pixels wide, to 600.
    assert images["1_left"].shape == (498, 540, 3)
    for image in images.values():
        assert abs(image[2, 2].astype(int) - 128).max() <= 4
        centre = image[image.shape[0] // 2, image.shape[1] // 2]
        assert abs(centre.astype(int) - 128).max() <= 4


def test_only_archives_that_are_needed_are_read(tmp_path: Path) -> None:
    folder(tmp_path, LISTS)
    zipped(tmp_path / "train.zip", {n: d for n, d in IMAGES.items() if n.startswith("train")})
    (tmp_path / "test.zip").write_bytes(b"PK damaged")
    source = opened(tmp_path)
    assert [(split, at) for split, at, _ in source.images({"train": [1], "test": []})] == [("train", 1)]
    refused(tmp_path / "test.zip", lambda: list(source.images({"test": [0]})))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("trainLabels.csv", TEST, "is not a table of the columns image, level"),
        ("trainLabels.csv", b"", "is not a table"),
        ("trainLabels.csv", b"image,level\n10_left\n", "is not a table"),
        ("trainLabels.csv", b"image,level\n10_left,5\n", "grades other than 0 to 4"),
        ("trainLabels.csv", b"image,level\n10_left,-1\n", "grades other than 0 to 4"),
        ("trainLabels.csv", b"image,level\n10_left,none\n", "cannot be read"),
        ("trainLabels.csv", b"image,level\n../10_left,0\n", "leads out of the archive"),
        ("trainLabels.csv", b"image,level\n\xff,0\n", "cannot be read"),
        ("retinopathy_solution.csv", TRAIN, "is not a table of the columns image, level, Usage"),
    ],
)
def test_damaged_lists_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    folder(tmp_path, LISTS | {name: content})
    paths = [tmp_path / each for each in LISTS]
    assert message in refused(tmp_path / name, lambda: read_lists(IMAGE_SET, *paths)).message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train/10_right.jpeg": None}, "1 images are missing, such as 10_right"),
        ({"train/10_left.jpeg": b"text"}, "10_left.jpeg is not an image"),
        ({"train/10_left.jpeg": b""}, "10_left.jpeg"),
    ],
)
def test_damaged_images_are_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    files = {name: data for name, data in {**IMAGES, **change}.items() if data is not None}
    path = folder(tmp_path / "diabetic_retinopathy_detection", {**files, **LISTS}) / "train"
    assert message in refused(path, lambda: read_all(opened(tmp_path), SPLITS)).message


def test_missing_opencv_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(DataError, match=r"diabetic_retinopathy_detection[\s\S]*vtab-harness\[opencv\]"):
        open_source(IMAGE_SET, [tmp_path])


@pytest.mark.parametrize("missing", ["train", "test", "trainLabels.csv", "retinopathy_solution.csv"])
def test_missing_companion_is_named(tmp_path: Path, missing: str) -> None:
    path = folder(tmp_path / "diabetic_retinopathy_detection", {**IMAGES, **LISTS}) / missing
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=missing):
        opened(tmp_path)


def test_tiny_eyes_do_not_take_all_memory(tmp_path: Path) -> None:
    files = {**IMAGES, "train/10_left.jpeg": eye(2, (6000, 4000))}
    path = folder(tmp_path / "diabetic_retinopathy_detection", {**files, **LISTS}) / "train"
    error = refused(path, lambda: read_all(opened(tmp_path), SPLITS))
    assert "10_left.jpeg cannot be decoded: an image of shape (4000, 6000, 3) would be enlarged" in error.message


@pytest.mark.shared
def test_order_and_labels_of_the_real_lists(shared_data: Path) -> None:
    raw = shared_data / "raw" / "diabetic_retinopathy_labels"
    found = read_lists(IMAGE_SET, raw / "trainLabels.csv", raw / "retinopathy_solution.csv")
    resolved = order_of(IMAGE_SET, found)
    assert {split: first for split, (first, _, _) in resolved.items()} == FIRST
    assert {split: keys for split, (_, keys, _) in resolved.items()} == KEYS
    labels = {split: TASK.label({"label": values}) for split, (_, _, values) in resolved.items()}
    assert {split: keys_fingerprint(values.tolist()) for split, values in labels.items()} == LABELS
    assert {split: np.bincount(values).tolist() for split, values in labels.items()} == HISTOGRAMS
    assert HISTOGRAMS["test"][0] / 42670 == TASK.chance


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    pytest.importorskip("cv2")
    source = open_source(IMAGE_SET, [shared_data / "tfds_fake"])
    assert {len(source.keys(split)) for split in SPLITS} == {12, 6}
    images = list(source.images({"train": [0], "test": [0]}))
    assert all(max(image.shape) <= 540 for _, _, image in images)


def test_opencv_is_the_module() -> None:
    assert opencv("some").__name__ == pytest.importorskip("cv2").__name__
