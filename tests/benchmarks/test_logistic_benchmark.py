"""The linear protocol's solver against scikit-learn, one after the other over the same 20 strengths.

Both get 2 threads and the same float32 features. Time is compared with scikit-learn's default tolerance (1e-4), the
setting a person would use. That tolerance leaves its weak strengths visibly unfinished, so predicted classes are
compared with a second, untimed scikit-learn run in float64 at a tight tolerance.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from vtab_harness.engine.logistic import solve
from vtab_harness.protocols.linear import LinearSettings, Standardiser

pytestmark = pytest.mark.benchmark_suite

COUNT, TEST, SIZE, CLASSES, THREADS = 1000, 5000, 2048, 100, 2
STRENGTHS = LinearSettings(l2_count=20).strengths()

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    with threadpool_limits(THREADS):
        yield
    torch.set_num_threads(before)


def pooled_features() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Non-negative, class-structured features with a decaying spectrum, standardised as the protocol does it."""
    generator = np.random.default_rng(0)
    spectrum = (1 + np.arange(256)) ** -0.5
    means = generator.normal(size=(CLASSES, 256)) * spectrum
    mixing = generator.normal(size=(256, SIZE)) / np.sqrt((spectrum**2).sum())

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = np.concatenate([np.arange(CLASSES), generator.integers(0, CLASSES, count - CLASSES)])
        latent = 0.45 * means[labels] + generator.normal(size=(count, 256)) * spectrum
        activations = latent @ mixing + 0.3 * generator.normal(size=(count, SIZE))
        return torch.tensor(np.maximum(activations - 0.3, 0), dtype=torch.float32), torch.tensor(labels)

    (features, labels), (test, _) = draw(COUNT), draw(TEST)
    standardiser = Standardiser.learn(features, True)
    return standardiser(features), labels, standardiser(test)


def objective(features: torch.Tensor, labels: torch.Tensor, weights: Array, bias: Array, strength: float) -> float:
    """The objective in float64, for weights (D, C) and bias (C,) of either side."""
    logits = features.numpy().astype(np.float64) @ weights + bias
    logits -= logits.max(1, keepdims=True)
    loss = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels.numpy()]
    return float(loss.mean() + strength / 2 * (weights**2).sum())


def test_ten_times_faster_than_scikit_learn_and_no_worse() -> None:
    features, labels, _ = pooled_features()
    solve(features[:50, :64], labels[:50] % 5, 5, [0.1])  # Loads the libraries' thread pools.
    ours = []
    for _ in range(2):
        begin = time.perf_counter()
        path = solve(features, labels, CLASSES, STRENGTHS)
        ours.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    models = [
        LogisticRegression(C=1 / (strength * COUNT), max_iter=5000).fit(features.numpy(), labels.numpy())
        for strength in STRENGTHS
    ]
    theirs = time.perf_counter() - begin
    begin = time.perf_counter()
    solve(features, labels, CLASSES, STRENGTHS)
    ours.append(time.perf_counter() - begin)

    worst = -np.inf
    for i, (strength, model) in enumerate(zip(STRENGTHS, models, strict=True)):
        weights, bias = path.weights[i].double().numpy(), path.bias[i].double().numpy()
        mine = objective(features, labels, weights, bias, strength)
        other = objective(
            features, labels, model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64), strength
        )
        worst = max(worst, mine / other - 1)
    middle = sorted(ours)[1]
    print(f"\nours {middle:.2f} s (runs {', '.join(f'{t:.2f}' for t in ours)}), scikit-learn {theirs:.2f} s")
    print(f"ratio {theirs / middle:.1f}, worst relative objective {worst:+.1e}, steps {path.iterations.tolist()}")
    assert (path.gradient_norm <= 1e-5).all(), "within the tolerance that `solve` has by default"
    assert worst <= 1e-4
    assert theirs / middle >= 10


def test_predicts_the_classes_of_a_tightly_solved_scikit_learn() -> None:
    features, labels, test = pooled_features()
    predicted = solve(features, labels, CLASSES, STRENGTHS).scores(test).argmax(2).numpy()
    wide, wide_test = features.double().numpy(), test.double().numpy()
    # Untimed, so each strength may start from the one before; it gets to the tolerance sooner.
    model = LogisticRegression(max_iter=5000, warm_start=True)
    agreement = []
    for i, strength in enumerate(STRENGTHS):
        # The gradient that still matters shrinks with the strength.
        model.set_params(C=1 / (strength * COUNT), tol=min(1e-6, 1e-3 * strength)).fit(wide, labels.numpy())
        agreement.append(float((model.predict(wide_test) == predicted[i]).mean()))
    print("\nagreement, strongest first:", " ".join(f"{value:.4f}" for value in agreement))
    assert min(agreement) >= 0.995
