"""Labels and pixels are those that were committed; ``python test_fingerprints.py`` writes them anew.

A change here changes every result on `mini`: it asks for a new version of the image set or the task.
"""

import hashlib
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from vtab_harness.api.data import ImageSet
from vtab_harness.builtin import NAMES

COMMITTED = Path(__file__).with_name("fingerprints.json")
SETS = ("digits", "textures", "tissue", "terrain", "scenes", "sprites", "solids")
FIRST = 32


def fingerprint(name: str) -> dict[str, str]:
    module = import_module(f"vtab_harness.datasets.mini.{name}")
    images: ImageSet = module.IMAGES
    source_module, factory = images.source.split(":")
    source = getattr(import_module(source_module), factory)(images, ())
    found = {"version": images.version}
    for split in images.sizes:
        for address in NAMES["tasks"].values():
            if address.startswith(f"{module.__name__}:"):
                task = getattr(module, address.split(":")[1])
                labels = task.label(source.annotations(split)).astype(np.uint8)
                found[f"labels of {task.name}/{split}"] = hashlib.sha256(labels.tobytes()).hexdigest()
        pixels = hashlib.sha256()
        for _, _, image in source.images({split: range(FIRST)}):
            pixels.update(image.tobytes())
        found[f"pixels of {images.name}/{split}[:{FIRST}]"] = pixels.hexdigest()
    return found


@pytest.mark.parametrize("name", SETS)
def test_labels_and_pixels_are_those_committed(name: str):
    assert fingerprint(name) == json.loads(COMMITTED.read_text())[name]


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps({name: fingerprint(name) for name in SETS}, indent=1) + "\n")
