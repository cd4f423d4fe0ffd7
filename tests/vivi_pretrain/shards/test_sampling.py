"""Which frames of a shot are taken, against the definition written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivi_pretrain.shards.sampling import NearestFrames, ShotSpan, targets
from vivi_pretrain.shards.settings import ShardSettings
from vtab_harness.api.errors import OptionError
from vtab_harness.api.values import flag


def picked(times: list[float], wanted: list[float]) -> list[int]:
    nearest: NearestFrames[int] = NearestFrames(np.asarray(wanted, dtype=np.float64))
    found = [frame for number, time in enumerate(times) for _, frame in nearest.push(time, number)]
    return found + [frame for _, frame in nearest.finish()]


# Sixteenths are exact in floating point, so that ties are ties.
SIXTEENTHS = st.integers(0, 400).map(lambda value: value / 16)


@given(st.sets(SIXTEENTHS, min_size=1, max_size=40), st.sets(SIXTEENTHS, max_size=20))
def test_nearest_frames_are_those_of_a_search_through_all(times: set[float], wanted: set[float]):
    ordered = sorted(times)
    expected = sorted({min(range(len(ordered)), key=lambda i: (abs(ordered[i] - t), i)) for t in wanted})
    assert picked(ordered, sorted(wanted)) == expected


@given(
    frames=st.integers(1, 400),
    video_rate=st.sampled_from([0.5, 5.0, 8.0, 24000 / 1001, 25.0, 30000 / 1001, 60.0]),
    start=st.floats(0, 5000),
    rate=st.sampled_from([0.5, 1.0, 2.0, 8.0]),
    least=st.integers(1, 8),
    sample_closer=st.booleans(),
)
def test_frames_of_a_constant_rate(
    frames: int, video_rate: float, start: float, rate: float, least: int, sample_closer: bool
) -> None:
    times = start + np.arange(frames) / video_rate
    span = ShotSpan(0, 100, 99 + frames, times[0], times[-1], video_rate)
    settings = ShardSettings(rate=rate, frames_per_shot=least, sample_closer=sample_closer)
    wanted, closer = targets(span, settings)
    chosen = picked(times.tolist(), wanted.tolist())
    # The seconds that fit, each once.
    fit = int(np.floor(frames / video_rate * rate + 1e-6))
    if min(fit, frames) >= least:
        assert not closer
        assert len(wanted) == fit
        middles = (np.arange(fit) + 0.5) / rate
    elif sample_closer and frames >= least:
        assert closer
        middles = (np.arange(least) + 0.5) * frames / video_rate / least
    else:
        assert len(wanted) == 0
        return
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(len(wanted), frames)
    shown = np.arange(frames) / video_rate + 0.5 / video_rate
    distances = np.abs(shown[None, :] - middles[:, None]).min(axis=1)
    reached = np.abs(shown[chosen][None, :] - middles[:, None]).min(axis=1)
    assert np.allclose(reached, distances, atol=1e-6)


def test_eight_frames_a_second_for_four_seconds():
    times = np.arange(32) / 8
    wanted, _ = targets(ShotSpan(0, 0, 31, 0.0, 31 / 8, 8.0), ShardSettings())
    assert wanted.tolist() == [0.4375, 1.4375, 2.4375, 3.4375]
    assert picked(times.tolist(), wanted.tolist()) == [3, 11, 19, 27]


def test_a_frame_is_picked_once_though_nearest_to_several_times():
    assert picked([0.0, 10.0], [0.1, 0.2, 0.3, 9.9]) == [0, 1]


def test_a_single_frame_lasts_as_long_as_the_frame_rate_says():
    assert ShotSpan(0, 7, 7, 3.0, 3.0, 0.5).duration == 2
    assert ShotSpan(0, 7, 7, 3.0, 3.0, 0.0).duration == 0


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 0.0},
        {"short_side": 4},
        {"quality": 0},
        {"frames_per_shot": 0},
        {"shots_per_video": 0},
        {"shard_megabytes": 0},
    ],
)
def test_impossible_settings_name_themselves(change: dict[str, object]):
    with pytest.raises(OptionError, match=f"^{flag(next(iter(change)))} "):
        ShardSettings(**change)  # type: ignore[arg-type]
