"""The linear probe by gradient descent, beside a loop over PyTorch's own optimiser and schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import AllTrialsDivergedError, Examples, FitDivergedError, TrialLog
from vtab_harness.engine.heads import half_cosine, passes
from vtab_harness.protocols.linear_sgd import LinearSgd, LinearSgdSettings
from vtab_harness.testing.problems import draw

SMALL = LinearSgdSettings(
    lr=(5.0, 0.5, 1.0), weight_decay=(0.0, 1e-2), passes=20, warmup_passes=4, batch_size=20, momentum=0.9
)


def reference(examples: Examples[Tensor], classes: int, lr: float, decay: float, seed: int) -> nn.Linear:
    """Trains one head as the source does: a group without decay for the bias, a schedule that steps once a pass."""
    generator = torch.Generator().manual_seed(seed)
    head = nn.Linear(examples.inputs.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * math.sqrt(2 / classes))
        bound = 1 / math.sqrt(head.in_features)
        head.bias.copy_(torch.rand(classes, generator=generator) * 2 * bound - bound)
    groups = [{"params": [head.weight], "weight_decay": decay}, {"params": [head.bias], "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=lr * 20 / 256, momentum=0.9)

    def share(done: int) -> float:
        return done / 4 if done < 4 else 0.5 * (1 + math.cos(math.pi * (done - 4) / 16))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, share)
    for order in passes(len(examples), 20, seed):
        for batch in order.split(20):
            optimiser.zero_grad()
            functional.cross_entropy(head(examples.inputs[batch]), examples.labels[batch]).backward()
            optimiser.step()
        schedule.step()
    return head


def test_heads_trained_at_once_are_those_of_a_loop_over_torchs_optimiser() -> None:
    problem = draw("features")
    protocol = LinearSgd(SMALL)
    heads, broken = protocol.train(problem.bench, problem.train, 4, protocol.grid(), 7, "")
    assert broken == [-1] * 6
    for i, settings in enumerate(protocol.grid()):
        head = reference(problem.train, 4, settings["lr"], settings["weight_decay"], 7)
        torch.testing.assert_close(heads.weight[i], head.weight.detach(), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(heads.scores(problem.test)[i], head(problem.test), rtol=1e-3, atol=1e-3)


def test_trials_score_the_last_pass_and_ties_go_to_the_smaller_rate() -> None:
    problem = draw("features")
    search = LinearSgd(SMALL).search(problem.bench, problem.train, problem.validation, 4, TrialLog())
    for trial in search.trials:
        head = reference(problem.train, 4, trial.settings["lr"], trial.settings["weight_decay"], 0)
        scores = head(problem.validation.inputs)
        right = (scores.argmax(1) == problem.validation.labels).double().mean()
        assert trial.validation_accuracy == pytest.approx(float(right))
        loss = functional.cross_entropy(scores, problem.validation.labels)
        assert trial.validation_loss == pytest.approx(float(loss.detach()), rel=1e-3)
    best = max(trial.validation_accuracy or 0 for trial in search.trials)
    tied = [trial for trial in search.trials if trial.validation_accuracy == best]
    assert search.choice.settings["lr"] == min(trial.settings["lr"] for trial in tied)


def test_what_is_not_finite_diverges_alone() -> None:
    problem = draw("features")
    broken = Examples(torch.full_like(problem.train.inputs, float("nan")), problem.train.labels)
    with pytest.raises(AllTrialsDivergedError):
        LinearSgd(SMALL).search(problem.bench, broken, problem.validation, 4, TrialLog())
    with pytest.raises(FitDivergedError):
        LinearSgd(SMALL).fit(
            problem.bench,
            LinearSgd(SMALL).search(problem.bench, problem.train, problem.validation, 4, TrialLog()).choice,
            broken,
            4,
            0,
        )
    wild = LinearSgd(LinearSgdSettings(lr=(0.5, 1e38), weight_decay=(0.0,), passes=12, batch_size=20))
    search = wild.search(problem.bench, problem.train, problem.validation, 4, TrialLog())
    assert [trial.status for trial in search.trials] == ["finished", "diverged"]


def test_each_pass_sees_every_example_once() -> None:
    order = passes(30, 5, seed=1)
    assert all(sorted(each.tolist()) == list(range(30)) for each in order)
    assert len({tuple(each.tolist()) for each in order}) == 5


def test_the_rate_starts_at_nothing_and_ends_near_it() -> None:
    settings = LinearSgdSettings()
    assert [settings.share(done) for done in (0, 5, 10, 55)] == pytest.approx([0, 0.5, 1, 0.5])
    assert half_cosine(1.0) == pytest.approx(0.0)


@pytest.mark.parametrize("wrong", [{"lr": ()}, {"weight_decay": (-1.0,)}, {"passes": 0}, {"momentum": 1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="linear-sgd"):
        LinearSgdSettings(**wrong)
