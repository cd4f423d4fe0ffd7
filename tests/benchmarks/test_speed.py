"""Small benchmarks of what takes a user's time, a second or so each, to be compared between two revisions.

make bench        # compare_revisions.py runs them by turns for base and head

Without it they run once, as tests that the benchmarks still work. Everything measured is imported inside the tests: a
base that lacks it skips the benchmark instead of failing, and one that would be given another tree's module as well.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch
from made_shards import write_shard
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from test_engine_benchmark import MemoryImages, make_bench

pytestmark = pytest.mark.benchmark_suite

TREE = os.environ.get("VTAB_BENCHMARK_TREE")
SPEC = "timm:resnet18?pretrained=false&input_size=64"


def measured(name: str) -> Any:
    """Imports a module of the tree that is measured; skips where that tree has no such module."""
    module = pytest.importorskip(name)
    file = Path(module.__file__ or "").resolve()
    if TREE is not None and not file.is_relative_to(Path(TREE).resolve()):
        pytest.skip(f"{name} is not in the tree that is measured")
    return module


def test_engine_step(benchmark: BenchmarkFixture) -> None:
    """Two steps of fine-tuning ResNet-18 on 32 pictures of 64 x 64."""
    resident, training = measured("vtab_harness.engine.resident"), measured("vtab_harness.engine.training")
    bench = make_bench(SPEC, 32)
    images = resident.ResidentImages.load(MemoryImages(200, (64, 64)), bench.backbone.transform, bench.device)
    labels = torch.arange(200).to(bench.device) % 10
    schedule = training.Schedule(steps=2, batch_size=32, lr=0.01)
    benchmark.pedantic(
        lambda: training.train(bench, images, labels, 10, schedule, seed=0, phase="benchmark"),
        rounds=3,
        warmup_rounds=1,
    )


def test_linear_solver(benchmark: BenchmarkFixture) -> None:
    """Ten strengths on 1000 features of 256 dimensions, 20 classes."""
    solve = measured("vtab_harness.engine.logistic").solve
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 20
    features = rng.normal(size=(20, 256))[labels] + 3 * rng.normal(size=(1000, 256))
    inputs = torch.tensor(features, dtype=torch.float32), torch.tensor(labels)
    strengths = np.geomspace(1e-4, 1, 10).tolist()
    benchmark.pedantic(lambda: solve(*inputs, 20, strengths), rounds=15, warmup_rounds=1)


def test_feature_extraction(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Features of 256 pictures, written to the cache."""
    features = measured("vtab_harness.engine.features")
    bench = make_bench(SPEC, 64)
    images = MemoryImages(256, (64, 64))
    turns = count()

    def extract() -> None:
        images.fingerprint = str(next(turns))
        features.cached_features(bench, images, tmp_path)

    benchmark.pedantic(extract, rounds=3, warmup_rounds=1)


class Photographs:
    """JPEG files in memory, decoded as a source of a download decodes them."""

    variant = "photographs"
    count = 300

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        smooth = coarse.repeat(10, 0).repeat(10, 1)
        noise = rng.integers(0, 20, smooth.shape, dtype=np.uint8)
        self._jpegs = [
            simplejpeg.encode_jpeg(np.ascontiguousarray(np.roll(smooth // 2 + noise, i, axis=1))) for i in range(8)
        ]
        self.decode = importlib.import_module("vtab_harness.formats.decode").decode

    def keys(self, split: str) -> Sequence[str]:
        return [str(i) for i in range(self.count)]

    def annotations(self, split: str) -> Mapping[str, NDArray[np.int64]]:
        return {"label": np.arange(self.count)}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        for split, positions in wanted.items():
            for position in positions:
                yield split, position, self.decode(self._jpegs[position % 8], "a photograph")


def open_photographs(image_set: object, roots: Sequence[Path]) -> Photographs:
    return Photographs()


def test_data_preparation(benchmark: BenchmarkFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 JPEG files of 400 x 300: decoded, fingerprinted, written."""
    prepared, data = measured("vtab_harness.prepared.prepared_set"), measured("vtab_harness.api.data")
    # Sources are found by their module's name; this module has none that another could import.
    monkeypatch.setitem(sys.modules, "speed_benchmark", sys.modules[__name__])
    image_set = data.ImageSet(
        "photographs",
        "1",
        "speed_benchmark:open_photographs",
        {"test": Photographs.count},
        {"test": (data.Slice("test", 0, Photographs.count),)},
    )
    turns = count()
    benchmark.pedantic(
        lambda: prepared.prepare(image_set, [], tmp_path / str(next(turns)), ("test",)), rounds=3, warmup_rounds=1
    )


def test_pretraining_step(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Three steps of pretraining ResNet-18 on frames of 64 x 114, views included."""
    modules = {name: measured(f"vivi_pretrain.training.{name}") for name in ("data", "trainer", "run_folder")}
    ranks = measured("vivi_pretrain.training.ranks").Ranks(0, 1, torch.device("cpu"))
    stop = measured("vivi_pretrain.training.stopping").StopSignal()
    write_shard(tmp_path, 64, 114)
    settings = measured("vivi_pretrain.settings").PretrainSettings(
        encoder="resnet18", size=64, videos=4, shots=2, frames=4, predictor="mlp", device="cpu", workers=1
    )
    with modules["data"].RunData(settings, tmp_path, ranks) as data:
        folder = modules["run_folder"].RunFolder(tmp_path / "run")
        trainer = modules["trainer"].Trainer(settings, data, folder, ranks, stop, "benchmark")
        with data.batches(0) as batches:

            def steps() -> None:
                for _ in range(3):
                    trainer.train_step(next(batches))

            benchmark.pedantic(steps, rounds=3, warmup_rounds=1)


def test_leaderboard_building(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Tables and page of 20 backbones x 19 tasks, read for the first time."""
    leaderboard, scan = measured("leaderboards.leaderboard"), measured("leaderboards.records.scan")
    # Records as they are made here are nothing to a base from before there was an identity.
    measured("vtab_harness.api.identity")
    from test_leaderboard_benchmark import write_many

    results, turns = tmp_path / "results", count()
    write_many(results, backbones=20, seeds=1)

    def build() -> None:
        found, out = scan.find_records([results]), tmp_path / str(next(turns))
        if hasattr(leaderboard, "BuildOptions"):
            # A base from before there was a settings class.
            leaderboard.build(found, leaderboard.BuildOptions(plots=False), out, lambda line: None)
        else:
            settings = leaderboard.LeaderboardSettings(results=[results], out=out, plots=False)
            leaderboard.build(found, settings, lambda line: None)

    benchmark.pedantic(build, rounds=5, warmup_rounds=1)
