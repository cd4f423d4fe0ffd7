"""The checkpoint: a folder that ``timm.create_model("local-dir:FOLDER", pretrained=True)`` loads on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from vtab_harness.sweep.store import storage_errors, write_atomically

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
# Views are scaled to -1..1, as in the code of the same group.
MEAN = STD = (0.5, 0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Card:
    """What is said about a checkpoint.

    Attributes:
        preset: Name of the preset.
        step: Steps trained.
        steps: Steps of the whole run.
        settings: Every setting.
        data: What it learned from: path-free facts.
        versions: Of Python and libraries.
        commit: Of the code, where known.
    """

    preset: str
    step: int
    steps: int
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    commit: str | None

    def text(self) -> str:
        """Returns it in Markdown."""
        lines = [
            "---",
            "library_name: timm",
            "tags: [image-feature-extraction, timm, self-supervised, video, vivi]",
            "---",
            f"# {self.preset}, step {self.step:,} of {self.steps:,}",
            "",
            "A frame encoder pretrained on videos with VIVI (arXiv 1912.02783).",
            "",
            "```python",
            'timm.create_model("local-dir:FOLDER", pretrained=True)  # or: vtab run --backbone vivi:FOLDER',
            "```",
        ]
        made = {**self.versions, "commit": self.commit or "of an installed copy"}
        for title, facts in (("Data", self.data), ("Settings", self.settings), ("Made with", made)):
            lines += ["", f"## {title}", ""] + [f"- {key}: `{value}`" for key, value in facts.items()]
        return "\n".join(lines) + "\n"


def write_backbone(
    folder: Path, encoder: nn.Module, architecture: str, arguments: Mapping[str, Any], size: int, card: Card
) -> None:
    """Writes an encoder in timm's ``local-dir:`` form; ``config.json`` last, so that a folder with one is whole.

    Args:
        folder: Made if it is not there.
        encoder: A timm model without classifier.
        architecture: timm's name of it.
        arguments: Model arguments it was created with.
        size: Side of the views it was trained on, pixels.
        card: What to say about it.

    Raises:
        StorageError: The folder cannot be written.
    """
    own = getattr(encoder, "pretrained_cfg", None) or {}
    config = {
        "architecture": architecture,
        "num_classes": 0,
        "num_features": int(encoder.num_features),  # type: ignore[arg-type]
        "pretrained_cfg": {
            # Names of layers, by which timm puts a classifier on for fine-tuning.
            **{key: value for key, value in own.items() if key in ("classifier", "first_conv", "pool_size")},
            "tag": card.preset,
            "custom_load": False,
            "input_size": [3, size, size],
            "fixed_input_size": False,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": list(MEAN),
            "std": list(STD),
            "num_classes": 0,
            "license": "other",
            "paper_ids": "arXiv:1912.02783",
            "paper_name": "Self-Supervised Learning of Video-Induced Visual Invariances",
        },
        "model_args": dict(arguments),
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}
    with storage_errors(folder, "writing the checkpoint"):
        write_atomically(folder / WEIGHTS, save(weights, metadata={"format": "pt"}))
        write_atomically(folder / CARD, card.text().encode())
        write_atomically(folder / CONFIG, (json.dumps(config, indent=2) + "\n").encode())
