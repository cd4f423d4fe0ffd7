"""MATLAB files: the same arrays as SciPy reads, and no damage that ends the process."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.io import loadmat, savemat

from vtab_harness.formats.mat import load_array

TYPES = st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
ARRAYS = TYPES.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=5)))


def saved(packed: bool, **variables: object) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=packed)
    return buffer.getvalue()


@settings(max_examples=50, deadline=None)
@given(first=ARRAYS, second=ARRAYS, packed=st.booleans())
def test_reads_what_scipy_reads(
    tmp_path_factory: pytest.TempPathFactory, first: np.ndarray, second: np.ndarray, packed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "made.mat"
    path.write_bytes(saved(packed, text="words", first=first, parts={"x": 1}, second=second))
    for name in ("first", "second"):
        found, expected = load_array(path, name), loadmat(path)[name]
        assert found is not None
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)
    assert load_array(path, "text") is None
    assert load_array(path, "third") is None


@pytest.mark.shared
def test_reads_the_published_lists(shared_data: Path) -> None:
    for file, names in {"setid.mat": ("trnid", "valid", "tstid"), "imagelabels.mat": ("labels",)}.items():
        path = shared_data / "raw" / "oxford_flowers102" / file
        for name in names:
            np.testing.assert_array_equal(load_array(path, name), loadmat(path)[name])


@pytest.mark.parametrize("packed", [False, True])
def test_every_cut_is_noticed(tmp_path: Path, packed: bool) -> None:
    data = saved(packed, values=np.arange(12).reshape(3, 4))
    path = tmp_path / "cut.mat"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        try:
            assert load_array(path, "values") is None
            assert length == 128  # a file without variables
        except ValueError:
            pass


def test_types_that_nobody_has_are_refused(tmp_path: Path) -> None:
    """SciPy looks such a type up in a table without asking how long that is, which ends the process."""
    data = bytearray(saved(False, labels=np.arange(6, dtype=np.uint8)[None]))
    at = data.index(b"labels") + 8
    data[at : at + 4] = (0x7FF8).to_bytes(4, "little")
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(ValueError, match="labels is damaged"):
        load_array(tmp_path / "a.mat", "labels")


def test_bombs_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtab_harness.formats.mat._MOST", 10_000)
    (tmp_path / "a.mat").write_bytes(saved(True, values=np.zeros((1, 100_000), np.uint8)))
    with pytest.raises(ValueError, match="larger than any"):
        load_array(tmp_path / "a.mat", "values")


def test_other_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"\x89HDF\r\n" + bytes(200))
    with pytest.raises(ValueError, match="no MATLAB file of version 5"):
        load_array(tmp_path / "a.mat", "values")
