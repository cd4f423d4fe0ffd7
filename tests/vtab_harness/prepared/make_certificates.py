"""Rebuilds ``certificate.json`` and ``order.txt`` of VTAB-1k's image sets from the facts.

Usage: ``python make_certificates.py FACTS``, where FACTS holds ``golden_order.json`` and ``golden_order_more.json``:
keys and labels of VTAB-1k's splits as hashes, and in full for train800 and val200. Certificates of pixels
stand here, as they can be computed from the images alone.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vtab_harness import registry
from vtab_harness.api.data import ImageSet
from vtab_harness.api.tasks import Task
from vtab_harness.datasets.caltech101 import VARIANT
from vtab_harness.datasets.caltech101.splits import CLASS_SIZES, STRAYS, membership
from vtab_harness.datasets.eurosat import reader as eurosat
from vtab_harness.datasets.resisc45 import reader as resisc45
from vtab_harness.datasets.vtab_1k import SUITE
from vtab_harness.formats.example_order import example_order, keys_fingerprint
from vtab_harness.prepared.prepared_set import SPLITS

ROOT = Path(__file__).parents[3]
DATASETS = ROOT / "vtab_harness" / "datasets"

GOLDEN, RULE, CONFIRMED = "golden list", "computed by the rule", "confirmed by an independent list"
LEARNED_FROM = ("train800", "val200")
GOLDEN_NAMES = {"dsprites_location": "dsprites_loc", "dsprites_orientation": "dsprites_ori"}
# Which lists were compared stands in golden_order.md.
COMPARED = {
    "cifar100", "patch_camelyon", "clevr", "eurosat", "resisc45", "sun397", "oxford_flowers102", "oxford_iiit_pet",
    "diabetic_retinopathy_detection", "kitti",
}  # fmt: skip
ONLY_LISTED = {"dtd", "dmlab"}
ONE_COPY = {("oxford_iiit_pet", "test")}
# Computed by `vtab data prepare` from real archives, and by `test_pixels_of_the_real_archives` again.
PIXELS = {
    "caltech101": {
        "from": "decoded from the public archive, 101_ObjectCategories.tar.gz",
        "train800": "192af3470c9c6768af566aaaa29af7d852b38b3e00a1ba57fad7b717193a7331",
        "val200": "e649ca634b0385529a40724b9672e795a4bbda182516b672ce0cd66b6b172121",
        "test": "7e53677658f66f38e5168a03ea28a272f91d3ae9f8bfa71243f87121883f9c2e",
    },
    "eurosat": {
        "from": "decoded from the published JPEGs, byte for byte, in a zip of another packing",
        "train800": "a127d4b5a6ede313b0c8e1c16dab3b8dbfad10516ba0970940095812cd723128",
        "val200": "19f9dc540bdfba4d5634ce1b48e72480fe8b8648bcce226c2af17394c3886e95",
        "test": "02b702415da28dac8baa84a470bb8e49b035ac3d15009a889a4465628f2035e2",
    },
}


def listed_keys(image_set: ImageSet) -> dict[str, Sequence[str]] | None:
    """Returns the keys of every source split where the publisher's numbering or naming gives them."""
    sizes = image_set.sizes
    match image_set.name:
        case "cifar100" | "dsprites" | "svhn_cropped" | "smallnorb":
            return {split: [str(position) for position in range(size)] for split, size in sizes.items()}
        case "patch_camelyon":
            prefixes = {"train": "train", "validation": "valid", "test": "test"}
            return {split: [f"{prefixes[split]}_{at}" for at in range(size)] for split, size in sizes.items()}
        case "clevr":
            parts = {"train": "train", "validation": "val"}
            return {
                split: [f"CLEVR_{parts[split]}_{at:06d}.png" for at in range(size)] for split, size in sizes.items()
            }
        case "eurosat":
            return {"train": class_keys(eurosat.files(eurosat.CLASS_SIZES))}
        case "resisc45":
            return {"train": class_keys(resisc45.files(resisc45.CLASS_SIZES))}
        case "caltech101":
            return dict(membership(CLASS_SIZES, STRAYS))
    return None


def class_keys(files: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns ``<class>_<file>`` for the files of all class folders."""
    return [f"{name}_{file}" for name, of_class in files.items() for file in of_class]


def annotations(image_set: ImageSet, keys: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Returns the columns that follow from the keys alone."""
    match image_set.name:
        case "dsprites":
            # Every combination once, the last factor fastest: colour, shape, scale, orientation, x, y.
            factors = np.unravel_index(np.array(keys, dtype=np.int64), (1, 3, 6, 40, 32, 32))
            return {"label_orientation": factors[3], "label_x_position": factors[4]}
        case "eurosat":
            names = list(eurosat.CLASS_SIZES)
            return {"label": np.array([names.index(key.split("_")[0]) for key in keys])}
        case "resisc45":
            # Class names hold underscores themselves: <class>_<class>_001.jpg.
            number = {f"{name}_{name}": label for label, name in enumerate(resisc45.CLASSES)}
            return {"label": np.array([number[key.rpartition("_")[0]] for key in keys])}
        case "caltech101":
            names = sorted(CLASS_SIZES, key=str.lower)
            return {"label": np.array([names.index(key.split("/")[0]) for key in keys])}
    return None


def by_rule(image_set: ImageSet) -> dict[str, list[str]]:
    """Returns the keys of the VTAB splits in example order, or nothing where they do not follow from the rule."""
    listed = listed_keys(image_set)
    if listed is None:
        return {}
    orders = {split: example_order(split, keys) for split, keys in listed.items()}
    return {
        split: [
            listed[p.split][at] for p in image_set.splits[split] for at in orders[p.split][p.start : p.stop].tolist()
        ]
        for split in SPLITS
    }


def certificate(name: str, split: str, golden: str | None, computed: str | None) -> dict[str, str] | None:
    """Returns a hash and where it comes from; stops where two origins disagree."""
    assert golden is None or computed is None or golden == computed, (name, split)
    found = golden or computed
    if found is None:
        return None
    origins = [GOLDEN] * (golden is not None) + [RULE] * (computed is not None)
    if split in LEARNED_FROM and name in COMPARED:
        origins.append(CONFIRMED)
    if split in LEARNED_FROM and name in ONLY_LISTED:
        origins.append("taken from an independent list")
    if (name, split) in ONE_COPY:
        origins.append("rests on one copy of the official list")
    return {"sha256": found, "from": "; ".join(origins)}


def label_certificates(task: Task, keys: Mapping[str, Sequence[str]], golden: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the certificates of a task's labels."""
    found = {}
    for split in SPLITS:
        columns = annotations(task.image_set, keys[split]) if split in keys else None
        computed = None if columns is None else keys_fingerprint(task.label(columns).tolist())
        given = golden.get(split, {})
        if "labels_all" in given:
            assert keys_fingerprint(given["labels_all"]) == given["labels_sha256"], (task.name, split)
        one = certificate("labels", split, given.get("labels_sha256"), computed)
        if one is not None:
            found[split] = one
    return found


def main(facts: Path) -> None:
    """Writes the certificates and the orders."""
    golden: dict[str, Any] = {}
    for name in ("golden_order.json", "golden_order_more.json"):
        golden |= json.loads((facts / name).read_text(encoding="utf-8"))
    made: dict[str, dict[str, Any]] = {}
    for task in map(registry.tasks.get, SUITE.tasks):
        image_set = task.image_set
        given = golden.get(GOLDEN_NAMES.get(task.name, task.name), {})
        computed = by_rule(image_set)
        labels = {task.name: found} if (found := label_certificates(task, computed, given)) else {}
        if image_set.name in made:
            made[image_set.name]["labels"] |= labels
            continue
        keys = computed | {split: list(map(str, given[split]["all"])) for split in LEARNED_FROM if split in given}
        rules = {split: keys_fingerprint(computed[split]) for split in computed}
        of_keys = {
            split: certificate(image_set.name, split, given.get(split, {}).get("sha256"), rules.get(split))
            for split in SPLITS
        }
        made[image_set.name] = {
            "variant": VARIANT if image_set.name == "caltech101" else "vtab-1k",
            "keys": {split: one for split, one in of_keys.items() if one},
            "labels": labels,
        }
        if image_set.name in PIXELS:
            pixels = PIXELS[image_set.name]
            made[image_set.name]["pixels"] = {
                split: {"sha256": pixels[split], "from": pixels["from"]} for split in SPLITS
            }
        lines = []
        for split in LEARNED_FROM:
            assert keys_fingerprint(keys[split]) == made[image_set.name]["keys"][split]["sha256"], (task.name, split)
            lines += [f"# {split}", *keys[split]]
        path = DATASETS / image_set.name / "order.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, found in made.items():
        path = DATASETS / name / "certificate.json"
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
