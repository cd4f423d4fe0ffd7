"""Seconds that drawing the whole suite `mini` takes, on one thread."""

import time
from importlib import import_module

import pytest

pytestmark = pytest.mark.benchmark_suite


def test_rendering_the_whole_suite(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = {}
    for name in ("digits", "textures", "tissue", "terrain", "scenes", "sprites", "solids"):
        images = import_module(f"vtab_harness.datasets.mini.{name}").IMAGES
        module, factory = images.source.split(":")
        source = getattr(import_module(module), factory)(images, ())
        source.annotations("train")  # imports scikit-learn for the digits, which is not drawing
        started = time.perf_counter()
        drawn = sum(1 for _ in source.images({split: range(size) for split, size in images.sizes.items()}))
        seconds[name] = time.perf_counter() - started
        assert drawn == sum(images.sizes.values())
    with capsys.disabled():
        parts = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())
        print(f"\nmini drawn in {sum(seconds.values()):.2f} s ({parts})")
