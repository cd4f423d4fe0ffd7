"""The same code on a CUDA device: bf16, channels_last, torch.compile, pinned copies."""

from pathlib import Path

import pytest
import torch

import vtab_harness
from vtab_harness.backbones.spec import load
from vtab_harness.engine.device import repeatable
from vtab_harness.engine.resident import ResidentImages
from vtab_harness.engine.training import Schedule, train, validate
from vtab_harness.engine.workbench import Workbench

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
SPEC = "timm:resnet18?pretrained=false&input_size=64"


def results(tmp_path: Path, cache: Path, device: str, **options: object) -> list[float | None]:
    done = vtab_harness.evaluate(
        SPEC,
        tasks=["mini_digits", "mini_location"],
        results=tmp_path,
        cache=cache,
        device=device,
        **options,  # type: ignore[arg-type]
    )
    assert done.failures == ()
    return [record.accuracy for record in done.records]


@pytest.mark.parametrize("protocol", ["linear", "knn"])
def test_frozen_protocols_agree_with_the_cpu(tmp_path: Path, cache: Path, protocol: str) -> None:
    gpu = results(tmp_path / "gpu", cache, "cuda:0", protocol=protocol, precision="fp32")
    cpu = results(tmp_path / "cpu", cache, "cpu", protocol=protocol, precision="fp32")
    assert gpu == pytest.approx(cpu, abs=0.02)


@pytest.mark.parametrize("compiled", [False, True])
def test_training_learns_in_bf16(compiled: bool) -> None:
    device = torch.device("cuda:0")
    bench = Workbench(load(SPEC), device, "bf16", compiled, 64)
    labels = torch.randint(0, 4, (256,), device=device)
    images = torch.rand(256, 64, 64, 3, device=device) + labels.view(-1, 1, 1, 1) * 0.3
    resident = ResidentImages(images, bench.backbone.transform)
    schedule = Schedule(steps=60, batch_size=64, lr=0.05)
    with repeatable(device):
        first = train(bench, resident, labels, 4, schedule, seed=0, phase="test")
        again = train(bench, resident, labels, 4, schedule, seed=0, phase="test")
    assert first.diverged_at is None
    assert torch.equal(first.losses, again.losses)
    accuracy, _ = validate(bench, first.classifier, resident, labels)
    assert accuracy > 0.8


def test_real_out_of_memory_halves_the_batch(tmp_path: Path, cache: Path) -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 1.5e9 / total))
    try:
        with pytest.warns(UserWarning, match="Out of memory"):
            results(tmp_path, cache, "cuda:0", protocol="knn", batch_size=8192)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
