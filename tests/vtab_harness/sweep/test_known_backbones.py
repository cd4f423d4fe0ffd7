"""What is remembered of a backbone is never served where loading would give something else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import register_model

from vtab_harness.sweep import known_backbones
from vtab_harness.sweep.known_backbones import KnownBackbone, know, load_and_remember, recall
from vtab_harness.sweep.plan import PlannedJob

NAME = "test_resnet"


def save(folder: Path, seed: int, **config: object) -> Path:
    torch.manual_seed(seed)
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "config.json").write_text(json.dumps({"architecture": NAME, "input_size": [3, 32, 32], **config}))
    save_file(timm.create_model(NAME).state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets stamps of files count that were written just now."""
    monkeypatch.setattr(known_backbones, "_SETTLED", -(10**12))


def no_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_backbones, "load_backbone", lambda spec: pytest.fail("loaded a network"))


def entry(cache: Path) -> Path:
    (path,) = (cache / "backbones").iterdir()
    return path


def test_what_was_loaded_once_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "net", 0)
    spec = f"local-dir:{tmp_path}/net"
    backbone, known = load_and_remember(spec, tmp_path)
    no_loading(monkeypatch)
    again = know(spec, tmp_path)
    assert again.same_as(known)
    assert again == KnownBackbone(backbone.identity(), backbone.parameters, backbone.macs, depends_on_batch=True)


def test_weights_and_options_are_told_apart(tmp_path: Path) -> None:
    save(tmp_path / "net", 0)
    specs = [f"local-dir:{tmp_path}/net{more}" for more in ("", "?input_size=48", "?pretrained=false")]
    found = [know(spec, tmp_path).identity for spec in specs]
    assert [recall(spec, tmp_path).identity for spec in specs] == found  # type: ignore[union-attr]
    assert len({json.dumps([one.weights, one.transform.as_json()]) for one in found}) == 3


@pytest.mark.parametrize("kept", [True, False], ids=["stamps", "no stamps"])
def test_changed_checkpoint_of_the_same_size_and_time(
    tmp_path: Path, kept: bool, request: pytest.FixtureRequest
) -> None:
    if kept:
        request.getfixturevalue("settled")
    weights = save(tmp_path / "net", 0)
    spec = f"local-dir:{tmp_path}/net"
    first, stamp = know(spec, tmp_path), weights.stat()
    save(tmp_path / "net", 1)
    os.utime(weights, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert weights.stat().st_size == stamp.st_size
    assert recall(spec, tmp_path) is None
    second = know(spec, tmp_path)
    assert second.identity.weights != first.identity.weights
    assert recall(spec, tmp_path) == second


@pytest.mark.usefixtures("settled")
def test_files_that_were_only_touched_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = save(tmp_path / "net", 0)
    spec = f"local-dir:{tmp_path}/net"
    first, before = know(spec, tmp_path), entry(tmp_path).read_bytes()
    no_loading(monkeypatch)
    os.utime(weights)
    assert know(spec, tmp_path) == first
    # The new stamps are kept, and then no byte is read.
    assert entry(tmp_path).read_bytes() != before
    monkeypatch.setattr(
        known_backbones, "contents", lambda paths: {path: names(path) for path in paths if path.is_dir()}
    )
    assert know(spec, tmp_path) == first


def names(folder: Path) -> str:
    from vtab_harness.backbones.loaded import contents

    return contents([folder])[folder]


def test_young_stamps_are_not_kept(tmp_path: Path) -> None:
    """Two changes within a tick of the clock would look like one."""
    save(tmp_path / "net", 0)
    know(f"local-dir:{tmp_path}/net", tmp_path)
    assert [file["stamp"] for file in json.loads(entry(tmp_path).read_text())["files"]] == [None] * 3


def test_better_weights_that_appear_and_a_changed_config(tmp_path: Path) -> None:
    save(tmp_path / "net", 0).rename(tmp_path / "net" / "other.safetensors")
    spec = f"local-dir:{tmp_path}/net"
    first = know(spec, tmp_path)
    save(tmp_path / "net", 1)
    second = know(spec, tmp_path)
    assert second.identity.weights != first.identity.weights
    save(tmp_path / "net", 1, mean=[0.25])
    assert know(spec, tmp_path).identity.transform != second.identity.transform


def test_another_version_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = f"timm:{NAME}?pretrained=false&input_size=32"
    known = know(spec, tmp_path)
    assert recall(spec, tmp_path) == known
    monkeypatch.setattr(known_backbones, "_code", lambda: "another timm")
    assert recall(spec, tmp_path) is None
    # It takes the place of the old one, so that the folder does not grow with versions.
    know(spec, tmp_path)
    assert entry(tmp_path)


def test_another_processor_and_another_place_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = f"timm:{NAME}?pretrained=false&input_size=32"
    know(spec, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(known_backbones, "processor", lambda: "another")
        assert recall(spec, tmp_path) is None
    monkeypatch.setenv("TORCH_HOME", "/elsewhere")
    assert recall(spec, tmp_path) is None


def test_a_relative_path_begins_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = []
    for seed, name in enumerate(("here", "there")):
        save(tmp_path / name / "net", seed)
        monkeypatch.chdir(tmp_path / name)
        prints.append(know("local-dir:net", tmp_path).identity.weights)
    assert prints[0] != prints[1]
    assert recall("local-dir:net", tmp_path).identity.weights == prints[1]  # type: ignore[union-attr]


def test_published_weights_that_are_replaced(tmp_path: Path, hub_repository: Path) -> None:
    for seed, revision in enumerate(("a" * 40, "b" * 40)):
        save(hub_repository / "snapshots" / revision, seed)
    prints = []
    for revision in ("a" * 40, "b" * 40):
        (hub_repository / "refs" / "main").write_text(revision)
        assert recall("hf-hub:mine/net", tmp_path) is None
        prints.append(know("hf-hub:mine/net", tmp_path).identity.weights)
        assert recall("hf-hub:mine/net", tmp_path) is not None
    assert prints[0] != prints[1]


def test_ones_own_code_is_always_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes = []
    for width in (2, 3):
        (tmp_path / "remembered_code.py").write_text(
            f"from torch import nn\ndef make(): return nn.Sequential(nn.AdaptiveAvgPool2d({width}), nn.Flatten())\n"
        )
        codes.append(know("python:remembered_code:make?input_size=32", tmp_path).identity.architecture["code"])
    assert codes[0] != codes[1]
    assert not (tmp_path / "backbones").exists()


@pytest.fixture
def own_architecture() -> Iterator[None]:
    """Another network under a name of timm's, in this process."""
    registered = timm.models._registry
    before = registered._model_entrypoints[NAME]

    def test_resnet(pretrained: bool = False, **more: object) -> torch.nn.Module:
        return timm.create_model("test_vit", pretrained=pretrained, **more)

    with pytest.warns(UserWarning, match="Overwriting"):
        register_model(test_resnet)
    yield
    registered._model_entrypoints[NAME] = before


def test_an_architecture_of_ones_own_in_the_place_of_timms(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    spec = f"timm:{NAME}?pretrained=false"
    know(spec, tmp_path)
    request.getfixturevalue("own_architecture")
    assert recall(spec, tmp_path) is None


DAMAGED = {
    "empty": lambda text: "",
    "half": lambda text: text[: len(text) // 2],
    "another version": lambda text: text.replace("/backbone/1", "/backbone/2"),
    "of another backbone": lambda text: text.replace("input_size=32", "input_size=48"),
    "a list": lambda text: f"[{text}]",
    "a wrong number": lambda text: text.replace('"parameters":', '"parameters":-'),
    "deep": lambda text: "[" * 10**5,
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_or_foreign_entry_counts_as_none(tmp_path: Path, how: str) -> None:
    spec = f"timm:{NAME}?pretrained=false&input_size=32"
    known = know(spec, tmp_path)
    path = entry(tmp_path)
    text = path.read_text()
    path.write_text(DAMAGED[how](text))
    assert path.read_text() != text
    assert recall(spec, tmp_path) is None
    assert know(spec, tmp_path) == known
    assert recall(spec, tmp_path) == known


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    spec = f"timm:{NAME}?pretrained=false&input_size=32"
    assert know(spec, tmp_path / "cache") == know(spec, tmp_path)


def test_a_wrong_entry_is_found_out_and_nothing_is_served_by_it(tmp_path: Path, cache: Path) -> None:
    own_cache = tmp_path / "cache"
    own_cache.mkdir()
    # The prepared sets of all tests, and a folder of our own for what is known of backbones.
    (cache / "prepared").mkdir(exist_ok=True)
    (own_cache / "prepared").symlink_to(cache / "prepared")
    plans: list[list[PlannedJob]] = []

    def evaluate() -> list[str]:
        from vtab_harness.sweep.evaluate import run_sweep
        from vtab_harness.sweep.settings import SweepSettings

        settings = SweepSettings(
            f"timm:{NAME}?pretrained=false&input_size=32",
            tasks="mini_digits",
            protocol="knn",
            results=tmp_path / "results",
            cache=own_cache,
            device="cpu",
        )
        done = run_sweep(settings, on_plan=plans.append)
        assert done.failures == ()
        return [record.identity.backbone.weights for record in done.records]

    (weights,) = evaluate()
    text = entry(own_cache).read_text()
    entry(own_cache).write_text(text.replace(weights, "f" * 64))
    (path,) = (tmp_path / "results").glob("*/*/*/*.json")
    written = path.stat().st_mtime_ns
    assert evaluate() == [weights]
    assert [item.missing for planned in plans for item in planned] == [1, 1]
    assert (list((tmp_path / "results").glob("*/*/*/*.json")), path.stat().st_mtime_ns) == ([path], written)
    assert entry(own_cache).read_text() == text
    assert evaluate() == [weights]
    assert plans[-1][0].missing == 0
