"""Ratios of the engine to the bare model, measured in turn within one run.

make promises     # or: pytest -m benchmark_suite -s tests/benchmarks
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from vtab_harness.api.data import Pixels
from vtab_harness.backbones.spec import load
from vtab_harness.engine.device import resolve_device
from vtab_harness.engine.features import cached_features
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.training import Classifier, Schedule, train
from vtab_harness.engine.workbench import Workbench

pytestmark = pytest.mark.benchmark_suite
ROUNDS = 5


class MemoryImages:
    """Random pictures of the network's input size, in memory; `fingerprint` tells rounds apart for the cache."""

    name = "random/test"

    def __init__(self, count: int, size: tuple[int, int], fingerprint: str = "0") -> None:
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8)
        self.fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, start: int, stop: int) -> Pixels:
        chosen = self.pixels[start:stop].copy()
        return Pixels(chosen.reshape(-1), np.tile(np.array([chosen.shape[1:]]), (len(chosen), 1)))


class DiskImages(MemoryImages):
    """The same, read from a file as the prepared cache does."""

    def __init__(self, path: Path, count: int, size: tuple[int, int]) -> None:
        super().__init__(256, size)
        self.path, self.count, self.fingerprint = path, count, "0"
        self.bytes = 3 * size[0] * size[1]
        self.shape = (*size, 3)
        with path.open("wb") as file:
            for start in range(0, count, 256):
                file.write(self.pixels[: min(256, count - start)].tobytes())

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, stop: int) -> Pixels:
        with self.path.open("rb", buffering=0) as file:
            file.seek(start * self.bytes)
            data = np.fromfile(file, np.uint8, (stop - start) * self.bytes)
        return Pixels(data, np.tile(np.array([self.shape]), (stop - start, 1)))


def make_bench(spec: str, batch_size: int) -> Workbench:
    device = resolve_device("auto")
    return Workbench(load(spec), device, "bf16" if device.type == "cuda" else "fp32", False, batch_size)


def seconds(run: Callable[[], object], device: torch.device) -> float:
    def settle() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    settle()
    begin = time.perf_counter()
    run()
    settle()
    return time.perf_counter() - begin


def in_turn(
    ours: Callable[[], object], bare: Callable[[], object], device: torch.device, rounds: int = ROUNDS
) -> list[tuple[float, float]]:
    """Times both by turns, who begins alternating, so that drift of the machine falls on both alike."""
    pairs = []
    for i in range(rounds):
        if i % 2:
            second = seconds(bare, device)
            pairs.append((seconds(ours, device), second))
        else:
            first = seconds(ours, device)
            pairs.append((first, seconds(bare, device)))
    return pairs


@pytest.mark.parametrize(
    ("name", "steps", "batch_size"),
    [("resnet18", 20, 32), ("resnet50", 10, 32)],
    ids=["small", "larger"],
)
def test_fine_tuning_step_against_the_bare_step(name: str, steps: int, batch_size: int) -> None:
    bench = make_bench(f"timm:{name}?pretrained=false&input_size=64", batch_size)
    device = bench.device
    images = ResidentImages.load(MemoryImages(1000, (64, 64)), bench.backbone.transform, device)
    labels = torch.randint(0, 10, (1000,)).to(device)
    schedule = Schedule(steps=steps, batch_size=batch_size, lr=0.01)
    fixed = images.gather(torch.arange(batch_size, device=device)).contiguous(memory_format=torch.channels_last)
    target = labels[:batch_size]

    model = Classifier(bench.trainable_copy(), bench.backbone.feature_size, 10).to(device).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=device.type == "cuda")

    def bare() -> None:
        for _ in range(steps):
            with bench.autocast():
                scores = model(fixed)
            functional.cross_entropy(scores.float(), target).backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def ours() -> None:
        train(bench, images, labels, 10, schedule, seed=0, phase="benchmark")

    bare()
    pairs = in_turn(ours, bare, device)
    ratio = statistics.median(a / b for a, b in pairs)
    per_step = statistics.median(b for _, b in pairs) / steps * 1000
    print(f"\n{name}: engine / bare step = {ratio:.3f} ({[round(a / b, 3) for a, b in pairs]}), bare {per_step:.0f} ms")
    assert ratio <= 1.03


def test_feature_extraction_against_the_bare_forward(tmp_path: Path) -> None:
    """5,000 images in ten sets of 500, so that both sides take turns every few seconds; each set ends on disk."""
    bench = make_bench("timm:resnet18?pretrained=false", 64)
    count, rounds = 500, 10
    images = DiskImages(tmp_path / "pixels", count, bench.backbone.transform.input_size)
    fixed = torch.rand(64, 3, 224, 224, device=bench.device).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        for start in range(0, count, 64):
            bench.features(fixed[: min(64, count - start)])

    sets = iter(range(rounds))

    def ours() -> None:
        images.fingerprint = str(next(sets))
        cached_features(bench, images, tmp_path / "features")

    bench.features(fixed)
    pairs = in_turn(ours, bare, bench.device, rounds)
    ratio = statistics.median(b / a for a, b in pairs)
    rate = count / statistics.median(b for _, b in pairs)
    print(
        f"\nextraction / bare forward = {ratio:.3f} ({[round(b / a, 3) for a, b in pairs]}), bare {rate:.0f} images/s"
    )
    assert ratio >= 0.95
