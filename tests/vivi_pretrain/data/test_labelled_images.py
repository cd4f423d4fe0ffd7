"""Labelled images for co-training: both forms on disk, subsets, pixels, ranks, and what is refused."""

import io
import subprocess
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import EpsImagePlugin, Image

from vivi_pretrain.data.labelled_images import LabelledImages, find_labelled_images
from vivi_pretrain.data.loading.labelled_loader import LabelledBatch, LabelledLoader, LabelledLoaderSettings
from vtab_harness.api.errors import DataError, OptionError


def noise(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


COUNTS = {"ant": 12, "bee": 5, "cat": 7}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for label, (name, count) in enumerate(COUNTS.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f"{i:02d}.png").write_bytes(png(noise(100 * label + i, 20 + i, 33 - label)))
        (root / name / "notes.txt").write_text("not an image")
    (root / "README").write_text("not a class")
    return root


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def take(count: int, images: LabelledImages, batch: int = 6, **options: int) -> list[LabelledBatch]:
    with LabelledLoader(
        images, LabelledLoaderSettings(batch, workers=2), seed=options.pop("seed", 0), **options
    ) as loader:
        return list(islice(loader, count))


def test_an_image_folder(folder: Path) -> None:
    images = find_labelled_images(folder)
    assert images.classes == ("ant", "bee", "cat")
    assert np.bincount(images.labels).tolist() == [12, 5, 7]
    seen: list[int] = []
    for batch in take(4, images):
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape[:2] == (6, 3)
        for image, size, label, row in zip(batch.images, batch.sizes, batch.labels, batch.rows, strict=True):
            expected = np.asarray(Image.open(images.places[row].path))
            height, width = size
            np.testing.assert_array_equal(image[:, :height, :width].permute(1, 2, 0), expected)
            assert not image[:, height:].any()
            assert not image[:, :, width:].any()
            assert images.places[row].path.parent.name == images.classes[label]
            seen.append(int(row))
    assert sorted(seen) == list(range(24))


def test_webdataset_shards_give_the_same(tmp_path: Path) -> None:
    pictures = [noise(i, 24, 30) for i in range(8)]
    members = [(f"./{i:04d}.png", png(picture)) for i, picture in enumerate(pictures)]
    members += [(f"./{i:04d}.cls", b"%d\n" % (10 if i % 2 else 9)) for i in range(8)]
    members += [(f"./{i:04d}.json", b"{}") for i in range(8)]
    write_tar(tmp_path / "sets" / "a.tar", members[:4] + members[8:12])
    write_tar(tmp_path / "sets" / "b.tar", members[4:8] + members[12:])
    images = find_labelled_images(tmp_path / "sets")
    assert images.classes == ("9", "10")
    assert images.labels.tolist() == [0, 1] * 4
    (batch,) = take(1, images, batch=8)
    for image, row in zip(batch.images, batch.rows, strict=True):
        np.testing.assert_array_equal(image[:, :24, :30].permute(1, 2, 0), pictures[row])


def test_webdataset_reads_the_same_pairs(tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    members = [
        (f"{i:04d}.{e}", d) for i in range(6) for e, d in (("png", png(noise(i, 9, 9))), ("cls", b"%d" % (i % 2)))
    ]
    write_tar(tmp_path / "sets" / "a.tar", members)
    images = find_labelled_images(tmp_path / "sets")
    expected = [(s["png"], int(s["cls"])) for s in wds.WebDataset(str(tmp_path / "sets" / "a.tar"), shardshuffle=False)]
    assert [(place.read(), int(label)) for place, label in zip(images.places, images.labels, strict=True)] == expected


def test_large_images_are_reduced_and_small_ones_stay(tmp_path: Path) -> None:
    sizes = {"a/0.jpg": (700, 500), "a/1.jpg": (64, 2000), "b/0.jpg": (100, 120), "b/1.png": (600, 300)}
    gradient = np.linspace(0, 255, 2000)[None, :, None] * np.ones((700, 1, 3))
    for name, (height, width) in sizes.items():
        path = tmp_path / "large" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gradient[:height, :width].astype(np.uint8)).save(path)
    images = find_labelled_images(tmp_path / "large")
    with LabelledLoader(images, LabelledLoaderSettings(4, short_side=128), seed=0) as loader:
        batch = next(loader)
    found = {}
    for image, row, size in zip(batch.images, batch.rows, batch.sizes.tolist(), strict=True):
        place = images.places[row].path
        found[f"{place.parent.name}/{place.name}"] = tuple(size)
        # Against Pillow's own reduction of the whole image.
        with Image.open(place) as whole:
            expected = np.asarray(whole.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR), np.int64)
        difference = np.abs(image[:, : size[0], : size[1]].permute(1, 2, 0).numpy() - expected)
        assert difference.max() <= 8
    assert found == {"a/0.jpg": (179, 128), "a/1.jpg": (8, 256), "b/0.jpg": (100, 120), "b/1.png": (256, 128)}


def test_resuming_and_ranks(folder: Path) -> None:
    images = find_labelled_images(folder)
    whole = take(9, images)
    for one, other in zip(take(4, images, first_step=5), whole[5:], strict=True):
        assert one.step == other.step
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    for world_size in (2, 3):
        parts = [take(9, images, rank=rank, world_size=world_size) for rank in range(world_size)]
        for step, batch in enumerate(whole):
            np.testing.assert_array_equal(np.concatenate([part[step].rows for part in parts]), batch.rows)
            assert torch.equal(torch.cat([part[step].labels for part in parts]), batch.labels)


def test_a_subset_is_balanced_and_follows_from_the_seed(folder: Path) -> None:
    images = find_labelled_images(folder)
    half = images.subset(0.5, seed=1)
    assert np.bincount(half.labels).tolist() == [4, 4, 4]
    assert half.classes == images.classes
    assert set(half.places) < set(images.places)
    assert half.places == images.subset(0.5, seed=1).places
    assert half.places != images.subset(0.5, seed=2).places
    assert np.bincount(images.subset(0.9, seed=1).labels).tolist() == [7, 5, 7]
    assert np.bincount(images.subset(0.001, seed=1).labels).tolist() == [1, 1, 1]
    assert images.subset(1, seed=1) is images
    # A larger part of the same seed holds the smaller one.
    assert set(images.subset(0.25, seed=1).places) < set(half.places)
    with pytest.raises(OptionError, match="fraction"):
        images.subset(0, seed=1)


def test_broken_images_are_named(folder: Path) -> None:
    for name, data in {"00.png": b"\x89PNG broken", "01.png": b"\xff\xd8\xff\xe0 broken", "02.png": b""}.items():
        path = folder / "bee" / name
        before = path.read_bytes()
        path.write_bytes(data)
        with pytest.raises(DataError, match=f"bee/{name} cannot be decoded"):
            take(1, find_labelled_images(folder), batch=24)
        path.write_bytes(before)


def _image(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "WEBP", "ICNS", "PPM", "PDF"])
def test_other_formats_are_refused_whatever_their_names(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments, **more: started.append(arguments))
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **more: started.append(arguments))
    for path in folder.rglob("*.png"):
        path.write_bytes(_image(kind))
    with pytest.raises(DataError, match=r"\.png cannot be decoded"):
        take(1, find_labelled_images(folder))
    assert not started


@pytest.mark.parametrize("side", [20_000, 60_000])
def test_claimed_gigabytes_are_not_believed(folder: Path, side: int) -> None:
    jpeg = bytearray(_image("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = side.to_bytes(2, "big") * 2
    bmp = bytearray(_image("BMP"))
    bmp[18:26] = side.to_bytes(4, "little") * 2
    for data in (jpeg, bmp):
        for path in folder.rglob("*.png"):
            path.write_bytes(data)
        with pytest.raises(DataError, match=r"its header claims|could be decompression bomb|exceeds limit"):
            take(1, find_labelled_images(folder))


def test_folders_that_do_not_serve_are_refused_with_the_remedy(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "only").mkdir(parents=True)
    (tmp_path / "one" / "only" / "0.png").write_bytes(png(noise(0, 8, 8)))
    for name, message in {"missing": "no folder", "empty": "no labelled images", "one": "one class 'only'"}.items():
        with pytest.raises(DataError, match=message) as caught:
            find_labelled_images(tmp_path / name)
        assert "subfolder of images for each class" in str(caught.value.hint)
    with pytest.raises(DataError, match="25 different labelled images, but only 24"):
        take(1, find_labelled_images(folder), batch=25)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("0.png", b"x")], "0.png has no label"),
        ([("0.png", b"x"), ("0.cls", b"cat")], "0.cls is not the number of a class"),
        ([("0.png", b"x"), ("0.cls", b"-1")], "not the number"),
        ([("0.png", b"x"), ("0.jpg", b"x"), ("0.cls", b"1")], "several images named 0"),
        ([("0.png", b"x"), ("0.cls", b"1")], "one class '1'"),
    ],
)
def test_shards_that_do_not_serve_are_refused(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    write_tar(tmp_path / "sets" / "a.tar", members)
    with pytest.raises(DataError, match=message):
        find_labelled_images(tmp_path / "sets")


def test_files_that_are_no_tar_or_end_early_are_named(tmp_path: Path) -> None:
    members = [(f"{i}.{e}", d) for i in range(4) for e, d in (("cls", b"%d" % (i % 2)), ("png", png(noise(i, 40, 40))))]
    path = tmp_path / "sets" / "a.tar"
    write_tar(path, members)
    images = find_labelled_images(tmp_path / "sets")
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match=r"a\.tar:\d.png ends early"):
        take(1, images, batch=4)
    path.write_bytes(b"no tar" * 300)
    with pytest.raises(DataError, match="a.tar is not a readable tar file"):
        find_labelled_images(tmp_path / "sets")
