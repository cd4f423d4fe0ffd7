"""Triplet losses against loops over all triplets in float64, values and gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from vivi_pretrain.terms.exemplar import batch_hard, semi_hard

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(2, 4), st.integers(2, 5))
SEEDS = st.integers(0, 2**31)


def _draw(shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1).to(dtype)


def _square(a: Tensor, b: Tensor) -> Tensor:
    return sum((x - y) * (x - y) for x, y in zip(a.unbind(), b.unbind(), strict=True))


def _distance(a: Tensor, b: Tensor) -> Tensor:
    square = _square(a, b)
    return torch.sqrt(square) if square.item() > 1e-12 else square * 0 + 1e-6


def _rows(pool: Tensor):
    """Every frame with its video, shot and number."""
    videos, shots, frames, _ = pool.shape
    return [(v, k, f) for v in range(videos) for k in range(shots) for f in range(frames)]


def _triplets(embeddings, candidates, first, same_video):
    """For every anchor: where it is among the candidates, its positives, and its negatives."""
    for v, k, f in _rows(embeddings):
        positives = [candidates[first + v, k, other] for other in range(embeddings.shape[2]) if other != f]
        negatives = [
            candidates[row]
            for row in _rows(candidates)
            if row[0] != first + v or (same_video and row[1] != k)
        ]  # fmt: skip
        yield candidates[first + v, k, f], positives, negatives


def _slow_batch_hard(embeddings, candidates, first, same_video):
    terms, active = [], 0
    for anchor, positives, negatives in _triplets(embeddings, candidates, first, same_video):
        hardest = max((_distance(anchor, p) for p in positives), key=Tensor.item)
        nearest = min((_distance(anchor, n) for n in negatives), key=Tensor.item)
        terms.append(torch.log(1 + torch.exp(hardest - nearest)))
        active += hardest.item() >= nearest.item()
    return sum(terms) / len(terms), active / len(terms)


def _slow_semi_hard(embeddings, candidates, first, same_video, margin):
    terms, active = [], 0
    for anchor, positives, negatives in _triplets(embeddings, candidates, first, same_video):
        squares = [_square(anchor, n) for n in negatives]
        for positive in positives:
            own = _square(anchor, positive)
            outside = [s for s in squares if s.item() > own.item()]
            chosen = min(outside, key=Tensor.item) if outside else max(squares, key=Tensor.item)
            excess = margin + own - chosen
            terms.append(excess if excess.item() > 0 else excess * 0)
            active += excess.item() > 0
    return sum(terms) / len(terms), active / len(terms)


def _compare(fast, slow, embeddings):
    """Values and gradients, where the candidates are the embeddings themselves."""
    one = embeddings.clone().requires_grad_()
    two = embeddings.clone().requires_grad_()
    term = fast(one)
    value, active = slow(two)
    term.value.backward()
    value.backward()
    torch.testing.assert_close(term.value, value, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(one.grad, two.grad, rtol=1e-7, atol=1e-10)
    assert float(term.metrics["active_triplets"]) == pytest.approx(active, abs=1e-6)


@given(shape=SHAPES, seed=SEEDS, same_video=st.booleans())
@settings(max_examples=30, deadline=None)
def test_batch_hard_is_the_loop(shape, seed, same_video):
    if shape[0] < 2 and not (same_video and shape[1] >= 2):
        shape = (2, *shape[1:])
    _compare(
        lambda x: batch_hard(x, same_video_negatives=same_video),
        lambda x: _slow_batch_hard(x, x, 0, same_video),
        _draw(shape, seed),
    )


@given(shape=SHAPES, seed=SEEDS, same_video=st.booleans(), margin=st.sampled_from([0.0, 0.1, 0.5, 3.0]))
@settings(max_examples=30, deadline=None)
def test_semi_hard_is_the_loop(shape, seed, same_video, margin):
    if shape[0] < 2 and not (same_video and shape[1] >= 2):
        shape = (2, *shape[1:])
    _compare(
        lambda x: semi_hard(x, margin=margin, same_video_negatives=same_video),
        lambda x: _slow_semi_hard(x, x, 0, same_video, margin),
        _draw(shape, seed),
    )


@given(seed=SEEDS, videos=st.integers(1, 2), before=st.integers(0, 2), after=st.integers(0, 2), same=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_part_of_the_videos_against_all(seed, videos, before, after, same):
    total = before + videos + after
    if total < 2:
        total, after = 2, after + 1
    pool = _draw((total, 2, 3, 4), seed)
    part = pool[before : before + videos]
    hard = batch_hard(part, pool, before, same_video_negatives=same)
    semi = semi_hard(part, pool, before, same_video_negatives=same)
    torch.testing.assert_close(hard.value, _slow_batch_hard(part, pool, before, same)[0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(semi.value, _slow_semi_hard(part, pool, before, same, 0.5)[0], rtol=1e-9, atol=1e-12)


def test_by_hand():
    # Two videos of one shot with two frames on a line: 0 and 3, 4 and 10.
    points = torch.tensor([[[[0.0], [3.0]]], [[[4.0], [10.0]]]])
    gaps = [3 - 4, 3 - 1, 6 - 1, 6 - 7]  # farthest positive less nearest negative of each anchor
    expected = sum(math.log1p(math.exp(gap)) for gap in gaps) / 4
    assert float(batch_hard(points).value) == pytest.approx(expected, rel=1e-6)
    # Nearest negative beyond the positive: 4 (16), 10 (49), the farthest of 4 and 1 (16), 7 (49).
    excess = [0.5 + 9 - 16, 0.5 + 9 - 49, 0.5 + 36 - 16, 0.5 + 36 - 49]
    term = semi_hard(points)
    assert float(term.value) == pytest.approx(sum(max(0, e) for e in excess) / 4, rel=1e-6)
    assert float(term.metrics["active_triplets"]) == 0.25
    assert float(term.metrics["positive_distance"]) == pytest.approx(4.5)


def test_a_negative_as_far_as_the_positive_is_not_beyond_it():
    # 0 and 3 against -3 and 10: beyond the positive's 9 the anchor 0 finds 100, not 9; 10 and -3 find none.
    points = torch.tensor([[[[0.0], [3.0]]], [[[-3.0], [10.0]]]])
    excess = [0.5 + 9 - 100, 0.5 + 9 - 36, 0.5 + 169 - 36, 0.5 + 169 - 100]
    assert float(semi_hard(points).value) == pytest.approx(sum(max(0, e) for e in excess) / 4, rel=1e-6)


def test_other_shots_of_the_video_repel_only_when_asked():
    points = torch.tensor([[[[0.0], [0.1]], [[0.2], [0.3]]], [[[9.0], [9.1]], [[9.2], [9.3]]]])
    apart, together = batch_hard(points), batch_hard(points, same_video_negatives=True)
    assert float(apart.metrics["negative_distance"]) > 8
    assert float(together.metrics["negative_distance"]) < 0.2


@pytest.mark.parametrize("loss", [batch_hard, semi_hard])
def test_collapsed_embeddings_have_finite_gradients(loss):
    collapsed = torch.ones(3, 2, 3, 8, requires_grad=True)
    term = loss(collapsed)
    term.value.backward()
    assert bool(torch.isfinite(collapsed.grad).all())
    assert float(term.metrics["active_triplets"]) == 1
    assert batch_hard(collapsed).value.item() == pytest.approx(math.log(2), rel=1e-5)


@pytest.mark.parametrize("loss", [batch_hard, semi_hard])
def test_float32_under_autocast_and_from_bf16(loss):
    half = _draw((3, 2, 3, 16), 0, torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(half).value
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(half.float()).value, rtol=0, atol=0)


@pytest.mark.parametrize("loss", [batch_hard, semi_hard])
def test_non_finite_embeddings_give_a_non_finite_loss(loss):
    broken = _draw((3, 2, 3, 4), 0)
    broken[1, 0, 1] = math.nan
    assert not math.isfinite(float(loss(broken).value))


@pytest.mark.parametrize("loss", [batch_hard, semi_hard])
def test_batches_without_triplets(loss):
    with pytest.raises(ValueError, match="no positives"):
        loss(_draw((4, 2, 1, 3), 0))
    with pytest.raises(ValueError, match="no positives"):
        loss(_draw((0, 2, 2, 3), 0), _draw((4, 2, 2, 3), 0))
    with pytest.raises(ValueError, match="no negatives"):
        loss(_draw((1, 2, 2, 3), 0))
    with pytest.raises(ValueError, match="no negatives"):
        loss(_draw((1, 1, 2, 3), 0), same_video_negatives=True)
    with pytest.raises(ValueError, match="not among"):
        loss(_draw((2, 2, 2, 3), 0), _draw((4, 2, 2, 3), 0), 3)
    with pytest.raises(ValueError, match="need embeddings"):
        loss(_draw((2, 2, 2, 3), 0), _draw((4, 2, 3, 3), 0))
