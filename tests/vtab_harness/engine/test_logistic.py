"""The batched solver against scikit-learn, against a float64 formula, and on the awkward cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from vtab_harness.engine import logistic
from vtab_harness.engine.logistic import LogisticPath, solve


def examples(
    count: int, size: int, classes: int, seed: int = 0, shift: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    means = shift * torch.randn(classes, size, generator=generator)
    return means[labels] + torch.randn(count, size, generator=generator), labels


def reference(
    path: LogisticPath, i: int, features: torch.Tensor, labels: torch.Tensor, strength: float
) -> tuple[float, float]:
    """Objective and largest gradient entry in float64 numpy, from the definition."""
    x, y = features.numpy().astype(np.float64), labels.numpy()
    w, b = path.weights[i].numpy().astype(np.float64), path.bias[i].numpy().astype(np.float64)
    logits = x @ w + b
    logits -= logits.max(1, keepdims=True)
    log_probability = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    residual = np.exp(log_probability)
    rows = np.arange(len(y))
    residual[rows, y] -= 1
    gradient = x.T @ residual / len(y) + strength * w
    objective = -log_probability[rows, y].mean() + strength / 2 * (w**2).sum()
    return float(objective), float(max(np.abs(gradient).max(), np.abs(residual.mean(0)).max()))


@pytest.mark.parametrize(("count", "size", "classes"), [(60, 150, 5), (200, 20, 4), (40, 40, 3)])
def test_agrees_with_scikit_learn(count: int, size: int, classes: int) -> None:
    features, labels = examples(count, size, classes, shift=0.5)
    fresh, _ = examples(500, size, classes, seed=1, shift=0.5)
    strengths = [10.0, 1.0, 0.1, 0.01, 1e-3]
    path = solve(features, labels, classes, strengths, gap_tolerance=1e-7)
    for i, strength in enumerate(strengths):
        model = LogisticRegression(C=1 / (strength * count), tol=1e-9, max_iter=5000)
        model.fit(features.double().numpy(), labels.numpy())
        np.testing.assert_allclose(path.weights[i].T.numpy(), model.coef_, atol=2e-3 * np.abs(model.coef_).max() + 2e-5)
        agree = path.scores(fresh)[i].argmax(1).numpy() == model.predict(fresh.double().numpy())
        assert agree.mean() >= 0.995
    assert (path.gradient_norm <= 1e-5).all()


def test_two_classes_match_the_single_weight_vector_at_half_the_strength() -> None:
    features, labels = examples(80, 30, 2, shift=0.3)
    path = solve(features, labels, 2, [0.1], gap_tolerance=1e-8)
    model = LogisticRegression(C=1 / (0.05 * 80), tol=1e-9, max_iter=5000).fit(
        features.double().numpy(), labels.numpy()
    )
    difference = path.weights[0, :, 1] - path.weights[0, :, 0]
    np.testing.assert_allclose(difference.numpy(), model.coef_[0], atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(1, 60),
    size=st.integers(1, 60),
    classes=st.integers(1, 6),
    seed=st.integers(0, 10**6),
    exponents=st.lists(st.floats(-4, 2), min_size=1, max_size=5),
    scale=st.sampled_from([0.01, 1.0, 10.0]),
    offset=st.sampled_from([0.0, 1.0]),
)
def test_reaches_the_tolerance_and_reports_the_truth(
    count: int, size: int, classes: int, seed: int, exponents: list[float], scale: float, offset: float
) -> None:
    features, labels = examples(count, size, classes, seed)
    features = scale * (features + offset)
    strengths = [10.0**e for e in exponents]
    path = solve(features, labels, classes, strengths)
    for i, strength in enumerate(strengths):
        objective, gradient = reference(path, i, features, labels, strength)
        assert objective == pytest.approx(float(path.objective[i]), rel=1e-4, abs=1e-6)
        assert gradient == pytest.approx(float(path.gradient_norm[i]), rel=0.1, abs=5e-6 * max(1, scale))
        assert gradient <= 1.5e-5 * max(1, scale)
    assert torch.isfinite(path.weights).all()


def test_order_and_duplicates_of_strengths_do_not_matter() -> None:
    features, labels = examples(50, 80, 4)
    path = solve(features, labels, 4, [0.01, 1.0, 0.01, 0.1], gap_tolerance=1e-7)
    torch.testing.assert_close(path.weights[0], path.weights[2], rtol=0, atol=1e-3)
    alone = solve(features, labels, 4, [0.1], gap_tolerance=1e-7)
    torch.testing.assert_close(path.weights[3], alone.weights[0], rtol=0, atol=1e-3)
    assert path.objective.argmax() == 1


def test_permuting_the_labels_permutes_the_solution() -> None:
    features, labels = examples(60, 20, 5)
    order = torch.tensor([3, 0, 4, 1, 2])
    one = solve(features, labels, 5, [0.1, 0.01], gap_tolerance=1e-7)
    other = solve(features, order[labels], 5, [0.1, 0.01], gap_tolerance=1e-7)
    torch.testing.assert_close(one.weights, other.weights[:, :, order], rtol=0, atol=1e-3)
    torch.testing.assert_close(one.bias, other.bias[:, order], rtol=0, atol=1e-3)


def test_same_bits_every_time() -> None:
    features, labels = examples(100, 64, 7)
    one, other = (solve(features, labels, 7, [1.0, 0.1, 1e-3]) for _ in range(2))
    assert torch.equal(one.weights, other.weights)
    assert torch.equal(one.bias, other.bias)


def test_absent_classes_are_never_chosen_and_change_nothing() -> None:
    features, labels = examples(60, 20, 3)
    sparse = torch.tensor([1, 4, 6])[labels]
    dense = solve(features, labels, 3, [0.1])
    path = solve(features, sparse, 9, [0.1])
    assert torch.equal(path.weights[:, :, [1, 4, 6]], dense.weights)
    scores = path.scores(1000 * torch.randn(200, 20))
    assert set(scores.argmax(2).flatten().tolist()) <= {1, 4, 6}
    assert (path.gradient_norm <= 1e-5).all()


def test_a_single_class_and_a_single_example() -> None:
    path = solve(torch.randn(1, 5), torch.tensor([2]), 4, [1.0, 0.1])
    assert path.scores(torch.randn(3, 5)).argmax(2).eq(2).all()
    assert path.iterations.eq(0).all()


def test_constant_features_leave_the_priors() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    path = solve(torch.full((4, 3), 7.0), labels, 2, [0.1])
    probability = path.scores(torch.full((1, 3), 7.0)).softmax(2)[0, 0]
    torch.testing.assert_close(probability, torch.tensor([0.75, 0.25]))


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_extreme_scales_are_the_same_problem(scale: float) -> None:
    features, labels = examples(60, 90, 4)
    plain = solve(features, labels, 4, [0.1])
    path = solve(scale * features, labels, 4, [0.1 * scale**2], tolerance=1e-5 * scale)
    torch.testing.assert_close(path.weights * scale, plain.weights, rtol=0, atol=1e-3)


def test_separable_examples_at_a_vanishing_strength_end_and_say_how_far_they_came() -> None:
    features, labels = examples(50, 100, 3, shift=3.0)
    path = solve(features, labels, 3, [1e-12], max_iterations=7)
    assert path.iterations[0] <= 7
    _, gradient = reference(path, 0, features, labels, 1e-12)
    assert gradient == pytest.approx(float(path.gradient_norm[0]), rel=0.1, abs=1e-6)
    assert (path.scores(features)[0].argmax(1) == labels).all()
    hurried = solve(features, labels, 3, [0.1], max_iterations=1)
    assert hurried.gradient_norm[0] > 1e-5
    assert hurried.gradient_norm[0] > 1e-5


def test_refuses_what_has_no_solution() -> None:
    features, labels = examples(10, 4, 2)
    features[3, 1] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        solve(features, labels, 2, [0.1])
    with pytest.raises(ValueError, match="positive"):
        solve(torch.zeros(10, 4), labels, 2, [0.0])
    with pytest.raises(ValueError, match="labels"):
        solve(torch.zeros(10, 4), labels + 1, 2, [0.1])


def test_progress_is_told_within_a_long_solution_and_may_end_it() -> None:
    features, labels = examples(200, 30, 5, shift=0.2)
    strengths = [10.0 ** (1 - i / 2) for i in range(10)]
    told: list[tuple[int, int]] = []
    path = solve(features, labels, 5, strengths, progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (10, 10)
    # Once at the beginning of each batch, and every tenth step after.
    assert len(told) > int(path.iterations.max()) // logistic.TELL_EVERY
    quiet = solve(features, labels, 5, strengths)
    assert torch.equal(path.weights, quiet.weights)

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    precision = torch.get_float32_matmul_precision()
    with pytest.raises(InterruptedError):
        solve(features, labels, 5, strengths, progress=stop)
    assert torch.get_float32_matmul_precision() == precision
