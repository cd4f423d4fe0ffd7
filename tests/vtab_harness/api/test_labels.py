"""Label rules at and around the edges of their bins, in float32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.labels import Column, FloorDivided, Thresholds


@pytest.mark.parametrize(
    ("value", "label"),
    [(8.0, 0), (8.000001, 1), (8.5, 1), (8.5000001, 1), (8.500001, 2), (9.0, 2), (10.0, 4), (10.1, 5), (100.0, 5)],
)
def test_thresholds_are_strict_and_compared_in_float32(value: float, label: int) -> None:
    rule = Thresholds("distance", (8, 8.5, 9, 9.5, 10))
    assert rule({"distance": np.array([value])}).tolist() == [label]


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=20), st.sets(st.floats(-1e3, 1e3, width=32)))
def test_thresholds_count_the_edges_below(values: list[float], edges: set[float]) -> None:
    rule = Thresholds("x", tuple(sorted(edges)))
    expected = [sum(np.float32(edge) < np.float32(value) for edge in edges) for value in values]
    assert rule({"x": np.array(values)}).tolist() == expected


def test_forty_orientations_in_sixteen_groups() -> None:
    groups = FloorDivided("orientation", 2.5)({"orientation": np.arange(40)})
    assert groups.tolist()[:10] == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert np.bincount(groups).tolist() == [3, 2] * 8


def test_column_with_offset() -> None:
    labels = Column("count", offset=-3)({"count": np.array([3, 10], np.int32)})
    assert labels.tolist() == [0, 7]
    assert labels.dtype == np.int64
