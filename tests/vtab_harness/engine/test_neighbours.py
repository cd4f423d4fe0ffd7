"""Cosine nearest neighbours against scikit-learn and on the awkward cases."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from vtab_harness.engine.neighbours import nearest, unit, votes


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(2, 60),
    size=st.integers(2, 20),
    k=st.integers(1, 60),
    temperature=st.sampled_from([0.07, 0.2, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_votes_agree_with_scikit_learn(count: int, size: int, k: int, temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    k, classes = min(k, count), 4
    bank, queries = (torch.randn(n, size, generator=generator) for n in (count, 30))
    labels = torch.cat([torch.arange(classes), torch.randint(classes, (count,), generator=generator)])[:count]
    model = KNeighborsClassifier(k, metric="cosine", weights=lambda distance: np.exp((1 - distance) / temperature))
    model.fit(bank.double().numpy(), labels.numpy())
    similarities, rows = nearest(unit(bank), unit(queries), k, chunk=7)
    scores = votes(similarities, labels[rows], classes, temperature)
    share = (scores / scores.sum(1, keepdim=True)).numpy()
    np.testing.assert_allclose(share[:, model.classes_], model.predict_proba(queries.double().numpy()), atol=1e-4)


def test_chunks_change_nothing() -> None:
    bank, queries = unit(torch.randn(40, 8)), unit(torch.randn(25, 8))
    whole, parts = nearest(bank, queries, 5, chunk=100), nearest(bank, queries, 5, chunk=3)
    torch.testing.assert_close(whole[0], parts[0])
    assert torch.equal(whole[1], parts[1])


def test_ties_go_to_the_earlier_row() -> None:
    bank = unit(torch.ones(50, 3))
    assert nearest(bank, bank[:1], 4)[1].tolist() == [[0, 1, 2, 3]]


def test_zero_and_extreme_vectors_stay_finite() -> None:
    features = torch.tensor([[0.0, 0.0], [1e30, 1e30], [1e-30, 0.0]])
    rows = unit(features)
    torch.testing.assert_close(rows.norm(dim=1), torch.tensor([0.0, 1.0, 1.0]))
    similarities, found = nearest(rows, rows, 3)
    scores = votes(similarities, torch.tensor([0, 1, 2])[found], 3, 0.02)
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(scores[0], torch.ones(3))
