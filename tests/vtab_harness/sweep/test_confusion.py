"""Results by class against a full confusion matrix."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.sweep.confusion import TAKEN, by_class

EXAMPLES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=80)


@given(EXAMPLES)
def test_classes_say_what_the_whole_matrix_says(examples: list[tuple[int, int]]) -> None:
    labels, predicted = (np.array(part, np.int32) for part in zip(*examples, strict=True))
    matrix = np.zeros((6, 6), int)
    for label, taken in examples:
        matrix[label, taken] += 1
    found = by_class(predicted, labels)
    assert {one.label for one in found} == set(labels.tolist())
    shares = [one.right / one.examples for one in found]
    assert shares == sorted(shares)
    for one in found:
        row = matrix[one.label]
        assert (one.examples, one.right, one.called) == (row.sum(), row[one.label], matrix[:, one.label].sum())
        wrong = sorted((n for taken, n in enumerate(row) if taken != one.label and n), reverse=True)
        assert [count for _, count in one.taken_for] == wrong[:TAKEN]
        assert all(row[taken] == count and taken != one.label for taken, count in one.taken_for)
