import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vtab_harness.api.errors import DataError, NotFoundError
from vtab_harness.datasets.cifar100 import IMAGE_SET
from vtab_harness.datasets.diabetic_retinopathy_detection import IMAGE_SET as RETINOPATHY
from vtab_harness.datasets.sun397 import IMAGE_SET as SUN
from vtab_harness.formats.sources import open_any


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
    assert type(open_any(IMAGE_SET, [tmp_path / "a"])).__name__ == "CommunitySource"
    prepared_by_tfds(tmp_path / "b", "cifar100", ("train", "test"))
    assert type(open_any(IMAGE_SET, [tmp_path / "a", tmp_path / "b"])).__name__ == "TfdsSource"
    archives(tmp_path / "c")
    assert type(open_any(IMAGE_SET, [tmp_path / x for x in "abc"])).__name__ == "Cifar100"


def test_nothing_found_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cifar100 was not found") as caught:
        open_any(IMAGE_SET, [tmp_path])
    assert "cifar-100-binary.tar.gz" in str(caught.value.hint)
    assert "(cifar100/<version>), or the folder cifar of the community's VTAB-1k" in str(caught.value.hint)


def test_sets_that_name_neither_take_no_part(tmp_path: Path) -> None:
    community(tmp_path)
    with pytest.raises(NotFoundError) as caught:
        open_any(replace(IMAGE_SET, tfds="", community=()), [tmp_path])
    assert "TensorFlow" not in str(caught.value)
    assert "community" not in str(caught.value)
    assert open_any(replace(IMAGE_SET, tfds=""), [tmp_path]).variant == "jpeg75"


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
