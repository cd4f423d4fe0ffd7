"""Backbones: a spec string resolves to a module, its input transform, and a fingerprint of its weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import nn


RESIZE_RULES = ("legacy-bilinear", "bicubic")
"""Names that a transform may give its resize; `vtab_harness.engine.resize` has the rules."""


@dataclass(frozen=True, slots=True)
class Transform:
    """Pixels -> network input: resize without crop, scale to 0..1, subtract mean, divide by std.

    Attributes:
        input_size: (height, width) in pixels.
        mean: Per channel, on the 0..1 scale.
        std: Per channel, on the 0..1 scale.
        resize: One of `RESIZE_RULES`; ``legacy-bilinear`` is the official VTAB one.

    Examples:
        >>> from vtab_harness import Transform
        >>> imagenet = Transform(input_size=(224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        >>> imagenet.resize
        'legacy-bilinear'
    """

    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    resize: str = "legacy-bilinear"

    def as_json(self) -> dict[str, Any]:
        """Returns plain lists and numbers, for records and cache keys."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


POOLED = "pooled"
"""One vector an image, before the classifier: what most protocols take as features."""
TOKENS = "tokens"
"""The class token, where there is one, and the patch tokens of the last block; of a map its positions."""
BLOCKS = "blocks-4"
"""Of each of the last four blocks the class token, where there is one, and the mean of its patch tokens."""


@dataclass(frozen=True, slots=True)
class Part:
    """What some columns of an output hold; every output is handed on as rows of numbers.

    Attributes:
        name: For instance ``block-1.class`` (the last block's class token) or ``tokens``.
        start: First column.
        shape: For one image; the columns are ``start`` to ``start + prod(shape)``.
    """

    name: str
    start: int
    shape: tuple[int, ...]

    @property
    def columns(self) -> slice:
        """Which columns.

        Examples:
            >>> Part("block-1.patches", start=384, shape=(384,)).columns
            slice(384, 768, None)
        """
        return slice(self.start, self.start + prod(self.shape))


@dataclass(frozen=True, slots=True)
class BackboneIdentity:
    """What makes a backbone's features what they are, numerics apart.

    Attributes:
        weights: sha256 (hex) over names, shapes, dtypes and bytes of all parameters and buffers.
        architecture: Plain JSON: source, name, arguments, and the code behind the name: the version of the library, or
            the sha256 of a person's own modules.
        transform: How images are brought to the network.
        output: What is taken as features.
    """

    weights: str
    architecture: Mapping[str, Any]
    transform: Transform
    output: str = POOLED

    @property
    def readable(self) -> str:
        """Name of the architecture as part of a folder name: no path, nothing but letters, digits, ``._-``."""
        name = str(self.architecture.get("name", "")).rsplit("/", 1)[-1]
        return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "backbone"


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """A parsed spec string ``prefix:name[?key=value&...]``.

    Attributes:
        text: As the person wrote it.
        prefix: Registered name of the backbone source.
        name: What the source is asked for.
        options: Decoded key-value pairs; each source knows its own keys.
    """

    text: str
    prefix: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backbone:
    """A loaded backbone.

    Attributes:
        spec: The spec string as given.
        module: Maps float32 images (N, 3, H, W), already transformed, to features (N, feature_size).
        transform: How images are brought to it.
        feature_size: D.
        parameters: Number of parameters without a classifier.
        macs: Multiply-adds of one image at the transform's input size, or None where they cannot be counted.
        fingerprint: sha256 (hex) over names, shapes, dtypes and bytes of all parameters and buffers.
        architecture: What beside the weights decides the features (source, name, arguments, library version).
        pretrained: False where the weights are a random initialisation.
        files: What it was read from: absolute path -> sha256 (hex) of its contents, taken before they were read, as
            `vtab_harness.backbones.loaded.contents` takes it. Empty where no file had a part in it, None where nobody
            can say; the backbone is then loaded anew for every sweep. Of the harness' own sources, what a plan needs is
            remembered beside these files; see `vtab_harness.sweep.known_backbones`.
        output: What `module` gives: `POOLED`, or another output, see `vtab_harness.backbones.outputs`.
        parts: What the columns of that output hold; empty where it is one vector.
    """

    spec: str
    module: nn.Module
    transform: Transform
    feature_size: int
    parameters: int
    macs: int | None
    fingerprint: str
    architecture: Mapping[str, Any]
    pretrained: bool
    files: Mapping[Path, str] | None = None
    output: str = POOLED
    parts: tuple[Part, ...] = ()

    def identity(self) -> BackboneIdentity:
        """Returns what makes its features what they are; equal identities give equal features."""
        return BackboneIdentity(self.fingerprint, dict(self.architecture), self.transform, self.output)


class BackboneSource(Protocol):
    """Loads the backbones of one prefix."""

    summary: str

    def load(self, spec: BackboneSpec) -> Backbone:
        """Loads a backbone on the CPU, in eval mode.

        Raises:
            UnknownNameError: The source has nothing of this name.
            OptionError: An option is unknown or has a value that cannot be used.
            CheckpointError: The weights are missing, damaged, unsafe, non-finite or of another architecture.
            OfflineError: The weights would have to be downloaded and cannot be.
        """
        ...

    def names(self) -> Iterable[str]:
        """Returns the names it can load, as far as it can list them."""
        ...
