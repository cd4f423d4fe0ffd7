"""The network of a fine-tuning step under torch.compile: one graph, and the numbers of the eager one."""

from __future__ import annotations

import shutil

import pytest
import timm
import torch
from torch.nn import functional

from vtab_harness.api.backbones import Backbone, Transform
from vtab_harness.engine.lora import Adapters
from vtab_harness.engine.training import Classifier
from vtab_harness.engine.workbench import Workbench

ARCHITECTURES = ["resnet18", "vit_tiny_patch16_224", "convnext_atto"]


def classifier(name: str) -> Classifier:
    torch.manual_seed(0)
    options = {"img_size": 32} if name.startswith("vit") else {}
    network = timm.create_model(name, num_classes=0, **options)
    made = Classifier(network, network.num_features, 10).train()
    # From a head of zeros no gradient reaches the network.
    torch.nn.init.normal_(made.head.weight, std=0.1)
    return made


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_step_is_one_graph(name: str) -> None:
    torch._dynamo.reset()
    explained = torch._dynamo.explain(classifier(name))(torch.rand(4, 3, 32, 32))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0), explained.break_reasons


def test_a_step_with_adapters_is_one_graph() -> None:
    torch._dynamo.reset()
    inner = classifier("vit_tiny_patch16_224").backbone
    backbone = Backbone("timm:vit", inner, Transform((32, 32)), 192, 0, None, "0" * 64, {}, False)
    adapted = Adapters(4, 1.0, ("qkv", "proj"))(Workbench(backbone, torch.device("cpu")))
    explained = torch._dynamo.explain(Classifier(adapted, 192, 10).train())(torch.rand(4, 3, 32, 32))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0), explained.break_reasons


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="inductor needs a C++ compiler")
def test_compiled_gradients_are_the_eager_ones() -> None:
    torch._dynamo.reset()
    images, labels = torch.rand(4, 3, 32, 32), torch.arange(4)
    gradients = []
    for compiled in (False, True):
        made = classifier("resnet18")
        forward = torch.compile(made) if compiled else made
        functional.cross_entropy(forward(images), labels).backward()
        gradients.append([parameter.grad for parameter in made.parameters()])
    for eager, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, eager, rtol=1e-3, atol=1e-4)
