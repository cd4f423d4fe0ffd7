"""Declarations of the data sets whose keys are numbered: example order needs no data."""

import hashlib
import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from vtab_harness.api.data import ImageSet, Source
from vtab_harness.api.tasks import Task
from vtab_harness.datasets import cifar100, clevr, dsprites, patch_camelyon, smallnorb, svhn_cropped
from vtab_harness.datasets.cifar100.reader import Cifar100
from vtab_harness.datasets.clevr.reader import Clevr
from vtab_harness.datasets.dsprites.reader import Dsprites
from vtab_harness.datasets.patch_camelyon.reader import PatchCamelyon
from vtab_harness.datasets.smallnorb.reader import SmallNorb
from vtab_harness.datasets.svhn_cropped.reader import SvhnCropped
from vtab_harness.formats.example_order import examples_by_split, keys_fingerprint

NOWHERE = Path("nowhere")
SOURCES: dict[str, Callable[[ImageSet], Source]] = {
    "cifar100": lambda image_set: Cifar100(image_set, NOWHERE),
    "svhn_cropped": lambda image_set: SvhnCropped(image_set, {}),
    "dsprites": lambda image_set: Dsprites(image_set, NOWHERE),
    "smallnorb": lambda image_set: SmallNorb(image_set, {}),
    "patch_camelyon": lambda image_set: PatchCamelyon(image_set, {}),
    "clevr": lambda image_set: Clevr(image_set, NOWHERE),
}
TASKS = [
    cifar100.TASK,
    svhn_cropped.TASK,
    dsprites.LOCATION,
    dsprites.ORIENTATION,
    smallnorb.AZIMUTH,
    smallnorb.ELEVATION,
    patch_camelyon.TASK,
    clevr.COUNT,
    clevr.DISTANCE,
]
IMAGE_SETS = {task.image_set.name: task.image_set for task in TASKS}

# First keys and sha256 over all keys of a split, in example order.
ORDERS = {
    ("cifar100", "train800"): (
        ["16399", "1680", "47917", "17307"],
        "5b25ee0661c3bc4a0f08116d4015d6f10127fe5ae74ac4fd72ca6f044fc0dd4c",
    ),
    ("cifar100", "val200"): (
        ["13431", "9237", "17462", "32685"],
        "93377e439662509b3af8a1e05deab26ef04521fc4e3123b9745627c03adf8b15",
    ),
    ("cifar100", "test"): (
        ["9933", "5669", "163", "6686"],
        "aa6d3ee41c0a810ee03e281aa17c5d81bbabd0eaa4e514f0304563ef3b08f0d2",
    ),
    ("svhn_cropped", "train800"): (
        ["16399", "1680", "47917", "17307"],
        "901fe4f6d4f65bc865589bb7c52a3778c3d35755573b0c1850b8499236a9d6de",
    ),
    ("svhn_cropped", "val200"): (
        ["21145", "64736", "23870", "1919"],
        "36ae944d2e322a4f2d28ad7c0ff0e2a851bd3574ee88d1753f262089f6ea706f",
    ),
    ("svhn_cropped", "test"): (
        ["23018", "16932", "19084", "9933"],
        "40b99c89fb133426871c32c8a64c60cc31c651052e641f6bc22dcad07b5e6640",
    ),
    ("dsprites", "train800"): (
        ["16399", "634903", "206287", "470425"],
        "54130b46ffd225790c81835e4e9bd2e2633ecfe2f2bf81153be3dc4266ea3cbc",
    ),
    ("dsprites", "val200"): (
        ["220697", "85843", "84902", "106270"],
        "86005e8c04783edc67c31e382b961c77cf7ef9e18a3c4f1a8dfc4f1661e4818e",
    ),
    ("dsprites", "test"): (
        ["493443", "195884", "225768", "246626"],
        "047f98bb94c6f871024670465fccadf7bf82e15cb5cdf98f0644e6f5ba7991f8",
    ),
    ("smallnorb", "train800"): (
        ["16399", "1680", "17307", "1456"],
        "438b845e2bd4a468ad5b37906f3fee8bbf22a97c9baffee460e397d51ca5c39f",
    ),
    ("smallnorb", "val200"): (
        ["23018", "16932", "19084", "9933"],
        "d9fca0e85af945f00294c8c9156e50808fc4c71d21ac8d914ad63a2fe354938e",
    ),
    ("smallnorb", "test"): (
        ["299", "2838", "15595", "9948"],
        "f5e0032ca6dc71cec3cd0688694f2ccf5faf0b484efdb4b1e640261e5b63ff0b",
    ),
    ("patch_camelyon", "train800"): (
        ["train_251464", "train_132287", "train_133786", "train_86259"],
        "c1122cb7e413b8b3f625651d39d3f49faa66eef4a7a545dc7a68ecd30f56f9dd",
    ),
    ("patch_camelyon", "val200"): (
        ["valid_3270", "valid_10310", "valid_20603", "valid_11608"],
        "b3998b44bc8423a136fb3dbc4ecd2d3e8d8011f15ba922d83f0ca1615a26a06e",
    ),
    ("patch_camelyon", "test"): (
        ["test_11072", "test_27274", "test_8313", "test_19564"],
        "57bf9b06b6104a9fa1ea33294f37a69a6fbed06cd8661e81d45602239b81531a",
    ),
    ("clevr", "train800"): (
        ["CLEVR_train_043876.png", "CLEVR_train_033421.png", "CLEVR_train_062025.png", "CLEVR_train_021419.png"],
        "5dc1033102716488771af2b643c6b45defc3c8ff3f15be06f459522dc8285557",
    ),
    ("clevr", "val200"): (
        ["CLEVR_train_035084.png", "CLEVR_train_029360.png", "CLEVR_train_004525.png", "CLEVR_train_024831.png"],
        "9a9150228251ccef4c8711c5f0db84cff6ed9b2ff6738cadd96f928d16eaa9d6",
    ),
    ("clevr", "test"): (
        ["CLEVR_val_011736.png", "CLEVR_val_005989.png", "CLEVR_val_008130.png", "CLEVR_val_009391.png"],
        "4952b4e50300bca1dc55e3f9b29f3f8b2854030b3bf8f090bffd0adfb80b26e1",
    ),
}

# Examples of train, val, trainval and test.
COUNTS = {
    "cifar100": (45000, 5000, 50000, 10000),
    "svhn_cropped": (65931, 7326, 73257, 26032),
    "dsprites": (589824, 73728, 663552, 73728),
    "smallnorb": (24300, 12150, 36450, 12150),
    "patch_camelyon": (262144, 32768, 294912, 32768),
    "clevr": (63000, 7000, 70000, 15000),
}


@pytest.fixture(scope="module", params=list(IMAGE_SETS))
def ordered(request: pytest.FixtureRequest) -> tuple[ImageSet, dict[str, list[tuple[str, str]]]]:
    """An image set with the (source split, key) of each example of its VTAB splits."""
    image_set = IMAGE_SETS[request.param]
    source = SOURCES[image_set.name](image_set)
    keys = {split: source.keys(split) for split in image_set.sizes}
    resolved = examples_by_split(image_set, source, list(image_set.splits))
    return image_set, {
        name: [(split, keys[split][position]) for split, position in found] for name, found in resolved.items()
    }


Ordered = tuple[ImageSet, dict[str, list[tuple[str, str]]]]


def test_example_order_is_fixed(ordered: Ordered) -> None:
    image_set, found = ordered
    for split in ("train800", "val200", "test"):
        first, fingerprint = ORDERS[image_set.name, split]
        keys = [key for _, key in found[split]]
        assert keys[:4] == first
        assert keys_fingerprint(keys) == fingerprint


def test_order_is_that_of_the_hashes(ordered: Ordered) -> None:
    _, found = ordered
    for split in ("train", "test"):
        hashes = [hashlib.md5((name + key).encode()).digest() for name, key in found[split][:5000]]
        assert hashes == sorted(hashes)


def test_splits_have_their_sizes_and_relations(ordered: Ordered) -> None:
    image_set, found = ordered
    sets = {split: set(examples) for split, examples in found.items()}
    assert all(len(sets[split]) == len(found[split]) == image_set.size(split) for split in found)
    assert tuple(len(sets[split]) for split in ("train", "val", "trainval", "test")) == COUNTS[image_set.name]
    assert (len(sets["train800"]), len(sets["val200"])) == (800, 200)
    assert found["train"][:800] == found["train800"]
    assert found["val"][:200] == found["val200"]
    assert sets["train"] | sets["val"] == sets["trainval"]
    assert not sets["train"] & sets["val"]
    assert not sets["trainval"] & sets["test"]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_declaration_is_complete(task: Task) -> None:
    image_set = task.image_set
    module, name = image_set.source.split(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert module == f"vtab_harness.datasets.{image_set.name}.reader"
    assert image_set.archives
    for archive in image_set.archives:
        assert archive.size
        assert archive.sha256 is not None
        assert len(bytes.fromhex(archive.sha256)) == 32
        assert archive.page.startswith("http")
    assert image_set.citation
    assert image_set.licence


@cache
def dsprites_annotations(split: str) -> dict[str, np.ndarray]:
    """Latent classes follow from the position: the file holds every combination once, the last factor fastest."""
    image_set = dsprites.IMAGE_SET
    found = examples_by_split(image_set, Dsprites(image_set, NOWHERE), [split])[split]
    at = np.array([position for _, position in found])
    return {"label_x_position": at // 32 % 32, "label_orientation": at // 1024 % 40}


@pytest.mark.parametrize(
    ("task", "split", "first", "fingerprint", "histogram"),
    [
        (
            dsprites.LOCATION,
            "train800",
            [0, 0, 7, 6, 7, 11, 7, 5, 6, 14],
            "5530176c8d74c9cbe2ae8e4efc50c15a2402b72a1d7b6a0f8e0506bda09244b7",
            [54, 42, 45, 45, 48, 54, 49, 48, 62, 51, 50, 60, 50, 47, 53, 42],
        ),
        (
            dsprites.LOCATION,
            "val200",
            [8, 13, 14, 12, 15, 9, 13, 8, 3, 1],
            "608113ffbdf307333f7187d5a8c1452624427ca90a0ef5574dad42215eda56af",
            [14, 11, 12, 9, 12, 8, 13, 15, 7, 14, 13, 8, 16, 13, 16, 19],
        ),
        (
            dsprites.LOCATION,
            "test",
            [14, 4, 7, 13, 13, 15, 7, 6, 13, 4],
            "dc9f0a85446427d83f5a4fda774e9a3dc71e9514b2c9efaf79d06946b47f20c3",
            [4683, 4612, 4667, 4629, 4619, 4676, 4615, 4589, 4541, 4657, 4579, 4656, 4538, 4549, 4597, 4521],
        ),
        (
            dsprites.ORIENTATION,
            "train800",
            [6, 8, 0, 7, 9, 12, 14, 1, 14, 15],
            "d7248e7cae2a6c6e3a8bd81918a605222432f0667578b44019a12a24a22344b8",
            [59, 43, 67, 50, 53, 45, 58, 43, 61, 38, 52, 42, 56, 35, 57, 41],
        ),
        (
            dsprites.ORIENTATION,
            "val200",
            [6, 1, 0, 9, 4, 10, 10, 10, 0, 8],
            "827e32f1e2bef8e4bd569550b46b289fbcff3da3a51c12561e2d17067f13d0ac",
            [15, 13, 8, 8, 15, 10, 15, 8, 18, 10, 23, 8, 11, 5, 21, 12],
        ),
        (
            dsprites.ORIENTATION,
            "test",
            [0, 12, 8, 0, 12, 2, 3, 6, 13, 5],
            "de158a86186a3d990aeda1b48898ac8e9925c6ee9fc92f27cf2ae136325ab38d",
            [5491, 3700, 5495, 3702, 5528, 3616, 5548, 3647, 5593, 3726, 5605, 3705, 5501, 3782, 5496, 3593],
        ),
    ],
)
def test_labels_of_dsprites_follow_from_the_order(
    task: Task, split: str, first: list[int], fingerprint: str, histogram: list[int]
) -> None:
    labels = task.label(dsprites_annotations(split))
    assert labels[:10].tolist() == first
    assert keys_fingerprint(labels.tolist()) == fingerprint
    assert np.bincount(labels, minlength=task.num_classes).tolist() == histogram
    if split == "test":
        assert task.chance == max(histogram) / sum(histogram)


def test_names_and_groups() -> None:
    assert [(task.name, task.title, task.group, task.num_classes) for task in TASKS] == [
        ("cifar100", "CIFAR-100", "natural", 100),
        ("svhn", "SVHN", "natural", 10),
        ("dsprites_location", "dSpr-Loc", "structured", 16),
        ("dsprites_orientation", "dSpr-Orient", "structured", 16),
        ("smallnorb_azimuth", "sNORB-Azim", "structured", 18),
        ("smallnorb_elevation", "sNORB-Elev", "structured", 9),
        ("patch_camelyon", "Camelyon", "specialized", 2),
        ("clevr_count", "Clevr-Count", "structured", 8),
        ("clevr_distance", "Clevr-Dist", "structured", 6),
    ]
