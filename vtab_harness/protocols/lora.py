"""`lora`: low-rank adapters in the attention layers, trained as papers on parameter-efficient tuning train them.

Read in ZhangYuanhan-AI/NOAH (Neural Prompt Search; ``configs/LoRA/VTAB/slurm_train_lora_vtab.sh``,
``supernet_train_prompt.py``, ``lib/datasets.py``, ``model/module/qkv_super_prompt.py``): rank 8 on the joint layer of
queries, keys and values, the product of the two matrices added as it is, A drawn as a linear layer's weight, B zero, no
dropout between them; AdamW, weight decay 1e-4, batch 64, 100 epochs of whole batches, ten of warm-up from 1e-6 and a
cosine to 1e-5; images resized to a square, no augmentation, no mixing, no label smoothing; 5e-3 as rate, with 1e-3 and
5e-4 beside it as comments. luogen1996/RepAdapter and JieShibo/PETL-ViT train so as well, at 1e-3.

Left behind: all three train on the 1000 at once, look at the test images every ten epochs and report the best of these
looks. Here rank and rate are chosen on the 200, and the last epoch counts.

Ours: the grid of ranks, the output projection beside queries, keys and values, a head that starts at zero, three seeds,
every epoch at timm's rate for it (their loops are one epoch late), weight decay of all that is trained, and no
stochastic depth unless the backbone is asked for it (all three have 0.1: ``?drop_path_rate=0.1``).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import FitDivergedError, ImageExamples, Search, Trial, TrialLog
from vtab_harness.protocols.finetune import FineTunePredictor

if TYPE_CHECKING:
    from torch import Tensor

    from vtab_harness.api.bench import Bench
    from vtab_harness.engine.lora import Adapters
    from vtab_harness.engine.training import Training


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Settings of the low-rank adapters.

    Attributes:
        rank: Ranks tried.
        lr: Peak rates tried.
        modules: Last names of the linear layers that get an adapter, in modules of attention.
        scale: What the product of the two matrices is multiplied by.
        passes: Over the examples.
        warmup_passes: In which the rate rises.
        batch_size: Examples a step; a pass has whole steps only.
        warmup_lr: Rate of the first pass.
        min_lr: Where the cosine would end, after the last pass.
        weight_decay: Decoupled, of adapters and head.
        search_seed: Seed of every trial of the search.
    """

    rank: tuple[int, ...] = (4, 8, 16)
    lr: tuple[float, ...] = (5e-4, 1e-3, 5e-3)
    modules: tuple[str, ...] = ("qkv", "proj")
    scale: float = 1.0
    passes: int = 100
    warmup_passes: int = 10
    batch_size: int = 64
    warmup_lr: float = 1e-6
    min_lr: float = 1e-5
    weight_decay: float = 1e-4
    search_seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "rank": bool(self.rank) and all(rank >= 1 for rank in self.rank),
            "lr": bool(self.lr) and all(0 < lr < math.inf for lr in self.lr),
            "modules": bool(self.modules) and all(self.modules),
            "scale": 0 < self.scale < math.inf,
            "passes": self.passes >= 1,
            "warmup_passes": self.warmup_passes >= 0,
            "batch_size": self.batch_size >= 1,
            "warmup_lr": 0 <= self.warmup_lr < math.inf,
            "min_lr": 0 <= self.min_lr < math.inf,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "search_seed": self.search_seed >= 0,
        }
        for name, fine in checks.items():
            if not fine:
                raise OptionError(f"lora: {name}={getattr(self, name)} is out of range.")


class Lora:
    """Low-rank adapters and a head on a frozen network.

    Predictions are made with the adapters beside the layers, as in training: added into the weights, a small change
    would be rounded off in bf16, and the validation accuracy would not be that of the network which predicts.
    """

    name = "lora"
    version = 1
    summary = "low-rank adapters in the attention, AdamW; rank and rate chosen on 200, last epoch, 3 seeds"
    consumes: Literal["features", "images"] = "images"
    settings: Any
    seeds = 3

    def __init__(self, settings: Any = None) -> None:
        """Takes `LoraSettings`; None means the defaults.

        Raises:
            OptionError: peft is not installed.
        """
        # Before any work is planned; importing it takes seconds.
        if importlib.util.find_spec("peft") is None:
            raise OptionError("lora needs peft, which is not installed.", "pip install 'vtab-harness[lora]'")
        self.settings = LoraSettings() if settings is None else settings

    def grid(self) -> Sequence[Mapping[str, Any]]:
        """Returns every rank with every rate."""
        return [{"rank": rank, "lr": lr} for rank in self.settings.rank for lr in self.settings.lr]

    def _adapters(self, rank: int) -> Adapters:
        from vtab_harness.engine.lora import Adapters

        return Adapters(rank, self.settings.scale, self.settings.modules)

    def _train(
        self, bench: Bench, setting: Mapping[str, Any], examples: ImageExamples, num_classes: int, seed: int, phase: str
    ) -> Training:
        from vtab_harness.engine.cosine_adamw import CosineAdamW
        from vtab_harness.engine.training import train

        s = self.settings
        batch_size = min(s.batch_size, len(examples))
        recipe = CosineAdamW(
            setting["lr"],
            s.passes,
            len(examples) // batch_size,
            batch_size,
            s.warmup_passes,
            s.warmup_lr,
            s.min_lr,
            s.weight_decay,
        )
        phase = f"{phase} rank={setting['rank']} lr={setting['lr']:g}"
        network = self._adapters(setting["rank"])
        return train(bench, examples.inputs, examples.labels, num_classes, recipe, seed, phase, network)

    def search(
        self, bench: Bench, train: ImageExamples, validation: ImageExamples, num_classes: int, log: TrialLog
    ) -> Search:
        """Trains once for every setting and scores it on the validation examples.

        Raises:
            OptionError: The network has no attention that adapters can be put into.
        """
        from vtab_harness.engine.trials import trial_of

        def trial(setting: Mapping[str, Any]) -> Trial:
            training = self._train(bench, setting, train, num_classes, self.settings.search_seed, "search")
            return trial_of(bench, setting, training, validation)

        return Search.best_of([log.run(setting, lambda s=setting: trial(s)) for setting in self.grid()])  # type: ignore[misc]

    def fit(
        self, bench: Bench, choice: Trial, examples: ImageExamples, num_classes: int, seed: int
    ) -> FineTunePredictor:
        """Trains with the chosen setting on all examples; the seed decides first values and order.

        Raises:
            FitDivergedError: The loss became non-finite.
        """
        training = self._train(bench, choice.settings, examples, num_classes, seed, f"final seed {seed}")
        if training.diverged_at is not None:
            raise FitDivergedError(training.diverged_at)
        return FineTunePredictor(bench, training.classifier)

    def state(self, predictor: FineTunePredictor) -> dict[str, Tensor]:
        """Returns the adapters and the head, which is all that was trained."""
        named = predictor.classifier.named_parameters()
        return {name: value.detach().cpu().contiguous() for name, value in named if value.requires_grad}

    def restore(self, bench: Bench, state: Mapping[str, Tensor], num_classes: int) -> FineTunePredictor:
        """Rebuilds a predictor that an interrupted run had already trained."""
        from vtab_harness.engine.training import Classifier

        rank = next(len(value) for name, value in state.items() if ".lora_A." in name)
        classifier = Classifier(self._adapters(rank)(bench), bench.backbone.feature_size, num_classes)
        # What is frozen comes from the backbone, and anything unknown is refused.
        classifier.load_state_dict({**classifier.state_dict(), **state})
        return FineTunePredictor(bench, classifier.to(bench.device).eval())

    def training_images(self, train: int, trainval: int, seeds: int) -> int:
        """Returns the number of images that pass forward and backward."""
        return int(self.settings.passes * (train * len(self.grid()) + trainval * seeds))
