"""The training loop against a plain one, and what happens when it goes wrong."""

import copy
from dataclasses import replace

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from vtab_harness.api.backbones import Backbone, Transform
from vtab_harness.api.errors import DeviceError
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.shuffling import shuffle_buffer
from vtab_harness.engine.training import Schedule, train, validate
from vtab_harness.engine.workbench import Workbench, depends_on_batch

SIZE = (8, 8)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.conv(images)).relu().mean((2, 3))


def make_bench(module: nn.Module) -> Workbench:
    backbone = Backbone("test:net", module, Transform(SIZE), 6, 0, None, "0" * 64, {}, False)
    return Workbench(backbone, torch.device("cpu"), batch_size=7)


@pytest.fixture
def bench() -> Workbench:
    torch.manual_seed(0)
    return make_bench(Network())


@pytest.fixture
def examples() -> tuple[ResidentImages, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (40,), generator=generator)
    images = torch.rand(40, 3, *SIZE, generator=generator) + labels.view(-1, 1, 1, 1) * 0.5
    return ResidentImages(images.permute(0, 2, 3, 1).contiguous(), Transform(SIZE)), labels


def plain_loop(bench: Workbench, images: ResidentImages, labels: Tensor, schedule: Schedule, seed: int) -> list[float]:
    """Momentum SGD by the formula, without an optimiser."""
    net = copy.deepcopy(bench.backbone.module).train()
    head = nn.Linear(6, 3)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    parameters = [*net.parameters(), *head.parameters()]
    velocity = [torch.zeros_like(p) for p in parameters]
    order = shuffle_buffer(40, schedule.steps * schedule.batch_size, schedule.shuffle_buffer, seed)
    losses = []
    for step in range(schedule.steps):
        chosen = torch.from_numpy(order[step * schedule.batch_size : (step + 1) * schedule.batch_size])
        loss = functional.cross_entropy(head(net(images.gather(chosen))), labels[chosen])
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, v, g in zip(parameters, velocity, gradients, strict=True):
                v.mul_(schedule.momentum).add_(g)
                p.sub_(schedule.rate(step) * v)
        losses.append(float(loss))
    return losses


def test_equals_a_plain_loop(bench: Workbench, examples: tuple[ResidentImages, Tensor]) -> None:
    schedule = Schedule(steps=30, batch_size=16, lr=0.2, warmup_steps=4, shuffle_buffer=50)
    training = train(bench, *examples, 3, schedule, seed=3, phase="test")
    expected = plain_loop(bench, *examples, schedule, seed=3)
    torch.testing.assert_close(training.losses, torch.tensor(expected), rtol=2e-4, atol=2e-5)
    assert training.losses[-1] < 0.5 * training.losses[0]


def test_same_seed_same_bits_and_backbone_untouched(bench: Workbench, examples: tuple[ResidentImages, Tensor]) -> None:
    before = copy.deepcopy(bench.backbone.module.state_dict())
    schedule = Schedule(steps=12, batch_size=16, lr=0.1)
    first, again, other = (train(bench, *examples, 3, schedule, seed=s, phase="test") for s in (3, 3, 4))
    assert torch.equal(first.losses, again.losses)
    assert not torch.equal(first.losses, other.losses)
    for name, value in bench.backbone.module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_learning_rates_are_the_official_ones() -> None:
    # Computed from the released trainer: base 0.01, boundaries 300, 600, 900 of 1000, warm-up 80.
    schedule = Schedule(steps=1000, batch_size=1, lr=0.01, warmup_steps=80)
    golden = {
        0: 0.0,
        40: 0.005,
        79: 0.009875,
        80: 0.01,
        300: 0.01,
        301: 1e-3,
        600: 1e-3,
        601: 1e-4,
        900: 1e-4,
        901: 1e-5,
    }
    for step, rate in golden.items():
        assert schedule.rate(step) == pytest.approx(rate, rel=1e-9), step


def test_divergence_is_found_at_its_step(bench: Workbench, examples: tuple[ResidentImages, Tensor]) -> None:
    images, labels = examples
    schedule = Schedule(steps=400, batch_size=16, lr=1e25, decay_at=())
    training = train(bench, images, labels, 3, schedule, seed=0, phase="test")
    assert training.diverged_at is not None
    assert not torch.isfinite(training.losses[training.diverged_at])
    assert torch.isfinite(training.losses[: training.diverged_at]).all()


def test_frozen_statistics_stay_while_weights_move(bench: Workbench, examples: tuple[ResidentImages, Tensor]) -> None:
    before = bench.backbone.module.state_dict()
    for frozen in (True, False):
        schedule = Schedule(steps=3, batch_size=16, lr=0.1, frozen_statistics=frozen)
        after = train(bench, *examples, 3, schedule, seed=0, phase="test").classifier.backbone.state_dict()
        assert torch.equal(after["norm.running_mean"], before["norm.running_mean"]) == frozen
        assert not torch.equal(after["norm.weight"], before["norm.weight"])


class OutOfMemoryAbove(nn.Module):
    """Runs out of memory with more than so many images at once, as a device would."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, 6, 3)
        self.limit = limit

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.net(images).mean((2, 3))


def test_out_of_memory_halves_the_batch_and_keeps_the_result(examples: tuple[ResidentImages, Tensor]) -> None:
    torch.manual_seed(0)
    module = OutOfMemoryAbove(5)
    roomy = copy.deepcopy(module)
    roomy.limit = 100
    schedule = Schedule(steps=10, batch_size=16, lr=0.1)
    with pytest.warns(UserWarning, match="Out of memory in search.*batch 16; going on with 8"):
        tight = train(make_bench(module), *examples, 3, schedule, seed=1, phase="search")
    expected = train(make_bench(roomy), *examples, 3, schedule, seed=1, phase="search")
    # No batch norm in this network, so that accumulated gradients equal those of the whole batch but for rounding.
    torch.testing.assert_close(tight.losses, expected.losses, rtol=1e-4, atol=1e-6)


def test_batch_norm_is_not_shown_a_smaller_batch_behind_ones_back(examples: tuple[ResidentImages, Tensor]) -> None:
    torch.manual_seed(0)
    module = OutOfMemoryAbove(5)
    module.net = nn.Sequential(module.net, nn.BatchNorm2d(6))
    schedule = Schedule(steps=3, batch_size=16, lr=0.1)
    with pytest.raises(DeviceError, match=r"16 images at once(.|\n)*--micro-batch 8"):
        train(make_bench(module), *examples, 3, schedule, seed=1, phase="search")
    bench = replace(make_bench(module), micro_batch=4)
    assert train(bench, *examples, 3, schedule, seed=1, phase="search").diverged_at is None
    # Chosen, it is part of what the result is; where batch norm's statistics stay, a smaller one is taken by itself.
    assert bench.numerics(trains=True).micro_batch == 4
    assert bench.numerics(trains=False).micro_batch is None
    frozen = make_bench(module)
    with pytest.warns(UserWarning, match="going on with 4"):
        train(frozen, *examples, 3, replace(schedule, frozen_statistics=True), seed=1, phase="search")
    assert frozen.micro_batch == 4


@pytest.mark.parametrize(
    ("part", "depends"),
    [
        (nn.BatchNorm2d(3), True),
        (nn.GroupNorm(1, 3), False),
        (nn.Dropout(0.1), True),
        (nn.Dropout(0.0), False),
        (timm.layers.DropPath(0.2), True),
        (timm.layers.DropPath(0.0), False),
    ],
)
def test_what_makes_a_result_depend_on_the_batch(part: nn.Module, depends: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), part)
    assert depends_on_batch(network.eval()) == depends
    assert not depends_on_batch(network, training=True)
    assert depends_on_batch(network.train(), training=True) == depends


def test_validation_counts_every_image_once(bench: Workbench, examples: tuple[ResidentImages, Tensor]) -> None:
    images, labels = examples
    training = train(bench, images, labels, 3, Schedule(steps=30, batch_size=16, lr=0.2), seed=3, phase="test")
    accuracy, loss = validate(bench, training.classifier, images, labels)
    with torch.no_grad():
        scores = training.classifier(images.gather(torch.arange(40)))
    assert accuracy == pytest.approx(float((scores.argmax(1) == labels).float().mean()))
    assert loss == pytest.approx(float(functional.cross_entropy(scores, labels)), rel=1e-5)
