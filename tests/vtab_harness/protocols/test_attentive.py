"""The attentive protocol; its probes are held against AIM's module in tests of the engine."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vtab_harness.api.backbones import TOKENS, Part
from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import AllTrialsDivergedError, Examples, FitDivergedError, TrialLog
from vtab_harness.protocols.attentive import Attentive, AttentiveSettings, TokenScale
from vtab_harness.testing.problems import draw, workbench

SMALL = AttentiveSettings(lr=(1e-3, 1e-2), weight_decay=(0.0, 0.1), steps=80, batch_size=32)


def marked(count: int, seed: int, length: int = 6, size: int = 16, classes: int = 4) -> Examples[torch.Tensor]:
    """Draws tokens of which one, anywhere, carries the class, beside a mark; their mean hardly tells."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    tokens = 2 * torch.randn(count, length, size, generator=generator)
    places = torch.randint(length, (count,), generator=generator)
    tokens[torch.arange(count), places] = 0.1 * torch.randn(count, size, generator=generator)
    tokens[torch.arange(count), places, labels] = 3
    tokens[torch.arange(count), places, 5] = 6
    return Examples(tokens.flatten(1), labels)


def test_it_finds_the_token_that_tells() -> None:
    bench: Any = workbench(TOKENS)
    object.__setattr__(bench.backbone, "parts", (Part("tokens", 0, (6, 16)),))
    train, validation, test = marked(400, 0), marked(100, 1), marked(200, 2)
    protocol = Attentive(AttentiveSettings(lr=(1e-3, 1e-2), weight_decay=(1e-2,), steps=300, batch_size=64))
    search = protocol.search(bench, train, validation, 4, TrialLog())
    assert [dict(trial.settings) for trial in search.trials] == [dict(each) for each in protocol.grid()]
    predictor = protocol.fit(bench, search.choice, train, 4, 0)
    assert (predictor(test.inputs).argmax(1) == test.labels).double().mean() > 0.8


def test_trials_say_how_each_probe_does_on_the_validation_examples() -> None:
    problem = draw("features", output=TOKENS)
    protocol = Attentive(SMALL)
    search = protocol.search(problem.bench, problem.train, problem.validation, 4, TrialLog())
    for trial in search.trials:
        scores = protocol.fit(problem.bench, trial, problem.train, 4, 0)(problem.validation.inputs)
        right = (scores.argmax(1) == problem.validation.labels).double().mean()
        assert trial.validation_accuracy == pytest.approx(float(right), abs=0.05)
        loss = torch.nn.functional.cross_entropy(scores, problem.validation.labels)
        assert trial.validation_loss == pytest.approx(float(loss), rel=0.02)


def test_tokens_are_scaled_by_what_is_learned_from() -> None:
    rows = torch.randn(50, 3 * 4) * 5 + 2
    tokens = TokenScale.learn(rows, 3)(rows).view(-1, 4)
    torch.testing.assert_close(tokens.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.std(0, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    assert torch.isfinite(TokenScale.learn(torch.ones(5, 12), 3)(torch.ones(5, 12))).all()


def test_what_is_not_finite_diverges() -> None:
    problem = draw("features", output=TOKENS)
    broken = Examples(torch.full_like(problem.train.inputs, float("inf")), problem.train.labels)
    with pytest.raises(AllTrialsDivergedError):
        Attentive(SMALL).search(problem.bench, broken, problem.validation, 4, TrialLog())
    wild = Attentive(AttentiveSettings(lr=(1e-3, 1e30), weight_decay=(0.0,), steps=60, batch_size=32))
    search = wild.search(problem.bench, problem.train, problem.validation, 4, TrialLog())
    assert [trial.status for trial in search.trials] == ["finished", "diverged"]
    with pytest.raises(FitDivergedError):
        wild.fit(problem.bench, search.trials[1], problem.both, 4, 0)


@pytest.mark.parametrize("wrong", [{"lr": ()}, {"lr": (float("nan"),)}, {"steps": 0}, {"warmup": 2.0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="attentive"):
        AttentiveSettings(**wrong)
