"""The linear protocol: what it searches, chooses and predicts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vtab_harness.api.bench import no_progress
from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import AllTrialsDivergedError, Examples, FitDivergedError, Trial, TrialLog
from vtab_harness.engine import logistic
from vtab_harness.protocols.linear import Linear, LinearSettings, Standardiser

# All that it asks of one.
BENCH: Any = SimpleNamespace(progress=no_progress)


def examples(count: int, seed: int, size: int = 30, classes: int = 4) -> Examples:
    means = torch.randn(classes, size, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=generator)
    noise = torch.randn(count, size, generator=generator)
    return Examples(5 + 0.7 * means[labels] + noise, labels)


def test_default_grid_is_log_spaced_from_the_strongest() -> None:
    strengths = [trial["l2"] for trial in Linear().grid()]
    assert len(strengths) >= 20
    assert strengths == sorted(strengths, reverse=True)
    assert (strengths[0], strengths[-1]) == pytest.approx((10, 1e-5))


def test_search_and_fit_learn() -> None:
    protocol, train, validation, test = Linear(), examples(80, 0), examples(40, 1), examples(300, 2)
    search = protocol.search(BENCH, train, validation, 4, TrialLog())
    assert [dict(trial.settings) for trial in search.trials] == [dict(each) for each in protocol.grid()]
    best = search.choice.validation_accuracy
    assert best is not None
    assert best == max(trial.validation_accuracy or 0 for trial in search.trials)
    assert all(trial.notes["gradient_norm"] <= 1e-5 for trial in search.trials)
    both = Examples(torch.cat([train.inputs, validation.inputs]), torch.cat([train.labels, validation.labels]))
    scores = protocol.fit(BENCH, search.choice, both, 4, 0)(test.inputs)
    assert scores.dtype == torch.float32
    assert scores.shape == (300, 4)
    assert (scores.argmax(1) == test.labels).double().mean() > 0.8


def test_validation_figures_are_those_of_the_solver() -> None:
    protocol = Linear(LinearSettings(l2_max=0.1, l2_count=1))
    train, validation = examples(80, 0), examples(40, 1)
    trial = protocol.search(BENCH, train, validation, 4, TrialLog()).choice
    mean, std = train.inputs.mean(0), train.inputs.std(0, correction=0)
    path = logistic.solve((train.inputs - mean) / std, train.labels, 4, [0.1])
    scores = path.scores((validation.inputs - mean) / std)[0]
    assert trial.validation_accuracy == pytest.approx(float((scores.argmax(1) == validation.labels).double().mean()))
    assert trial.validation_loss == pytest.approx(
        float(torch.nn.functional.cross_entropy(scores, validation.labels)), 1e-4
    )


def test_constant_dimensions_have_no_say() -> None:
    features = torch.randn(50, 3)
    features[:, 1] = 0.1
    standardiser = Standardiser.learn(features, True)
    moved = features.clone()
    moved[:, 1] = 1e6
    assert standardiser(moved)[:, 1].eq(0).all()
    torch.testing.assert_close(standardiser(features).std(0, correction=0), torch.tensor([1.0, 0.0, 1.0]))
    assert torch.equal(Standardiser.learn(features, False)(features), features)


def test_ties_prefer_the_stronger_penalty() -> None:
    train = Examples(torch.zeros(20, 3), torch.arange(20) % 2)
    assert Linear().search(BENCH, train, train, 2, TrialLog()).chosen == 0


def test_non_finite_features_diverge() -> None:
    train, validation = examples(20, 0), examples(10, 1)
    train.inputs[3, 2] = float("inf")
    with pytest.raises(AllTrialsDivergedError) as caught:
        Linear().search(BENCH, train, validation, 4, TrialLog())
    assert {trial.diverged_at for trial in caught.value.trials} == {0}
    with pytest.raises(FitDivergedError):
        Linear().fit(BENCH, Trial({"l2": 0.1}), train, 4, 0)


def test_a_class_seen_only_in_validation_leaves_a_finite_loss() -> None:
    train, validation = examples(40, 0), examples(20, 1)
    train.labels[train.labels == 3] = 0
    search = Linear().search(BENCH, train, validation, 4, TrialLog())
    assert search.choice.validation_loss is not None
    assert 0 < search.choice.validation_loss < 1000


def test_kept_trials_are_not_solved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation, log = examples(40, 0), examples(20, 1), TrialLog()
    first = Linear().search(BENCH, train, validation, 4, log)
    monkeypatch.setattr(logistic, "solve", None)
    assert Linear().search(BENCH, train, validation, 4, log) == first


def test_the_solver_says_how_far_it_is() -> None:
    told: list[tuple[str, int, int]] = []
    bench: Any = SimpleNamespace(progress=lambda *word: told.append(word))
    train = examples(40, 0)
    search = Linear().search(bench, train, examples(20, 1), 4, TrialLog())
    assert told[-1] == ("solving for L2 strengths", 25, 25)
    Linear().fit(bench, search.choice, train, 4, 0)
    assert told[-1] == ("solving for L2 strengths", 1, 1)


def test_settings_without_a_grid_are_refused() -> None:
    with pytest.raises(OptionError, match="l2_min"):
        LinearSettings(l2_min=1.0, l2_max=0.1)
    assert Linear().training_images(800, 1000, 1) == 0
