"""What CONTRIBUTING.md says to write is written, to the letter, and works."""

import importlib
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vtab_harness import builtin, datasets, registry
from vtab_harness.api.tasks import Task
from vtab_harness.cli.app import app
from vtab_harness.formats.decode import decode
from vtab_harness.prepared.certify import provenance
from vtab_harness.prepared.prepared_set import prepare
from vtab_harness.registry import Registry
from vtab_harness.sweep.study import read_whole_study
from vtab_harness.sweep.study_run import open_study, run_report, run_steps
from vtab_harness.testing import (
    check_backbone_source,
    check_executor,
    check_pretrainer,
    check_protocol,
    check_suite,
)

SMALL = "python:vtab_plugin_example.backbones:SmallNetwork?input_size=32"
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


def made(section: str) -> dict[str, Any]:
    """Runs the example of a section, and returns its names; it is short, imports included."""
    (code,) = blocks(section)
    assert len(code.splitlines()) < 40, section
    names: dict[str, Any] = {"__name__": "example"}
    # Protocols are found by their module when they are looked at.
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return names


def test_a_suite() -> None:
    check_suite(made("A suite")["SHAPES"])


def test_a_backbone_source() -> None:
    check_backbone_source(made("A backbone source")["SOURCE"], "mylab:rgb")


def test_a_protocol() -> None:
    check_protocol(made("A protocol")["NearestMean"])


def test_a_pretrainer(tmp_path: Path) -> None:
    names = made("A pretrainer")
    (tmp_path / "data").mkdir()
    settings = names["Settings"]
    check_pretrainer(
        names["MyMethod"](), settings(), tmp_path / "data", tmp_path / "out", other_settings=settings(seed=1)
    )


def test_a_producer_and_a_report(tmp_path: Path) -> None:
    names = made("A producer, a report")
    study = tmp_path / "study.toml"
    study.write_text(
        f'out = "out"\nbackbones = ["{SMALL}"]\ntasks = ["mini_digits"]\n[[produce]]\nname = "ten"\n'
        'producer = "numbers"\n[[count]]\n'
    )
    with (
        registry.producers.registered("numbers", names["Numbers"]()),
        registry.reports.registered("count", names["Count"]()),
    ):
        opened = open_study(read_whole_study(study))
        assert run_steps(opened.todo, print) == []
        said: list[str] = []
        assert run_report(opened.study, opened.study.reports[0], said.append) is None
    assert [path.name for path in (tmp_path / "out" / "data").glob("ten-*/*")] == ["numbers.txt"]
    assert said == ["0 records"]


def test_an_executor() -> None:
    check_executor(made("An executor")["Reversed"])


def test_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    made("A command")
    done = CliRunner().invoke(app, ["count", str(tmp_path)])
    assert (done.exit_code, done.output) == (0, "0\n")
