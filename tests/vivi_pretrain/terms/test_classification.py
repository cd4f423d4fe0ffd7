"""The losses that are cross-entropies: rotation, shot order, supervised."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivi_pretrain.terms.rotation import rotation
from vivi_pretrain.terms.shot_order import shot_order
from vivi_pretrain.terms.supervised import supervised

LOSSES = [(rotation, 4, "rotation_accuracy"), (shot_order, 2, "order_accuracy"), (supervised, 7, "class_accuracy")]


def _slow(logits, labels):
    terms = []
    for row, label in zip(logits, labels.tolist(), strict=True):
        terms.append(-torch.log(torch.exp(row[label]) / sum(torch.exp(z) for z in row.unbind())))
    return sum(terms) / len(terms)


@pytest.mark.parametrize(("loss", "classes", "metric"), LOSSES)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_is_the_loop(loss, classes, metric, seed, count):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (count,), generator=generator)
    one, two = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    term, slow = loss(one, labels), _slow(two, labels)
    term.value.backward()
    slow.backward()
    torch.testing.assert_close(term.value, slow, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(one.grad, two.grad, rtol=1e-8, atol=1e-12)
    guesses = [max(range(classes), key=row.__getitem__) for row in logits.tolist()]
    right = sum(guess == label for guess, label in zip(guesses, labels.tolist(), strict=True))
    assert float(term.metrics[metric]) == pytest.approx(right / count)


@pytest.mark.parametrize(("loss", "classes", "metric"), LOSSES)
def test_large_ties_and_half_precision(loss, classes, metric):
    labels = torch.zeros(3, dtype=torch.int64)
    constant = torch.zeros(3, classes, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        term = loss(constant, labels)
    assert term.value.dtype == torch.float32
    assert float(term.value) == pytest.approx(math.log(classes), rel=1e-6)
    assert float(term.metrics[metric]) == 0
    huge = torch.zeros(3, classes)
    huge[:, 1] = 1e6
    assert float(loss(huge, labels).value) == pytest.approx(1e6)


@pytest.mark.parametrize(("loss", "classes", "metric"), LOSSES)
def test_bad_batches(loss, classes, metric):
    with pytest.raises(ValueError, match="empty"):
        loss(torch.zeros(0, classes), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="need logits"):
        loss(torch.zeros(2, classes), torch.zeros(3, dtype=torch.int64))
