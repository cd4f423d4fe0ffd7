"""Folders as timm saves them: ``config.json`` beside the weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from timm.models import PretrainedCfg

from vtab_harness.api.errors import CheckpointError, near_names
from vtab_harness.backbones.options import MOST_PIXELS
from vtab_harness.formats.json_file import read_json

# In timm's own order; after these any file of a known ending.
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_MAX_BYTES = 1 << 20
"""Of ``config.json``; a list of 21,000 labels takes half of it."""
_ENDINGS = ("*.safetensors", "*.pth", "*.pth.tar", "*.bin")
# Where the weights are is the caller's business, and a folder's own claim about it must not be followed.
_NOT_TAKEN = {"file", "url", "hf_hub_id", "hf_hub_filename", "state_dict", "source", "custom_load"}


@dataclass(frozen=True, slots=True)
class Config:
    """What ``config.json`` says.

    Attributes:
        path: The file.
        architecture: Name of a timm architecture, without a tag.
        cfg: Fields of timm's ``PretrainedCfg``.
        arguments: Model arguments that the weights were saved with.
    """

    path: Path
    architecture: str
    cfg: dict[str, Any]
    arguments: dict[str, Any]


def read_config(path: Path) -> Config:
    """Reads a ``config.json`` of timm's, in its present or its older flat form.

    Raises:
        CheckpointError: It is missing, is not JSON, or does not describe a timm model.
    """
    remedy = "Save the model with timm.models.save_for_hf, or load its weights with timm:NAME?checkpoint=FILE."
    try:
        content = read_json(path, _MAX_BYTES)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; without it the architecture is unknown.", remedy) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not readable JSON: {error}", remedy) from error
    if not isinstance(content, dict) or not isinstance(content.get("architecture"), str):
        raise CheckpointError(f"{path} does not name a timm architecture under 'architecture'.", remedy)
    architecture = content["architecture"].partition(".")[0]
    if not timm.is_model(architecture):
        close = near_names(architecture, timm.list_models())
        raise CheckpointError(
            f"{path} names the architecture {architecture!r}, which timm {timm.__version__} does not have.",
            f"Did you mean {' or '.join(map(repr, close))}?" if close else "Update timm.",
        )
    cfg, arguments = content.get("pretrained_cfg", content), content.get("model_args") or {}
    if not isinstance(cfg, dict) or not isinstance(arguments, dict):
        raise CheckpointError(f"{path} holds something other than tables under 'pretrained_cfg' or 'model_args'.")
    known = {f.name for f in dataclasses.fields(PretrainedCfg)} - _NOT_TAKEN
    cfg = {key: value for key, value in cfg.items() if key in known and value is not None}
    if isinstance(content.get("num_classes"), int):
        cfg["num_classes"] = content["num_classes"]
    # timm takes these from the description as well; as arguments they would get in each other's way.
    arguments = {key: value for key, value in arguments.items() if key != "num_classes" and value is not None}
    _check(cfg, arguments, path)
    return Config(path, architecture, cfg, arguments)


def _check(cfg: Mapping[str, Any], arguments: dict[str, Any], path: Path) -> None:
    size = cfg.get("input_size", [3, 224, 224])
    if not isinstance(size, list) or len(size) != 3 or not all(isinstance(n, int) and n > 0 for n in size):
        raise CheckpointError(f"{path} gives an input_size of {size!r}; it must be [3, height, width].")
    if size[1] * size[2] > MOST_PIXELS:
        raise CheckpointError(f"{path} gives an input_size of {size!r}: more than {MOST_PIXELS:,} pixels.")
    if size[0] != 3 or arguments.pop("in_chans", 3) != 3:
        raise CheckpointError(f"{path} describes a model of images with other than 3 channels.")
    for key in ("mean", "std"):
        values = cfg.get(key, [0.5] * 3)
        if (
            not isinstance(values, list)
            or len(values) not in (1, 3)
            or not all(isinstance(v, (int, float)) and abs(v) < 1e6 and (v > 0 or key == "mean") for v in values)
        ):
            raise CheckpointError(f"{path} gives a {key} of {values!r}; it must be three numbers.")
    names = cfg.get("classifier", [])
    if not isinstance(names, str) and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise CheckpointError(f"{path} gives a classifier of {names!r}; it must be names of modules.")


def find_weights(folder: Path) -> Path:
    """Returns the weights file of a folder, safetensors before any other.

    Raises:
        CheckpointError: There is none.
    """
    named = [folder / name for name in WEIGHT_FILES if (folder / name).is_file()]
    found = named or [path for ending in _ENDINGS for path in sorted(folder.glob(ending))]
    if not found:
        raise CheckpointError(
            f"The folder {folder} has a config.json but no weights.", f"Put {WEIGHT_FILES[0]} beside it."
        )
    return found[0]
