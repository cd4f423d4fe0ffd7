"""Which examples are learned from: the rule against brute force, and the declarations against VTAB's own numbers."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vtab_harness import registry
from vtab_harness.api.data import Slice
from vtab_harness.api.errors import OptionError
from vtab_harness.api.identity import LabelsIdentity, ProtocolIdentity, protocol_name
from vtab_harness.api.tasks import Task
from vtab_harness.api.train_examples import TrainExamples, most, shares
from vtab_harness.datasets.vtab_1k import SUITE
from vtab_harness.prepared.subsets import draw_positions, of_each_class, slices_at, within

TASKS = [registry.tasks.get(name) for name in SUITE.tasks]
# Of train and val in the public registry of VTAB (google-research/task_adaptation).
FULL = {
    "caltech101": (2754, 306),
    "cifar100": (45000, 5000),
    "dtd": (1880, 1880),
    "oxford_flowers102": (1020, 1020),
    "oxford_iiit_pet": (2944, 736),
    "svhn": (65931, 7326),
    "sun397": (76128, 10875),
    "patch_camelyon": (262144, 32768),
    "eurosat": (16200, 5400),
    "resisc45": (18900, 6300),
    "diabetic_retinopathy": (35126, 10906),
    "clevr_count": (63000, 7000),
    "clevr_distance": (63000, 7000),
    "dmlab": (65550, 22628),
    "kitti_distance": (6347, 423),
    "dsprites_location": (589824, 73728),
    "dsprites_orientation": (589824, 73728),
    "smallnorb_azimuth": (24300, 12150),
    "smallnorb_elevation": (24300, 12150),
}


def listed(slices: Sequence[Slice]) -> list[tuple[str, int]]:
    return [(part.split, at) for part in slices for at in range(part.start, part.stop)]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_declarations_of_vtab_1k(task: Task) -> None:
    """1000 by the general rule are the official 800 and 200, and everything together is the full-data protocol."""
    images = task.image_set
    assert slices_at(images.splits["train"], np.arange(shares(1000)[0])) == images.splits["train800"]
    assert slices_at(images.splits["val"], np.arange(shares(1000)[1])) == images.splits["val200"]
    assert (images.size("train"), images.size("val")) == FULL[task.name]
    train, val, test = (listed(images.splits[split]) for split in ("train", "val", "test"))
    assert len({*train, *val, *test}) == len(train) + len(val) + len(test)
    if "trainval" in images.splits:
        assert sorted(listed(images.splits["trainval"])) == sorted(train + val)
    for text in ("all", "500", "2-shot"):
        TrainExamples.parse(text).check(images)
    draws = {"caltech101": 3, "dtd": 3, "oxford_iiit_pet": 3, "oxford_flowers102": 2, "kitti_distance": 6}
    TrainExamples(draw=draws.get(task.name, 21) - 1).check(images)
    if task.name in draws:
        with pytest.raises(OptionError, match=f"is {draws[task.name]} draws of 1000"):
            TrainExamples(draw=draws[task.name]).check(images)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000", TrainExamples()),
        (1000, TrainExamples()),
        (" ALL ", TrainExamples(None)),
        ("2", TrainExamples(2)),
        ("0050", TrainExamples(50)),
        ("5-shot", TrainExamples(None, 5)),
        ("1000-shot", TrainExamples(None, 1000)),
        ("1000-draw2", TrainExamples(1000, draw=2)),
        ("5-shot-draw10", TrainExamples(None, 5, 10)),
        ("2000-draw0", TrainExamples(2000)),
    ],
)
def test_parsing(text: str | int, expected: TrainExamples) -> None:
    assert TrainExamples.parse(text) == expected
    assert TrainExamples.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "1",
        "-3",
        "foo",
        "1-shot",
        "0-shot",
        "1e9",
        "2.5",
        "5shot",
        "shot",
        "²",
        "9" * 5000,
        "all-shot",
        "all-draw1",
        "1000-draw",
        "1000-draw1000",
        "1000draw1",
        True,
        None,
    ],
)
def test_bad_values_are_named(text: object) -> None:
    with pytest.raises(OptionError, match=r"^--train-examples [\s\S]*5-shot"):
        TrainExamples.parse(text)


def test_identities_never_meet() -> None:
    asked = [LabelsIdentity(str(TrainExamples.parse(text))) for text in (1000, "all", 2000, "5-shot", "5")]
    marks = [protocol_name(ProtocolIdentity("linear", 1, {}, {}), labels) for labels in asked]
    assert marks == ["linear-v1", "linear-v1-all", "linear-v1-2000", "linear-v1-5-shot", "linear-v1-5"]


def test_too_many_are_refused_with_the_counts() -> None:
    kitti = registry.tasks.get("kitti_distance").image_set
    highest = most(6347, 423)
    TrainExamples(highest).check(kitti)
    with pytest.raises(OptionError, match=rf"6347 training and 423 validation[\s\S]*{highest} at most"):
        TrainExamples(highest + 1).check(kitti)


@pytest.mark.parametrize("text", ["all", "500", "3-shot"])
def test_sets_without_whole_splits_say_what_they_have(text: str) -> None:
    with pytest.raises(OptionError, match="mini_digits declares no whole train and val split, only train800, val200"):
        TrainExamples.parse(text).check(registry.tasks.get("mini_digits").image_set)


@given(st.integers(2, 10**7))
def test_shares(total: int) -> None:
    train, validation = shares(total)
    assert train + validation == total
    assert min(train, validation) >= 1
    # Four fifths to the nearest whole number, unless nothing would remain.
    assert abs(train - 0.8 * total) < 0.5 or (total, train) == (2, 1)


@given(st.integers(1, 300), st.integers(1, 300))
def test_most_is_the_largest_that_fits(train: int, validation: int) -> None:
    fitting = [n for n in range(2, train + validation + 1) if all(np.less_equal(shares(n), (train, validation)))]
    assert most(train, validation) == max(fitting)
    assert fitting == list(range(2, max(fitting) + 1))


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 9), st.integers(0, 3))
def test_those_of_each_class_are_what_a_loop_finds(labels: list[int], count: int, draw: int) -> None:
    seen: Counter[int] = Counter()
    expected = []
    for position, label in enumerate(labels):
        if draw * count <= seen[label] < (draw + 1) * count:
            expected.append(position)
        seen[label] += 1
    found = of_each_class(np.array(labels, dtype=np.int64), count, draw)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@given(st.integers(1, 80), st.integers(1, 80), st.integers(2, 40))
def test_draws_take_their_own_split_first_and_share_nothing(train: int, validation: int, number: int) -> None:
    each = shares(number)
    assume(each[0] <= train and each[1] <= validation)
    # Piles that are taken from: the front of its own, or the back of the other.
    piles = [list(range(train)), list(range(train, train + validation))]
    last = (train + validation) // number
    expected: list[list[list[int]]] = []
    for _ in range(last):
        expected.append([])
        for own, other, count in ((0, 1, each[0]), (1, 0, each[1])):
            taken = [piles[own].pop(0) for _ in range(min(count, len(piles[own])))]
            taken += [piles[other].pop() for _ in range(count - len(taken))]
            expected[-1].append(sorted(taken))
    # Which of the two goes first in a draw decides nothing before the last examples.
    found = [[part.tolist() for part in draw_positions(train, validation, each, draw)] for draw in range(last)]
    used = [at for draw in found for part in draw for at in part]
    assert len(used) == len(set(used)) == last * number
    assert set(used) <= set(range(train + validation))
    assert found[: last - 1] == expected[: last - 1]


PARTS = st.lists(
    st.builds(
        lambda split, start, length: Slice(split, start, start + length),
        st.sampled_from(["train", "validation", "test"]),
        st.integers(0, 40),
        st.integers(0, 15),
    ),
    max_size=5,
)


@given(PARTS, st.data())
def test_slices_name_the_chosen_examples(parts: list[Slice], data: st.DataObject) -> None:
    whole = listed(parts)
    assume(whole)
    positions = sorted(data.draw(st.sets(st.integers(0, len(whole) - 1))))
    chosen = slices_at(parts, positions)
    assert listed(chosen) == [whole[position] for position in positions]
    assert all(len(part) for part in chosen)
    assert within(chosen, parts)


def test_slices_from_elsewhere_are_noticed() -> None:
    whole = (Slice("train", 10, 20),)
    assert within([Slice("train", 10, 20)], whole)
    for outside in (Slice("train", 9, 12), Slice("train", 15, 21), Slice("test", 10, 20)):
        assert not within([outside], whole)
