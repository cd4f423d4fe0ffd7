"""Which shots a step takes: properties for any table, distributions, epochs, and counts of what is left out."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from vivi_pretrain.data.loading.epochs import EpochOrder
from vivi_pretrain.data.loading.settings import ShotLoaderSettings
from vivi_pretrain.data.loading.shot_sampler import ShotChoice, ShotSampler
from vivi_pretrain.data.randomness import Stream, generator, rank_slice
from vtab_harness.api.errors import DataError, OptionError


@dataclass(frozen=True)
class Table:
    video: NDArray[np.int32]
    first_row: NDArray[np.int64]
    frames: NDArray[np.int32]


def table(videos: list[list[int]]) -> Table:
    """A table from the numbers of frames of each shot of each video."""
    frames = np.array([n for shots in videos for n in shots], np.int32)
    video = np.repeat(np.arange(len(videos), dtype=np.int32), [len(shots) for shots in videos])
    return Table(video, np.cumsum(frames, dtype=np.int64) - frames, frames)


def choose(of: Table, seed: int, step: int, **options: int) -> ShotChoice:
    return ShotSampler(of, ShotLoaderSettings(**options), seed=seed).choose(step)


tables = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=12)


@given(
    tables,
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**64 - 1),
    st.integers(0, 10**9),
)
@settings(max_examples=120, deadline=None)
def test_any_step_of_any_table(
    videos: list[list[int]],
    n: int,
    k: int,
    frames: int,
    repeat_shots: bool,
    repeat_frames: bool,
    copies: bool,
    seed: int,
    step: int,
) -> None:
    shots = table(videos)
    usable = [[f for f in of_video if repeat_frames or f >= frames] for of_video in videos]
    eligible = {v for v, of_video in enumerate(usable) if len(of_video) >= (1 if repeat_shots else k)}
    wanted = {"videos": n, "shots": k, "frames": frames}
    options = {**wanted, "repeat_shots": repeat_shots, "repeat_frames": repeat_frames, "copies": copies}

    if len(eligible) < n:
        with pytest.raises(DataError, match=f"only {len(eligible)} can be used"):
            choose(shots, seed, step, **options)
        return
    choice = choose(shots, seed, step, **options)
    assert choice.videos.shape == (n,)
    assert choice.shots.shape == (n, k)
    assert choice.rows.shape == (n, k, frames)
    assert len(set(choice.videos.tolist())) == n
    assert set(choice.videos.tolist()) <= eligible
    for video, of_video, rows_of_video in zip(choice.videos, choice.shots, choice.rows, strict=True):
        assert (shots.video[of_video] == video).all()
        assert (np.diff(of_video) >= 0).all()
        assert len(set(of_video.tolist())) == min(k, len(usable[video]))
        for shot, rows in zip(of_video, rows_of_video, strict=True):
            inside = rows - shots.first_row[shot]
            assert inside.min() >= 0
            assert inside.max() < shots.frames[shot]
            if copies:
                assert len(set(rows.tolist())) == 1
            elif shots.frames[shot] >= frames:
                assert (np.diff(rows) == 1).all()
            else:
                assert sorted(set(inside.tolist())) == list(range(shots.frames[shot]))
                assert (np.diff(rows) >= 0).all()


@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 2**32), st.integers(0, 400))
@settings(max_examples=80, deadline=None)
def test_epochs_visit_everything_once_and_steps_nothing_twice(batch: int, more: int, seed: int, first: int) -> None:
    items = batch + more
    order = EpochOrder(items, batch, seed=seed, stream=Stream.VIDEO_ORDER)
    steps = [order.at(step) for step in range(2 * items)]
    assert all(len(np.unique(step)) == batch for step in steps)
    for epoch in np.concatenate(steps).reshape(-1, items):
        assert sorted(epoch.tolist()) == list(range(items))
    # Another object that begins anywhere finds the same.
    late = EpochOrder(items, batch, seed=seed, stream=Stream.VIDEO_ORDER)
    begin = first % (2 * items)
    for step in (begin, *range(max(begin - 2, 0), begin)):
        np.testing.assert_array_equal(late.at(step), steps[step])


def test_epochs_differ_and_positions_are_uniform() -> None:
    order = EpochOrder(7, 3, seed=1, stream=Stream.VIDEO_ORDER)
    epochs = np.concatenate([order.at(step) for step in range(7 * 400)]).reshape(-1, 7)
    assert len({tuple(epoch) for epoch in epochs.tolist()}) > 900
    # The last places are as they were drawn: each item stands there equally often.
    for place in (3, 6):
        assert chisquare(np.bincount(epochs[:, place], minlength=7)).pvalue > 1e-3


def test_starts_are_uniform() -> None:
    shots = table([[10, 13], [10, 10], [13, 10]])
    sampler = ShotSampler(shots, ShotLoaderSettings(videos=3, shots=2, frames=4), seed=11)
    starts: dict[int, list[int]] = {10: [], 13: []}
    for step in range(1500):
        choice = sampler.choose(step)
        for shot, row in zip(choice.shots.ravel(), choice.rows[:, :, 0].ravel(), strict=True):
            starts[int(shots.frames[shot])].append(int(row - shots.first_row[shot]))
    for frames, found in starts.items():
        assert chisquare(np.bincount(found, minlength=frames - 3)).pvalue > 1e-3


@pytest.mark.parametrize("k", [1, 2, 3])
def test_sets_of_shots_are_uniform(k: int) -> None:
    sampler = ShotSampler(table([[4] * 5]), ShotLoaderSettings(videos=1, shots=k, frames=2), seed=3)
    found = [tuple(sampler.choose(step).shots[0].tolist()) for step in range(3000)]
    every = list(combinations(range(5), k))
    assert chisquare([found.count(some) for some in every]).pvalue > 1e-3


def test_copies_are_of_any_frame_of_the_shot() -> None:
    sampler = ShotSampler(table([[6, 6]]), ShotLoaderSettings(videos=1, shots=2, frames=4, copies=True), seed=0)
    found = np.concatenate([sampler.choose(step).rows[0, :, 0] - [0, 6] for step in range(1000)])
    assert chisquare(np.bincount(found, minlength=6)).pvalue > 1e-3


def test_what_is_left_out_is_counted() -> None:
    shots = table([[8, 8, 2], [8, 2], [2], [9, 9]])
    skipped = ShotSampler(shots, ShotLoaderSettings(videos=2, shots=2, frames=4), seed=0).eligibility
    assert (skipped.videos, skipped.eligible, skipped.few_shots_left_out, skipped.short_shots_left_out) == (4, 2, 2, 3)
    assert (skipped.shots, skipped.few_shots_repeated, skipped.short_shots_repeated) == (8, 0, 0)
    options = ShotLoaderSettings(videos=2, shots=2, frames=4, repeat_shots=True, repeat_frames=True)
    repeated = ShotSampler(shots, options, seed=0).eligibility
    assert (repeated.eligible, repeated.few_shots_repeated, repeated.short_shots_repeated) == (4, 1, 3)
    assert str(repeated) == ("4 of 4 videos with 8 shots can be used; few shots repeated: 1; short shots repeated: 3")


def test_too_few_videos_say_how_many_and_what_to_do() -> None:
    with pytest.raises(DataError, match="2 shots of 4 frames wanted") as caught:
        choose(table([[8, 8], [8, 3]]), 0, 0, videos=2, shots=2, frames=4)
    assert "few shots left out: 1" in caught.value.message
    assert "repeat_shots=true" in str(caught.value.hint)
    with pytest.raises(DataError, match="only 0 can be used"):
        choose(table([]), 0, 0, videos=1, shots=1, frames=1)


def test_streams_and_positions_never_meet() -> None:
    draws = [
        generator(seed, stream, position).random(64)
        for seed in (0, 1)
        for stream in (Stream.SHOTS, Stream.SHOT_VIEWS)
        for position in (0, 1, 2)
    ]
    assert len(np.unique(np.concatenate(draws))) == 64 * len(draws)
    with pytest.raises(OptionError, match="seed"):
        generator(-1, Stream.SHOTS, 0)


def test_ranks_share_the_batch() -> None:
    parts = [range(12)[rank_slice(12, rank, 4)] for rank in range(4)]
    assert [list(part) for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    with pytest.raises(OptionError, match="divided among 5"):
        rank_slice(12, 0, 5)
    with pytest.raises(OptionError, match="no rank 4"):
        rank_slice(12, 4, 4)


@pytest.mark.parametrize("bad", [{"videos": 0}, {"frames": 0}, {"prefetch": 0}, {"workers": -1}, {"shots": 0}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(bad))):
        ShotLoaderSettings(**{"videos": 2, **bad})  # type: ignore[arg-type]
