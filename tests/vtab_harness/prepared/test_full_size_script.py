"""The archives that `tests/benchmarks/full_size_archives.py` draws, some images of each, as the readers see them."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.datasets import dmlab, dsprites, patch_camelyon
from vtab_harness.prepared.prepared_set import PreparedSet, prepare

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import full_size_archives
import full_size_drawing

COUNT = 40
SPRITES = 2048
"""All positions in two orientations."""


@pytest.fixture(autouse=True)
def small_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    # Compressing the stock is what takes long where images are few.
    monkeypatch.setattr(full_size_drawing, "STOCK", 8)


def prepared(image_set: ImageSet, data: Path, count: int = COUNT) -> PreparedSet:
    """Prepares every image of archives with `count` images in each source split, each of which is a VTAB split."""
    small = replace(
        image_set,
        sizes=dict.fromkeys(image_set.sizes, count),
        splits={split: (Slice(split, 0, count),) for split in image_set.sizes},
    )
    return prepare(small, [data], data / "cache", list(small.splits))


def pixels(found: PreparedSet, split: str) -> Mapping[str, np.ndarray]:
    """Returns the prepared images by key."""
    keys = found.keys(split)
    read = found.images(split).read(0, len(keys))
    shape = read.uniform()
    assert shape is not None
    return dict(zip(keys, read.data.reshape(-1, *shape), strict=True))


def test_sprites_move_with_their_latents(tmp_path: Path) -> None:
    full_size_archives.draw(tmp_path, "dsprites", limit=SPRITES)
    found = prepared(dsprites.IMAGE_SET, tmp_path, SPRITES)
    columns = found.annotations("train")
    images = pixels(found, "train")
    assert sorted(map(int, images)) == list(range(SPRITES))
    for at, (key, image) in enumerate(images.items()):
        # The order of the published file.
        expected = {
            "orientation": int(key) // 1024 % 40,
            "x_position": int(key) // 32 % 32,
            "y_position": int(key) % 32,
        }
        assert {name: int(columns[f"label_{name}"][at]) for name in expected} == expected
        assert set(np.unique(image)) == {0, 255}
        down, right = (places.mean() for places in np.nonzero(image[:, :, 0]))
        assert abs(down - (11.5 + 40 / 31 * expected["y_position"])) <= 1
        assert abs(right - (11.5 + 40 / 31 * expected["x_position"])) <= 1


def test_patches_are_all_different(tmp_path: Path) -> None:
    paths = full_size_archives.draw(tmp_path, "patch_camelyon", limit=COUNT)
    found = prepared(patch_camelyon.IMAGE_SET, tmp_path)
    for split, prefix in {"train": "train", "validation": "valid", "test": "test"}.items():
        (path,) = (path for path in paths if path.name.endswith(f"_{prefix}_x.h5.gz"))
        # Inflated and read at once by the libraries, apart from the readers of the harness.
        with h5py.File(io.BytesIO(gzip.decompress(path.read_bytes()))) as file:
            expected = file["x"][()]
        images = pixels(found, split)
        assert all((image == expected[int(key.removeprefix(f"{prefix}_"))]).all() for key, image in images.items())
        assert len({image.tobytes() for image in images.values()}) == COUNT
        assert set(found.annotations(split)["label"].tolist()) == {0, 1}


def test_frames_are_whole_and_all_different(tmp_path: Path) -> None:
    (path,) = full_size_archives.draw(tmp_path, "dmlab", limit=COUNT)
    found = prepared(dmlab.IMAGE_SET, tmp_path)
    with tarfile.open(path) as archive:
        names = archive.getnames()
    assert names == [f"dmlab-{split}.tfrecord-00000-of-00001" for split in ("train", "validation", "test")]
    for split in dmlab.IMAGE_SET.sizes:
        images = pixels(found, split)
        assert {image.shape for image in images.values()} == {(360, 480, 3)}
        assert len({image.tobytes() for image in images.values()}) == COUNT
        assert len(set(found.annotations(split)["label"].tolist())) == 6


def test_rows_of_frames_can_be_exchanged() -> None:
    head, stock, end = full_size_drawing.frame_parts(np.random.default_rng(0))

    def decoded(*rows_of: int) -> np.ndarray:
        parts = [head, *(stock[of][row] for row, of in enumerate(rows_of)), end]
        return np.asarray(Image.open(io.BytesIO(b"".join(part.plain for part in parts))))

    rows = len(stock[0])
    first, second = decoded(*[0] * rows), decoded(*[1] * rows)
    mixed = decoded(*[row % 2 for row in range(rows)])
    assert rows == -(-360 // 16)
    for row in range(rows):
        # Colour is interpolated across the border of two rows of blocks.
        inner = slice(16 * row + 1, min(16 * row + 15, 360))
        assert (mixed[inner] == (second if row % 2 else first)[inner]).all()
    assert (first != second).mean() > 0.9


@pytest.mark.parametrize("name", ["dsprites", "patch_camelyon", "dmlab"])
def test_equal_seeds_give_equal_bytes(tmp_path: Path, name: str) -> None:
    contents = []
    for folder, seed in {"first": 1, "again": 1, "other": 2}.items():
        contents.append([path.read_bytes() for path in full_size_archives.draw(tmp_path / folder, name, seed, limit=5)])
    assert contents[0] == contents[1]
    # Every combination of the latent factors needs no seed.
    assert (contents[0] == contents[2]) == (name == "dsprites")


def test_commands_draw_and_refuse_a_cache_in_use(tmp_path: Path) -> None:
    full_size_archives.main(["draw", str(tmp_path), "--set", "dsprites", "--limit", "5"])
    assert [path.name for path in (tmp_path / "dsprites").iterdir()] == [dsprites.IMAGE_SET.archives[0].name]
    (tmp_path / "cache" / "prepared" / "dsprites-1").mkdir(parents=True)
    with pytest.raises(SystemExit):
        full_size_archives.main(["measure", str(tmp_path), str(tmp_path / "cache"), "--set", "dsprites"])


@pytest.mark.slow
def test_measuring_runs_the_command_and_reports_its_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    full_size_archives.draw(tmp_path, "dsprites", limit=5)
    with pytest.raises(subprocess.CalledProcessError):
        full_size_archives.measure(tmp_path, tmp_path / "cache", "dsprites", full=True)
    assert "where (737280, 64, 64) is expected" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_files_without_a_name_count_as_disk_use(tmp_path: Path) -> None:
    before = full_size_archives.unnamed_files(os.getpid())
    with tempfile.TemporaryFile(dir=tmp_path) as unnamed, (tmp_path / "named").open("wb") as named:
        for file in (unnamed, named):
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())
        assert full_size_archives.unnamed_files(os.getpid()) - before == 1 << 20
        assert full_size_archives.disk_use(tmp_path) == 1 << 20
