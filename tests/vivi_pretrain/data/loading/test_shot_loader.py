"""The loader of shots: pixels, resuming, ranks, workers, errors and closing."""

import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
from numpy.typing import NDArray

from vivi_pretrain.data.loading.settings import ShotLoaderSettings
from vivi_pretrain.data.loading.shot_loader import ShotBatch, ShotLoader
from vivi_pretrain.data.loading.shot_sampler import Shots, ShotSampler
from vtab_harness.api.errors import DataError, OptionError

VIDEOS = [[5, 4], [4, 6, 4], [8, 3, 4], [4, 4, 4, 4], [5, 5], [9, 4], [4, 4]]
SETTINGS = ShotLoaderSettings(videos=4, shots=2, frames=3, workers=2)


def take(count: int, *arguments: object, **options: object) -> list[ShotBatch]:
    with ShotLoader(*arguments, **options) as loader:  # type: ignore[arg-type]
        return list(islice(loader, count))


def assert_same(first: list[ShotBatch], second: list[ShotBatch]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.step == other.step
        assert torch.equal(one.frames, other.frames)
        assert torch.equal(one.videos, other.videos)
        for name in ("sizes", "shots", "rows"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_batches_hold_the_frames_that_the_sampler_chose(make_shards) -> None:
    shards = make_shards(VIDEOS)
    sampler = ShotSampler(shards.shots, SETTINGS, seed=3)
    for step, batch in enumerate(take(5, shards, SETTINGS, seed=3)):
        choice = sampler.choose(step)
        assert batch.step == step
        np.testing.assert_array_equal(batch.videos, choice.videos)
        np.testing.assert_array_equal(batch.shots, choice.shots)
        np.testing.assert_array_equal(batch.rows, choice.rows)
        assert batch.frames.dtype == torch.uint8
        assert batch.frames.shape[:4] == (4, 2, 3, 3)
        assert all(side % 32 == 0 for side in batch.frames.shape[4:])
        assert all(
            0 <= padded - side < 32
            for padded, side in zip(batch.frames.shape[4:], batch.sizes.max((0, 1, 2)), strict=True)
        )
        for place in np.ndindex(4, 2, 3):
            (data,) = shards.read(batch.rows[place][None])
            expected = simplejpeg.decode_jpeg(data, fastdct=True, fastupsample=True).transpose(2, 0, 1)
            height, width = batch.sizes[place]
            frame = batch.frames[place].numpy()
            assert expected.shape == (3, height, width)
            np.testing.assert_array_equal(frame[:, :height, :width], expected)
            assert not frame[:, height:].any()
            assert not frame[:, :, width:].any()


def test_frames_of_full_size_are_decoded_in_place(make_shards) -> None:
    shards = make_shards([[4, 4], [4, 4]], sides=(32, 32))
    (batch,) = take(1, shards, replace(SETTINGS, videos=2), seed=0)
    assert batch.frames.shape[4:] == (32, 32)
    for place in np.ndindex(2, 2, 3):
        (data,) = shards.read(batch.rows[place][None])
        expected = simplejpeg.decode_jpeg(data, fastdct=True, fastupsample=True)
        np.testing.assert_array_equal(batch.frames[place].permute(1, 2, 0), expected)


def test_a_loader_resumes_at_any_step(make_shards) -> None:
    shards = make_shards(VIDEOS)
    whole = take(12, shards, SETTINGS, seed=5)
    for step in (1, 2, 7, 11):
        assert_same(take(12 - step, shards, SETTINGS, seed=5, first_step=step), whole[step:])
    assert not torch.equal(whole[0].frames, take(1, shards, SETTINGS, seed=6)[0].frames)


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 1), (1, 4), (3, 1), (5, 3)])
def test_workers_and_prefetching_change_nothing(make_shards, workers: int, prefetch: int) -> None:
    shards = make_shards(VIDEOS)
    other = take(6, shards, replace(SETTINGS, workers=workers, prefetch=prefetch), seed=5)
    assert_same(other, take(6, shards, SETTINGS, seed=5))


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_divide_the_batch_of_one(make_shards, world_size: int) -> None:
    shards = make_shards(VIDEOS)
    joint = take(4, shards, SETTINGS, seed=2)
    parts = [take(4, shards, SETTINGS, seed=2, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, whole in enumerate(joint):
        of_step = [part[step] for part in parts]
        assert torch.equal(torch.cat([part.videos for part in of_step]), whole.videos)
        np.testing.assert_array_equal(np.concatenate([part.rows for part in of_step]), whole.rows)
        np.testing.assert_array_equal(np.concatenate([part.sizes for part in of_step]), whole.sizes)
        start = 0
        for part in of_step:
            # Each rank pads to its own largest frame.
            height, width = part.frames.shape[4:]
            theirs = whole.frames[start : start + len(part.videos), ..., :height, :width]
            assert torch.equal(part.frames, theirs)
            start += len(part.videos)


def test_copies_are_identical(make_shards) -> None:
    for batch in take(4, make_shards(VIDEOS), replace(SETTINGS, copies=True), seed=0):
        assert (batch.rows == batch.rows[:, :, :1]).all()
        assert (batch.frames == batch.frames[:, :, :1]).all()
        assert batch.frames.flatten(3).any(-1).all()


def test_repeated_frames_of_short_shots_are_all_there(make_shards) -> None:
    settings = ShotLoaderSettings(videos=2, shots=2, frames=5, repeat_shots=True, repeat_frames=True)
    shards = make_shards([[2], [3, 1]])
    (batch,) = take(1, shards, settings, seed=0)
    for place in np.ndindex(2, 2, 5):
        (data,) = shards.read(batch.rows[place][None])
        height, width = batch.sizes[place]
        expected = simplejpeg.decode_jpeg(data, fastdct=True, fastupsample=True)
        np.testing.assert_array_equal(batch.frames[place].permute(1, 2, 0)[:height, :width], expected)


def test_waiting_is_counted(make_shards) -> None:
    class Slow:
        def __init__(self) -> None:
            self._shards = make_shards(VIDEOS)
            self.shots: Shots = self._shards.shots

        def read(self, rows: NDArray[np.int64]) -> list[bytes]:
            time.sleep(0.02)
            return self._shards.read(rows)

        def describe(self, row: int) -> str:
            return self._shards.describe(row)

    with ShotLoader(Slow(), SETTINGS, seed=0) as loader:
        batches = list(islice(loader, 3))
        assert batches[0].waited >= 0.02
        assert loader.waited == pytest.approx(sum(batch.waited for batch in batches))
        time.sleep(0.3)
        assert next(loader).waited < 0.02


def test_no_more_is_read_than_the_look_ahead_allows(make_shards) -> None:
    shards = make_shards(VIDEOS)
    steps: list[int] = []
    with ShotLoader(shards, replace(SETTINGS, prefetch=2), seed=0) as loader:
        choose = loader._sampler.choose
        loader._sampler.choose = lambda step: steps.append(step) or choose(step)  # type: ignore[method-assign, func-returns-value]
        next(loader)
        time.sleep(0.2)
        assert max(steps) <= 3
        next(loader)
        time.sleep(0.2)
        assert max(steps) == 3
    assert sorted(steps) == sorted(set(steps))


def damage(folder: Path, row: int, shards, cut: int) -> None:
    """Overwrites the end of a frame's file in its shard with zeros."""
    offset, size = int(shards._offset[row]), int(shards._size[row])
    path = folder / shards.manifest.shards[int(shards._shard[row])].name
    data = bytearray(path.read_bytes())
    data[offset + cut : offset + size] = bytes(size - cut)
    path.write_bytes(data)


def test_a_damaged_frame_is_named(make_shards, tmp_path: Path) -> None:
    shards = make_shards([[3, 3], [3, 3]])
    damage(tmp_path / "shards", 7, shards, cut=400)
    loader = ShotLoader(shards, replace(SETTINGS, videos=2), seed=0)
    with pytest.raises(DataError, match=r"frame 1 of shot 0 of v001 in .*shard-000001\.tar cannot be decoded"):
        next(loader)
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)


def test_a_damaged_header_is_named(make_shards, tmp_path: Path) -> None:
    shards = make_shards([[3, 3], [3, 3]])
    damage(tmp_path / "shards", 7, shards, cut=4)
    with pytest.raises(DataError, match=r"frame 1 of shot 0 of v001 in .*shard-000001\.tar cannot be decoded"):
        take(1, shards, replace(SETTINGS, videos=2), seed=0)


def test_a_truncated_shard_is_named(make_shards, tmp_path: Path) -> None:
    shards = make_shards([[3, 3], [3, 3]])
    path = tmp_path / "shards" / "shard-000001.tar"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="shard-000001.tar is truncated"):
        take(1, shards, replace(SETTINGS, videos=2), seed=0)


def running() -> int:
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_leaving_ends_the_threads(make_shards, error: type[BaseException]) -> None:
    shards = make_shards(VIDEOS)
    loader = ShotLoader(shards, replace(SETTINGS, prefetch=8), seed=0)

    def use() -> None:
        with loader:
            next(loader)
            assert running() > 0
            raise error

    with pytest.raises(error):
        use()
    assert running() == 0
    loader.close()


def test_a_loader_that_is_not_used_starts_nothing(make_shards) -> None:
    with ShotLoader(make_shards(VIDEOS), SETTINGS, seed=0) as loader:
        assert running() == 0
    assert loader.eligibility.eligible == 7


def test_what_cannot_be_done_is_refused_before_anything_is_read(make_shards) -> None:
    shards = make_shards([[3, 3], [3, 2]])
    with pytest.raises(DataError, match="only 1 can be used"):
        ShotLoader(shards, replace(SETTINGS, videos=2), seed=0)
    with pytest.raises(OptionError, match="divided among 3 ranks"):
        ShotLoader(shards, replace(SETTINGS, frames=2, videos=2), seed=0, world_size=3)


@pytest.mark.gpu
@pytest.mark.parametrize("gpu_decode", [False, True])
def test_on_cuda_the_same_batches_arrive(make_shards, gpu_decode: bool) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    shards = make_shards(VIDEOS)
    here = take(4, shards, SETTINGS, seed=0)
    there = take(4, shards, replace(SETTINGS, gpu_decode=gpu_decode), seed=0, device="cuda")
    for one, other in zip(here, there, strict=True):
        assert other.frames.is_cuda
        np.testing.assert_array_equal(one.rows, other.rows)
        difference = (one.frames.int() - other.frames.cpu().int()).abs()
        assert difference.max() <= (40 if gpu_decode else 0)
        assert difference.float().mean() < 3
