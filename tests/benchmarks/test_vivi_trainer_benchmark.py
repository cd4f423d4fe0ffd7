"""A step of the trainer, data and views included, against the bare step on inputs held in memory.

make promises     # or: pytest -m benchmark_suite -s tests/benchmarks/test_vivi_trainer_benchmark.py
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
import torch
from made_shards import write_shard

from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.data import RunData
from vivi_pretrain.training.objective import objective
from vivi_pretrain.training.ranks import Ranks
from vivi_pretrain.training.run_folder import RunFolder
from vivi_pretrain.training.stopping import StopSignal
from vivi_pretrain.training.trainer import Trainer

pytestmark = pytest.mark.benchmark_suite

TURNS = 15


def seconds(run: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def measure(folder: Path, device: torch.device, settings: PretrainSettings, frame: tuple[int, int]) -> float:
    """Returns the median ratio of the trainer's step to the bare one, taken in turn."""
    write_shard(folder, *frame)
    ranks = Ranks(0, 1, device)
    with RunData(settings, folder, ranks) as data:
        trainer = Trainer(settings, data, RunFolder(folder / "run"), ranks, StopSignal(), "benchmark")
        bare = Trainer(settings, data, RunFolder(folder / "bare"), ranks, StopSignal(), "benchmark")
        with data.batches(0) as batches:
            held = next(batches)
            assert held.shots is not None
            inputs = bare._inputs.frames(held.shots.frames, held.shots.sizes, 0)

            def whole() -> None:
                trainer.train_step(next(batches))

            def alone() -> None:
                with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                    outputs = bare._network(inputs)
                objective(settings, outputs).total.backward()
                bare._optimiser.step()
                bare._optimiser.zero_grad(set_to_none=True)

            whole(), alone(), whole(), alone()
            turns = [(seconds(whole, device), seconds(alone, device)) for _ in range(TURNS)]
    ratio = median(ours / theirs for ours, theirs in turns)
    images = settings.videos * settings.shots * settings.frames
    step, least = (1000 * median(column) for column in zip(*turns, strict=True))
    spread = sorted(ours / theirs for ours, theirs in turns)
    print(
        f"\n{settings.encoder} at {settings.size} on {device}: step {step:.1f} ms ({1000 * images / step:,.0f}", end=" "
    )
    print(f"images/s), bare {least:.1f} ms; ratio {ratio:.3f} ({spread[1]:.3f} to {spread[-2]:.3f})")
    return ratio


def test_a_step_on_the_cpu(tmp_path: Path) -> None:
    settings = PretrainSettings(
        encoder="resnet18", size=64, videos=4, shots=2, frames=4, predictor="mlp", device="cpu", workers=2
    )
    assert measure(tmp_path, torch.device("cpu"), settings, (64, 114)) <= 1.05


@pytest.mark.gpu
def test_a_step_on_a_gpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    settings = PretrainSettings(videos=32, shots=2, frames=8, predictor="mlp", device="cuda", workers=8)
    assert measure(tmp_path, torch.device("cuda:0"), settings, (256, 455)) <= 1.05
