"""Frames come in order, upright, and as often as they are there; what is no video is refused with the reason."""

import pickle
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vivi_pretrain.video.decode import VideoError, describe, frames


def numbers_in(path, **options):
    """What the grey levels say the frames are."""
    return [round((float(frame.image.mean()) - 20) / 8) for frame in frames(path, **options)]


def test_all_frames_come_in_presentation_order_with_their_times(tmp_path, write_video, numbered_images):
    path = write_video(tmp_path / "a.mp4", numbered_images(20))
    found = list(frames(path))
    assert numbers_in(path) == list(range(20))
    assert [frame.number for frame in found] == list(range(20))
    np.testing.assert_allclose([frame.time for frame in found], np.arange(20) / 10, atol=1e-9)
    assert found[0].image.shape == (32, 48, 3)
    assert found[0].image.dtype == np.uint8


def test_guessed_timestamps_of_avi_are_sorted_and_frames_are_not(tmp_path, write_video, numbered_images):
    # B-frames in AVI: the container stores no presentation times.
    path = write_video(tmp_path / "b.avi", numbered_images(25))
    with av.open(str(path)) as container:
        raw = [frame.pts for frame in container.decode(video=0)]
    times = [frame.time for frame in frames(path)]
    assert numbers_in(path) == list(range(25))
    assert all(a < b for a, b in pairwise(times))
    assert any(b <= a for a, b in pairwise(raw)), "this file was to have swapped timestamps"


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_variable_frame_rates_keep_their_times(tmp_path, write_video, numbered_images, ending):
    ticks = [0, 100, 150, 400, 1000, 1001, 1300]  # thousandths of a second
    path = write_video(tmp_path / f"v.{ending}", numbered_images(7), ticks=ticks)
    np.testing.assert_allclose([frame.time for frame in frames(path)], np.array(ticks) / 1000, atol=1e-3)


def test_streams_without_duration_decode(tmp_path, write_video, numbered_images):
    path = write_video(tmp_path / "live.mkv", numbered_images(12), live=1)
    with av.open(str(path)) as container:
        assert container.duration is None
    assert numbers_in(path) == list(range(12))


def test_a_raw_stream_without_timestamps_gets_increasing_times(tmp_path, write_video, numbered_images):
    path = write_video(tmp_path / "raw.h264", numbered_images(12))
    times = [frame.time for frame in frames(path)]
    assert numbers_in(path) == list(range(12))
    assert all(a < b for a, b in pairwise(times))


def test_ten_bits_become_eight(tmp_path, write_video, quadrants):
    path = write_video(tmp_path / "deep.mp4", [quadrants] * 3, pixels="yuv444p10le")
    with av.open(str(path)) as container:
        assert container.streams.video[0].format.name == "yuv444p10le"
    image = next(frames(path)).image
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[4:12, 4:20].reshape(-1, 3).mean(0), (255, 0, 0), atol=4)


@pytest.mark.parametrize(
    ("block", "turned"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
    ids=["none", "90", "180", "270", "mirrored", "upside down", "transposed"],
)
def test_the_display_matrix_is_applied(tmp_path, write_video, set_display_matrix, quadrants, block, turned):
    path = write_video(tmp_path / "turned.mp4", [quadrants] * 2, pixels="yuv444p")
    stored = next(frames(path)).image
    set_display_matrix(path, block)
    upright = next(frames(path)).image
    np.testing.assert_array_equal(upright, turned(stored))
    np.testing.assert_array_equal(next(frames(path, rotate=False)).image, stored)
    info = describe(path)
    assert (info.height, info.width) == upright.shape[:2]
    if not info.mirrored:
        np.testing.assert_array_equal(np.rot90(stored, -info.rotation // 90), upright)


@pytest.mark.parametrize(
    ("aspect", "size"), [("2/1", (32, 96)), ("1/2", (64, 48)), ("4/3", (32, 64)), ("9/1", (32, 48))]
)
def test_pixels_become_square(tmp_path, write_video, quadrants, aspect, size):
    path = write_video(tmp_path / "wide.mp4", [quadrants] * 2, pixel_aspect=Fraction(aspect))
    assert next(frames(path)).image.shape[:2] == size
    assert (describe(path).height, describe(path).width) == size


@pytest.mark.parametrize("fast", [False, True])
def test_the_short_side_is_reduced_and_never_enlarged(tmp_path, write_video, quadrants, fast):
    path = write_video(tmp_path / "a.mp4", [quadrants] * 2, pixels="yuv444p")
    small = next(frames(path, short_side=16, fast=fast)).image
    assert small.shape == (16, 24, 3)
    expected = np.asarray(Image.fromarray(next(frames(path)).image).resize((24, 16), Image.Resampling.BOX), float)
    inner = np.r_[0:6, 10:16]  # away from the edges, where filters differ
    assert np.abs(small.astype(float) - expected)[inner][:, np.r_[0:10, 14:24]].max() < 12
    assert next(frames(path, short_side=64, fast=fast)).image.shape == (32, 48, 3)


def damaged_copy(path: Path) -> Path:
    """Overwrites the middle of an MP4's data with noise."""
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    half = start + (len(data) - start) // 2
    data[half : half + 2000] = np.random.default_rng(0).integers(0, 256, 2000, np.uint8).tobytes()
    copy = path.with_name("damaged.mp4")
    copy.write_bytes(data)
    return copy


def noise_images(count):
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(count)]


def test_frames_before_the_damage_are_given_then_the_file_is_named(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", noise_images(20), movflags="faststart")
    damaged = damaged_copy(path)
    found = []
    with pytest.raises(VideoError, match="damaged.mp4 is damaged after") as caught:
        found.extend(frames(damaged))
    assert 0 < len(found) < 20
    assert f"after {len(found)} frames" in str(caught.value)
    for frame, whole in zip(found, frames(path), strict=False):
        np.testing.assert_array_equal(frame.image, whole.image)
    assert [frame.number for frame in found] == list(range(len(found)))


@pytest.mark.parametrize(("ending", "options"), [("mp4", {"movflags": "faststart"}), ("mkv", {}), ("webm", {})])
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_a_file_that_was_cut_off_is_damaged(tmp_path, write_video, ending, options, share):
    codec = "libvpx" if ending == "webm" else "libx264"
    path = write_video(tmp_path / f"a.{ending}", noise_images(20), codec=codec, **options)
    assert len(list(frames(path))) == 20
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    found = []
    with pytest.raises(VideoError, match="is damaged after"):
        found.extend(frames(path))
    assert 0 < len(found) < 20


def make_still(folder):
    Image.new("RGB", (32, 32)).save(folder / "x.png")
    return folder / "x.png"


def make_sound(folder):
    with av.open(str(folder / "x.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return folder / "x.wav"


def make_text(folder):
    (folder / "x.mp4").write_text("no video at all")
    return folder / "x.mp4"


def make_empty(folder):
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_still, "is a still image"),
        (make_sound, "has no video track"),
        (make_text, "cannot be read as a video"),
        (make_empty, "cannot be read as a video"),
        (lambda folder: folder, "is not a file"),
        (lambda folder: folder / "gone.mp4", "is not a file"),
    ],
    ids=["still", "sound", "text", "empty", "folder", "missing"],
)
def test_what_is_no_video_is_refused_with_the_reason(tmp_path, make, reason):
    path = make(tmp_path)
    with pytest.raises(VideoError, match=reason) as caught:
        describe(path)
    assert str(path) in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reason) == (str(caught.value), caught.value.reason)


def test_a_playlist_in_disguise_opens_nothing_else(tmp_path, write_video, numbered_images):
    write_video(tmp_path / "secret.ts", numbered_images(5))
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(VideoError, match="cannot be read as a video"):
        list(frames(playlist))
