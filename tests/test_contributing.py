"""What CONTRIBUTING.md says to write is written, to the letter, and works."""

import importlib
import re
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtab_harness import builtin, datasets
from vtab_harness.api.tasks import Task
from vtab_harness.formats.decode import decode
from vtab_harness.prepared.certify import provenance
from vtab_harness.prepared.prepared_set import prepare
from vtab_harness.registry import Registry

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(section: str) -> list[str]:
    """Returns the Python of a section."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def jpeg(grey: int) -> bytes:
    buffer = BytesIO()
    Image.new("L", (8, 6), grey).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_new_image_set_is_one_folder_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *files, line = blocks("A task")
    folders = set()
    for content in files:
        path = tmp_path / content.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        folders.add(path.parent)
    assert folders == {tmp_path / "vtab_harness" / "datasets" / "moths"}
    assert sum(len(content.splitlines()) for content in files) < 60
    assert len(line.splitlines()) == 1
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path / "vtab_harness" / "datasets")])
    entry = eval(f"{{{line}}}", {"_DATASETS": "vtab_harness.datasets"})
    task = Registry("task", "vtab_harness.tasks", builtin.NAMES["tasks"] | entry, Task).get("moths")

    names = list(importlib.import_module("vtab_harness.datasets.moths").CLASS_SIZES)
    pictures = {name: jpeg(80 * label) for label, name in enumerate(names)}
    with zipfile.ZipFile(tmp_path / "moths.zip", "w") as archive:
        for name, picture in pictures.items():
            for number in range(1, 501):
                archive.writestr(f"photographs/{name}/{name}_{number}.jpg", picture)
    found = prepare(task.image_set, [tmp_path], tmp_path / "cache", ["train800", "val200", "test", "train", "val"])
    assert provenance(found, task.label, task.name).variant == "moths-1"
    labels = {split: found.labels(split, task.label) for split in found.manifests}
    sizes = {"train800": 800, "val200": 200, "test": 300, "train": 900, "val": 300}
    assert {split: len(values) for split, values in labels.items()} == sizes
    assert all(set(values.tolist()) == set(range(task.num_classes)) for values in labels.values())
    pixels = found.images("test").read(0, 300).data.reshape(300, -1)
    assert np.array_equal(pixels, [decode(pictures[names[label]], "").reshape(-1) for label in labels["test"]])
