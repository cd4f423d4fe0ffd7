"""Image files of every kind, through every decoder that the packages have."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import simplejpeg
from PIL import Image

from fuzzing.damage import damaged
from fuzzing.reader import Reader, in_file
from vivi_pretrain.data.labelled_images import ImagePlace
from vivi_pretrain.data.loading.jpeg import decode_into, header_size
from vivi_pretrain.data.loading.labelled_loader import _decode
from vtab_harness.datasets.diabetic_retinopathy_detection.reader import btgraham
from vtab_harness.formats.decode import decode
from vtab_harness.formats.opencv import opencv, stored_again


def _pixels(height: int = 24, width: int = 20, channels: int = 3) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x * (c + 1) / 9) + np.cos(y * (c + 2) / 7) for c in range(channels)], axis=-1)
    return ((waves + 2) * 63).astype(np.uint8)


def _saved(mode: str, kind: str, **options: object) -> bytes:
    image = Image.fromarray(_pixels()).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


_KNOWN = {
    "jpeg": _saved("RGB", "JPEG", quality=90),
    "jpeg progressive": _saved("RGB", "JPEG", progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "jpeg grey": _saved("L", "JPEG"),
    "jpeg cmyk": _saved("CMYK", "JPEG"),
    "png": _saved("RGB", "PNG"),
    "png palette": _saved("P", "PNG", transparency=0),
    "png 16 bit": _saved("I;16", "PNG"),
    "png alpha": _saved("RGBA", "PNG"),
    "gif": _saved("P", "GIF"),
    "bmp": _saved("RGB", "BMP"),
}
# Formats that no data set has: they must be refused whatever their files are called.
_OTHERS = {
    "eps": _saved("RGB", "EPS"),
    "tiff": _saved("RGB", "TIFF", compression="tiff_lzw"),
    "webp": _saved("RGB", "WEBP"),
    "pcx": _saved("RGB", "PCX"),
    "ppm": _saved("RGB", "PPM"),
    "tga": _saved("RGB", "TGA"),
    "ico": _saved("RGB", "ICO"),
    "jpeg 2000": _saved("RGB", "JPEG2000"),
}
_GREAT = (0, 1, 0xFFFF, 0x8000, 20_000, 60_000)


def _image_damaged(rng: Random, data: bytes) -> bytes:
    """Damages the input, or one of another format in its place; now and then its size in the header."""
    luck = rng.random()
    if luck < 0.15:
        data = rng.choice(list(_OTHERS.values()))
        return data if rng.random() < 0.3 else damaged(rng, data)
    if luck < 0.4:
        return _resized(rng, data)
    return damaged(rng, data)


def _resized(rng: Random, data: bytes) -> bytes:
    height, width = rng.choice(_GREAT), rng.choice(_GREAT)
    if data.startswith(b"\xff\xd8"):
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        return data[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 9 :]
    if data.startswith(b"\x89PNG"):
        import zlib

        chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + data[24:29]
        return data[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[33:]
    if data.startswith(b"GIF"):
        return data[:6] + width.to_bytes(2, "little") + height.to_bytes(2, "little") + data[10:]
    return data[:18] + width.to_bytes(4, "little") + height.to_bytes(4, "little") + data[26:]


def _stored_again(data: bytes) -> None:
    cv2 = opencv("sun397")
    stored_again(cv2, data, "the file", lambda image: image, 95)


def _retinopathy(data: bytes) -> None:
    cv2 = opencv("diabetic_retinopathy_detection")
    stored_again(cv2, data, "the file", partial(btgraham, cv2), 72)


def _frame(data: bytes) -> None:
    size = header_size(data, lambda: "the frame")
    if size[0] * size[1] < 1 << 20:
        decode_into(data, size, np.empty((*size, 3), np.uint8), lambda: "the frame")


def _of_bytes(read: Callable[[bytes], object]) -> Callable[[Path, bytes], object]:
    return lambda folder, data: read(data)


READERS = (
    *(
        Reader(
            f"image {kind}",
            lambda folder, data=data: data,
            _image_damaged,
            _of_bytes(lambda data: decode(data, "the file")),
        )
        for kind, data in _KNOWN.items()
    ),
    Reader(
        "image grey",
        lambda folder: _KNOWN["jpeg grey"],
        _image_damaged,
        _of_bytes(lambda data: decode(data, "the file", channels=1)),
    ),
    *(
        Reader(
            f"labelled image {kind}",
            lambda folder, data=data: data,
            _image_damaged,
            in_file("photo.jpg", lambda folder: _decode(ImagePlace(folder / "photo.jpg"), 16)),
        )
        for kind, data in _KNOWN.items()
        if kind in ("jpeg", "jpeg cmyk", "png alpha", "gif", "bmp")
    ),
    Reader("image shrunk by OpenCV", lambda folder: _KNOWN["jpeg"], _image_damaged, _of_bytes(_stored_again)),
    Reader("image shrunk by OpenCV, bmp", lambda folder: _KNOWN["bmp"], _image_damaged, _of_bytes(_stored_again)),
    Reader(
        "image shrunk by OpenCV, png", lambda folder: _KNOWN["png 16 bit"], _image_damaged, _of_bytes(_stored_again)
    ),
    Reader("retinopathy photograph", lambda folder: _KNOWN["jpeg"], _image_damaged, _of_bytes(_retinopathy), share=0.1),
    Reader("frame of a shard", lambda folder: simplejpeg.encode_jpeg(_pixels(), 90), _image_damaged, _of_bytes(_frame)),
)
