from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import vtab_harness
from vtab_harness import registry
from vtab_harness.api.backbones import Backbone, BackboneSpec, Transform
from vtab_harness.api.errors import CheckpointError
from vtab_harness.backbones import loaded
from vtab_harness.backbones.loaded import contents, load_backbone, one_sweep
from vtab_harness.backbones.weights import fingerprint

NAME = "test_resnet"


def save(folder: Path, seed: int, name: str = "model.safetensors", **config: object) -> None:
    torch.manual_seed(seed)
    state = timm.create_model(NAME).state_dict()
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architecture": NAME, "input_size": [3, 32, 32], **config}))
    if name.endswith("safetensors"):
        save_file(state, folder / name)
    else:
        torch.save(state, folder / name)


def test_a_folder_is_loaded_once_while_it_stays_the_same(tmp_path: Path) -> None:
    save(tmp_path, 0)
    spec = f"local-dir:{tmp_path}"
    first = load_backbone(spec)
    assert load_backbone(spec) is first
    assert first.files == contents([tmp_path, tmp_path / "config.json", tmp_path / "model.safetensors"])
    # Written anew with the same bytes it is the same.
    save(tmp_path, 0)
    assert load_backbone(spec) is first


def test_a_replaced_checkpoint_is_loaded(tmp_path: Path) -> None:
    save(tmp_path, 0)
    spec = f"local-dir:{tmp_path}"
    first, weights = load_backbone(spec), tmp_path / "model.safetensors"
    stamp = weights.stat()
    save(tmp_path, 1)
    os.utime(weights, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert weights.stat().st_size == stamp.st_size
    second = load_backbone(spec)
    assert second.fingerprint != first.fingerprint
    save(tmp_path, 1, mean=[0.25])
    third = load_backbone(spec)
    assert third.fingerprint == second.fingerprint
    assert third.transform != second.transform


def test_weights_that_would_be_preferred_are_noticed(tmp_path: Path) -> None:
    save(tmp_path, 0, "pytorch_model.bin")
    spec = f"local-dir:{tmp_path}"
    first = load_backbone(spec)
    save(tmp_path, 1)
    assert load_backbone(spec).fingerprint != first.fingerprint
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").unlink()
    assert load_backbone(spec).fingerprint == first.fingerprint
    (tmp_path / "model.safetensors").write_bytes(weights[:-10])
    with pytest.raises(CheckpointError, match="intact"):
        load_backbone(spec)


def test_a_checkpoint_option_and_random_weights(tmp_path: Path) -> None:
    save(tmp_path, 0)
    spec = f"timm:{NAME}?input_size=32&checkpoint={tmp_path / 'model.safetensors'}"
    first = load_backbone(spec)
    assert load_backbone(spec) is first
    save(tmp_path, 1)
    assert load_backbone(spec).fingerprint != first.fingerprint
    random = load_backbone(f"timm:{NAME}?input_size=32&pretrained=false")
    assert random.files == {}
    assert load_backbone(random.spec) is random


def test_a_relative_path_begins_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = []
    for seed, name in enumerate(("here", "there")):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "net", seed)
        monkeypatch.chdir(tmp_path / name)
        prints.append(load_backbone("local-dir:net").fingerprint)
    assert prints[0] != prints[1]


def test_a_file_that_changes_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights read belong to the old bytes, and must not be found under the new ones."""
    save(tmp_path, 0)
    spec = f"local-dir:{tmp_path}"
    load = loaded.load

    def slow(text: str) -> Backbone:
        found = load(text)
        save(tmp_path, 1)
        return found

    monkeypatch.setattr(loaded, "load", slow)
    first = load_backbone(spec)
    monkeypatch.setattr(loaded, "load", load)
    second = load_backbone(spec)
    assert second.fingerprint != first.fingerprint
    assert load_backbone(spec) is second


def test_published_weights_that_are_replaced(hub_repository: Path) -> None:
    for seed, revision in enumerate(("a" * 40, "b" * 40)):
        save(hub_repository / "snapshots" / revision, seed)
    prints = []
    for revision in ("a" * 40, "b" * 40):
        (hub_repository / "refs" / "main").write_text(revision)
        backbone = load_backbone("hf-hub:mine/net")
        assert load_backbone("hf-hub:mine/net") is backbone
        prints.append(backbone.fingerprint)
    assert prints[0] != prints[1]


class Counting(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


class CountingSource:
    summary = "counts how often it loads"

    def __init__(self) -> None:
        self.count = 0

    def load(self, spec: BackboneSpec) -> Backbone:
        self.count += 1
        module = Counting()
        return Backbone(spec.text, module, Transform((4, 4)), 3, 0, None, fingerprint(module), {}, False)

    def names(self) -> Iterable[str]:
        return ()


@pytest.fixture
def counting() -> Iterator[CountingSource]:
    source = CountingSource()
    with registry.backbones.registered("counting", source):
        yield source


def test_a_source_that_cannot_name_its_files_loads_once_a_sweep(counting: CountingSource) -> None:
    for _ in range(3):
        load_backbone("counting:x")
    assert counting.count == 3

    @one_sweep()
    def sweep() -> None:
        for _ in range(3):
            load_backbone("counting:x")

    sweep()
    assert counting.count == 4
    sweep()
    assert counting.count == 5
    load_backbone("counting:x")
    assert counting.count == 6


def test_a_replaced_checkpoint_gets_a_record_of_its_own(tmp_path: Path, cache: Path) -> None:
    def evaluate(spec: str) -> list[str]:
        done = vtab_harness.evaluate(
            spec, tasks="mini_digits", protocol="knn", results=tmp_path / "results", cache=cache, device="cpu"
        )
        assert done.failures == ()
        return [record.identity.backbone.weights for record in done.records]

    save(tmp_path / "net", 0)
    first = evaluate(f"local-dir:{tmp_path}/net")
    assert evaluate(f"local-dir:{tmp_path}/net") == first
    save(tmp_path / "net", 1)
    assert evaluate(f"local-dir:{tmp_path}/net") != first


def test_an_edited_neighbour_gets_a_record_of_its_own(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imports_edited.py").write_text(
        "from torch import nn\n"
        "from edited import wide\n"
        "def make():\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(wide()), nn.Flatten())\n"
    )
    widths = []
    for width in (2, 2, 3):
        (tmp_path / "edited.py").write_text(f"def wide(): return {width}")
        done = vtab_harness.evaluate(
            "python:imports_edited:make?input_size=32",
            tasks="mini_digits",
            protocol="knn",
            results=tmp_path / "results",
            cache=cache,
            device="cpu",
        )
        widths += [record.backbone.feature_size for record in done.records]
    assert widths == [12, 12, 27]
    assert len(list((tmp_path / "results").glob("*/mini_digits/*/seed0-*.json"))) == 2


def test_weights_that_ones_own_code_reads_may_be_replaced(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reads_weights.py").write_text(
        "import torch\n"
        "def make():\n"
        "    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 9, 9), torch.nn.Flatten())\n"
        "    net.load_state_dict(torch.load('w.pt'))\n"
        "    return net\n"
    )
    prints = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        torch.save({f"0.{k}": v for k, v in nn.Conv2d(3, 4, 9, 9).state_dict().items()}, "w.pt")
        done = vtab_harness.evaluate(
            "python:reads_weights:make?input_size=32",
            tasks=["mini_digits", "mini_textures"],
            protocol="knn",
            results=tmp_path / "results",
            cache=cache,
            device="cpu",
        )
        prints.append({record.identity.backbone.weights for record in done.records})
        assert len(prints[-1]) == 1
    assert prints[0] == prints[1] != prints[2]
