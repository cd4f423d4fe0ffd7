"""The pretrainings of the paper by name, as settings, with where each value comes from.

A value's mark is ``paper`` (read in arXiv 1912.02783), ``code`` (read in public code of the same group), ``recalled``
(of the paper's body, not checked against its text) or ``assumed`` (our own choice).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vivi_pretrain.settings import PretrainSettings

Mark = Literal["paper", "code", "recalled", "assumed"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named pretraining.

    Attributes:
        name: As on the command line.
        summary: One line.
        values: Settings that differ from the defaults of `PretrainSettings`.
    """

    name: str
    summary: str
    values: Mapping[str, Any]

    def settings(self) -> PretrainSettings:
        """Returns the settings."""
        return PretrainSettings(**self.values)


_SHOTS: dict[int, dict[str, Any]] = {
    2: {"shots": 2, "frames": 8, "predictor": "mlp", "predictor_hidden": 1024},
    4: {"shots": 4, "frames": 4, "predictor": "lstm", "predictor_hidden": 256},
}

# Four rotated copies of each frame: a quarter of the videos gives the same number of images.
_ROTATION: dict[str, Any] = {"shot_loss": "rotation", "videos": 32}
_BIG = "resnetv2_50?width_factor=3"
# 512 frames of each step are of videos, 512 are labelled.
_CO: dict[str, Any] = {
    "videos": 32,
    "labelled_batch": 512,
    "steps": 100_000,
    "decay_at": (70_000, 85_000, 95_000),
}
_CO10 = {**_CO, "labelled_fraction": 0.1, "labelled_weight": 1.0}
_CO100 = {**_CO, "labelled_fraction": 1.0, "labelled_weight": 4.0}


def _family(loss: Literal["ex", "rot"], shots: int) -> list[Preset]:
    name = f"vivi-{loss}{shots}"
    base = {**_SHOTS[shots], **(_ROTATION if loss == "rot" else {})}
    pull = "shots as exemplars" if loss == "ex" else "rotated frames"
    return [
        Preset(name, f"{pull}, {shots} shots predicted", base),
        Preset(f"{name}-order", f"as {name}, order of its shots", {**base, "video_loss": "order"}),
        Preset(f"{name}-big", f"as {name}, three times as wide", {**base, "encoder": _BIG}),
        Preset(f"{name}-co10", f"as {name}, with 10 % labelled images", {**base, **_CO10}),
        Preset(f"{name}-co100", f"as {name}, with all labelled images", {**base, **_CO100}),
        Preset(f"{name}-co100-big", f"as {name}-co100, three times as wide", {**base, **_CO100, "encoder": _BIG}),
    ]


_BASELINES = [
    Preset(
        "ex-frame",
        "baseline: single frames as exemplars",
        {**_SHOTS[2], "copies": True, "video_loss": "none"},
    ),
    Preset("ex-shot", "baseline: shots as exemplars", {**_SHOTS[2], "video_loss": "none"}),
    Preset(
        "rot-frame",
        "baseline: rotated single frames",
        {**_ROTATION, "shots": 1, "frames": 1, "videos": 512, "video_loss": "none"},
    ),
]

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in [
        *_family("ex", 2),
        *_family("ex", 4),
        *_family("rot", 2),
        *_family("rot", 4),
        *_BASELINES,
    ]
}

SOURCES: Mapping[str, tuple[Mark, str]] = {
    "shot_loss": ("paper", "two ways to learn from frames and shots"),
    "video_loss": ("recalled", "InfoNCE across shots is the main one; shot order the other"),
    "video_weight": ("recalled", "lambda = 0.04, uncertain"),
    "exemplar_recipe": ("code", "s4l: hardest positive and negative, soft margin"),
    "exemplar_margin": ("code", "revisiting-self-supervised, with its semi-hard recipe"),
    "same_video_negatives": ("assumed", "the paper's Figure 1 draws repulsion between different videos only"),
    "copies": ("recalled", "what the baseline on single frames does"),
    "videos": ("assumed", "2048 images a step, to which lr 0.8 fits by the rule 0.1 for 256; co-training 512 frames"),
    "shots": ("recalled", "the number in the preset's name"),
    "frames": ("recalled", "8 for two shots, 4 for four; uncertain"),
    "repeat_shots": ("assumed", "what becomes of videos with too few shots is unknown"),
    "repeat_frames": ("assumed", "what becomes of shots with too few frames is unknown"),
    "encoder": ("recalled", "ResNet-50 v2, three times as wide for -big"),
    "norm": ("recalled", "group norm with weight standardisation where labelled images are mixed in"),
    "pooling": ("recalled", "the experiments average"),
    "predictor": ("recalled", "an MLP for two shots, an LSTM for four"),
    "predictor_hidden": ("recalled", "1024 and 256, uncertain"),
    "identity_size": ("recalled", "1000, normalised"),
    "shot_size": ("recalled", "512"),
    "normalise_shots": ("recalled", "inner products, uncertain"),
    "temperature": ("recalled", "none remembered, uncertain"),
    "labelled": ("recalled", "ImageNet; to be given for co-training"),
    "labelled_fraction": ("recalled", "10 % or all, class-balanced"),
    "labelled_batch": ("recalled", "512 of each source, uncertain; taken as 512 frames and 512 images"),
    "labelled_weight": ("recalled", "gamma = 1 for 10 %, 4 for all, uncertain"),
    "size": ("assumed", "224, as in the evaluation"),
    "min_area": ("code", "s4l's inception crop"),
    "max_area": ("code", "s4l's inception crop"),
    "colour": ("code", "s4l: HSV noise with exemplars, none with rotation"),
    "colour_noise": ("code", "s4l: hue 0.1, exponent 2, factor 0.5, shift 0.1"),
    "steps": ("recalled", "120k, co-training 100k; uncertain"),
    "lr": ("recalled", "0.8, uncertain; assumed for co-training as well"),
    "warmup": ("assumed", "linear, 5,000 steps; the length is ours"),
    "decay_at": ("recalled", "90k and 110k, co-training 70k, 85k, 95k; uncertain"),
    "momentum": ("recalled", "0.9, uncertain"),
    "weight_decay": ("assumed", "1e-4, of all weights"),
    "accumulate": ("assumed", "the whole batch at once"),
    "seed": ("assumed", "ours"),
    "precision": ("assumed", "ours"),
    "compile": ("assumed", "ours; does not change the method"),
    "sync_batch_norm": ("assumed", "statistics of each device's own batch"),
}
"""Where the value of each setting of the presets comes from; settings that only say how work is done are left out."""
