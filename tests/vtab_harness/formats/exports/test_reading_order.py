from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.data import Slice
from vtab_harness.formats.exports.reading_order import candidates, reading_order


def read(parts: list[Slice], size: int, files: int) -> list[int]:
    return [at for _, at in reading_order(parts, {"train": size}, {"train": files})]


def test_one_file_is_read_in_its_order() -> None:
    assert read([Slice("train", 5, 900)], 1000, 1) == list(range(5, 900))


def test_two_files_by_turns_of_16() -> None:
    # KITTI's val200, as an independent list has it: its 423 examples lie in four files, the first of 106.
    order = read([Slice("train", 0, 200)], 423, 4)
    assert order[:48] == [*range(16), *range(106, 122), *range(16, 32)]
    # 106 = 6 * 16 + 10 and 94 = 5 * 16 + 14: the second ends first, and the rest follows.
    assert order[-10:] == [*range(96, 106)][-10:]
    assert order[160:176] == [*range(80, 96)]


def test_two_slices_by_turns() -> None:
    # train800val200 of one file: 16 of each until the second is exhausted.
    order = read([Slice("train", 0, 800), Slice("train", 900, 1100)], 2000, 1)
    assert order[:32] == [*range(16), *range(900, 916)]
    # 200 = 12 * 16 + 8: twelve whole turns of it, and a last one of 8 after the 13th of the first.
    assert order[-600:] == [*range(1092, 1100), *range(208, 800)]


def as_tensorflow(files: list[list[int]]) -> Iterator[int]:
    """TensorFlow's loop of `Dataset.interleave`, step by step as its source has it."""
    waiting, slots = list(files), [None] * 16
    index = block = 0
    while waiting or any(slot is not None for slot in slots):
        current = slots[index]
        if current is not None:
            if current:
                yield current.pop(0)
                block += 1
                if block == 16:
                    index, block = (index + 1) % 16, 0
                continue
            slots[index] = None
        elif waiting:
            slots[index] = list(waiting.pop(0))
            continue
        index, block = (index + 1) % 16, 0


@given(st.integers(1, 1500), st.sampled_from([1, 2, 4, 16, 32, 64]), st.data())
def test_like_tensorflow(size: int, files: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    ends = [round(size * at / files) for at in range(files + 1)]
    held = [list(range(max(ends[at], start), min(ends[at + 1], stop))) for at in range(files)]
    expected = list(as_tensorflow([each for each in held if each]))
    assert read([Slice("train", start, stop)], size, files) == expected
    assert sorted(expected) == list(range(start, stop))


def test_candidates_begin_with_example_order() -> None:
    parts = [Slice("train", 0, 40), Slice("test", 0, 3)]
    found = list(candidates(parts, {"train": 40, "test": 3}))
    assert len(found) == 6 * 2
    assert found[0][:17] == [*(("train", at) for at in range(16)), ("test", 0)]
