"""Where adapters go, what they leave alone, and networks in which they would do nothing."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import timm
import torch
from torch import nn

from vtab_harness.api.backbones import Backbone, Transform
from vtab_harness.api.errors import OptionError
from vtab_harness.backbones.network import PooledFeatures
from vtab_harness.engine.lora import Adapters
from vtab_harness.engine.workbench import Workbench


def bench_of(name: str, size: int, **options: Any) -> Workbench:
    torch.manual_seed(0)
    module = PooledFeatures(timm.create_model(name, **options)).eval()
    backbone = Backbone(
        f"timm:{name}", module, Transform((size, size)), module.model.num_features, 0, None, "0" * 64, {}, False
    )
    return Workbench(backbone, torch.device("cpu"))


def vit() -> Workbench:
    return bench_of("vit_tiny_patch16_224", 32, img_size=32, depth=2)


def test_adapters_stand_in_the_attention_and_change_nothing_at_first() -> None:
    bench = vit()
    before = {name: value.clone() for name, value in bench.backbone.module.state_dict().items()}
    module = Adapters(4, 1.0, ("qkv", "proj"))(bench)
    trained = {name: tuple(value.shape) for name, value in module.named_parameters() if value.requires_grad}
    shapes = {"qkv.lora_A": (4, 192), "qkv.lora_B": (576, 4), "proj.lora_A": (4, 192), "proj.lora_B": (192, 4)}
    assert trained == {
        f"model.blocks.{block}.attn.{part}.default.weight": shape
        for block in range(2)
        for part, shape in shapes.items()
    }
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(module(images), bench.backbone.module(images), rtol=0, atol=0)
    # The backbone itself is as it was.
    assert all(torch.equal(value, before[name]) for name, value in bench.backbone.module.state_dict().items())
    assert all(parameter.requires_grad for parameter in bench.backbone.module.parameters())


def test_first_values_follow_from_the_generator_and_are_those_of_a_linear_layer() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(Adapters(16, 1.0, ("qkv",))(vit_of_seed()).state_dict())
    first = "model.blocks.0.attn.qkv.lora_A.default.weight"
    assert torch.equal(drawn[0][first], drawn[1][first])
    # Uniform between minus and plus one over the root of the width.
    assert 0.9 * 192**-0.5 < float(drawn[0][first].abs().max()) <= 192**-0.5
    assert float(drawn[0]["model.blocks.0.attn.qkv.lora_B.default.weight"].abs().max()) == 0


def vit_of_seed() -> Workbench:
    with torch.random.fork_rng(devices=[]):
        return vit()


@pytest.mark.parametrize(
    ("name", "size", "options", "modules", "message"),
    [
        # They take the weight of the joint layer, or of all of them, past the layer.
        (
            "eva02_tiny_patch14_224",
            28,
            {"img_size": 28, "depth": 1},
            "qkv proj",
            "layers qkv without.*\n.*modules=proj",
        ),
        ("beit_base_patch16_224", 32, {"img_size": 32, "depth": 1}, "qkv", "layers qkv without.*\n.*finetune"),
        ("resnet18", 32, {}, "qkv proj", "resnet18 has no attention.*\n.*finetune"),
        ("convnext_atto", 32, {}, "qkv proj", "convnext_atto has no attention"),
        ("pvt_v2_b0", 32, {}, "qkv", "no linear layers named qkv.\nIt has kv, proj, q: .*--set modules="),
        (
            "vit_tiny_patch16_224",
            32,
            {"img_size": 32, "depth": 1},
            "fc1",
            "no linear layers named fc1.\nIt has proj, qkv",
        ),
    ],
)
def test_networks_that_adapters_cannot_change_are_refused(
    name: str, size: int, options: dict[str, Any], modules: str, message: str
) -> None:
    with pytest.raises(OptionError, match=f"(?s)^lora: .*{message}"):
        Adapters(2, 1.0, tuple(modules.split()))(bench_of(name, size, **options))


@pytest.mark.parametrize(
    ("name", "size", "options", "modules"),
    [
        ("eva02_tiny_patch14_224", 28, {"img_size": 28, "depth": 1}, "proj"),
        ("pvt_v2_b0", 32, {}, "q kv proj"),
        ("swin_tiny_patch4_window7_224", 224, {}, "qkv proj"),
        ("vit_small_patch16_dinov3", 32, {"img_size": 32, "depth": 1}, "qkv proj"),
    ],
)
def test_networks_that_adapters_can_change(name: str, size: int, options: dict[str, Any], modules: str) -> None:
    module = Adapters(2, 1.0, tuple(modules.split()))(bench_of(name, size, **options))
    assert any(parameter.requires_grad for parameter in module.parameters())


def test_layers_outside_attention_are_left_alone() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj = nn.Linear(3, 6)
            self.attn = nn.Sequential()
            self.attn.proj = nn.Linear(6, 6)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.attn.proj(self.proj(images.mean((2, 3))))

    backbone = Backbone("test:net", Network(), Transform((8, 8)), 6, 0, None, "0" * 64, {}, False)
    module = Adapters(2, 1.0, ("proj",))(Workbench(backbone, torch.device("cpu")))
    trained = [name for name, value in module.named_parameters() if value.requires_grad]
    assert trained == ["attn.proj.lora_A.default.weight", "attn.proj.lora_B.default.weight"]


def test_a_peft_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "peft":
            raise ImportError("cannot import name 'inject_adapter_in_model' from 'peft'")
        return imported(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r"inject_adapter_in_model(.|\n)*pip install -U 'vtab-harness\[lora\]'"):
        Adapters(2, 1.0, ("qkv",))(vit())
