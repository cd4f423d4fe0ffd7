"""The nearest-centroid protocol: what it predicts, beside scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid as Reference
from sklearn.preprocessing import normalize

from vtab_harness.api.protocols import AllTrialsDivergedError, Examples, FitDivergedError, Trial, TrialLog
from vtab_harness.protocols.few import NearestCentroid, class_means

BENCH: Any = None


def drawn(count: int, seed: int, size: int, classes: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(classes), torch.randint(classes, (count - classes,), generator=generator)])
    means = torch.randn(classes, size, generator=torch.Generator().manual_seed(99))
    return Examples(means[labels] + torch.randn(count, size, generator=generator) + 3.0, labels)


@given(st.integers(0, 1000), st.integers(2, 30), st.integers(2, 6))
def test_the_same_classes_as_scikit_learn_on_centred_unit_rows(seed: int, size: int, classes: int) -> None:
    train, test = drawn(40, seed, size, classes), drawn(60, seed + 1, size, classes)
    mean = train.inputs.double().mean(0)
    reference = Reference().fit(normalize((train.inputs.double() - mean).numpy()), train.labels.numpy())
    rows = normalize((test.inputs.double() - mean).numpy())
    predicted = class_means(train.inputs, train.labels, classes)(test.inputs).argmax(1).numpy()
    # Float32 may settle what is a tie to its precision the other way.
    distances = np.linalg.norm(rows[:, None] - reference.centroids_, axis=2)
    nearest = distances.min(1)
    np.testing.assert_allclose(distances[np.arange(60), predicted], nearest, rtol=1e-5, atol=1e-6)


def test_search_says_how_the_training_examples_do_and_fit_learns_from_all() -> None:
    train, validation, test = drawn(250, 0, 20, 4), drawn(60, 1, 20, 4), drawn(300, 2, 20, 4)
    protocol = NearestCentroid()
    search = protocol.search(BENCH, train, validation, 4, TrialLog())
    own = class_means(train.inputs, train.labels, 4)(validation.inputs)
    assert search.choice.validation_accuracy == pytest.approx(
        float((own.argmax(1) == validation.labels).float().mean())
    )
    both = Examples(torch.cat([train.inputs, validation.inputs]), torch.cat([train.labels, validation.labels]))
    predictor = protocol.fit(BENCH, search.choice, both, 4, 0)
    torch.testing.assert_close(predictor.mean, both.inputs.mean(0))
    assert (predictor(test.inputs).argmax(1) == test.labels).double().mean() > 0.9


def test_a_class_without_examples_is_never_predicted_and_leaves_a_finite_loss() -> None:
    train = drawn(20, 0, 5, 3)
    protocol = NearestCentroid()
    unseen = Examples(train.inputs, torch.full((20,), 3))
    choice = protocol.search(BENCH, train, unseen, 4, TrialLog()).choice
    assert choice.validation_accuracy == 0
    assert choice.validation_loss is not None
    assert np.isfinite(choice.validation_loss)
    assert class_means(train.inputs, train.labels, 4)(torch.randn(500, 5)).argmax(1).max() < 3


def test_non_finite_features_diverge() -> None:
    train, broken = drawn(20, 0, 5, 3), drawn(20, 1, 5, 3)
    broken.inputs[3, 2] = float("nan")
    with pytest.raises(AllTrialsDivergedError):
        NearestCentroid().search(BENCH, train, broken, 3, TrialLog())
    with pytest.raises(FitDivergedError):
        NearestCentroid().fit(BENCH, Trial({}), broken, 3, 0)
