"""The feature cache: what it keeps, when it computes again, and how it survives a stop."""

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vtab_harness import leases
from vtab_harness.api.backbones import Backbone, Transform
from vtab_harness.api.data import Pixels
from vtab_harness.api.errors import StorageError
from vtab_harness.engine import features as features_module
from vtab_harness.engine.features import cached_features, feature_file
from vtab_harness.engine.workbench import Workbench

CPU = torch.device("cpu")


class Images:
    name = "memory/test"

    def __init__(self, count: int = 23, fingerprint: str = "a") -> None:
        self.fingerprint = fingerprint
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, start: int, stop: int) -> Pixels:
        chosen = self.pixels[start:stop]
        return Pixels(chosen.reshape(-1), np.tile(np.array([[4, 4, 3]]), (len(chosen), 1)))


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.limit = 10**9
        self.stop_after = 10**9

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if len(self.batches) == self.stop_after:
            raise KeyboardInterrupt
        self.batches.append(len(images))
        return images.flatten(1)[:, :7]


def make_bench(batch_size: int = 5) -> tuple[Workbench, Counting]:
    module = Counting()
    backbone = Backbone("test:x", module, Transform((4, 4)), 7, 0, None, "f" * 64, {"name": "x"}, False)
    return Workbench(backbone, CPU, batch_size=batch_size), module


def direct(images: Images) -> Tensor:
    return torch.from_numpy(images.pixels).float().permute(0, 3, 1, 2).div(255).flatten(1)[:, :7]


def test_computed_once_and_right(tmp_path: Path) -> None:
    bench, module = make_bench()
    images = Images()
    for _ in range(2):
        found = cached_features(bench, images, tmp_path).load(CPU)
        assert torch.equal(found, direct(images))
    assert module.batches == [5, 5, 5, 5, 3]


def test_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    bench, module = make_bench()
    images = Images()
    module.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        cached_features(bench, images, tmp_path)
    (partial,) = tmp_path.glob("*.partial")
    # A kill in the middle of a write leaves part of a row.
    with partial.open("ab") as file:
        file.write(b"torn")
    done = partial.stat().st_size // (7 * 4 * 5)
    module.stop_after = 10**9
    module.batches.clear()
    assert torch.equal(cached_features(bench, images, tmp_path).load(CPU), direct(images))
    assert done >= 1
    assert sum(module.batches) == 23 - 5 * done


def test_out_of_memory_halves_the_batch(tmp_path: Path) -> None:
    bench, module = make_bench(batch_size=16)
    module.limit = 4
    images = Images()
    with pytest.warns(UserWarning, match="Out of memory in feature extraction"):
        assert torch.equal(cached_features(bench, images, tmp_path).load(CPU), direct(images))
    assert max(module.batches) == 4
    assert bench.batch_size == 4


def test_key_covers_all_that_changes_features() -> None:
    bench, _ = make_bench()
    images = Images()
    b = bench.backbone
    others = [
        feature_file(bench, Images(fingerprint="b")),
        feature_file(replace(bench, precision="bf16"), images),
        feature_file(replace(bench, backbone=replace(b, fingerprint="0" * 64)), images),
        feature_file(replace(bench, backbone=replace(b, architecture={"name": "y"})), images),
        feature_file(replace(bench, backbone=replace(b, transform=Transform((4, 4), std=(0.5, 0.5, 0.5)))), images),
    ]
    same = feature_file(replace(bench, batch_size=9, backbone=replace(b, spec="other:words")), images)
    assert same == feature_file(bench, images)
    assert len({same, *others}) == 6


def test_full_disk_names_the_folder_and_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _ = make_bench()

    def full(descriptor: int, data: bytes, place: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(features_module.os, "pwrite", full)
        with pytest.raises(StorageError, match=f"disk is full.*{tmp_path.name}"):
            cached_features(bench, Images(), tmp_path)
    assert torch.equal(cached_features(bench, Images(), tmp_path).load(CPU), direct(Images()))


def test_truncated_file_is_computed_again(tmp_path: Path) -> None:
    bench, _ = make_bench()
    cached_features(bench, Images(), tmp_path)
    (kept,) = tmp_path.glob("*.f32")
    kept.write_bytes(kept.read_bytes()[:-3])
    assert torch.equal(cached_features(bench, Images(), tmp_path).load(CPU), direct(Images()))


def test_nested_out_of_memory_with_one_image(tmp_path: Path) -> None:
    from vtab_harness.api.errors import DeviceError

    bench, module = make_bench(batch_size=1)
    module.limit = 0
    with pytest.raises(DeviceError, match="single image"):
        cached_features(bench, Images(), tmp_path)


def test_holder_that_was_only_slow_does_not_disturb_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first falls silent after two batches; the second takes over and ends; then the first goes on."""
    monkeypatch.setattr(leases, "EXPIRES", 0.4)
    slow, module = make_bench()
    fast, _ = make_bench()
    images = Images()
    taken: list[Tensor] = []

    def stopped(phase: str, done: int, total: int) -> None:
        if done == 10 and not taken:
            (held,) = tmp_path.glob(".leases/*/*.json")
            taken.append(torch.empty(0))
            held.write_bytes(b"silent")
            monkeypatch.setattr(leases.Lease, "_beat", lambda lease: None)
            taken[0] = cached_features(fast, images, tmp_path).load(CPU)
            monkeypatch.undo()

    slow.progress = stopped
    assert torch.equal(cached_features(slow, images, tmp_path).load(CPU), direct(images))
    assert torch.equal(taken[0], direct(images))
    assert sum(module.batches) == 15, "it stops when it finds its lease gone"
    assert [path.suffix for path in tmp_path.iterdir()] == [".f32"]


def test_complete_features_need_no_lease(tmp_path: Path) -> None:
    bench, _ = make_bench()
    cached_features(bench, Images(), tmp_path)
    (tmp_path / ".leases").write_text("no folder")
    assert torch.equal(cached_features(bench, Images(), tmp_path).load(CPU), direct(Images()))
