"""The nearest-neighbour protocol: what it searches, chooses and predicts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import AllTrialsDivergedError, Examples, FitDivergedError, Trial, TrialLog
from vtab_harness.protocols.knn import NearestNeighbours, NeighbourSettings

BENCH: Any = None


def examples(count: int, seed: int, size: int = 20, classes: int = 4) -> Examples:
    means = torch.randn(classes, size, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    return Examples(means[labels] + torch.randn(count, size, generator=generator), labels)


def test_search_and_fit_learn() -> None:
    protocol, train, validation, test = NearestNeighbours(), examples(250, 0), examples(60, 1), examples(300, 2)
    search = protocol.search(BENCH, train, validation, 4, TrialLog())
    assert [dict(trial.settings) for trial in search.trials] == [dict(each) for each in protocol.grid()]
    both = Examples(torch.cat([train.inputs, validation.inputs]), torch.cat([train.labels, validation.labels]))
    scores = protocol.fit(BENCH, search.choice, both, 4, 0)(test.inputs)
    assert scores.dtype == torch.float32
    assert scores.shape == (300, 4)
    assert (scores.argmax(1) == test.labels).double().mean() > 0.8


def test_k_above_the_number_of_examples_is_left_out() -> None:
    search = NearestNeighbours().search(BENCH, examples(15, 0), examples(10, 1), 4, TrialLog())
    assert {trial.settings["k"] for trial in search.trials} == {1, 5, 10}
    with pytest.raises(OptionError, match="above the 15"):
        NearestNeighbours(NeighbourSettings((50,))).search(BENCH, examples(15, 0), examples(9, 1), 4, TrialLog())


def test_loss_is_that_of_the_share_of_votes() -> None:
    train = Examples(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    validation = Examples(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
    settings = NeighbourSettings((2,), (1.0,))
    trial = NearestNeighbours(settings).search(BENCH, train, validation, 2, TrialLog()).choice
    assert trial.validation_loss == pytest.approx(-math.log(math.e / (math.e + 1)), rel=1e-4)


def test_a_class_without_votes_leaves_a_finite_loss() -> None:
    train = Examples(torch.eye(2), torch.tensor([0, 1]))
    validation = Examples(torch.eye(2), torch.tensor([2, 2]))
    trial = NearestNeighbours().search(BENCH, train, validation, 3, TrialLog()).choice
    assert trial.validation_accuracy == 0
    assert trial.validation_loss is not None
    assert math.isfinite(trial.validation_loss)


def test_zero_vectors_are_no_trouble() -> None:
    train, validation = examples(20, 0), examples(10, 1)
    train.inputs[0] = 0
    validation.inputs[0] = 0
    search = NearestNeighbours().search(BENCH, train, validation, 4, TrialLog())
    assert all(trial.status == "finished" for trial in search.trials)


def test_non_finite_features_diverge() -> None:
    train, validation = examples(20, 0), examples(10, 1)
    validation.inputs[3, 2] = float("nan")
    with pytest.raises(AllTrialsDivergedError):
        NearestNeighbours().search(BENCH, train, validation, 4, TrialLog())
    with pytest.raises(FitDivergedError):
        NearestNeighbours().fit(BENCH, Trial({"k": 1, "temperature": 1.0}), validation, 4, 0)


@pytest.mark.parametrize("wrong", [{"k": (0,)}, {"temperature": (0.0,)}, {"chunk": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="knn"):
        NeighbourSettings(**wrong)
    assert NearestNeighbours().training_images(800, 1000, 1) == 0
