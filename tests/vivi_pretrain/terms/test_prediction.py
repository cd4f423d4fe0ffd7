"""InfoNCE against a loop over candidates in float64, values and gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivi_pretrain.terms.prediction import prediction


def _draw(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _score(a, b, normalise, temperature):
    dot = sum(x * y for x, y in zip(a.unbind(), b.unbind(), strict=True))
    if normalise:
        dot = dot / torch.sqrt(sum(x * x for x in a.unbind())) / torch.sqrt(sum(x * x for x in b.unbind()))
    return dot / temperature


def _slow(predicted, targets, candidates, first, normalise=False, temperature=1.0):
    terms, right = [], 0
    for i in range(len(predicted)):
        for t, target in enumerate(targets):
            own = _score(predicted[i, t], candidates[first + i, target], normalise, temperature)
            negatives = [
                _score(predicted[i, t], candidates[j, k], normalise, temperature)
                for j in range(len(candidates))
                for k in range(candidates.shape[1])
                if j != first + i
            ]
            everything = [own, *negatives]
            mean = sum(torch.exp(s) for s in everything) / len(everything)
            terms.append(-torch.log(torch.exp(own) / mean))
            right += all(own.item() > s.item() for s in negatives)
    return sum(terms) / len(terms), right / len(terms)


@given(
    seed=st.integers(0, 2**31),
    total=st.integers(2, 4),
    shots=st.integers(2, 4),
    size=st.integers(2, 4),
    part=st.tuples(st.integers(0, 3), st.integers(1, 4)),
    normalise=st.booleans(),
    temperature=st.sampled_from([0.1, 1.0, 2.5]),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_is_the_loop(seed, total, shots, size, part, normalise, temperature, data):
    first = min(part[0], total - 1)
    last = min(first + part[1], total)
    targets = data.draw(st.lists(st.integers(0, shots - 1), min_size=1, max_size=4))
    pool = _draw(total, shots, size, seed=seed)
    guess = _draw(last - first, len(targets), size, seed=seed + 1)
    fast, slow = [(pool.clone().requires_grad_(), guess.clone().requires_grad_()) for _ in range(2)]
    term = prediction(
        fast[1], targets, fast[0][first:last], fast[0], first, normalise=normalise, temperature=temperature
    )
    value, accuracy = _slow(slow[1], targets, slow[0], first, normalise, temperature)
    term.value.backward()
    value.backward()
    torch.testing.assert_close(term.value, value, rtol=1e-9, atol=1e-10)
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-7, atol=1e-9)
    assert float(term.metrics["retrieval_accuracy"]) == pytest.approx(accuracy, abs=1e-6)


def test_scores_that_say_nothing_cost_nothing_and_retrieve_nothing():
    same = torch.ones(4, 3, 5)
    term = prediction(torch.ones(4, 2, 5), (1, 2), same)
    assert float(term.value) == pytest.approx(0, abs=1e-6)
    assert float(term.metrics["retrieval_accuracy"]) == 0


def test_best_value_is_minus_the_log_of_the_candidates():
    shots = torch.zeros(3, 2, 3)
    shots[torch.arange(3), :, torch.arange(3)] = 1
    term = prediction(1000 * shots, (0, 1), shots)
    assert float(term.value) == pytest.approx(-math.log(1 + 2 * 2), rel=1e-6)
    assert float(term.metrics["retrieval_accuracy"]) == 1
    assert float(term.metrics["target_score"]) == 1000
    assert float(term.metrics["negative_score"]) == 0


def test_scores_of_any_size_are_safe():
    guess, shots = _draw(4, 1, 8, scale=1e4).float().requires_grad_(), _draw(4, 2, 8, seed=1, scale=1e4).float()
    term = prediction(guess, (1,), shots)
    term.value.backward()
    assert math.isfinite(float(term.value))
    assert bool(torch.isfinite(guess.grad).all())


def test_float32_under_autocast_and_from_bf16():
    guess, shots = _draw(4, 2, 8).bfloat16(), _draw(4, 2, 8, seed=1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = prediction(guess, (1, 0), shots).value
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, prediction(guess.float(), (1, 0), shots.float()).value, rtol=0, atol=0)


def test_bad_batches():
    shots = _draw(3, 2, 4)
    with pytest.raises(ValueError, match="no negatives"):
        prediction(_draw(1, 1, 4), (1,), shots[:1])
    with pytest.raises(ValueError, match="nothing to predict"):
        prediction(_draw(3, 0, 4), (), shots)
    with pytest.raises(ValueError, match="nothing to predict"):
        prediction(_draw(0, 1, 4), (1,), shots[:0], shots)
    with pytest.raises(ValueError, match="targets"):
        prediction(_draw(3, 1, 4), (2,), shots)
    with pytest.raises(ValueError, match="targets"):
        prediction(_draw(3, 2, 4), (1,), shots)
    with pytest.raises(ValueError, match="not among"):
        prediction(_draw(3, 1, 4), (1,), shots, shots, 1)
    with pytest.raises(ValueError, match="need predictions"):
        prediction(_draw(3, 1, 5), (1,), shots)
    with pytest.raises(ValueError, match="temperature"):
        prediction(_draw(3, 1, 4), (1,), shots, temperature=0.0)
