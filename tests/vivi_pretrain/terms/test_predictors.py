"""Pooling, predictors and the order head against loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivi_pretrain.encoder.pooling import build_pooling
from vivi_pretrain.terms.heads import OrderHead
from vivi_pretrain.terms.predictors import build_predictor

SEEDS = st.integers(0, 2**31)


@given(seed=SEEDS, frames=st.integers(1, 5), size=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_pooling_is_the_weighted_average(seed, frames, size):
    torch.manual_seed(seed)
    features = torch.randn(2, 3, frames, size, dtype=torch.float64)
    mean, attention = build_pooling("mean", size), build_pooling("attention", size).double()
    torch.testing.assert_close(mean(features), sum(features.unbind(2)) / frames)
    torch.testing.assert_close(attention(features), mean(features))  # the query starts at zero
    query = torch.randn(size, dtype=torch.float64)
    attention.query.data.copy_(query)
    for i in range(2):
        for k in range(3):
            weights = [torch.exp(query @ f / size**0.5) for f in features[i, k]]
            expected = sum(w * f for w, f in zip(weights, features[i, k], strict=True)) / sum(weights)
            torch.testing.assert_close(attention(features)[i, k], expected)


@given(seed=SEEDS, shots=st.integers(2, 5))
@settings(max_examples=10, deadline=None)
def test_mlp_predicts_neighbours_both_ways(seed, shots):
    torch.manual_seed(seed)
    predictor = build_predictor("mlp", shots, 4, 7)
    embeddings = torch.randn(3, shots, 4)
    predicted = predictor(embeddings)
    assert predictor.targets == (*range(1, shots), *range(shots - 1))
    for t, target in enumerate(predictor.targets):
        forwards = t < shots - 1
        source = embeddings[:, target - 1 if forwards else target + 1]
        expected = (predictor.forwards if forwards else predictor.backwards)(source)
        torch.testing.assert_close(predicted[:, t], expected)


def test_two_shots_predict_each_other():
    assert build_predictor("mlp", 2, 4, 7).targets == (1, 0)
    assert build_predictor("lstm", 2, 4, 7).targets == (1,)


@given(seed=SEEDS, shots=st.integers(2, 5))
@settings(max_examples=10, deadline=None)
def test_lstm_is_that_of_torch(seed, shots):
    torch.manual_seed(seed)
    predictor = build_predictor("lstm", shots, 4, 7)
    known = torch.nn.LSTM(4, 7, batch_first=True)
    known.load_state_dict({f"{key}_l0": value for key, value in predictor.cell.state_dict().items()})
    embeddings = torch.randn(3, shots, 4)
    torch.testing.assert_close(predictor(embeddings), predictor.output(known(embeddings[:, :-1])[0]))


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_predictions_see_earlier_shots_only(kind):
    predictor = build_predictor(kind, 4, 5, 6)
    embeddings = torch.randn(2, 4, 5, requires_grad=True)
    predicted = predictor(embeddings)
    for t, target in enumerate(predictor.targets):
        (gradient,) = torch.autograd.grad(predicted[:, t].sum(), embeddings, retain_graph=True)
        seen = gradient.abs().sum((0, 2)) > 0
        if kind == "lstm":
            expected = [shot < target for shot in range(4)]
        else:
            expected = [shot == (target - 1 if t < 3 else target + 1) for shot in range(4)]
        assert seen.tolist() == expected


def test_lstm_starts_by_remembering():
    cell = build_predictor("lstm", 4, 5, 6).cell
    bias = (cell.bias_ih + cell.bias_hh).chunk(4)
    assert [part.mean().item() for part in bias] == [0, 1, 0, 0]
    gate = cell.weight_hh.chunk(4)[2]
    torch.testing.assert_close(gate @ gate.T, torch.eye(6), rtol=0, atol=1e-5)


def test_order_head_reverses_what_it_is_told_to():
    head = OrderHead(3, 4, 5)
    shots = torch.randn(4, 3, 4)
    logits = head(shots, torch.tensor([False, True, False, True]))
    for i, row in enumerate(shots):
        seen = row.flip(0) if i % 2 else row
        torch.testing.assert_close(logits[i], head.classifier(seen.flatten()))
