import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import make_certificates
import pytest
from tiny_source import cifar100

from vtab_harness import registry
from vtab_harness.api.data import Source
from vtab_harness.datasets.clevr.reader import Clevr
from vtab_harness.datasets.eurosat.reader import open_source as open_eurosat
from vtab_harness.datasets.patch_camelyon.reader import PatchCamelyon
from vtab_harness.datasets.resisc45.reader import open_source as open_resisc45
from vtab_harness.datasets.smallnorb.reader import SmallNorb
from vtab_harness.datasets.svhn_cropped.reader import SvhnCropped
from vtab_harness.datasets.vtab_1k import SUITE
from vtab_harness.formats.example_order import examples_by_split, keys_fingerprint
from vtab_harness.prepared.certificates import LEARNED_FROM, compare, origin, stamp
from vtab_harness.prepared.certify import certify, provenance
from vtab_harness.prepared.prepared_set import SPLITS, prepare

TASKS = [registry.tasks.get(name) for name in SUITE.tasks]
SETS = {task.image_set.name: task.image_set for task in TASKS}
SHIPPED: dict[str, dict[str, Any]] = {
    name: json.loads((make_certificates.DATASETS / name / "certificate.json").read_text()) for name in SETS
}


def published(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (make_certificates.DATASETS / name / "order.txt").read_text().splitlines():
        if line.startswith("# "):
            keys = found.setdefault(line.removeprefix("# "), [])
        else:
            keys.append(line)
    return found


@pytest.mark.parametrize("name", SETS)
def test_published_order_is_the_certified_one(name: str) -> None:
    found = published(name)
    assert {split: len(keys) for split, keys in found.items()} == {"train800": 800, "val200": 200}
    assert len({(split, key) for split, keys in found.items() for key in keys}) == 1000
    image_set, variant = SETS[name], SHIPPED[name]["variant"]
    prints = {split: {"keys": keys_fingerprint(keys)} for split, keys in found.items()}
    certificate = compare(image_set, variant, prints, archives="exact")
    assert certificate.keys == dict.fromkeys(LEARNED_FROM, "exact")
    assert stamp(certificate) == variant
    swapped = {"train800": {"keys": keys_fingerprint([*found["train800"][1::-1], *found["train800"][2:]])}}
    assert compare(image_set, variant, swapped).keys == {"train800": "differs"}


def test_published_orders_are_small() -> None:
    sizes = [path.stat().st_size for path in make_certificates.DATASETS.glob("*/order.txt")]
    assert len(sizes) == len(SETS) == 16
    assert max(sizes) < 200_000
    assert sum(sizes) < 600_000


def test_every_certificate_says_where_it_comes_from() -> None:
    for name, found in SHIPPED.items():
        assert SETS[name].certificate == f"vtab_harness.datasets.{name}"
        assert set(found["labels"]) <= {task.name for task in TASKS if task.image_set.name == name}
    for part in [part for found in SHIPPED.values() for part in (found["keys"], *found["labels"].values())]:
        for split, one in part.items():
            assert split in SPLITS
            assert one.keys() == {"sha256", "from"}
            assert one["from"].startswith(("golden list", "computed by the rule"))
    pixels = {name: found["pixels"] for name, found in SHIPPED.items() if "pixels" in found}
    assert pixels.keys() == {"caltech101", "eurosat"}
    for part in pixels.values():
        assert part.keys() == set(SPLITS)
        assert all(one.keys() == {"sha256", "from"} and one["from"].startswith("decoded from") for one in part.values())
    assert origin(SETS["clevr"], "val200") == "computed by the rule; confirmed by an independent list"
    assert origin(SETS["dtd"], "test") is None


POSITIONAL = {"svhn_cropped": SvhnCropped, "smallnorb": SmallNorb, "patch_camelyon": PatchCamelyon}


@pytest.mark.parametrize("name", [*POSITIONAL, "clevr", "eurosat", "resisc45"])
def test_sources_give_the_certified_keys(name: str, tmp_path: Path) -> None:
    """The certificates were made without the sources, so that each checks the other."""
    image_set = SETS[name]
    source: Source
    if name in POSITIONAL:
        source = POSITIONAL[name](image_set, {})
    elif name == "clevr":
        source = Clevr(image_set, tmp_path)
    else:
        (tmp_path / {"eurosat": "2750", "resisc45": "NWPU-RESISC45"}[name]).mkdir()
        source = {"eurosat": open_eurosat, "resisc45": open_resisc45}[name](image_set, [tmp_path])
    found = examples_by_split(image_set, source, SPLITS)
    keys = {split: source.keys(split) for split in image_set.sizes}
    prints = {split: {"keys": keys_fingerprint(keys[of][at] for of, at in found[split])} for split in SPLITS}
    certificate = compare(image_set, source.variant, prints)
    assert certificate.keys == dict.fromkeys(SPLITS, "exact")
    # Any file of the right shape has the keys that are made up for it.
    assert certificate.exact == (() if name in POSITIONAL else SPLITS)
    assert compare(image_set, source.variant, prints, archives="exact").exact == SPLITS


def test_exact_data_is_stamped_vtab_1k(fresh: Path) -> None:
    prepared = prepare(cifar100("exact"), [], fresh)
    assert certify(prepared).keys == dict.fromkeys(SPLITS, "exact")
    assert provenance(prepared).variant == "vtab-1k"
    task = replace(registry.tasks.get("cifar100"), image_set=prepared.image_set)
    assert certify(prepared, task).labels == dict.fromkeys(SPLITS, "unknown")
    assert provenance(prepared, task.label, task.name).variant == "vtab-1k"


def test_right_keys_of_another_file_prove_nothing(fresh: Path) -> None:
    declared = cifar100("exact")
    (archive,) = declared.archives
    prepare(declared, [], fresh)
    # What was read is compared anew whenever the data are opened.
    for other, verdict in {
        replace(archive, sha256="0" * 64): "differs",
        replace(archive, size=5): "differs",
        replace(archive, sha256=None): "unknown",
        replace(archive, name="another.zip"): "unknown",
    }.items():
        opened = prepare(replace(declared, archives=(other,)), [], fresh)
        assert certify(opened).archives == verdict
        assert provenance(opened).variant == "unverified"
    assert provenance(prepare(declared, [], fresh)).variant == "vtab-1k"


@pytest.mark.parametrize("kept", [True, False])
def test_manifests_that_do_not_say_what_was_read(fresh: Path, kept: bool) -> None:
    """The harness wrote none of it at first; such folders open, and their positions are no proof."""
    prepared = prepare(cifar100("exact"), [], fresh)
    path = prepared.folder / "val200" / "manifest.json"
    content = json.loads(path.read_text())
    content["schema"] = 1
    if not kept:
        del content["archives"]
    path.write_text(json.dumps(content))
    opened = prepare(cifar100("exact"), [], fresh)
    assert certify(opened).archives == ("exact" if kept else "unknown")
    assert provenance(opened).variant == ("vtab-1k" if kept else "unverified")
    opened.verify()


def test_other_examples_are_unverified_and_keep_their_folder(fresh: Path) -> None:
    prepared = prepare(cifar100("shifted"), [], fresh)
    assert certify(prepared).differing == tuple(f"keys of {split}" for split in SPLITS)
    assert provenance(prepared).variant == "unverified"
    assert prepared.variant == prepared.folder.name == "vtab-1k"


def test_data_that_claim_to_be_something_else_stay_so(fresh: Path) -> None:
    prepared = prepare(cifar100("jpeg75"), [], fresh)
    assert set(certify(prepared).keys.values()) == {"unknown"}
    assert provenance(prepared).variant == "jpeg75"


def test_without_a_certificate_nothing_is_vtab_1k(fresh: Path) -> None:
    prepared = prepare(replace(cifar100("exact"), certificate=""), [], fresh)
    assert set(certify(prepared).keys.values()) == {"unknown"}
    assert provenance(prepared).variant == "unverified"


def test_vtab_1k_takes_both_train800_and_val200() -> None:
    keys = {split: {"keys": one["sha256"]} for split, one in SHIPPED["dmlab"]["keys"].items()}
    assert stamp(compare(SETS["dmlab"], "vtab-1k", keys)) == "vtab-1k"
    assert stamp(compare(SETS["dmlab"], "vtab-1k", keys | {"test": {"keys": "of no certificate"}})) == "vtab-1k"
    assert stamp(compare(SETS["dmlab"], "vtab-1k", {"train800": keys["train800"]})) == "unverified"
    assert stamp(compare(SETS["dmlab"], "vtab-1k", keys | {"val200": keys["train800"]})) == "unverified"


def test_other_labels_are_unverified() -> None:
    keys = SHIPPED["dsprites"]["keys"]
    labels = SHIPPED["dsprites"]["labels"]["dsprites_location"]
    prints = {split: {"keys": keys[split]["sha256"], "labels": labels[split]["sha256"]} for split in SPLITS}
    right = compare(SETS["dsprites"], "vtab-1k", prints, "dsprites_location", archives="exact")
    assert right.labels == dict.fromkeys(SPLITS, "exact")
    assert stamp(right) == "vtab-1k"
    wrong = compare(SETS["dsprites"], "vtab-1k", prints, "dsprites_orientation", archives="exact")
    assert wrong.differing == tuple(f"labels of {split}" for split in SPLITS)
    assert wrong.exact == ()
    assert stamp(wrong) == "unverified"
    unknown = compare(SETS["dsprites"], "vtab-1k", prints, archives="exact")
    assert stamp(unknown) == "vtab-1k", "labels of an unknown task are not compared"


def test_keys_that_only_count_are_not_compared(fresh: Path) -> None:
    prepared = prepare(cifar100("nameless"), [], fresh)
    assert set(certify(prepared).keys.values()) == {"unknown"}
    assert provenance(prepared).variant == "unverified"


def test_labels_certify_where_there_are_no_keys() -> None:
    labels = SHIPPED["eurosat"]["labels"]["eurosat"]
    prints = {split: {"keys": "of stand-ins", "labels": labels[split]["sha256"]} for split in SPLITS}
    by_labels = compare(SETS["eurosat"], "vtab-1k", prints, "eurosat", nameless=SPLITS)
    assert (by_labels.exact, stamp(by_labels)) == (SPLITS, "vtab-1k")
    for task in ("resisc45", "no such task"):
        assert stamp(compare(SETS["eurosat"], "vtab-1k", prints, task, nameless=SPLITS)) == "unverified"


@pytest.fixture
def with_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every certificate say that the pixels of train800 and val200 have the sha256 ``right``."""
    pixels = {split: {"sha256": "right", "from": "drawn"} for split in LEARNED_FROM}
    monkeypatch.setattr(
        "vtab_harness.prepared.certificates.certificate_of",
        lambda image_set: SHIPPED[image_set.name] | {"pixels": pixels},
    )


def prints_of(name: str, pixels: str) -> dict[str, dict[str, str]]:
    keys = SHIPPED[name]["keys"]
    return {split: {"keys": keys[split]["sha256"], "pixels": pixels} for split in SPLITS}


@pytest.mark.usefixtures("with_pixels")
def test_pixels_certify_where_keys_are_positions() -> None:
    found = compare(SETS["svhn_cropped"], "vtab-1k", prints_of("svhn_cropped", "right"), archives="unknown")
    assert (found.exact, found.untold, stamp(found)) == (LEARNED_FROM, False, "vtab-1k")
    nameless = compare(SETS["svhn_cropped"], "vtab-1k", prints_of("svhn_cropped", "right"), nameless=SPLITS)
    assert (nameless.exact, stamp(nameless)) == (LEARNED_FROM, "vtab-1k")


@pytest.mark.usefixtures("with_pixels")
@pytest.mark.parametrize("name", ["svhn_cropped", "eurosat"])
def test_other_pixels_are_another_variant(name: str) -> None:
    found = compare(SETS[name], "vtab-1k", prints_of(name, "others"), archives="exact")
    assert found.differing == ("pixels of train800", "pixels of val200")
    assert stamp(found) == "other-pixels"
    wrong = prints_of(name, "others") | {"test": {"keys": "others"}}
    assert stamp(compare(SETS[name], "vtab-1k", wrong, archives="exact")) == "unverified"
    assert stamp(compare(SETS[name], "jpeg75", prints_of(name, "others"))) == "jpeg75"


def test_stand_ins_of_one_split_leave_the_keys_of_another() -> None:
    prints = prints_of("resisc45", "")
    found = compare(SETS["resisc45"], "vtab-1k", prints | {"test": {"keys": "of stand-ins"}}, nameless=("test",))
    assert (found.exact, stamp(found)) == (LEARNED_FROM, "vtab-1k")


def test_at_least_17_tasks_certify_what_is_learned_from() -> None:
    certified = [
        task.name
        for task in TASKS
        if SHIPPED[task.image_set.name]["variant"] == "vtab-1k"
        and set(LEARNED_FROM) <= set(SHIPPED[task.image_set.name]["keys"])
    ]
    assert set(SUITE.tasks) - set(certified) == {"caltech101"}


@pytest.mark.shared
@pytest.mark.parametrize("name", ["eurosat", pytest.param("caltech101", marks=pytest.mark.slow)])
def test_pixels_of_the_real_archives(name: str, shared_data: Path, fresh: Path) -> None:
    found = prepare(SETS[name], [shared_data / "raw"], fresh)
    certificate = certify(found, next(task for task in TASKS if task.image_set.name == name))
    exact = dict.fromkeys(SPLITS, "exact")
    assert (certificate.keys, certificate.labels, certificate.pixels) == (exact, exact, exact)
    assert stamp(certificate) == SHIPPED[name]["variant"]


@pytest.mark.shared
def test_script_rebuilds_what_is_shipped(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = shared_data.parent / "facts"
    if not facts.is_dir():
        pytest.skip("no facts beside the checkout")
    folder = make_certificates.DATASETS
    shipped = {path.relative_to(folder): path.read_bytes() for path in made_files(folder)}
    assert len(shipped) == 2 * len(SETS)
    monkeypatch.setattr(make_certificates, "DATASETS", tmp_path)
    make_certificates.main(facts)
    assert {path.relative_to(tmp_path): path.read_bytes() for path in made_files(tmp_path)} == shipped


def made_files(folder: Path) -> list[Path]:
    return [*folder.glob("*/certificate.json"), *folder.glob("*/order.txt")]
