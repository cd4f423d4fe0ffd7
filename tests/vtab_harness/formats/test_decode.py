import io
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vtab_harness.api.errors import DataError
from vtab_harness.formats.decode import _AHEAD, decode, decode_ahead

NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
SMOOTH = (np.add.outer(np.arange(40), np.arange(50))[:, :, None] * [2, 1, 2] + [0, 60, 20]).astype(np.uint8)


def file(pixels: object, kind: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)  # type: ignore[arg-type]
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, raw: bytes) -> bytes:
    """A PNG by hand: PIL cannot write every depth."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    ends = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(ends)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2, "quality": 60}])
def test_jpeg_uses_the_fast_dct(options: dict[str, object]) -> None:
    # PIL decodes with the slow DCT. The fast one differs from it on noise, and never by more than a few grey levels.
    data = file(NOISE, "JPEG", **options)
    slow = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    fast = decode(data, "x")
    assert fast.shape == (40, 50, 3)
    assert fast.dtype == np.uint8
    assert 1 <= np.abs(fast - slow).max() <= 6


def test_grey_jpeg_becomes_rgb_unless_grey_is_declared() -> None:
    data = file(NOISE[..., 0], "JPEG")
    colour, grey = decode(data, "x"), decode(data, "x", channels=1)
    assert colour.shape == (40, 50, 3)
    assert grey.shape == (40, 50, 1)
    assert (colour == grey).all()


def test_cmyk_jpeg_becomes_rgb() -> None:
    # PIL writes inks the way Adobe does: inverted, with a marker that says so.
    data = file(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(decode(data, "x").astype(int) - SMOOTH).max() <= 12


def test_ink_is_not_inverted_without_the_marker() -> None:
    data = file(Image.fromarray(255 - SMOOTH).convert("CMYK"), "JPEG", quality=95)
    start, size = data.find(b"\xff\xee"), 16
    unmarked = data[:start] + data[start + size :]
    ink = 255 - np.asarray(Image.fromarray(255 - SMOOTH).convert("CMYK")).astype(int)
    expected = (255 - ink[..., :3]) * (255 - ink[..., 3:]) // 255
    assert np.abs(decode(unmarked, "x").astype(int) - expected).max() <= 12


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_files_are_exact(kind: str) -> None:
    np.testing.assert_array_equal(decode(file(NOISE, kind), "x"), NOISE)


def test_alpha_is_dropped_not_blended() -> None:
    rgba = np.dstack([NOISE, NOISE[..., :1] // 2])
    np.testing.assert_array_equal(decode(file(rgba, "PNG"), "x"), NOISE)


def test_transparent_colours_keep_their_values() -> None:
    palette = Image.fromarray(NOISE).quantize(16)
    plain = decode(file(palette, "PNG"), "x")
    np.testing.assert_array_equal(plain, np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(decode(file(palette, "PNG", transparency=bytes(range(16))), "x"), plain)


def test_gif_gives_its_first_frame() -> None:
    first = Image.fromarray(NOISE).quantize(16)
    data = file(first, "GIF", save_all=True, append_images=[Image.new("P", first.size)])
    np.testing.assert_array_equal(decode(data, "x"), np.asarray(first.convert("RGB")))


def test_sixteen_bits_are_cut_to_the_upper_eight() -> None:
    values = np.array([[0, 255, 256, 65535]], dtype=">u2")
    grey = png(4, 1, 16, 0, b"\0" + values.tobytes())
    assert decode(grey, "x")[0, :, 2].tolist() == [0, 0, 1, 255]
    assert decode(grey, "x", channels=1)[0, :, 0].tolist() == [0, 0, 1, 255]
    colour = png(4, 1, 16, 2, b"\0" + np.repeat(values, 3).tobytes())
    assert decode(colour, "x")[0, :, 1].tolist() == [0, 0, 1, 255]


def test_few_bit_grey_is_spread_over_the_range() -> None:
    assert decode(png(4, 1, 2, 0, b"\0\x1b"), "x", channels=1)[0, :, 0].tolist() == [0, 85, 170, 255]
    assert decode(png(4, 1, 1, 0, b"\0\x50"), "x")[0, :, 0].tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "progressive"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.5, 0.9, -20, -2, -1])
def test_cut_off_file_is_named(kind: str, kept: float) -> None:
    data = file(NOISE, "JPEG", progressive=True) if kind == "progressive" else file(NOISE, kind)
    cut = data[: int(kept)] if kept < 0 else data[: int(len(data) * kept)]
    with pytest.raises(DataError, match=r"cat\.jpg"):
        decode(cut, "cat.jpg")


PICTURE = (np.add.outer(np.arange(96), np.arange(128))[:, :, None] * [1, 1, 1] + NOISE[0, 0]).astype(np.uint8)
STORED = {
    "baseline": file(PICTURE, "JPEG"),
    "progressive": file(PICTURE, "JPEG", progressive=True),
    "restarts": file(PICTURE, "JPEG", restart_marker_blocks=3),
    "grey": file(PICTURE[..., 0], "JPEG"),
    "cmyk": file(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("kind", STORED)
def test_what_tensorflow_accepts_in_a_jpeg_changes_nothing(kind: str) -> None:
    whole = STORED[kind]
    expected = decode(whole, "x")
    first = 4 + int.from_bytes(whole[4:6], "big")  # Where the first segment ends.
    for data in (
        whole + b"after the end" * 20,
        whole[:-2] + b"\x12\x34" * 120 + whole[-2:],
        # Between two segments of the header, and filled up with 0xff, which is legal.
        whole[:first] + b"\0\1\2" + whole[first:],
        whole[:first] + b"\xff\xff" + whole[first:],
        whole.replace(b"JFIF\0\1", b"JFIF\0\7"),
    ):
        np.testing.assert_array_equal(decode(data, "x"), expected)


@pytest.mark.parametrize("kind", STORED)
def test_picture_that_ends_in_the_middle_is_accepted_if_the_file_ends_there(kind: str) -> None:
    whole = STORED[kind]
    data = whole[: int(len(whole) * 0.9)] + whole[-2:]
    with Image.open(io.BytesIO(data)) as image:
        other = np.asarray(image.convert("RGB")).astype(int)
    if kind != "cmyk":
        assert np.abs(decode(data, "x") - other).max() <= 8


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("blemish", [b"", b"\x12\x34" * 20, b"\xff\xd7"])
def test_jpeg_that_ends_early_is_refused_whatever_else_it_has(kind: str, blemish: bytes) -> None:
    whole = STORED[kind]
    scan = whole.find(b"\xff\xda") + 20
    for kept in (scan, (scan + len(whole)) // 2, len(whole) - 10, len(whole) - 2, len(whole) - 1):
        with pytest.raises(DataError, match=r"cat\.jpg cannot be decoded"):
            decode(whole[:kept] + blemish, "cat.jpg")


@given(seed=st.integers(0, 1 << 32), kind=st.sampled_from(sorted(STORED)), cut=st.booleans())
def test_garbage_in_a_picture_never_hides_its_early_end(seed: int, kind: str, cut: bool) -> None:
    random, data = np.random.default_rng(seed), bytearray(STORED[kind])
    scan = data.find(b"\xff\xda") + 20
    for _ in range(5):
        # Never 0xff, which might make an end marker.
        data[random.integers(scan, len(data) - 2)] = random.integers(0, 255)
    if cut:
        del data[random.integers(scan, len(data) - 1) :]
        with pytest.raises(DataError, match="x cannot be decoded"):
            decode(bytes(data), "x")
        return
    try:
        pixels = decode(bytes(data), "x")
    except DataError:
        return
    assert pixels.shape == PICTURE.shape
    np.testing.assert_array_equal(pixels, decode(bytes(data), "x"))


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<html>", b"\xff\xd8", b"\xff\xd8\xff\xe0" + b"\0" * 99, b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_image_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match=r"a/b\.jpg"):
        decode(data, "a/b.jpg")


def test_flipped_bytes_in_a_png_are_found() -> None:
    data = bytearray(file(NOISE, "PNG"))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(DataError):
        decode(bytes(data), "x")


def test_claimed_gigabytes_are_not_believed() -> None:
    data = bytearray(file(NOISE, "JPEG"))
    frame = data.find(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
    with pytest.raises(DataError, match="65000 x 65000"):
        decode(bytes(data), "x")
    with pytest.raises(DataError):
        decode(png(60000, 60000, 8, 0, b"\0"), "x")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_colour_is_refused_where_grey_is_declared(kind: str) -> None:
    with pytest.raises(DataError, match="in colour"):
        decode(file(NOISE, kind), "x", channels=1)


Job = tuple[int, Callable[[], int]]


def jobs(count: int, bad: int = -1, ends: bool = True) -> Iterator[Job]:
    """Jobs that take longer the earlier they are; `bad` fails, and the iterator itself where it does not end."""

    def work(number: int) -> int:
        time.sleep(0.002 * (count - number) / count)
        if number == bad:
            raise ValueError(f"bad {number}")
        return number * number

    for number in range(count):
        yield number, lambda number=number: work(number)  # type: ignore[misc]
    if not ends:
        raise OSError("cut off")


def wrong(what: str) -> DataError:
    return DataError(f"archive {what}", "fetch it")


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert list(decode_ahead(jobs(50), wrong)) == [(n, n * n) for n in range(50)]
    assert list(decode_ahead(iter([]), wrong)) == []


@pytest.mark.parametrize("bad", [0, 3, 49])
def test_error_of_a_job_comes_after_the_results_before_it(bad: int) -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match=f"bad {bad}"):
        list(iter_into(seen, decode_ahead(jobs(50, bad, ends=False), wrong)))
    assert seen == list(range(bad))


@pytest.mark.parametrize("count", [0, 2, 30])
def test_error_of_the_iterator_comes_after_all_results(count: int) -> None:
    seen: list[int] = []
    with pytest.raises(OSError, match="cut off"):
        list(iter_into(seen, decode_ahead(jobs(count, ends=False), wrong)))
    assert seen == list(range(count))


def test_only_few_are_in_memory_and_only_the_consumer_asks() -> None:
    asked: list[int] = []
    askers: set[int] = set()

    def watched() -> Iterator[Job]:
        for job in jobs(100):
            asked.append(job[0])
            askers.add(threading.get_ident())
            yield job

    for number, _ in decode_ahead(watched(), wrong):
        assert len(asked) <= number + 1 + _AHEAD
    assert askers == {threading.get_ident()}


def test_stopping_early_leaves_no_thread() -> None:
    before = threading.active_count()
    results = decode_ahead(jobs(100), wrong)
    assert next(results) == (0, 0)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize(("bad", "message"), [((7,), "1 image "), ((0, 3, 30, 31, 49), "5 images ")])
def test_damaged_images_are_counted_and_the_first_are_named(bad: tuple[int, ...], message: str) -> None:
    def some() -> Iterator[Job]:
        def work(number: int) -> int:
            if number in bad:
                raise DataError(f"image {number} is damaged")
            return number * number

        for number in range(50):
            yield number, lambda number=number: work(number)  # type: ignore[misc]

    seen: list[int] = []
    with pytest.raises(DataError) as error:
        list(iter_into(seen, decode_ahead(some(), wrong)))
    assert seen == [number for number in range(50) if number not in bad]
    assert f"archive holds {message}that cannot be used: image {bad[0]} is damaged" in error.value.message
    assert ("and 2 more" in error.value.message) == (len(bad) == 5)
    assert "image 31" not in error.value.message
    assert error.value.hint == "fetch it"


def iter_into(seen: list[int], results: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for number, value in results:
        seen.append(number)
        yield number, value
