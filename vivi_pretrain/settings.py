"""Every setting of a VIVI pretraining run, in one frozen dataclass.

The defaults are those of the preset ``vivi-ex4``. What the paper (arXiv 1912.02783) is known to say, what is recalled
of it, and what is assumed here stands in docs/presets.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """Settings of a run; ``--set key=value`` changes any.

    Attributes:
        shot_loss: Frame and shot level, L_S: ``exemplar``, ``rotation`` or ``none``.
        video_loss: Video level, L_V: ``prediction`` across shots (InfoNCE), shot ``order``, or ``none``.
        video_weight: lambda, the weight of L_V; 0 is the baseline without a video level.
        exemplar_recipe: ``batch_hard`` with a soft margin, or ``semi_hard`` with `exemplar_margin`.
        exemplar_margin: Margin of the semi-hard recipe.
        same_video_negatives: Whether frames of other shots of the same video are negatives of the exemplar loss.
        copies: Each shot is one random frame repeated: exemplars from single images, the baseline ``ex-frame``.
        videos: N, videos a step over all ranks.
        shots: K, shots a video.
        frames: L, consecutive frames a shot.
        repeat_shots: Whether videos with fewer than K shots give some of them again; otherwise they are left out.
        repeat_frames: Whether shots with fewer than L frames give some of them again; otherwise they are left out.
        encoder: timm architecture, with arguments as in ``resnetv2_50?width_factor=3``.
        norm: ``batch`` norm as the encoder has it, or ``group`` norm (with weight standardisation for
            ``resnetv2_50``); ``auto``: group norm where labelled images are mixed in.
        pooling: From frames to a shot: ``mean`` or ``attention``.
        predictor: Prediction across shots: ``mlp`` or ``lstm``.
        predictor_hidden: Its hidden units.
        identity_size: Size of the exemplar embedding.
        shot_size: Size of the shot embedding.
        normalise_shots: Whether the scores of InfoNCE are cosines; otherwise inner products.
        temperature: Divides the scores of InfoNCE.
        labelled: Folder with a folder of images for each class, or with WebDataset shards, for co-training; empty
            for none.
        labelled_fraction: Share of each class that is used.
        labelled_batch: Labelled images a step over all ranks.
        labelled_weight: gamma, the weight of the supervised loss.
        size: Side of the views in pixels.
        min_area: Smallest share of a frame's area that a crop covers.
        max_area: Largest.
        colour: Whether views get HSV noise; None: with the exemplar loss only.
        colour_noise: Strength of that noise; 1 is the recipe of s4l, small networks learn more from less.
        steps: Optimiser steps.
        lr: Peak learning rate.
        warmup: Steps of linear warm-up.
        decay_at: Steps after which the learning rate is divided by 10.
        momentum: Of SGD.
        weight_decay: Of all weights.
        accumulate: Parts that a rank's batch is cut into to save memory; contrastive losses then see one part at a
            time, so that results differ.
        seed: Of weights, batches and views.
        precision: ``auto`` (bf16 on CUDA), ``fp32`` or ``bf16``.
        compile: Whether the network goes through torch.compile; None: on CUDA only.
        sync_batch_norm: Whether batch norm sees the batch of all ranks.
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: Threads that read and decode.
        gpu_decode: Whether JPEGs are decoded on the GPU.
        checkpoint_every: Steps between checkpoints.
        keep_states: Newest checkpoints that can be resumed from; of older ones only the backbone stays.
        log_every: Steps between lines in metrics.jsonl.
    """

    shot_loss: Literal["exemplar", "rotation", "none"] = "exemplar"
    video_loss: Literal["prediction", "order", "none"] = "prediction"
    video_weight: float = 0.04
    exemplar_recipe: Literal["batch_hard", "semi_hard"] = "batch_hard"
    exemplar_margin: float = 0.5
    same_video_negatives: bool = False
    copies: bool = False
    videos: int = 128
    shots: int = 4
    frames: int = 4
    repeat_shots: bool = False
    repeat_frames: bool = False
    encoder: str = "resnetv2_50"
    norm: Literal["auto", "batch", "group"] = "auto"
    pooling: Literal["mean", "attention"] = "mean"
    predictor: Literal["mlp", "lstm"] = "lstm"
    predictor_hidden: int = 256
    identity_size: int = 1000
    shot_size: int = 512
    normalise_shots: bool = False
    temperature: float = 1.0
    labelled: str = ""
    labelled_fraction: float = 1.0
    labelled_batch: int = 512
    labelled_weight: float = 0.0
    size: int = 224
    min_area: float = 0.05
    max_area: float = 1.0
    colour: bool | None = None
    colour_noise: float = 1.0
    steps: int = 120_000
    lr: float = 0.8
    warmup: int = 5_000
    decay_at: tuple[int, ...] = (90_000, 110_000)
    momentum: float = 0.9
    weight_decay: float = 1e-4
    accumulate: int = 1
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool | None = None
    sync_batch_norm: bool = False
    device: str = "auto"
    workers: int = 4
    gpu_decode: bool = False
    checkpoint_every: int = 5_000
    keep_states: int = 2
    log_every: int = 20

    def __post_init__(self) -> None:
        """Checks what can be checked without data.

        Raises:
            ValueError: A value is out of range, or two contradict each other.
        """
        for name in ("videos", "shots", "frames", "size", "steps", "accumulate", "workers", "checkpoint_every"):
            _require(getattr(self, name) >= 1, f"{name}={getattr(self, name)} must be 1 or more")
        for name in ("predictor_hidden", "identity_size", "shot_size", "labelled_batch", "keep_states", "log_every"):
            _require(getattr(self, name) >= 1, f"{name}={getattr(self, name)} must be 1 or more")
        for name in (
            "video_weight",
            "labelled_weight",
            "lr",
            "weight_decay",
            "momentum",
            "colour_noise",
            "exemplar_margin",
        ):
            value = getattr(self, name)
            _require(math.isfinite(value) and value >= 0, f"{name}={value} must be a finite number, 0 or more")
        _require(math.isfinite(self.temperature) and self.temperature > 0, "temperature must be above 0")
        _require(0 < self.min_area <= self.max_area <= 1, "0 < min_area <= max_area <= 1 must hold")
        _require(0 < self.labelled_fraction <= 1, f"labelled_fraction={self.labelled_fraction} must be in (0, 1]")
        _require(0 <= self.warmup <= self.steps, f"warmup={self.warmup} must be between 0 and steps={self.steps}")
        _require(all(step >= 1 for step in self.decay_at), f"decay_at={self.decay_at} must hold steps, 1 or more")
        _require(self.seed >= 0, f"seed={self.seed} must be 0 or more")
        _require(self.needs_videos or self.labelled_weight > 0, "there is no loss: all three are switched off")
        _require(self.labelled == "" or self.labelled_weight > 0, "labelled needs labelled_weight above 0")
        _require(self.video_level == "none" or self.shots >= 2, f"video_loss={self.video_loss} needs shots=2 or more")
        _require(
            not (self.same_video_negatives and self.repeat_shots),
            "with repeat_shots=true and same_video_negatives=true a repeated shot would be its own negative",
        )
        _require(self.shot_loss != "exemplar" or self.frames >= 2, "shot_loss=exemplar needs frames=2 or more")

    @property
    def video_level(self) -> Literal["prediction", "order", "none"]:
        """The video-level loss that has a weight; ``none`` where lambda is 0."""
        return self.video_loss if self.video_weight > 0 else "none"

    @property
    def needs_videos(self) -> bool:
        """Whether any loss is on frames of videos."""
        return self.shot_loss != "none" or self.video_level != "none"

    @property
    def has_colour(self) -> bool:
        """Whether views get HSV noise."""
        return self.shot_loss == "exemplar" if self.colour is None else self.colour


# A resumed run may change these: they say how the work is done, not what comes out.
MAY_CHANGE = frozenset({"device", "workers", "gpu_decode", "keep_states", "log_every", "checkpoint_every", "compile"})
# Settings of older runs under other names: "skip" was False, "repeat" True.
RENAMED = {"few_shots": "repeat_shots", "short_shots": "repeat_frames"}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
