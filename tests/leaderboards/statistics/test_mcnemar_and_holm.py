"""Against statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from leaderboards.statistics.holm import holm
from leaderboards.statistics.mcnemar import mcnemar_exact


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=5))
def test_mcnemar_equals_statsmodels(counts: list[tuple[int, int]]) -> None:
    expected = [float(mcnemar([[7, b], [c, 3]], exact=True).pvalue) if b + c else 1.0 for b, c in counts]
    found = mcnemar_exact([b for b, _ in counts], [c for _, c in counts])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_mcnemar_of_many_examples_stays_exact() -> None:
    expected = float(mcnemar([[0, 9_400], [10_000, 0]], exact=True).pvalue)
    np.testing.assert_allclose(mcnemar_exact(9_400, 10_000), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_holm_equals_statsmodels(seed: int) -> None:
    # Rounded, so that some are equal.
    p = np.random.default_rng(seed).random(1 + 2 * seed).round(1) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


def test_holm_does_not_count_what_could_not_be_tested() -> None:
    np.testing.assert_array_equal(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
