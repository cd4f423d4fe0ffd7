"""Encoder, pooling and heads in one module with one forward, as DistributedDataParallel needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from vivi_pretrain.encoder.pooling import Pooling, build_pooling
from vivi_pretrain.encoder.timm_encoder import feature_size
from vivi_pretrain.terms.heads import OrderHead, linear
from vivi_pretrain.terms.predictors import Predictor, build_predictor
from vivi_pretrain.terms.rotated_copies import rotated_copies


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What is built on the encoder. Sizes marked (recalled) are of the paper as remembered; the others are ours.

    Attributes:
        shot_loss: Frame and shot level: ``exemplar`` needs identities, ``rotation`` turned copies.
        video_loss: Video level: ``prediction`` across shots, shot ``order``, or ``none``.
        shots: K, shots a video; 2 or more where there is a video level.
        pooling: From frames to shots.
        predictor: Prediction across shots.
        predictor_hidden: Hidden units of the MLP (recalled: 1024) or the LSTM (recalled: 256).
        order_hidden: Hidden units of the shot order head.
        identity_size: Size of the exemplar embedding (recalled).
        shot_size: Size of the shot embedding (recalled).
        classes: Classes of co-training; None without.
    """

    shot_loss: Literal["exemplar", "rotation", "none"] = "exemplar"
    video_loss: Literal["prediction", "order", "none"] = "prediction"
    shots: int = 4
    pooling: Pooling = "mean"
    predictor: Predictor = "lstm"
    predictor_hidden: int = 256
    order_hidden: int = 1024
    identity_size: int = 1000
    shot_size: int = 512
    classes: int | None = None

    def __post_init__(self) -> None:
        """Checks that there is something to learn.

        Raises:
            ValueError: A video level with one shot, or no loss at all.
        """
        if self.video_loss != "none" and self.shots < 2:
            raise ValueError(f"video_loss={self.video_loss} needs 2 or more shots, got {self.shots}")
        if not self.needs_videos and self.classes is None:
            raise ValueError("there is nothing to learn: no shot loss, no video loss, no classes")

    @property
    def needs_videos(self) -> bool:
        """Whether any loss is on frames of videos."""
        return self.shot_loss != "none" or self.video_loss != "none"


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the losses need; None for what the settings leave out.

    Attributes:
        features: Pooled features of the upright frames, (n, K, L, D).
        identity: Exemplar embeddings of length 1, at least float32 (n, K, L, E1).
        rotation_logits: (4nKL, 4).
        rotation_labels: int64 (4nKL,), quarter turns.
        shots: Shot embeddings, (n, K, E2).
        predicted: Predicted shot embeddings, (n, T, E2).
        targets: Which of the K shots each of the T predictions is of.
        order_logits: (n, 2).
        order_labels: int64 (n,), 1 where the shots were reversed.
        class_logits: Of the labelled images, (B, C).
    """

    features: Tensor | None = None
    identity: Tensor | None = None
    rotation_logits: Tensor | None = None
    rotation_labels: Tensor | None = None
    shots: Tensor | None = None
    predicted: Tensor | None = None
    targets: tuple[int, ...] = ()
    order_logits: Tensor | None = None
    order_labels: Tensor | None = None
    class_logits: Tensor | None = None


class ViviModel(nn.Module):
    """VIVI (arXiv 1912.02783) as far as the losses: only what the settings need is built, so no parameter is idle.

    Args:
        encoder: Maps images (B, 3, S, S) to pooled features (B, D); `build_encoder` gives one.
        settings: What is built on it.
        image_size: S, of the views.

    Raises:
        OptionError: The encoder does not take such images, or does not pool.
    """

    def __init__(self, encoder: nn.Module, settings: ModelSettings, image_size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.settings = settings
        size = feature_size(encoder, image_size)
        self.feature_size = size
        shot_loss, video_loss = settings.shot_loss, settings.video_loss
        self.identity_head = linear(size, settings.identity_size) if shot_loss == "exemplar" else None
        self.rotation_head = linear(size, 4) if shot_loss == "rotation" else None
        self.class_head = linear(size, settings.classes) if settings.classes is not None else None
        self.pooling = self.projection = self.predictor = self.order_head = None
        if video_loss != "none":
            self.pooling = build_pooling(settings.pooling, size)
            self.projection = linear(size, settings.shot_size)
        if video_loss == "prediction":
            self.predictor = build_predictor(
                settings.predictor, settings.shots, settings.shot_size, settings.predictor_hidden
            )
        if video_loss == "order":
            self.order_head = OrderHead(settings.shots, settings.shot_size, settings.order_hidden)

    def forward(self, frames: Tensor | None, labelled: Tensor | None = None, reverse: Tensor | None = None) -> Outputs:
        """Encodes all images of a step in one pass and applies the heads.

        Args:
            frames: Normalised views, float (n, K, L, 3, S, S); None where no loss is on videos. A view of channels-last
                images stays channels-last.
            labelled: Normalised labelled images, float (B, 3, S, S); given exactly where there are classes.
            reverse: bool (n,), the videos that the shot order head sees reversed; given exactly where it is used.

        Raises:
            ValueError: An argument is missing, superfluous, or of another shape.
        """
        self._check(frames, labelled, reverse)
        parts, labels = [], None
        if frames is not None:
            images = frames.flatten(0, 2)
            if self.rotation_head is not None:
                layout = _layout(images)
                images, labels = rotated_copies(images)
                images = images.contiguous(memory_format=layout)
            parts.append(images)
        if labelled is not None:
            parts.append(labelled)
        features = self._encode(parts)
        class_logits = self.class_head(features[-1]) if self.class_head is not None else None
        if frames is None:
            return Outputs(class_logits=class_logits)
        return self._outputs(features[0], frames.shape[:3], labels, reverse, class_logits)

    def _encode(self, parts: list[Tensor]) -> list[Tensor]:
        if len({part.shape[1:] for part in parts}) > 1:
            return [self.encoder(part) for part in parts]
        features: Tensor = self.encoder(torch.cat(parts) if len(parts) > 1 else parts[0])
        return list(torch.split(features, [len(part) for part in parts]))

    def _outputs(
        self,
        features: Tensor,
        shape: torch.Size,
        rotation_labels: Tensor | None,
        reverse: Tensor | None,
        class_logits: Tensor | None,
    ) -> Outputs:
        upright = features[: shape.numel()].reshape(*shape, -1)  # of rotated copies, the upright ones come first
        identity = None if self.identity_head is None else _unit(self.identity_head(upright))
        rotation = None if self.rotation_head is None else self.rotation_head(features)
        shots = predicted = order = order_labels = None
        targets: tuple[int, ...] = ()
        if self.pooling is not None and self.projection is not None:
            shots = self.projection(self.pooling(upright))
        if self.predictor is not None:
            predicted, targets = self.predictor(shots), self.predictor.targets
        if self.order_head is not None and reverse is not None:
            order, order_labels = self.order_head(shots, reverse), reverse.long()
        return Outputs(
            features=upright,
            identity=identity,
            rotation_logits=rotation,
            rotation_labels=rotation_labels,
            shots=shots,
            predicted=predicted,
            targets=targets,
            order_logits=order,
            order_labels=order_labels,
            class_logits=class_logits,
        )

    def _check(self, frames: Tensor | None, labelled: Tensor | None, reverse: Tensor | None) -> None:
        settings = self.settings
        if (frames is None) == settings.needs_videos:
            raise ValueError("frames must be given exactly where a shot or video loss is set")
        if (labelled is None) == (settings.classes is not None):
            raise ValueError("labelled images must be given exactly where classes are set")
        if (reverse is None) == (settings.video_loss == "order"):
            raise ValueError("reverse must be given exactly where video_loss is 'order'")
        if frames is None:
            return
        if frames.ndim != 6 or frames.shape[3] != 3:
            raise ValueError(f"need frames (n, K, L, 3, S, S), got {tuple(frames.shape)}")
        if settings.video_loss != "none" and frames.shape[1] != settings.shots:
            raise ValueError(f"the model was built for {settings.shots} shots, got {frames.shape[1]}")
        if reverse is not None and reverse.shape != frames.shape[:1]:
            raise ValueError(f"need reverse ({len(frames)},), got {tuple(reverse.shape)}")


def _unit(embeddings: Tensor) -> Tensor:
    """Scales to length 1, in float32 at least: in bf16 lengths are off by up to 0.4 %."""
    with torch.autocast(embeddings.device.type, enabled=False):
        wide = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        return normalize(wide, dim=-1, eps=1e-6)


def _layout(images: Tensor) -> torch.memory_format:
    last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
