"""LoRA through peft beside a loop of fifteen lines with matrices of its own."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import timm
import torch
from timm.scheduler import CosineLRScheduler
from torch import Tensor, nn
from torch.nn import functional

from vtab_harness.api.backbones import Backbone, Transform
from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import AllTrialsDivergedError, Examples, FitDivergedError, Trial, TrialLog
from vtab_harness.backbones.network import PooledFeatures
from vtab_harness.engine.heads import passes
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.workbench import Workbench
from vtab_harness.protocols.lora import Lora, LoraSettings

SMALL = LoraSettings(rank=(2, 3), lr=(3e-3, 1e-2), passes=6, warmup_passes=2, batch_size=8, scale=2.0)
CLASSES = 3


@pytest.fixture
def bench() -> Workbench:
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24, num_heads=3)
    module = PooledFeatures(network).eval()
    backbone = Backbone("timm:vit", module, Transform((32, 32)), 24, 0, None, "0" * 64, {}, False)
    return Workbench(backbone, torch.device("cpu"), batch_size=7)


def drawn(bench: Workbench, count: int, seed: int) -> Examples[Any]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    images = torch.rand(count, 32, 32, 3, generator=generator) + labels.view(-1, 1, 1, 1) * 0.3
    return Examples(ResidentImages(images, bench.backbone.transform), labels)


class Adapted(nn.Module):
    """W x + scale * B A x."""

    def __init__(self, layer: nn.Linear, first: Tensor, scale: float) -> None:
        super().__init__()
        self.layer, self.scale = layer, scale
        self.a, self.b = nn.Parameter(first.clone()), nn.Parameter(torch.zeros(layer.out_features, len(first)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.scale * (x @ self.a.T @ self.b.T)


def reference(
    bench: Workbench, first: dict[str, Tensor], examples: Examples[Any], lr: float, seed: int
) -> tuple[dict[str, Tensor], list[float]]:
    """Trains adapters and head with PyTorch's plain AdamW and timm's scheduler; returns them and all losses."""
    network, head = bench.trainable_copy().requires_grad_(False).train(), nn.Linear(24, CLASSES)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    trained = dict(head.named_parameters(prefix="head"))
    for block in range(2):
        for name in ("qkv", "proj"):
            attention, at = network.model.blocks[block].attn, f"backbone.model.blocks.{block}.attn.{name}"
            adapted = Adapted(getattr(attention, name), first[f"{at}.lora_A.default.weight"], SMALL.scale)
            setattr(attention, name, adapted)
            trained |= {f"{at}.lora_A.default.weight": adapted.a, f"{at}.lora_B.default.weight": adapted.b}
    optimiser = torch.optim.AdamW(trained.values(), lr=lr, weight_decay=1e-4, foreach=False)
    scheduler = CosineLRScheduler(optimiser, 6, lr_min=1e-5, warmup_t=2, warmup_lr_init=1e-6)
    losses = []
    for done, order in enumerate(passes(len(examples), 6, seed)):
        scheduler.step(done)
        for batch in order.split(8)[: len(examples) // 8]:
            optimiser.zero_grad()
            loss = functional.cross_entropy(head(network(examples.inputs.gather(batch))), examples.labels[batch])
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return {name: value.detach() for name, value in trained.items()}, losses


def test_peft_trains_step_by_step_as_a_plain_loop_does(bench: Workbench) -> None:
    examples, protocol = drawn(bench, 28, 1), Lora(SMALL)
    training = protocol._train(bench, {"rank": 3, "lr": 1e-2}, examples, CLASSES, 4, "test")
    torch.manual_seed(4)
    first = {f"backbone.{name}": value for name, value in protocol._adapters(3)(bench).state_dict().items()}
    trained, losses = reference(bench, first, examples, 1e-2, 4)
    assert len(losses) == 18
    torch.testing.assert_close(training.losses, torch.tensor(losses), rtol=0, atol=1e-6)
    assert losses[-1] < losses[0] - 0.02
    found = {name: value for name, value in training.classifier.named_parameters() if value.requires_grad}
    assert found.keys() == trained.keys()
    for name, value in trained.items():
        torch.testing.assert_close(found[name].detach(), value, rtol=0, atol=1e-6, msg=name)
        assert "lora_B" not in name or float(value.abs().max()) > 1e-4
    # What is frozen has not moved.
    frozen = bench.backbone.module.state_dict()
    whole = training.classifier.backbone.state_dict()
    for name, value in frozen.items():
        inside = name.replace("attn.qkv.", "attn.qkv.base_layer.").replace("attn.proj.", "attn.proj.base_layer.")
        assert torch.equal(whole[inside], value)


def test_rank_and_rate_are_chosen_on_the_validation_examples(bench: Workbench) -> None:
    protocol, validation = Lora(SMALL), drawn(bench, 12, 2)
    search = protocol.search(bench, drawn(bench, 24, 1), validation, CLASSES, TrialLog())
    assert [trial.settings for trial in search.trials] == protocol.grid()
    assert protocol.grid() == [{"rank": rank, "lr": lr} for rank in (2, 3) for lr in (3e-3, 1e-2)]
    assert search.choice.validation_accuracy == max(trial.validation_accuracy for trial in search.trials)
    assert all(len(trial.curve) == 18 for trial in search.trials)
    predictor = protocol.fit(bench, search.choice, validation, CLASSES, 0)
    state = protocol.state(predictor)
    assert all(".lora_" in name or name.startswith("head.") for name in state)
    again = protocol.restore(bench, state, CLASSES)
    inputs = validation.inputs.gather(torch.arange(12))
    assert torch.equal(again(inputs), predictor(inputs))


def test_divergence_is_recorded_and_nothing_is_chosen_of_it(bench: Workbench) -> None:
    wild, examples = Lora(LoraSettings((2,), (1e30,), passes=6, warmup_passes=0, batch_size=8)), drawn(bench, 24, 1)
    with pytest.raises(AllTrialsDivergedError):
        wild.search(bench, examples, examples, CLASSES, TrialLog())
    with pytest.raises(FitDivergedError):
        wild.fit(bench, Trial({"rank": 2, "lr": 1e30}), examples, CLASSES, 0)


def test_fewer_examples_than_a_batch_are_one_step_a_pass(bench: Workbench) -> None:
    training = Lora(SMALL)._train(bench, {"rank": 2, "lr": 1e-3}, drawn(bench, 5, 1), CLASSES, 0, "test")
    assert len(training.losses) == SMALL.passes


@pytest.mark.parametrize(
    "changes",
    [
        {"rank": ()},
        {"rank": (0,)},
        {"lr": (-1.0,)},
        {"modules": ()},
        {"scale": 0.0},
        {"passes": 0},
        {"warmup_passes": -1},
        {"batch_size": 0},
        {"warmup_lr": -1.0},
        {"min_lr": -1.0},
        {"weight_decay": float("inf")},
        {"search_seed": -1},
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"lora: {next(iter(changes))}="):
        LoraSettings(**changes)


def test_without_peft_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else there(name, *rest))
    with pytest.raises(OptionError, match=r"pip install 'vtab-harness\[lora\]'"):
        Lora()


def test_images_in_training_count_all_passes() -> None:
    assert Lora(SMALL).training_images(800, 1000, 3) == 6 * (800 * 4 + 1000 * 3)
