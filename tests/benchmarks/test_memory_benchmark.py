"""Peak memory of a linear run over many test images."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark_suite

# In a process of its own, because the peak of a process never falls.
PROGRAM = """
import resource, sys
from collections.abc import Iterator
from pathlib import Path
import numpy as np, torch
from vtab_harness import registry
from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.executors import Job
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Task
from vtab_harness.backbones.loaded import load_backbone
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.settings import SweepSettings

sys.modules["large"] = sys.modules["__main__"]
TEST, folder = int(sys.argv[1]), Path(sys.argv[2])

class Wide(torch.nn.Module):
    "Cheap, with as many features as a ResNet-50, so that the memory is that of the harness."
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.project = torch.nn.Linear(3 * 64, 2048)
    def forward(self, images):
        return self.project(torch.nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)).relu()

class Source:
    variant = "made-up"
    def keys(self, split): return [str(i) for i in range(IMAGES.sizes[split])]
    def annotations(self, split): return {"label": np.arange(IMAGES.sizes[split]) % 10}
    def images(self, wanted):
        noise = np.random.default_rng(0).integers(0, 200, (64, 224, 224, 3), dtype=np.uint8)
        for split, positions in wanted.items():
            for position in positions:
                yield split, position, noise[position % 64] + np.uint8(position % 10 * 5)

def open_source(image_set, roots): return Source()

IMAGES = ImageSet("large", "1", "large:open_source", {"train": 1000, "test": TEST}, {
    "train800": (Slice("train", 0, 800),), "val200": (Slice("train", 800, 1000),), "test": (Slice("test", 0, TEST),)})
registry.tasks.register("large", Task("large", "Large", "natural", IMAGES, Column("label"), 10))

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
spec = "python:large:Wide"
load_backbone(spec)
own = peak()
settings = SweepSettings(results=folder / "results", cache=folder / "cache", device="cpu")
outcome = run_job(Job(spec, ("large",), settings))
assert outcome.error is None, outcome.traceback or outcome.error
print(own, peak())
"""


def test_linear_over_seventy_thousand_images(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "70000", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    own, peak = (float(value) for value in done.stdout.split())
    print(f"\npeak {peak:.2f} GB, of which libraries and model {own:.2f} GB: {peak - own:.2f} GB over them")
    for large in [*tmp_path.rglob("pixels*"), *tmp_path.rglob("*.f32")]:
        large.unlink()  # Ten gigabytes are not left behind in the temporary folder.
    assert peak - own < 2.5
