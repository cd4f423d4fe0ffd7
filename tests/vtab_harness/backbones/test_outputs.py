"""What a backbone gives beside one pooled vector."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vtab_harness.api.backbones import BLOCKS, POOLED, TOKENS, Backbone
from vtab_harness.api.errors import OptionError
from vtab_harness.backbones.outputs import giving
from vtab_harness.backbones.spec import load

VIT = "timm:vit_tiny_patch16_224?pretrained=false&input_size=32"


def part(backbone: Backbone, rows: Tensor, name: str) -> Tensor:
    """Returns one part of an output, (B, ...)."""
    found = next(each for each in backbone.parts if each.name == name)
    return rows[:, found.columns].reshape(len(rows), *found.shape)


def blocks_by_hooks(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Returns what each transformer block gives, after the final norm, without timm's own interface."""
    seen: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: seen.append(out)) for block in network.blocks]  # type: ignore[union-attr]
    network.forward_features(images)  # type: ignore[operator]
    for hook in hooks:
        hook.remove()
    return [network.norm(out) for out in seen]  # type: ignore[operator]


@pytest.mark.parametrize(("options", "prefix"), [("", 1), ("&reg_tokens=4", 5)])
@torch.no_grad()
def test_tokens_and_blocks_of_a_transformer_are_those_that_its_blocks_give(options: str, prefix: int) -> None:
    pooled, images = load(VIT + options), torch.randn(2, 3, 32, 32)
    wanted = blocks_by_hooks(pooled.module.model, images)
    tokens, blocks = giving(pooled, TOKENS), giving(pooled, BLOCKS)
    rows = tokens.module(images)
    assert rows.shape == (2, tokens.feature_size)
    assert tokens.parts[0].shape == (1 + 4, 192)
    expected = torch.cat([wanted[-1][:, :1], wanted[-1][:, prefix:]], dim=1)
    torch.testing.assert_close(part(tokens, rows, "tokens"), expected)
    rows = blocks.module(images)
    assert rows.shape == (2, blocks.feature_size) == (2, 4 * 2 * 192)
    for back in range(1, 5):
        torch.testing.assert_close(part(blocks, rows, f"block-{back}.class"), wanted[-back][:, 0])
        torch.testing.assert_close(part(blocks, rows, f"block-{back}.patches"), wanted[-back][:, prefix:].mean(1))
    torch.testing.assert_close(part(blocks, rows, "block-1.class"), pooled.module(images))


@torch.no_grad()
def test_a_network_of_stages_has_maps_and_no_class_token() -> None:
    pooled, images = load("timm:resnet18?pretrained=false&input_size=64"), torch.randn(2, 3, 64, 64)
    tokens, blocks = giving(pooled, TOKENS), giving(pooled, BLOCKS)
    assert tokens.parts[0].shape == (2 * 2, 512)
    assert [(each.name, each.shape) for each in blocks.parts] == [
        ("block-1.patches", (512,)),
        ("block-2.patches", (256,)),
        ("block-3.patches", (128,)),
        ("block-4.patches", (64,)),
    ]
    torch.testing.assert_close(part(blocks, blocks.module(images), "block-1.patches"), pooled.module(images))
    torch.testing.assert_close(part(tokens, tokens.module(images), "tokens").mean(1), pooled.module(images))


def test_outputs_are_of_one_network_and_of_different_identities() -> None:
    pooled = load(VIT)
    outputs = [pooled, giving(pooled, TOKENS), giving(pooled, BLOCKS)]
    assert len({id(next(each.module.parameters())) for each in outputs}) == 1
    assert [each.identity().output for each in outputs] == [POOLED, TOKENS, BLOCKS]
    assert len({each.identity().weights for each in outputs}) == 1
    assert giving(pooled, POOLED) is pooled


@pytest.mark.parametrize(
    "name", ["convnext_atto", "swin_tiny_patch4_window7_224", "pit_ti_224", "hiera_tiny_224", "test_vit4"]
)
def test_other_kinds_of_networks_give_all_outputs(name: str) -> None:
    pooled = load(f"timm:{name}?pretrained=false")
    height, width = pooled.transform.input_size
    for output in (TOKENS, BLOCKS):
        backbone = giving(pooled, output)
        with torch.no_grad():
            rows = backbone.module(torch.randn(1, 3, height, width))
        assert rows.shape == (1, backbone.feature_size)
        assert torch.isfinite(rows).all()


def test_a_module_without_tokens_says_so() -> None:
    with pytest.raises(OptionError, match="no forward_intermediates"):
        giving(load("python:docs.examples.pixels:Pixels"), TOKENS)
    with pytest.raises(OptionError, match="pooled, tokens, blocks-4"):
        giving(load(VIT), "block-9")


def test_a_module_whose_tokens_fail_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    pooled = load(VIT)

    def broken(images: Tensor, indices: int, norm: bool, intermediates_only: bool) -> list[Tensor]:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(pooled.module.model, "forward_intermediates", broken)
    with pytest.raises(OptionError, match="RuntimeError: shapes differ"):
        giving(pooled, BLOCKS)
