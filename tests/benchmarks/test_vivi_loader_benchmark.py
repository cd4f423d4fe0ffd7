"""The loader of shots alone against a plain loop with Pillow over the same frames, and views on the CPU.

make promises     # or: pytest -m benchmark_suite -s tests/benchmarks/test_vivi_loader_benchmark.py
"""

import io
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch
from made_shards import SHOTS, write_shard
from PIL import Image

from vivi_pretrain.data.loading.prefetch import available_cores
from vivi_pretrain.data.loading.settings import ShotLoaderSettings
from vivi_pretrain.data.loading.shot_loader import ShotLoader
from vivi_pretrain.data.views.apply import apply_views
from vivi_pretrain.data.views.parameters import draw_uniforms, views_from_uniforms
from vivi_pretrain.data.views.settings import ViewSettings

pytestmark = pytest.mark.benchmark_suite

STEPS = 32  # Many, as each turn begins without a batch made ahead and ends with one that nobody wants.


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def processor_seconds(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


@pytest.mark.parametrize(("height", "width", "turns"), [(256, 455, 5), (64, 114, 11)])
def test_the_loader_alone_against_a_pillow_loop(tmp_path: Path, height: int, width: int, turns: int) -> None:
    shards = write_shard(tmp_path, height, width)
    settings = ShotLoaderSettings(videos=6, shots=SHOTS, frames=4, workers=2, prefetch=1)
    with ShotLoader(shards, settings, seed=0) as loader:
        chosen = [batch.rows.ravel() for batch in islice(loader, STEPS)]
    count = sum(map(len, chosen))

    def ours() -> None:
        with ShotLoader(shards, settings, seed=0) as loader:
            for batch in islice(loader, STEPS):
                assert batch.frames.shape[0] == 6

    def plain() -> None:
        for rows in chosen:
            for data in shards.read(rows):
                np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    ours(), plain()
    measured = [(seconds(ours), seconds(plain)) for _ in range(turns)]
    mine, other = (count / median(column) for column in zip(*measured, strict=True))
    ratio = median(theirs / own for own, theirs in measured)
    print(f"\n{height} x {width}, 2 threads on {available_cores()} cores: {mine:,.0f} frames/s;", end=" ")
    print(f"Pillow, one process: {other:,.0f} ({ratio:.2f} x);", end=" ")
    work = [processor_seconds(run) / count * 1e6 for run in (ours, plain)]
    print(f"{work[0]:.0f} and {work[1]:.0f} us of processor time a frame")
    assert ratio >= 1.5


@pytest.mark.parametrize(("height", "width", "size"), [(64, 96, 32), (64, 96, 64), (256, 480, 224)])
@pytest.mark.parametrize("colour", [True, False])
def test_views_on_the_cpu(height: int, width: int, size: int, colour: bool) -> None:
    settings = ViewSettings(size=size, colour=colour)
    count = max(64, 192 * 32 * 32 // (size * size))
    frames = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    sizes = np.tile(np.array([[height, width]], np.int32), (count, 1))
    small = torch.rand((count, 3, size, size))

    def ours() -> None:
        views = views_from_uniforms(settings, sizes, draw_uniforms(settings, seed=0, step=0, count=count))
        apply_views(frames, views, size)

    def power() -> None:
        small.pow(1.5)

    ours(), power()
    measured = [(seconds(ours), seconds(power)) for _ in range(15)]
    mine = count / median(own for own, _ in measured)
    ratio = median(own / unit for own, unit in measured)
    what = "crop, flip, colour" if colour else "crop, flip"
    print(f"\n{what} {height} x {width} -> {size}: {mine:,.0f} images/s, {ratio:.1f} times one power of the result")
    assert ratio <= 12
