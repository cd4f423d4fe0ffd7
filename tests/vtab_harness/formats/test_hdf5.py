from pathlib import Path

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vtab_harness.formats.hdf5 import rows


class Counted:
    """An array that keeps which rows were read."""

    def __init__(self, values: np.ndarray, chunk: int | None) -> None:
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.chunks = None if chunk is None else (chunk, *values.shape[1:])
        self.read: list[tuple[int, int]] = []

    def __getitem__(self, key: slice) -> np.ndarray:
        self.read.append((key.start, key.stop))
        return self.values[key]


@settings(max_examples=60, deadline=None)
@given(
    wanted=st.lists(st.integers(0, 199), max_size=50),
    chunk=st.sampled_from([None, 1, 7, 32, 500]),
    block=st.sampled_from([1, 40, 400, 10**6]),
)
def test_rows_are_the_wanted_ones(wanted: list[int], chunk: int | None, block: int) -> None:
    values = np.arange(200 * 4, dtype=np.uint8).reshape(200, 4)
    array = Counted(values, chunk)
    found = list(rows(array, wanted, at_once=block))
    assert [position for position, _ in found] == sorted(set(wanted))
    assert all((row == values[position]).all() for position, row in found)
    assert all(stop - start <= max(1, block // 4) for start, stop in array.read)


def test_scattered_rows_do_not_read_the_rest() -> None:
    array = Counted(np.zeros((10000, 4), dtype=np.uint8), None)
    list(rows(array, [0, 1, 5000, 9999]))
    assert array.read == [(0, 2), (5000, 5001), (9999, 10000)]


def test_compressed_parts_are_read_once(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 9, (300, 8), dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=values, chunks=(100, 3), compression="gzip")
    with h5py.File(tmp_path / "a.h5", "r") as file:
        found = dict(rows(file["a"], range(299, -1, -7)))
    assert sorted(found) == sorted(range(299, -1, -7))
    assert all((row == values[position]).all() for position, row in found.items())
