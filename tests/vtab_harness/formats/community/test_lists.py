from pathlib import Path

import pytest

from vtab_harness.api.errors import DataError
from vtab_harness.formats.community.lists import read_list


def listed(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "test.txt").write_text("\n".join(lines))
    return folder


def test_reads_paths_and_classes(tmp_path: Path) -> None:
    listed(tmp_path, "images/a.jpg 7", "", "images/with space.jpg 0\r")
    found = read_list(tmp_path, "test", 8)
    assert (found.paths, found.classes) == (["images/a.jpg", "images/with space.jpg"], [7, 0])
    assert found.where(1) == f"{tmp_path}/images/with space.jpg (test.txt, line 3)"


@pytest.mark.parametrize(
    "line",
    [
        "images/a.jpg",
        "images/a.jpg x",
        "images/a.jpg -1",
        "images/a.jpg 8",
        "images/a.jpg 1.0",
        "7",
        "images/a.jpg ²",
        "a.jpg " + "9" * 5000,
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"test.txt, line 2, is no path and class below 8"):
        read_list(listed(tmp_path, "images/b.jpg 1", line), "test", 8)


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/passwd", "images/../../a.jpg", "..\\a.jpg", "a\0.jpg"])
def test_paths_stay_inside(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match=r"test.txt, line 2, leads out of its folder"):
        read_list(listed(tmp_path, "images/b.jpg 1", f"{path} 1"), "test", 8)


def test_links_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = listed(tmp_path / "task", "link.jpg 1", "good.jpg 1", "away/secret.jpg 2", "loop.jpg 0", "there.jpg 0")
    (folder / "link.jpg").symlink_to("../secret.jpg")
    (folder / "away").symlink_to("..")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "there.jpg").write_bytes(b"image")
    (folder / "good.jpg").symlink_to("there.jpg")
    (tmp_path / "renamed").symlink_to("task")
    found = read_list(tmp_path / "renamed", "test", 3)
    assert found.read(1) == found.read(4) == b"image"
    for position, line in ((0, 1), (2, 3)):
        with pytest.raises(DataError, match=rf"test.txt, line {line}\) leads out of its folder"):
            found.read(position)
    with pytest.raises(DataError, match=r"line 4\) cannot be read"):
        found.read(3)


def test_missing_images_are_named(tmp_path: Path) -> None:
    found = read_list(listed(tmp_path, "images/a.jpg 1"), "test", 3)
    with pytest.raises(DataError, match=r"images/a.jpg \(test.txt, line 1\) is missing"):
        found.read(0)


@pytest.mark.parametrize(
    ("lines", "message"), [(["a.jpg 1", "b.jpg 1", "a.jpg 2"], "names 'a.jpg' more than once"), ([], "names 0 images")]
)
def test_lists_make_sense(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_list(listed(tmp_path, *lines), "test", 3)


@pytest.mark.parametrize(("split", "count"), [("train800", 799), ("val200", 201)])
def test_training_lists_have_their_size(tmp_path: Path, split: str, count: int) -> None:
    (tmp_path / f"{split}.txt").write_text("\n".join(f"{at}.jpg 0" for at in range(count)))
    with pytest.raises(DataError, match=f"names {count} images where {split[-3:]} are expected"):
        read_list(tmp_path, split, 3)


def test_missing_and_damaged_lists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test.txt cannot be read"):
        read_list(tmp_path, "test", 3)
    (tmp_path / "test.txt").write_bytes(b"\xff\xfe 1")
    with pytest.raises(DataError, match=r"test.txt cannot be read"):
        read_list(tmp_path, "test", 3)
