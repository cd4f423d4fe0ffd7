"""Forward passes on fake CUDA tensors: they hold no values, but an operator on tensors of two devices fails.

That finds a tensor that was left on the CPU, on a machine that has no GPU. Backward passes need one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import timm
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from vtab_harness.api.backbones import Transform
from vtab_harness.api.data import Pixels
from vtab_harness.engine import logistic, resize, stream
from vtab_harness.engine.neighbours import nearest, unit, votes
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.stream import to_inputs
from vtab_harness.engine.training import Classifier
from vtab_harness.protocols.few import class_means
from vtab_harness.protocols.linear import Standardiser

CUDA = torch.device("cuda:0")
CACHES = [each for module in (resize, stream) for each in vars(module).values() if hasattr(each, "cache_clear")]


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    for cached in CACHES:
        cached.cache_clear()
    with FakeTensorMode():
        yield
    # What is kept is fake as well.
    for cached in CACHES:
        cached.cache_clear()


def labels(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.int64, device=CUDA)


def test_two_devices_are_found() -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.rand(3, 2, device=CUDA) + torch.rand(3, 2)


@pytest.mark.parametrize("rule", sorted(resize.RULES))
@pytest.mark.parametrize("mean", [(0.0, 0.0, 0.0), (0.5, 0.4, 0.3)])
def test_images_become_inputs_where_they_are(rule: str, mean: tuple[float, float, float]) -> None:
    transform = Transform((8, 8), mean=mean, resize=rule)
    native = torch.zeros(40, 16, 12, 3, dtype=torch.uint8, device=CUDA)
    gathered = ResidentImages(native, transform).gather(labels(5))
    assert (gathered.device, gathered.shape) == (CUDA, (5, 3, 8, 8))


def test_images_of_many_sizes_become_inputs_where_they_are() -> None:
    shapes = np.array([[6, 9, 3], [12, 7, 3]])
    flat = torch.zeros(int(shapes.prod(1).sum()), dtype=torch.uint8, device=CUDA)
    inputs = to_inputs(flat, Pixels(np.zeros(0, np.uint8), shapes), Transform((8, 8)))
    assert (inputs.device, inputs.shape) == (CUDA, (2, 3, 8, 8))


def test_a_network_with_its_head() -> None:
    with CUDA:
        classifier = Classifier(timm.create_model("resnet18", num_classes=0), 512, 10)
        scores = classifier(torch.rand(4, 3, 32, 32))
    assert (scores.device, scores.shape) == (CUDA, (4, 10))


def test_protocols_on_features() -> None:
    features, queries = torch.rand(20, 5, device=CUDA), torch.rand(7, 5, device=CUDA)
    similarities, rows = nearest(unit(features), unit(queries), 3)
    assert votes(similarities, labels(20)[rows], 4, 0.1).device == CUDA
    assert class_means(features, labels(20), 3)(queries).device == CUDA
    assert Standardiser.learn(features, True)(queries).device == CUDA


def test_steps_of_the_linear_solver() -> None:
    def made(*shape: int) -> Tensor:
        return torch.rand(shape, device=CUDA)

    # Four strengths, 20 examples, 6 coordinates, 3 classes, 9 features. The search along a line and the measurement of
    # the result read numbers, which a fake tensor has not.
    problem = logistic._Problem(
        made(20, 6), made(6, 20), made(6, 1), made(9, 5), made(9), made(), made(20, 3), labels(20)[None, :, None]
    )
    weights = problem.start(4)
    loss, probability = problem.loss(torch.matmul(problem.design, weights))
    memory = [(made(4, 6, 3), made(4, 6, 3), made(4).double())] * 2
    direction = logistic._Descent(problem, made(4, 6, 1), weights, memory)._direction(made(4, 6, 3), made(4, 6, 3))
    found = [loss, probability, direction, problem.gradient_norm(direction), problem.gradient_guess(direction)]
    assert {each.device for each in found} == {CUDA}
