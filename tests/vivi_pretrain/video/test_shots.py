"""Shots are runs between cuts: every frame in one of them, cuts where pictures change, at any frame rate."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivi_pretrain.synthetic.plan import planned
from vivi_pretrain.synthetic.settings import SynthSettings
from vivi_pretrain.synthetic.synthesise import synthesise
from vivi_pretrain.video.decode import Frame, frames
from vivi_pretrain.video.settings import DETECTORS, SHORT_SIDE, ShotDetectorSettings
from vivi_pretrain.video.shots import ShotDetector
from vtab_harness.api.errors import OptionError


def picture(seed, brightness):
    """Blocks of random colours around a brightness, with the same details in every channel."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(-50, 50, (8, 8, 3)) + brightness
    return np.kron(np.clip(blocks, 0, 255), np.ones((8, 8, 1))).astype(np.uint8)


def film(lengths, rate=25.0):
    images = [picture(shot, 70 if shot % 2 else 190) for shot, length in enumerate(lengths) for _ in range(length)]
    return [Frame(number, 3.0 + number / rate, image) for number, image in enumerate(images)]


def detect_shots(frames, settings):
    detector = ShotDetector(settings)
    for frame in frames:
        detector.push(frame)
    return detector.finish()


@pytest.mark.parametrize("detector", ["histogram", "content", "adaptive", "hash"])
def test_hard_cuts_are_found_to_the_frame(detector):
    shots = detect_shots(film([30, 25, 40]), ShotDetectorSettings(detector))
    assert [(shot.first_frame, shot.last_frame) for shot in shots] == [(0, 29), (30, 54), (55, 94)]
    assert [shot.first_time for shot in shots] == [3.0, 3.0 + 30 / 25, 3.0 + 55 / 25]
    assert [shot.last_time for shot in shots] == [3.0 + 29 / 25, 3.0 + 54 / 25, 3.0 + 94 / 25]


def test_the_threshold_detector_cuts_in_the_middle_of_a_fade():
    levels = [150] * 30 + [0] * 10 + [150] * 30
    fade = [Frame(n, n / 25, np.full((16, 16, 3), level, np.uint8)) for n, level in enumerate(levels)]
    shots = detect_shots(fade, ShotDetectorSettings("threshold"))
    assert [shot.first_frame for shot in shots] == [0, 35]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.sampled_from([5.0, 25.0]), st.sampled_from([0, 0.4, 1]))
@settings(max_examples=30, deadline=None)
def test_shots_hold_every_frame_once_and_last_long_enough(lengths, rate, min_shot):
    shots = detect_shots(film(lengths, rate), ShotDetectorSettings(min_shot=min_shot))
    assert shots[0].first_frame == 0
    assert shots[-1].last_frame == sum(lengths) - 1
    assert all(after.first_frame == before.last_frame + 1 for before, after in pairwise(shots))
    starts = set(np.cumsum([0, *lengths]).tolist())
    assert all(shot.first_frame in starts for shot in shots)
    for before, after in pairwise(shots):
        assert after.first_time - before.first_time >= min_shot
    if min_shot == 0:
        assert len(shots) == len(lengths)


def test_the_shortest_shot_is_measured_in_seconds_of_presentation_time():
    # Cuts at frames 10 and 20; the second comes 10 frames later, but after 0.1 s or after 5 s.
    images = [picture(shot, 70 if shot % 2 else 190) for shot in range(3) for _ in range(10)]
    for step, expected in ((0.01, [0, 10]), (0.5, [0, 10, 20])):
        times = [float(n) for n in range(10)] + [9.0 + step * (n + 1) for n in range(20)]
        film_ = [Frame(n, time, image) for n, (time, image) in enumerate(zip(times, images, strict=True))]
        found = detect_shots(film_, ShotDetectorSettings(min_shot=0.5))
        assert [shot.first_frame for shot in found] == expected


def test_no_frames_no_shots_and_one_frame_one_shot():
    assert detect_shots([], ShotDetectorSettings()) == []
    assert [(shot.first_frame, shot.last_frame) for shot in detect_shots(film([1]), ShotDetectorSettings())] == [(0, 0)]


def test_settings_say_what_is_wrong():
    with pytest.raises(OptionError, match="no shot detector 'sharp'"):
        ShotDetectorSettings("sharp")
    with pytest.raises(OptionError, match="no setting 'size'"):
        ShotDetectorSettings("histogram", {"size": 3})
    with pytest.raises(OptionError, match="bins=1.5"):
        ShotDetectorSettings("histogram", {"bins": 1.5})
    with pytest.raises(OptionError, match="threshold=-1"):
        ShotDetectorSettings("hash", {"threshold": -1})
    with pytest.raises(OptionError, match="--min-shot=nan: expected a number"):
        ShotDetectorSettings(min_shot=float("nan"))


def test_settings_resolve_to_everything_that_counts():
    assert ShotDetectorSettings(set={"bins": 32.0}).resolved() == {
        "detector": "histogram",
        "options": {"threshold": DETECTORS["histogram"]["threshold"], "bins": 32},
        "min_shot": 0.5,
        "short_side": SHORT_SIDE,
    }


def test_cuts_of_procedural_videos_are_found(tmp_path):
    """F1 of cuts within one frame, on another seed and size than those that served to choose the threshold."""
    made = SynthSettings(videos=12, seed=77, size=64)
    hits = found_count = true_count = 0
    for number, path in enumerate(synthesise(tmp_path, made)):
        true = [first for first, _ in planned(made, number).boundaries()[1:]]
        shots = detect_shots(frames(path, short_side=SHORT_SIDE, fast=True), ShotDetectorSettings())
        found = [shot.first_frame for shot in shots[1:]]
        hits += sum(any(abs(cut - other) <= 1 for other in found) for cut in true)
        found_count += len(found)
        true_count += len(true)
    assert true_count == 36
    assert 2 * hits / (found_count + true_count) >= 0.97
