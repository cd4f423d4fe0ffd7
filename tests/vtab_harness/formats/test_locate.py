import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.api.errors import DataError, NotFoundError
from vtab_harness.datasets.cifar100 import IMAGE_SET as CIFAR100
from vtab_harness.datasets.diabetic_retinopathy_detection import IMAGE_SET as RETINOPATHY
from vtab_harness.datasets.sun397 import IMAGE_SET as SUN
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.locate import how_to_get, locate, open_any

IMAGE_SET = ImageSet(
    name="spoons",
    version="1",
    source="nowhere:open_source",
    sizes={},
    splits={},
    archives=(Archive("spoons.zip", 1234567, "ab" * 32, "https://example.org/spoons"), Archive("labels.txt")),
)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_roots_come_before_folders_before_names(tmp_path: Path) -> None:
    names = ["spoons.zip", "images/big"]
    places = [
        tmp_path / "b" / "spoons" / "images" / "big",
        tmp_path / "b" / "spoons" / "spoons.zip",
        tmp_path / "b" / "images" / "big",
        tmp_path / "a" / "spoons" / "spoons.zip",
        tmp_path / "a" / "spoons.zip",
    ]
    for place in places:
        touch(place)
        assert locate(IMAGE_SET, [tmp_path / "a", tmp_path / "b"], names) == place


def test_missing_says_what_where_and_from_where(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        locate(IMAGE_SET, [tmp_path / "a", tmp_path / "b"], ["spoons.zip", "spoons_unpacked"])
    for part in ("spoons.zip, spoons_unpacked", str(tmp_path / "a"), str(tmp_path / "b" / "spoons")):
        assert part in error.value.message
    assert error.value.hint == (
        f"Fetch spoons.zip (1,234,567 bytes, sha256 {'ab' * 32}) from https://example.org/spoons,"
        " and put it into a data folder or its folder spoons."
    )


def test_advice_without_a_description() -> None:
    assert how_to_get(IMAGE_SET, ["labels.txt"]).startswith("Fetch labels.txt, and put")


def test_damage_names_the_file_once() -> None:
    def inner() -> None:
        with reading(IMAGE_SET, Path("outer")):
            raise wrong(IMAGE_SET, Path("spoons.zip"), "holds forks")

    with pytest.raises(DataError) as error:
        inner()
    assert error.value.message == "spoons.zip holds forks"


def test_failures_of_the_file_system_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.zip cannot be read: .*No such file"):  # noqa: SIM117
        with reading(IMAGE_SET, tmp_path / "gone.zip"):
            (tmp_path / "gone.zip").read_bytes()


def test_other_failures_pass() -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: SIM117
        with reading(IMAGE_SET, Path("spoons.zip")):
            1 / 0  # noqa: B018


def test_the_published_file_is_not_blamed(tmp_path: Path) -> None:
    path = touch(tmp_path / "spoons.zip")
    empty = Archive("spoons.zip", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    image_set = ImageSet("spoons", "1", "nowhere:open_source", {}, {}, archives=(empty,))
    assert "is that of the published file" in wrong(image_set, path, "is odd").message


@pytest.mark.parametrize(
    ("size", "sha256", "message"),
    [
        (9, "ab" * 32, r" \(it has 0 bytes and the sha256 e3b0[0-9a-f]{60}, the published file 9 and (ab){32}\)$"),
        (9, None, r" \(it has 0 bytes, the published file 9\)$"),
        (None, "ab" * 32, r" \(its sha256 is e3b0[0-9a-f]{60}, that of the published file (ab){32}\)$"),
        (0, None, r"is odd$"),
        (None, None, r"is odd$"),
    ],
)
def test_what_differs_from_the_published_file_is_said(
    size: int | None, sha256: str | None, message: str, tmp_path: Path
) -> None:
    path = touch(tmp_path / "spoons.zip")
    image_set = ImageSet("spoons", "1", "nowhere:x", {}, {}, archives=(Archive("spoons.zip", size, sha256),))
    assert re.search(message, wrong(image_set, path, "is odd").message)


def prepared_by_tfds(root: Path, builder: str, splits: tuple[str, ...], version: str = "3.0.2") -> None:
    folder = root / builder / version
    folder.mkdir(parents=True)
    info = {
        "name": builder.split("/")[0],
        "version": version,
        "splits": [{"name": split, "shardLengths": []} for split in splits],
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))


def community(root: Path) -> None:
    (root / "cifar").mkdir(parents=True)
    for name, count in {"train800": 800, "val200": 200, "test": 1}.items():
        (root / "cifar" / f"{name}.txt").write_text("\n".join(f"{at}.jpg 0" for at in range(count)))


def archives(root: Path) -> None:
    (root / "cifar-100-binary").mkdir(parents=True)


def test_archives_before_prepared_directories_before_the_community(tmp_path: Path) -> None:
    community(tmp_path / "a")
    assert type(open_any(CIFAR100, [tmp_path / "a"])).__name__ == "CommunitySource"
    prepared_by_tfds(tmp_path / "b", "cifar100", ("train", "test"))
    assert type(open_any(CIFAR100, [tmp_path / "a", tmp_path / "b"])).__name__ == "TfdsSource"
    archives(tmp_path / "c")
    assert type(open_any(CIFAR100, [tmp_path / x for x in "abc"])).__name__ == "Cifar100"


def test_nothing_found_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cifar100 was not found") as caught:
        open_any(CIFAR100, [tmp_path])
    assert "cifar-100-binary.tar.gz" in str(caught.value.hint)
    assert "(cifar100/<version>), or the folder cifar of the community's VTAB-1k" in str(caught.value.hint)


def test_sets_that_name_neither_take_no_part(tmp_path: Path) -> None:
    community(tmp_path)
    with pytest.raises(NotFoundError) as caught:
        open_any(replace(CIFAR100, tfds="", community=()), [tmp_path])
    assert "TensorFlow" not in str(caught.value)
    assert "community" not in str(caught.value)
    assert open_any(replace(CIFAR100, tfds=""), [tmp_path]).variant == "jpeg75"


def test_damaged_archives_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "trainLabels.csv").write_text("nothing")
    for name in ("train.zip", "test.zip", "retinopathy_solution.csv"):
        (tmp_path / name).write_bytes(b"")
    prepared_by_tfds(tmp_path, RETINOPATHY.tfds, ("train", "validation", "test"), "3.0.0")
    with pytest.raises(DataError, match=r"trainLabels.csv is not a table"):
        open_any(RETINOPATHY, [tmp_path])


def test_prepared_directories_need_no_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    prepared_by_tfds(tmp_path, "sun397/tfds", ("train", "validation", "test"), "4.0.0")
    assert type(open_any(SUN, [tmp_path])).__name__ == "TfdsSource"
