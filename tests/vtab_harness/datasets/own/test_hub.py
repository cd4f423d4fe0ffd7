"""``hf:``: data sets that the library `datasets` has written here, read without a network."""

import hashlib
import io
import json
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vtab_harness import registry
from vtab_harness.api.errors import DataError, NotFoundError, OptionError
from vtab_harness.prepared.prepared_set import prepare
from vtab_harness.testing import check_task

datasets = pytest.importorskip("datasets")
from datasets.packaged_modules.parquet.parquet import Parquet  # noqa: E402


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def png(at: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (9, 8), (at, 2 * at, 0)).save(data, "PNG")
    return data.getvalue()


def made(count: int, label: Any = None, first: int = 0, **columns: Any) -> Any:
    label = label or datasets.ClassLabel(names=["moth", "bee", "ant"])
    of = [at % 3 if isinstance(label, datasets.ClassLabel) else f"kind {at % 3}" for at in range(count)]
    rows = {"image": [{"bytes": png(first + at), "path": None} for at in range(count)], "label": of, **columns}
    extra = {name: datasets.Value("string") for name in columns}
    features = datasets.Features({"image": datasets.Image(), "label": label, **extra})
    return datasets.Dataset.from_dict(rows, features=features)


def test_a_saved_data_set_is_a_task(tmp_path: Path) -> None:
    saved = made(20)
    saved.save_to_disk(str(tmp_path / "insects"))
    task = registry.tasks.get(f"hf:{tmp_path}/insects")
    check_task(task)
    assert (task.name, task.group, task.num_classes) == ("own-insects", "own", 3)
    found = prepare(task.image_set, (), tmp_path / "cache")
    keys = sorted(map(str, range(20)), key=lambda key: hashlib.md5(b"train" + key.encode()).digest())
    assert found.keys("train800") == keys[:12]
    assert found.labels("test", task.label).tolist() == [saved[int(key)]["label"] for key in keys[16:]]
    pixels = found.images("test").read(0, 1).data.reshape(8, 9, 3)
    assert (pixels == np.asarray(saved[int(keys[16])]["image"])).all()


def test_a_relative_folder_and_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"train": made(9), "validation": made(6, first=20), "test": made(5, first=40)}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "insects"))
    monkeypatch.chdir(tmp_path)
    task = registry.tasks.get("hf:./insects?name=mine")
    sizes = {split: (task.image_set.splits[split][0].split, task.image_set.size(split)) for split in ("val", "test")}
    assert (task.name, sizes) == ("own-mine", {"val": ("validation", 6), "test": ("test", 5)})
    monkeypatch.chdir("/")
    check_task(task)


def test_what_load_dataset_left_in_the_cache_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(20).to_parquet(str(tmp_path / "insects.parquet"))
    cache = tmp_path / "hub"
    files = {"train": [str(tmp_path / "insects.parquet")]}
    # The builder that the Hub's files go through; only its folder is then called as if they had come from there.
    Parquet(cache_dir=str(cache), dataset_name="insects", hash="abc", data_files=files).download_and_prepare()
    (cache / "insects").rename(cache / "lab___insects")
    next((cache / "lab___insects").iterdir()).rename(cache / "lab___insects" / "default")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    task = registry.tasks.get("hf:lab/insects")
    assert task.name == "own-insects"
    check_task(task)
    with pytest.raises(NotFoundError, match="hf:lab/other cannot be read from the local cache") as raised:
        registry.tasks.get("hf:lab/other")
    assert "load_dataset" in (raised.value.hint or "")


def test_labels_in_words_and_columns_of_other_names(tmp_path: Path) -> None:
    words = made(20, label=datasets.Value("string"))
    words.rename_columns({"image": "photo", "label": "species"}).save_to_disk(str(tmp_path / "insects"))
    with pytest.raises(DataError, match=r"photo \(Image\), species \(Value\)") as raised:
        registry.tasks.get(f"hf:{tmp_path}/insects")
    assert "?label=COLUMN" in (raised.value.hint or "")
    task = registry.tasks.get(f"hf:{tmp_path}/insects?label=species")
    assert task.num_classes == 3
    check_task(task)


def test_test_labels_that_only_the_publisher_knows_are_no_split(tmp_path: Path) -> None:
    hidden = made(5).map(lambda row: {"label": -1})
    datasets.DatasetDict({"train": made(10), "validation": made(5), "test": hidden}).save_to_disk(str(tmp_path / "x"))
    task = registry.tasks.get(f"hf:{tmp_path}/x")
    assert task.image_set.splits["test"][0].split == "validation"


def test_an_image_elsewhere_on_the_machine_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(1))
    rows = {"image": [{"bytes": None, "path": str(tmp_path / "secret.png")}] * 20, "label": [0, 1] * 10}
    # As a stranger may write it: the library itself puts the images in when it saves.
    image = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"image": image, "label": datasets.ClassLabel(names=["a", "b"])})
    folder = tmp_path / "set"
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(folder))
    info = json.loads((folder / "dataset_info.json").read_text())
    info["features"]["image"] = {"_type": "Image"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    task = registry.tasks.get(f"hf:{folder}")
    with pytest.raises(DataError, match="holds only its path on some machine"):
        prepare(task.image_set, (), tmp_path / "cache")


@pytest.mark.parametrize(
    ("named", "message"),
    [("", "names no data set"), ("a/b/c", "no name of a data set"), ("a/b?split=x", "unknown option 'split'")],
)
def test_what_is_no_name_is_refused(named: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        registry.tasks.get(f"hf:{named}")


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / "dataset_info.json").write_text("[]")
    with pytest.raises(NotFoundError, match="cannot be read from disk") as raised:
        registry.tasks.get(f"hf:{tmp_path}")
    assert raised.value.hint == "Name a folder that save_to_disk has made."


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(NotFoundError, match="needs the package datasets") as raised:
        registry.tasks.get(f"hf:{tmp_path}")
    assert "vtab-harness[datasets]" in (raised.value.hint or "")
