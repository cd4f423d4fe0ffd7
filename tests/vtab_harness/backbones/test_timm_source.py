from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import timm
import torch
from safetensors.torch import save_file

from vtab_harness.api.backbones import Backbone
from vtab_harness.api.errors import CheckpointError, OfflineError, OptionError, UnknownNameError, VtabError
from vtab_harness.backbones import hub
from vtab_harness.backbones.spec import build, load
from vtab_harness.backbones.timm_source import TIMM
from vtab_harness.backbones.weights import fingerprint

MOBILENET = Path(__file__).parents[4] / "shared" / "data" / "weights" / "mobilenetv2_100.imagenet_int8.safetensors"


def features(backbone: Backbone, count: int = 2) -> torch.Tensor:
    images = torch.rand(count, 3, *backbone.transform.input_size, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        found: torch.Tensor = backbone.module(images)
    return found


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet18", {}),
        ("mobilenetv3_small_050", {}),
        ("vit_tiny_patch16_224", {"img_size": 64}),
        ("deit_tiny_distilled_patch16_224", {"img_size": 64}),
        ("convnext_atto", {}),
    ],
)
def test_features_are_timms_own(name: str, arguments: dict[str, Any]) -> None:
    state = torch.random.get_rng_state()
    backbone = load(f"timm:{name}?pretrained=false&input_size=64")
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0, **arguments).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = model(images)
    torch.testing.assert_close(features(backbone), expected)
    assert backbone.feature_size == expected.shape[1] == model.num_features or name.startswith("mobilenetv3")
    assert backbone.parameters == sum(p.numel() for p in model.parameters())
    assert not backbone.module.training
    assert not backbone.pretrained


def test_resnet18_in_numbers() -> None:
    backbone = load("timm:resnet18?pretrained=false")
    assert (backbone.feature_size, backbone.parameters, backbone.macs) == (512, 11_176_512, 1_813_561_344)
    assert backbone.transform.input_size == (224, 224)
    assert backbone.transform.mean == (0.485, 0.456, 0.406)
    assert backbone.architecture == {"source": "timm", "name": "resnet18", "arguments": {}, "timm": timm.__version__}
    assert fingerprint(backbone.module) == backbone.fingerprint


def test_seed_decides_random_weights_and_stays_out_of_the_identity() -> None:
    first, again, other = (
        load(f"timm:mobilenetv3_small_050?pretrained=false&input_size=32{seed}") for seed in ("", "&seed=0", "&seed=1")
    )
    assert first.identity() == again.identity()
    assert first.fingerprint != other.fingerprint
    assert first.architecture == other.architecture


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_checkpoints_round_trip_and_leave_no_path(tmp_path: Path, ending: str) -> None:
    torch.manual_seed(3)
    model = timm.create_model("resnet18", num_classes=7).eval()
    path = tmp_path / f"mine & yours.{ending}"
    if ending == "pt":
        torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, path)
    else:
        save_file(model.state_dict(), path)
    backbone = load(build("timm", "resnet18", {"checkpoint": str(path), "input_size": "64", "seed": "9"}))
    model.reset_classifier(0)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(features(backbone), model(images))
    assert str(tmp_path) not in json.dumps(msgspec.to_builtins(backbone.identity()))
    assert backbone.pretrained


def test_position_embeddings_follow_the_input_size(tmp_path: Path) -> None:
    path = tmp_path / "vit.safetensors"
    save_file(timm.create_model("vit_tiny_patch16_224").state_dict(), path)
    backbone = load(f"timm:vit_tiny_patch16_224?checkpoint={path}&input_size=64x96")
    assert backbone.architecture["arguments"] == {"img_size": [64, 96]}
    assert features(backbone).shape == (2, 192)


def test_another_architectures_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "vit.pt"
    torch.save(timm.create_model("vit_tiny_patch16_224").state_dict(), path)
    with pytest.raises(CheckpointError, match="another architecture") as caught:
        load(f"timm:resnet18?checkpoint={path}")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("timm:resnet81", UnknownNameError, "'resnet18'"),
        ("timm:resnet18.a1_in1", UnknownNameError, "'resnet18.a1_in1k'"),
        ("timm:timm/resnet18", UnknownNameError, "hf-hub:timm/resnet18"),
        ("timm:dpn48b", CheckpointError, "pretrained=false"),
        ("timm:resnet18?pretrained=perhaps", OptionError, "perhaps"),
        ("timm:resnet18?pretrained=false&seed=" + "9" * 5000, OptionError, "not a whole number"),
        ("timm:" + "x/" * 3000, UnknownNameError, "hf-hub:"),
        ("timm:resnet18?pretrained=true&checkpoint=x", OptionError, "exclude"),
        ("timm:resnet18?pretrained=false&in_chans=1", OptionError, "in_chans"),
        ("timm:resnet18?pretrained=false&checkpoint_path=/x", OptionError, "checkpoint=FILE"),
        ("timm:mobilenetv2_100?pretrained=false&pad_typ=same", OptionError, "'pad_type'"),
        ("timm:caformer_s18?pretrained=false&bogus=1", OptionError, "'bogus'"),
        ("timm:resnet18?pretrained=false&layers=nonsense", OptionError, "layers='nonsense'"),
        ("timm:vit_tiny_patch16_224?pretrained=false&img_size=x", OptionError, "img_size"),
        ("timm:resnet18?checkpoint=/nowhere/at/all.pt", CheckpointError, "/nowhere/at/all.pt"),
        ("local-dir:/nowhere/at/all", CheckpointError, "/nowhere/at/all"),
        ("hf-hub:resnet18", OptionError, "ORG/NAME"),
    ],
)
def test_mistakes_are_named(text: str, kind: type[VtabError], says: str) -> None:
    with pytest.raises(kind) as caught:
        load(text)
    assert says in str(caught.value)


def test_model_arguments_reach_the_model_and_the_identity() -> None:
    plain, same = (
        load(f"timm:mobilenetv2_100?pretrained=false&input_size=64{more}") for more in ("", "&pad_type=same&mean=0.5")
    )
    assert plain.fingerprint == same.fingerprint
    assert same.architecture["arguments"] == {"pad_type": "same"}
    assert same.transform.mean == (0.5, 0.5, 0.5)
    assert not torch.allclose(features(plain), features(same))


def _save_folder(folder: Path, *, name: str = "model.safetensors", **config: Any) -> torch.nn.Module:
    torch.manual_seed(11)
    model: torch.nn.Module = timm.create_model("mobilenetv3_small_050", num_classes=5, pad_type="same").eval()
    described = {
        "architecture": "mobilenetv3_small_050",
        "num_classes": 5,
        "num_features": 1024,
        "pretrained_cfg": {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.25] * 3, "classifier": "classifier"},
        "model_args": {"pad_type": "same"},
    } | config
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(described))
    if name.endswith("safetensors"):
        save_file(model.state_dict(), folder / name)
    else:
        torch.save(model.state_dict(), folder / name)
    return model


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_folders_round_trip(tmp_path: Path, name: str) -> None:
    model = _save_folder(tmp_path / "a:b", name=name)
    backbone = load(f"local-dir:{tmp_path}/a:b")
    model.reset_classifier(0)  # type: ignore[operator]
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(features(backbone), model(images))
    assert backbone.transform.std == (0.25, 0.25, 0.25)
    assert backbone.architecture["name"] == "mobilenetv3_small_050"
    assert backbone.architecture["arguments"] == {"pad_type": "same"}
    assert str(tmp_path) not in json.dumps(msgspec.to_builtins(backbone.identity()))
    assert backbone.pretrained


@pytest.mark.skipif(not hasattr(timm.models, "save_for_hf"), reason="this timm does not export save_for_hf")
def test_folders_as_timm_saves_them(tmp_path: Path) -> None:
    model = timm.create_model("resnet18", num_classes=3).eval()
    timm.models.save_for_hf(model, tmp_path, model_args={"drop_rate": 0.1}, safe_serialization=True)
    backbone = load(f"local-dir:{tmp_path}?input_size=64")
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=0).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(features(backbone), theirs(images))


def test_a_flat_old_config_works(tmp_path: Path) -> None:
    _save_folder(tmp_path)
    flat = {"architecture": "mobilenetv3_small_050", "num_classes": 5, "input_size": [3, 64, 64], "labels": ["a"]}
    (tmp_path / "config.json").write_text(json.dumps(flat))
    assert load(f"local-dir:{tmp_path}?pad_type=same").transform.input_size == (64, 64)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (None, "config.json is missing"),
        ("{", "not readable JSON"),
        ("[1]", "architecture"),
        ('{"architecture": "resnet81"}', "'resnet18'"),
        ('{"architecture": "resnet18", "pretrained_cfg": 3}', "tables"),
        ('{"architecture": "resnet18", "input_size": [1, 32, 32]}', "channels"),
        ('{"architecture": "resnet18", "input_size": [32]}', "input_size"),
        ('{"architecture": "resnet18", "mean": "x"}', "mean"),
        ('{"architecture": "resnet18"}', "model.safetensors"),
        ('{"architecture": "resnet18", "pretrained_cfg": {}, "model_args": {"bogus": 1}}', "'bogus'"),
        ('{"architecture": "resnet18", "num_classes": -5, "pretrained_cfg": {"num_classes": "x"}}', ""),
    ],
)
def test_bad_folders(tmp_path: Path, config: str | None, says: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError) as caught:
        load(f"local-dir:{tmp_path}")
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_with_only_a_bomb_is_refused(tmp_path: Path) -> None:
    _save_folder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    code = f"c__builtin__\nexec\n(Vopen({str(tmp_path / 'boom')!r},'w')\ntR."
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02" + code.encode())
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load(f"local-dir:{tmp_path}")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("text", ["timm:resnet18.a1_in1k", "timm:resnet18", "hf-hub:timm/resnet18.a1_in1k"])
@pytest.mark.parametrize("offline", ["", "HF_HUB_OFFLINE"])
def test_unreachable_hub_is_noticed_at_once(
    text: str, offline: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *args, **more: None)
    if offline:
        monkeypatch.setenv(offline, "1")
    start = time.monotonic()
    with pytest.raises(OfflineError) as caught:
        load(text)
    assert time.monotonic() - start < 5
    assert "timm/resnet18.a1_in1k" in str(caught.value)
    assert all(part in str(caught.value) for part in ("cache", "checkpoint=FILE", "pretrained=false", offline))


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: object, **more: object) -> None:
        time.sleep(1.5)
        raise OSError("too late")

    monkeypatch.setattr("urllib.request.urlopen", hang)
    start = time.monotonic()
    assert "no answer" in (hub.unreachable("https://example.invalid", patience=0.2) or "")
    assert time.monotonic() - start < 1.4


def test_cached_weights_need_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = timm.create_model("resnet18").eval()
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda name, filename, revision: str(tmp_path / filename))
    monkeypatch.setattr(hub, "unreachable", lambda url: pytest.fail("asked the hub"))
    backbone = load("timm:resnet18.a1_in1k?input_size=64")
    model.reset_classifier(0)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(features(backbone), model(images))
    assert backbone.pretrained
    assert str(tmp_path) not in json.dumps(msgspec.to_builtins(backbone.identity()))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=str(path)):
        load("timm:resnet18.a1_in1k?input_size=64")
    state = model.state_dict()
    state["conv1.weight"][0] = float("nan")
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, 512), torch.zeros(1000)
    save_file(state, path)
    with pytest.raises(CheckpointError, match=r"conv1\.weight"):
        load("timm:resnet18.a1_in1k?input_size=64")


def test_a_bomb_among_cached_weights_does_not_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"c__builtin__\nexec\n(Vopen({str(tmp_path / 'boom')!r},'w')\ntR."
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02" + code.encode())
    cached = str(tmp_path / "pytorch_model.bin")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *args, **more: cached)
    # Whatever the person's environment allows, and whatever a release of timm asks of torch.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        load("timm:resnet18.a1_in1k")
    assert not (tmp_path / "boom").exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"


def test_weights_by_plain_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(OfflineError, match=r"net-abc\.pth"):
        hub.from_url("http://127.0.0.1:9/weights/net-abc.pth")
    path = tmp_path / "checkpoints" / "net-abc.pth"
    path.parent.mkdir()
    path.write_bytes(b"x")
    assert hub.from_url("http://127.0.0.1:9/weights/net-abc.pth") == path


def test_names_are_timms() -> None:
    assert list(TIMM.names()) == sorted(timm.list_models())


def test_random_weights_are_the_same_in_another_process() -> None:
    text = "timm:mobilenetv3_small_050?pretrained=false&input_size=32"
    code = f"from vtab_harness.backbones.spec import load; print(load({text!r}).fingerprint)"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "5",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == load(text).fingerprint


@pytest.mark.shared
@pytest.mark.skipif(not MOBILENET.exists(), reason="the weights are not beside the checkout")
def test_dequantised_mobilenet() -> None:
    options = {"checkpoint": str(MOBILENET), "pad_type": "same", "mean": "0.5", "std": "0.5"}
    backbone = load(build("timm", "mobilenetv2_100", options))
    assert (backbone.feature_size, backbone.parameters, backbone.macs) == (1280, 2_223_872, 299_494_272)
    assert backbone.transform.mean == backbone.transform.std == (0.5, 0.5, 0.5)
    assert backbone.pretrained
    assert bool(torch.isfinite(features(backbone)).all())
