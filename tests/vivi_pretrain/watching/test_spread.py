"""The embedding spread against NumPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivi_pretrain.watching.spread import embedding_spread


@given(seed=st.integers(0, 2**31), count=st.integers(2, 12), size=st.integers(2, 8))
@settings(max_examples=25, deadline=None)
def test_is_the_loop(seed, count, size):
    rows = np.random.default_rng(seed).normal(size=(count, size)) + 0.5
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distances = [np.linalg.norm(unit[i] - unit[j]) for i in range(count) for j in range(i)]
    spread = embedding_spread(torch.from_numpy(rows))
    assert float(spread["distance"]) == pytest.approx(np.mean(distances), rel=1e-5)
    assert float(spread["deviation"]) == pytest.approx(unit.std(0).mean() * math.sqrt(size), rel=1e-5)


def test_collapse_and_uniform_directions():
    collapsed = torch.randn(1, 64) * torch.rand(50, 1).add(0.5)
    assert max(float(v) for v in embedding_spread(collapsed.bfloat16()).values()) < 0.02
    spread = embedding_spread(torch.randn(4, 50, 512, generator=torch.Generator().manual_seed(0)))
    assert float(spread["distance"]) == pytest.approx(math.sqrt(2), rel=0.02)
    assert float(spread["deviation"]) == pytest.approx(1, rel=0.02)


def test_needs_two():
    with pytest.raises(ValueError, match="2 or more"):
        embedding_spread(torch.zeros(1, 3))
