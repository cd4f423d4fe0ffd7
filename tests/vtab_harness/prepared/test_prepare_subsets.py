"""Preparing what is learned from: the right examples, those only, and once for both tasks of an image set."""

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import small_source
from hypothesis import given
from hypothesis import strategies as st
from small_source import IMAGE_SET, RARE, SHADE, Small
from tiny_source import cifar100

from vtab_harness.api.errors import DataError, OptionError
from vtab_harness.api.records import LearnedFrom
from vtab_harness.api.tasks import Task
from vtab_harness.api.train_examples import TrainExamples, shares
from vtab_harness.datasets import cifar100 as cifar100_declared
from vtab_harness.formats.example_order import keys_fingerprint
from vtab_harness.prepared import inventory
from vtab_harness.prepared.certify import certify, provenance
from vtab_harness.prepared.prepare_subsets import LearningSet, _drawn, prepare_learning
from vtab_harness.prepared.prepared_set import PreparedSet, prepare

BOTH = [SHADE, RARE]


def whole(split: str) -> list[str]:
    """The keys of a whole split, by the rule itself: ascending md5 of the source split's name and the key."""
    keys = []
    for part in IMAGE_SET.splits[split]:
        salted = sorted(Small().keys(part.split), key=lambda key: hashlib.md5((part.split + key).encode()).digest())
        keys += salted[part.start : part.stop]
    return keys


def label(key: str, task: Task) -> int:
    split, _, number = key.rpartition("-")
    return int(task.label(Small().annotations(split))[int(number)])


def of_each_class(split: str, count: int, task: Task, draw: int = 0) -> list[str]:
    seen: Counter[int] = Counter()
    chosen = []
    for key in whole(split):
        seen[label(key, task)] += 1
        if draw * count < seen[label(key, task)] <= (draw + 1) * count:
            chosen.append(key)
    return chosen


def expected(text: str, task: Task) -> tuple[list[str], list[str]]:
    train, val = whole("train"), whole("val")
    text, _, drawn = text.partition("-draw")
    if drawn and text.endswith("-shot"):
        shots, draw = int(text.removesuffix("-shot")), int(drawn)
        return of_each_class("train", shots - 1, task, draw), of_each_class("val", 1, task, draw)
    if drawn:
        number, draw = int(text), int(drawn)
        both, piles = train + val, (list(train), list(val))
        for _ in range(draw + 1):
            found = []
            for own, other, count in ((0, 1, 4 * number // 5), (1, 0, number // 5)):
                mine = [piles[own].pop(0) for _ in range(min(count, len(piles[own])))]
                mine += [piles[other].pop() for _ in range(count - len(mine))]
                found.append(sorted(mine, key=both.index))
        return found[0], found[1]
    if text == "1000":
        return train[:24], val[:6]
    if text == "all":
        return train, val
    if text.endswith("-shot"):
        shots = int(text.removesuffix("-shot"))
        most = min(max(round(0.8 * shots), 1), shots - 1)
        return of_each_class("train", most, task), of_each_class("val", shots - most, task)
    return train[: round(0.8 * int(text))], val[: int(text) - round(0.8 * int(text))]


def learned(found: LearningSet) -> tuple[list[str], list[str]]:
    return found.prepared.keys(found.train), found.prepared.keys(found.validation)


SHOTS = ["2-shot", "5-shot", "13-shot", "1000-shot"]
DRAWS = ["20-draw1", "50-draw1", "50-draw2", "60-draw2", "2-shot-draw1"]


@pytest.mark.parametrize("text", ["1000", "all", "3", "60", "120", "160", *SHOTS, *DRAWS])
def test_examples_are_those_of_brute_force(text: str, tmp_path: Path) -> None:
    small_source.given.clear()
    found = prepare_learning(BOTH, TrainExamples.parse(text), (), tmp_path)
    union = set()
    for task in BOTH:
        here = found[task.name]
        keys = learned(here)
        assert keys == expected(text, task)
        union |= {*keys[0], *keys[1]}
        if "draw" in text:
            union |= {*expected("1000", task)[0], *expected("1000", task)[1]}
        assert (here.summary().train, here.summary().validation) == (len(keys[0]), len(keys[1]))
        for split, of in zip(here.splits, keys, strict=True):
            assert here.prepared.labels(split, task.label).tolist() == [label(key, task) for key in of]
        official = {"train800", "val200"} if "draw" in text else set()
        assert set(here.prepared.manifests) == {*here.splits, "test"} | official
    # Nothing else was decoded, and nothing twice.
    assert len(small_source.given) == len(set(small_source.given)) == len(union) + 30
    assert {f"{split}-{number}" for split, number in small_source.given if split != "test"} == union
    # Neither a second opening nor one of the two tasks alone needs a source.
    gone = [replace(task, image_set=replace(IMAGE_SET, source="nowhere:none")) for task in BOTH]
    again = prepare_learning(gone[1:], TrainExamples.parse(text), (), tmp_path)
    assert learned(again[RARE.name]) == expected(text, RARE)
    assert provenance(again[RARE.name].prepared) == provenance(found[RARE.name].prepared)


@given(st.integers(5, 160), st.integers(1, 8))
def test_draws_have_no_example_in_common(number: int, count: int) -> None:
    there = (len(whole("train")) + len(whole("val"))) // number
    seen: set[tuple[str, int]] = set()
    for examples in TrainExamples(number).draws(min(count, there)):
        examples.check(IMAGE_SET)
        for slices in _drawn(IMAGE_SET, examples):
            found = [(part.split, at) for part in slices for at in range(part.start, part.stop)]
            assert len(found) in shares(number)
            assert not seen & {*found}
            seen |= {*found}
    assert len(seen) == number * min(count, there)
    with pytest.raises(OptionError, match=f"which is {there} draw"):
        TrainExamples(number, draw=there).check(IMAGE_SET)


def test_short_classes_are_counted(tmp_path: Path) -> None:
    for shots in (2, 5, 40):
        found = prepare_learning(BOTH, TrainExamples(None, shots), (), tmp_path)
        for task in BOTH:
            train, val = expected(f"{shots}-shot", task)
            counts = Counter(label(key, task) for key in train + val)
            short = sum(counts[c] < shots for c in range(task.num_classes))
            assert found[task.name].short_classes == short
    assert short > 0
    assert found[RARE.name].summary().short_classes == found[RARE.name].short_classes


def test_a_second_task_adds_only_its_own(tmp_path: Path) -> None:
    first = prepare_learning([SHADE], TrainExamples(None, 5), (), tmp_path)[SHADE.name]
    before = {path: path.stat().st_mtime_ns for path in first.prepared.folder.rglob("*") if path.is_file()}
    both = prepare_learning(BOTH, TrainExamples(None, 5), (), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert learned(both[RARE.name]) == expected("5-shot", RARE)
    assert provenance(both[SHADE.name].prepared) == provenance(first.prepared)


def test_status_and_verify_live_with_such_folders(tmp_path: Path) -> None:
    for text in ("60", "5-shot", "all"):
        prepare_learning(BOTH, TrainExamples.parse(text), (), tmp_path)
    assert [found.state for found in inventory.survey(IMAGE_SET, (), tmp_path)] == ["found"]
    assert set(inventory.verify(IMAGE_SET, tmp_path).values()) == {None}
    prepare(IMAGE_SET, (), tmp_path)
    assert [found.state for found in inventory.survey(IMAGE_SET, (), tmp_path)] == ["prepared"]
    assert len(inventory.verify(IMAGE_SET, tmp_path)) >= 11


def test_folder_that_holds_other_examples_is_refused(tmp_path: Path) -> None:
    found = prepare_learning([RARE], TrainExamples(None, 5), (), tmp_path)[RARE.name]
    # The label rule changed, and nobody raised the version of the task.
    with pytest.raises(DataError, match="does not hold up to 4 examples a class of small_rare"):
        prepare_learning([replace(SHADE, name=RARE.name)], TrainExamples(None, 5), (), tmp_path)
    manifest = found.prepared.folder / found.train / "manifest.json"
    content = json.loads(manifest.read_text())
    content["slices"][0] = ["test", 0, 1]
    manifest.write_text(json.dumps(content))
    with pytest.raises(DataError, match="holds other examples than small is declared to have"):
        prepare_learning([RARE], TrainExamples(None, 5), (), tmp_path)
    content["slices"][0] = ["train", 5, 1]
    manifest.write_text(json.dumps(content))
    with pytest.raises(DataError, match="names examples that there cannot be"):
        prepare_learning([RARE], TrainExamples(None, 5), (), tmp_path)


def test_source_without_the_annotation(tmp_path: Path) -> None:
    lacking = replace(SHADE, label=replace(SHADE.label, name="hue"))
    with pytest.raises(DataError, match="lacks the annotation 'hue'"):
        prepare_learning([lacking], TrainExamples(None, 5), (), tmp_path)


@pytest.fixture(scope="module")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the test split of each source is prepared once."""
    return tmp_path_factory.mktemp("tiny")


@pytest.mark.parametrize("text", ["100", "1000", "3000", "3-shot", "60-shot", "1000-draw2", "3-shot-draw1"])
@pytest.mark.parametrize(("opener", "variant"), [("exact", "vtab-1k"), ("shifted", "unverified"), ("jpeg75", "jpeg75")])
def test_other_numbers_are_certified_by_the_published_order(
    text: str, opener: str, variant: str, tiny_cache: Path
) -> None:
    """CIFAR-100's keys are positions, so that sources with one pixel an image can have them, or others."""
    task = replace(cifar100_declared.TASK, image_set=cifar100(opener))
    found = prepare_learning([task], TrainExamples.parse(text), (), tiny_cache / opener)[task.name]
    assert provenance(found.prepared, task.label, task.name).variant == variant
    certificate = certify(found.prepared, task)
    proved = {"train800", "val200"} if "draw" in text else {found.train, found.validation}
    assert set(certificate.exact) >= (proved if opener == "exact" else set())
    assert bool(certificate.differing) == (opener == "shifted")


def test_keys_that_only_count_prove_nothing(tiny_cache: Path) -> None:
    task = replace(cifar100_declared.TASK, image_set=cifar100("nameless"))
    for text in ("100", "3-shot", "3000"):
        found = prepare_learning([task], TrainExamples.parse(text), (), tiny_cache / "nameless")[task.name]
        assert provenance(found.prepared).variant == "unverified"
    with pytest.raises(DataError, match="does not tell which its examples are"):
        prepare_learning([task], TrainExamples(draw=1), (), tiny_cache / "nameless")


def test_a_draw_with_fewer_labels_of_a_class_is_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\d of \d classes of small_rare have too few labels for another draw"):
        prepare_learning([RARE], TrainExamples(None, 40, 1), (), tmp_path)


def test_test_images_alone_or_half_of_it_prove_nothing(tmp_path: Path) -> None:
    images = cifar100("exact")
    prepared = prepare(images, (), tmp_path, ("train", "val", "test"))
    assert provenance(prepared).variant == "vtab-1k"
    for splits in (["test"], ["train"], ["val", "test"]):
        assert provenance(PreparedSet(images, prepared.folder, splits)).variant == "unverified"


def test_labels_of_whole_splits_are_compared(tiny_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where keys only count examples, the labels of the first 800 and 200 decide, if they are there."""
    task = replace(cifar100_declared.TASK, image_set=cifar100("nameless"))
    official = prepare_learning([task], TrainExamples(), (), tiny_cache / "nameless")[task.name].prepared
    labels = {
        split: {"sha256": keys_fingerprint(official.labels(split, task.label).tolist()), "from": ""}
        for split in ("train800", "val200")
    }
    folder = tmp_path / "certified_labels"
    shutil.copytree(Path(str(cifar100_declared.__file__)).parent, folder, ignore=shutil.ignore_patterns("*.py*"))
    shipped = json.loads((folder / "certificate.json").read_text())
    (folder / "certificate.json").write_text(json.dumps(shipped | {"labels": {"cifar100": labels}}))
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    task = replace(task, image_set=replace(task.image_set, certificate="certified_labels"))
    for text, variant in (("3000", "vtab-1k"), ("100", "unverified")):
        found = prepare_learning([task], TrainExamples.parse(text), (), tiny_cache / "nameless")[task.name]
        assert provenance(found.prepared, task.label, task.name).variant == variant


def test_summary_of_all(tmp_path: Path) -> None:
    found = prepare_learning([SHADE], TrainExamples(None), (), tmp_path)[SHADE.name]
    assert found.summary() == LearnedFrom(130, 50, None)
