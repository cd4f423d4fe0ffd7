"""The layers protocol: linear classifiers on class token, patch mean or both, of the last block or the last four.

It searches what DINOv2's linear evaluation searches (Oquab et al., arXiv 2304.07193; `dinov2/eval/linear.py`): how many
of the last blocks are read, and whether the mean of the last block's patch tokens is put beside the class tokens. Two
things are ours: patch means alone are tried as well, which is all that a network without class token has; and the
classifiers are the exact solutions of `linear`, over L2 strengths, in place of 12,500 SGD steps over learning rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from vtab_harness.api.backbones import BLOCKS, Part
from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import Examples, FeatureExamples, Search, Trial, TrialLog
from vtab_harness.protocols.linear import Linear, LinearPredictor, LinearSettings

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench

_TOKENS = ("class", "patches", "both")


@dataclass(frozen=True, slots=True)
class LayersSettings(LinearSettings):
    """Settings of the layers protocol: those of `linear`, and what is read.

    Attributes:
        blocks: How many of the last blocks are tried.
        tokens: What of them is tried: ``class``, ``patches`` (their mean), ``both`` (the class tokens of the blocks
            and the patch mean of the last).
    """

    blocks: tuple[int, ...] = (1, 4)
    tokens: tuple[str, ...] = _TOKENS

    def __post_init__(self) -> None:
        # Named, because slots make a new class, which super() without arguments does not know.
        LinearSettings.__post_init__(self)
        if not self.blocks or not all(1 <= count <= 4 for count in self.blocks):
            raise OptionError(f"layers: blocks must be from 1 to 4, got {self.blocks}")
        if not self.tokens or not set(self.tokens) <= set(_TOKENS):
            raise OptionError(f"layers: tokens must be of {', '.join(_TOKENS)}, got {self.tokens}")

    def linear(self) -> LinearSettings:
        """Returns the settings of each classifier."""
        return LinearSettings(**{f.name: getattr(self, f.name) for f in fields(LinearSettings)})


def columns(parts: Sequence[Part], blocks: int, tokens: str) -> Tensor | None:
    """Returns the columns that a classifier reads, int64 (k,), or None where the backbone does not have them.

    Args:
        parts: Of the backbone's output `BLOCKS`.
        blocks: How many of the last.
        tokens: See `LayersSettings`.

    Examples:
        >>> parts = [Part("block-1.class", 0, (2,)), Part("block-1.patches", 2, (2,)), Part("block-2.class", 4, (2,))]
        >>> columns(parts, 2, "class").tolist()
        [0, 1, 4, 5]
    """
    import torch

    known = {part.name: part.columns for part in parts}
    wanted = [] if tokens == "patches" else [f"block-{back}.class" for back in range(1, blocks + 1)]
    if tokens != "class":
        wanted += [f"block-{back}.patches" for back in range(1, 2 if tokens == "both" else blocks + 1)]
    if not set(wanted) <= set(known):
        return None
    return torch.cat([torch.arange(known[name].start, known[name].stop) for name in wanted])


@dataclass(frozen=True, slots=True)
class LayersPredictor:
    """A linear classifier and the columns that it reads."""

    read: Tensor
    linear: LinearPredictor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Returns logits, float32 (B, C), of rows, float32 (B, columns)."""
        return self.linear(inputs[:, self.read])


class Layers:
    """Logistic regression on the best of the last blocks' tokens."""

    name = "layers"
    version = 1
    summary = "logistic regression on class token, patch mean or both of the last block or the last four"
    consumes: Literal["features", "images"] = "features"
    output = BLOCKS
    settings: Any
    seeds = 1

    def __init__(self, settings: Any = None) -> None:
        """Takes `LayersSettings`; None means the defaults."""
        self.settings = LayersSettings() if settings is None else settings

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns every reading with every strength; `search` leaves out what the backbone does not have."""
        return [
            {"blocks": blocks, "tokens": tokens, "l2": strength}
            for blocks in self.settings.blocks
            for tokens in self.settings.tokens
            for strength in self.settings.strengths()
        ]

    def search(
        self, bench: Bench, train: FeatureExamples, validation: FeatureExamples, num_classes: int, log: TrialLog
    ) -> Search:
        """Solves all strengths of each reading at once and scores each on `validation`.

        Raises:
            OptionError: The backbone has nothing of what is to be tried.
        """
        parts, strengths = bench.backbone.parts, list(self.settings.strengths())
        linear = Linear(self.settings.linear())

        @cache
        def solved(blocks: int, tokens: str) -> list[Trial]:
            read = columns(parts, blocks, tokens)
            assert read is not None
            learned, chosen_on = (
                Examples(each.inputs[:, read.to(each.inputs.device)], each.labels) for each in (train, validation)
            )
            return linear.trials(bench, learned, chosen_on, num_classes)

        def run(settings: Mapping[str, Any]) -> Trial:
            def trial() -> Trial:
                found = solved(settings["blocks"], settings["tokens"])[strengths.index(settings["l2"])]
                return replace(found, settings=settings)

            return log.run(settings, trial)

        grid = [each for each in self.grid() if columns(parts, each["blocks"], each["tokens"]) is not None]
        if not grid:
            raise OptionError(
                f"layers: {bench.backbone.spec} has none of the tokens that are to be tried: {self.settings.tokens}.",
                "A network without class token has patches only.",
            )
        return Search.best_of([run(settings) for settings in grid])

    def fit(
        self, bench: Bench, choice: Trial, examples: FeatureExamples, num_classes: int, seed: int
    ) -> LayersPredictor:
        """Solves the chosen reading and strength on all examples; the result does not depend on the seed.

        Raises:
            FitDivergedError: The features are not finite.
        """
        read = columns(bench.backbone.parts, choice.settings["blocks"], choice.settings["tokens"])
        assert read is not None
        read = read.to(examples.inputs.device)
        chosen = Examples(examples.inputs[:, read], examples.labels)
        linear = Linear(self.settings.linear()).fit(bench, choice, chosen, num_classes, seed)
        return LayersPredictor(read, linear)

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns 0: nothing passes through the network in training."""
        return 0
