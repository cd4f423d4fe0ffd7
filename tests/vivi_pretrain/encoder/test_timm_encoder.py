"""Encoders: which network comes out, and that timm alone can build it again."""

import json

import pytest
import timm
import torch
from timm.layers import StdConv2d
from torch import nn

from vivi_pretrain.encoder.timm_encoder import build_encoder, encoder_config, feature_size
from vtab_harness.api.errors import OptionError, UnknownNameError


@pytest.mark.parametrize("size", [32, 40, 64])
@pytest.mark.parametrize(("name", "features"), [("test_resnet", 96), ("resnet10t", 512), ("resnet18", 512)])
def test_small_encoders_take_any_size(name, features, size):
    encoder = build_encoder(name)
    assert feature_size(encoder, size) == features
    assert encoder(torch.zeros(2, 3, size, size)).shape == (2, features)


@pytest.mark.parametrize(
    ("name", "arguments", "norm", "features"),
    [
        ("resnetv2_50", {}, "batch", 2048),
        ("resnetv2_50", {"width_factor": 3}, "batch", 6144),
        ("resnetv2_50", {}, "group", 2048),
        ("resnetv2_50", {"width_factor": 3}, "group", 6144),
        ("resnetv2_50x1_bit", {}, "batch", 2048),
        ("resnetv2_50x3_bit", {}, "group", 6144),
    ],
)
def test_the_networks_of_the_paper(name, arguments, norm, features):
    with torch.device("meta"):
        encoder = build_encoder(name, arguments, norm)
    assert feature_size(encoder, 64) == features
    norms = [m for m in encoder.modules() if isinstance(m, nn.GroupNorm | nn.BatchNorm2d)]
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert len(norms) == 49
    assert len(convolutions) == 53
    if norm == "group" or name.endswith("_bit"):
        assert all(isinstance(m, nn.GroupNorm) and m.num_groups == 32 for m in norms)
        assert all(isinstance(m, StdConv2d) for m in convolutions)
    else:
        assert all(isinstance(m, nn.BatchNorm2d) for m in norms)
        assert not any(isinstance(m, StdConv2d) for m in convolutions)


@pytest.mark.parametrize(
    ("name", "arguments", "norm"),
    [("test_resnet", {"drop_path_rate": 0.1}, "batch"), ("resnet18", {}, "group"), ("resnetv2_18", {}, "group")],
)
def test_timm_builds_it_again_from_json(tmp_path, name, arguments, norm):
    encoder = build_encoder(name, arguments, norm)
    config = encoder_config(name, arguments, norm)
    written = json.loads(json.dumps({"architecture": config.architecture, "model_args": config.model_args}))
    (tmp_path / "config.json").write_text(json.dumps({**written, "num_features": 1, "pretrained_cfg": {}}))
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=False, num_classes=0)
    again.load_state_dict(encoder.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(images), encoder.eval()(images), rtol=0, atol=0)
    assert not (norm == "group" and any(isinstance(m, nn.BatchNorm2d) for m in again.modules()))


def test_arguments_reach_timm():
    assert encoder_config("resnet18", {"drop_rate": 0.5}).model_args == {"drop_rate": 0.5}
    assert (
        build_encoder("vit_tiny_patch16_224", {"img_size": 32, "depth": 1})(torch.zeros(1, 3, 32, 32)).shape[1] == 192
    )
    assert build_encoder("test_resnet", {"drop_path_rate": 0.5}).training


def test_no_batch_norm_to_begin_with_stays():
    assert encoder_config("test_vit", norm="group") == ("test_vit", {})


def test_unknown_names_give_near_ones():
    with pytest.raises(UnknownNameError, match="resnetv2_50"):
        build_encoder("resnetv250")
    with pytest.raises(OptionError, match="published weights") as error:
        build_encoder("resnet18.a1_in1k")
    assert "'resnet18'" in error.value.hint


@pytest.mark.parametrize("key", ["pretrained", "num_classes", "in_chans", "features_only"])
def test_refused_arguments(key):
    with pytest.raises(OptionError, match=key):
        build_encoder("test_resnet", {key: 1})


def test_impossible_arguments():
    with pytest.raises(OptionError, match="widht_factor"):
        build_encoder("resnetv2_50", {"widht_factor": 3})
    with pytest.raises(OptionError, match="width 2") as error:
        build_encoder("resnetv2_50", {"width_factor": 2}, "group")
    assert "1, 3" in error.value.hint
    with pytest.raises(OptionError, match="cannot be built"):
        build_encoder("resnet10t", {}, "group")  # 24 channels are not a multiple of 32 groups


def test_feature_size_leaves_the_encoder_as_it_was():
    encoder = build_encoder("test_resnet")
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    feature_size(encoder, 32)
    assert all(module.training for module in encoder.modules())
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())


class _ReadsNumbers(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return images.mean((2, 3)) * self.scale.item()


def test_feature_size_of_networks_that_have_to_run():
    assert feature_size(_ReadsNumbers(), 8) == 3


def test_feature_size_names_what_does_not_fit():
    with pytest.raises(OptionError, match="32 x 32"):
        feature_size(build_encoder("vit_tiny_patch16_224", {"depth": 1}), 32)
    with pytest.raises(OptionError, match="not one vector an image"):
        feature_size(nn.Conv2d(3, 4, 1), 8)
