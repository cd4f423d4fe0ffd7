"""Reading prepared images from the page cache, and preparing Caltech101 from its archive.

make promises     # or: pytest -m benchmark_suite -s tests/benchmarks/test_data_benchmark.py
"""

import io
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.datasets.caltech101 import IMAGE_SET
from vtab_harness.datasets.caltech101.reader import open_source
from vtab_harness.formats.example_order import examples_by_split
from vtab_harness.prepared.checksums import files_of
from vtab_harness.prepared.manifest import PIXELS
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet, prepare

pytestmark = pytest.mark.benchmark_suite

COUNT, SHAPE = 4000, (224, 224, 3)
IMAGE_BYTES = int(np.prod(SHAPE))

# Fixed by the archive and the decoder, which is TensorFlow's bit for bit.
PIXEL_FINGERPRINTS = {
    "train800": "192af3470c9c6768af566aaaa29af7d852b38b3e00a1ba57fad7b717193a7331",
    "val200": "e649ca634b0385529a40724b9672e795a4bbda182516b672ce0cd66b6b172121",
    "test": "7e53677658f66f38e5168a03ea28a272f91d3ae9f8bfa71243f87121883f9c2e",
}


class Noise:
    """Different images of one size."""

    variant = "noise"

    def keys(self, split: str) -> Sequence[str]:
        return [str(i) for i in range(COUNT)]

    def annotations(self, split: str) -> Mapping[str, NDArray[np.int64]]:
        return {"label": np.arange(COUNT)}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        noise = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
        for split, positions in wanted.items():
            for position in positions:
                yield split, position, noise + np.uint8(position % 256)


def open_noise(image_set: ImageSet, roots: Sequence[Path]) -> Noise:
    return Noise()


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedSet]:
    # Sources are found by their module's name; this module has none that another could import.
    sys.modules["data_benchmark"] = sys.modules[__name__]
    image_set = ImageSet(
        "noise", "1", "data_benchmark:open_noise", {"test": COUNT}, {"test": (Slice("test", 0, COUNT),)}
    )
    cache = tmp_path_factory.mktemp("noise")
    yield prepare(image_set, [], cache, ("test",))
    shutil.rmtree(cache)  # 600 MB are not left behind in the temporary folder.


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


@pytest.mark.parametrize("chunk", [64, 256])
def test_reading_prepared_images(noise: PreparedSet, chunk: int) -> None:
    images = noise.images("test")
    path = noise.folder / "test" / PIXELS
    memory = np.fromfile(path, np.uint8)
    copied = np.empty_like(memory)
    starts = range(0, COUNT, chunk)

    def ours() -> None:
        for start in starts:
            images.read(start, min(start + chunk, COUNT))

    def plain() -> None:
        for start in starts:
            np.fromfile(path, np.uint8, min(chunk, COUNT - start) * IMAGE_BYTES, offset=start * IMAGE_BYTES)

    def copy() -> None:
        np.copyto(copied, memory)

    for run in (ours, plain, copy):
        run()
    turns = [(seconds(ours), seconds(plain), seconds(copy)) for _ in range(7)]
    mine, other, least = (COUNT / median(column) for column in zip(*turns, strict=True))
    ratio = median(plain / ours for ours, plain, _ in turns)
    print(f"\nchunks of {chunk}: {mine:,.0f} images/s ({mine * IMAGE_BYTES / 1e9:.1f} GB/s, one thread);", end=" ")
    print(f"np.fromfile {other:,.0f} ({ratio:.2f} x), copy in memory {least:,.0f}")
    assert mine >= 20_000
    assert ratio >= 0.5


@pytest.mark.shared
def test_preparing_caltech101_against_a_pillow_loop(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "raw"
    if not (root / "caltech101" / "101_ObjectCategories.tar.gz").is_file():
        pytest.skip("no archive of Caltech101 beside the checkout")
    source = open_source(IMAGE_SET, [root])
    (path,) = files_of(source)
    examples = examples_by_split(IMAGE_SET, source, list(SPLITS))
    keys = {source.keys(split)[position] for of_split in examples.values() for split, position in of_split}
    assert len(keys) == 7084

    def ours() -> None:
        prepare(IMAGE_SET, [root], tmp_path)

    def plain() -> None:
        done = 0
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name.partition("/")[2] in keys:
                    content = archive.extractfile(member)
                    assert content is not None
                    np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB").resize((224, 224)))
                    done += 1
        assert done == len(keys)

    ours()  # On virtual machines the first use of memory for the page cache costs more than writing to it.
    turns = []
    for _ in range(3):
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        turns.append((seconds(ours), seconds(plain)))
    prepared = prepare(IMAGE_SET, [root], tmp_path)
    found = {split: prepared.images(split).fingerprint for split in SPLITS}
    prepared.verify()
    shutil.rmtree(tmp_path)  # 1.6 GB.
    ratio = median(plain / ours for ours, plain in turns)
    mine, other = (len(keys) / median(column) for column in zip(*turns, strict=True))
    print(f"\nprepared {mine:,.0f} images/s, Pillow {other:,.0f} images/s: {ratio:.2f} x")
    print("seconds, ours and Pillow:", ", ".join(f"{ours:.1f} {plain:.1f}" for ours, plain in turns))
    assert found == PIXEL_FINGERPRINTS
    assert ratio >= 2
