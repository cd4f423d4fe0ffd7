"""Own images from the command to the record: one command, a short name, and no path in what makes the number."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vtab_harness
from vtab_harness.api.errors import OptionError, UnknownNameError
from vtab_harness.sweep.store import Store


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 class folders, each of another colour."""
    root = tmp_path_factory.mktemp("own") / "photos"
    random = np.random.default_rng(0)
    for name in range(12):
        (root / f"class{name}").mkdir(parents=True)
        colour = random.uniform(0, 255, 3)
        for i in range(20):
            pixels = np.clip(colour + random.normal(0, 20, (48, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"class{name}" / f"{i}.jpg")
    return root


def test_one_command_gives_a_table(photos: Path, tmp_path: Path, small_backbone: str) -> None:
    command = [sys.executable, "-m", "vtab_harness", "run", "-b", small_backbone, "--task", f"folder:{photos}"]
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    done = subprocess.run([*command, *places, "-p", "knn"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"own +photos +\d+\.\d\d +\d+\.\d\d", done.stdout), done.stdout
    ((path, record),) = Store(tmp_path / "results")
    assert record.identity.task.name == "own-photos"
    assert record.task.group == "own"
    assert (record.learned_from.train, record.learned_from.validation, record.score.examples) == (144, 48, 48)
    # The command stands in the record as it was given; nothing else tells where the images lie.
    without = {key: value for key, value in json.loads(path.read_text())["run"].items() if key != "command"}
    assert str(photos.parent) not in json.dumps({**record.result(), "run": without})


def test_equal_folders_give_one_record_and_other_images_another(
    photos: Path, tmp_path: Path, small_backbone: str
) -> None:
    def run(folder: Path) -> vtab_harness.Results:
        return vtab_harness.evaluate(
            small_backbone, tasks=f"folder:{folder}", protocol="knn",
            results=tmp_path / "results", cache=tmp_path / "cache", device="cpu",
        )  # fmt: skip

    (first,) = run(photos).records
    copy = tmp_path / "copy" / "photos"
    shutil.copytree(photos, copy)
    assert run(copy).records == (first,)
    next(copy.rglob("*.jpg")).unlink()
    changed = run(copy)
    assert changed.records[0].identity.digest != first.identity.digest
    assert "on files-" in changed.passed_over[0].why[0]


def test_two_folders_of_one_name_in_a_sweep_are_told_apart_by_the_person(
    photos: Path, tmp_path: Path, small_backbone: str
) -> None:
    copy = tmp_path / "copy" / "photos"
    shutil.copytree(photos, copy)
    both = [f"folder:{photos}", f"folder:{copy}"]
    with pytest.raises(OptionError, match="would both be the task 'own-photos'") as raised:
        vtab_harness.evaluate(small_backbone, tasks=both, protocol="knn", results=tmp_path / "results")
    assert f"folder:{copy}?name=NAME" in (raised.value.hint or "")


def test_a_record_of_them_says_that_somebody_has_to_name_them(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'own-gone' is made of somebody's own images") as raised:
        vtab_harness.evaluate("timm:x", tasks="own-gone", results=tmp_path)
    assert "folder:PATH" in (raised.value.hint or "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["name", "object"])
def test_processes_of_their_own_find_the_images(photos: Path, tmp_path: Path, small_backbone: str, kind: str) -> None:
    done = vtab_harness.evaluate(
        small_backbone,
        tasks=f"folder:{photos}" if kind == "name" else vtab_harness.ImageFolder(photos),
        protocol="knn",
        executor="devices",
        results=tmp_path / "results",
        cache=tmp_path / "cache",
        device="cpu",
    )
    assert done.failures == ()
    assert [record.identity.task.name for record in done.records] == ["own-photos"]
