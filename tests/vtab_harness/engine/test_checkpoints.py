"""A training that was stopped anywhere goes on to the same bits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vtab_harness.api.backbones import Backbone, Transform
from vtab_harness.engine import checkpoints as checkpoints_module
from vtab_harness.engine import training as training_module
from vtab_harness.engine.checkpoints import Checkpoints
from vtab_harness.engine.cosine_adamw import CosineAdamW
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.stopping import StoppedError, request_stop, stopping_on
from vtab_harness.engine.training import Recipe, Schedule, Training, train
from vtab_harness.engine.workbench import Workbench

SCHEDULE = Schedule(steps=23, batch_size=8, lr=0.1, weight_decay=0.01)
ADAMW = CosineAdamW(0.01, passes=23, steps_per_pass=1, batch_size=8, frozen_statistics=False)


class Network(nn.Module):
    """Has all that a state is made of: parameters, one without gradient, buffers, one that is not saved, dropout."""

    passes = 0

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.2)
        self.unused = nn.Parameter(torch.ones(2))
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        Network.passes += 1
        self.seen += 1
        return self.drop(self.norm(self.conv(images)).relu()).mean((2, 3)) + self.seen * 0.01


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setattr(training_module, "LOOK_EVERY", 5)
    torch.manual_seed(0)
    backbone = Backbone("test:net", Network(), Transform((8, 8)), 6, 0, None, "0" * 64, {}, False)
    return Workbench(backbone, torch.device("cpu"), batch_size=7)


@pytest.fixture
def examples() -> tuple[ResidentImages, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 3, (40,), generator=generator)
    images = torch.rand(40, 8, 8, 3, generator=generator) + labels.view(-1, 1, 1, 1) * 0.5
    return ResidentImages(images, Transform((8, 8))), labels


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(checkpoints_module, "SECONDS_BETWEEN", 0.0)
    return


Examples = tuple[ResidentImages, Tensor]


def run(bench: Workbench, examples: Examples, folder: Path | None, schedule: Recipe = SCHEDULE) -> Training:
    bench.checkpoints = None if folder is None else Checkpoints(folder)
    Network.passes = 0
    try:
        return train(bench, *examples, 3, schedule, seed=3, phase="test")
    finally:
        if bench.checkpoints is not None:
            bench.checkpoints.wait()


def interrupted(bench: Workbench, examples: Examples, folder: Path, at: int, schedule: Recipe = SCHEDULE) -> None:
    def progress(phase: str, done: int, total: int) -> None:
        if done >= at:
            raise KeyboardInterrupt

    bench.progress = progress
    with pytest.raises(KeyboardInterrupt):
        run(bench, examples, folder, schedule)
    bench.progress = lambda phase, done, total: None


def same(one: Training, other: Training) -> bool:
    mine, theirs = one.classifier.state_dict(), other.classifier.state_dict()
    return torch.equal(one.losses, other.losses) and all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("at", [5, 20])
@pytest.mark.parametrize("schedule", [SCHEDULE, ADAMW], ids=["sgd", "adamw"])
def test_killed_training_goes_on_to_the_same_bits(
    bench: Workbench, examples: Examples, tmp_path: Path, at: int, schedule: Recipe
) -> None:
    calm = run(bench, examples, None, schedule)
    interrupted(bench, examples, tmp_path, at, schedule)
    # What was drawn meanwhile does not matter.
    torch.rand(100)
    assert same(run(bench, examples, tmp_path, schedule), calm)
    assert Network.passes == SCHEDULE.steps - at


@pytest.mark.usefixtures("always")
def test_adamw_half_kept_is_not_taken(bench: Workbench, examples: Examples, tmp_path: Path) -> None:
    calm = run(bench, examples, None, ADAMW)
    interrupted(bench, examples, tmp_path, 20, ADAMW)
    (path,) = tmp_path.iterdir()
    state = load_file(path)
    del state["exp_avg.head.weight"]
    save_file(state, path)
    assert same(run(bench, examples, tmp_path, ADAMW), calm)
    assert Network.passes == ADAMW.steps


class Frozen(nn.Module):
    """A network of which one parameter is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Conv2d(3, 6, 3).requires_grad_(False)
        self.small = nn.Parameter(torch.zeros(6))

    def forward(self, images: Tensor) -> Tensor:
        return self.large(images).mean((2, 3)) + self.small


@pytest.mark.usefixtures("always")
def test_what_is_frozen_is_not_kept(bench: Workbench, examples: Examples, tmp_path: Path) -> None:
    bench.checkpoints = Checkpoints(tmp_path)
    train(bench, *examples, 3, ADAMW, 3, "test", lambda bench: Frozen())
    bench.checkpoints.wait()
    (path,) = tmp_path.iterdir()
    kept = {name for name in load_file(path) if name.startswith("module.")}
    assert kept == {"module.backbone.small", "module.head.weight", "module.head.bias"}


def test_without_time_nothing_is_kept(bench: Workbench, examples: Examples, tmp_path: Path) -> None:
    run(bench, examples, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_request_to_stop_keeps_the_very_step(bench: Workbench, examples: Examples, tmp_path: Path) -> None:
    calm = run(bench, examples, None)
    with stopping_on():
        request_stop()
        for _ in range(2):
            with pytest.raises(StoppedError):
                run(bench, examples, tmp_path)
            assert Network.passes == 1
    assert same(run(bench, examples, tmp_path), calm)
    assert Network.passes == SCHEDULE.steps - 2
    assert bench.checkpoints is not None
    bench.checkpoints.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("always")
def test_state_of_another_training_is_not_taken(bench: Workbench, examples: Examples, tmp_path: Path) -> None:
    interrupted(bench, examples, tmp_path, 20)
    run(bench, examples, tmp_path, Schedule(steps=23, batch_size=8, lr=0.2, weight_decay=0.01))
    assert Network.passes == SCHEDULE.steps


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("damage", ["cut", "empty", "shape", "type", "missing", "more", "step"])
def test_damaged_state_is_not_taken(bench: Workbench, examples: Examples, tmp_path: Path, damage: str) -> None:
    calm = run(bench, examples, None)
    interrupted(bench, examples, tmp_path, 20)
    (path,) = tmp_path.iterdir()
    if damage in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: -5 if damage == "cut" else 0])
    else:
        state = load_file(path)
        changes = {
            "shape": {"losses": torch.zeros(3)},
            "type": {"losses": state["losses"].double()},
            "more": {"momentum.unknown": torch.zeros(1)},
            "step": {"step": torch.tensor(23)},
            "missing": {},
        }
        if damage == "missing":
            del state["random.cpu"]
        save_file(state | changes[damage], path)
    assert same(run(bench, examples, tmp_path), calm)
    assert Network.passes == SCHEDULE.steps


@pytest.mark.usefixtures("always")
def test_full_disk_does_not_end_the_training(
    bench: Workbench, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = run(bench, examples, None)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints_module.os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert same(run(bench, examples, tmp_path), calm)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("always")
def test_whoever_lost_the_work_keeps_nothing(bench: Workbench, examples: Examples, tmp_path: Path) -> None:
    def lost() -> None:
        raise ZeroDivisionError

    bench.checkpoints = Checkpoints(tmp_path, lost)
    with pytest.raises(ZeroDivisionError):
        train(bench, *examples, 3, SCHEDULE, seed=3, phase="test")
    assert list(tmp_path.iterdir()) == []
