"""The layers protocol, beside scikit-learn's solver on the columns picked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from vtab_harness.api.backbones import BLOCKS, Part
from vtab_harness.api.errors import OptionError
from vtab_harness.api.protocols import AllTrialsDivergedError, Examples, TrialLog
from vtab_harness.protocols.layers import Layers, LayersSettings
from vtab_harness.testing.problems import draw, workbench

SETTINGS = LayersSettings(l2_max=1.0, l2_min=0.01, l2_count=3, tolerance=1e-7)
# As `workbench` lays them out: a class token of one column, a patch mean of two, the last block first.
READ = {
    (1, "class"): [0],
    (1, "patches"): [1, 2],
    (1, "both"): [0, 1, 2],
    (4, "class"): [0, 3, 6, 9],
    (4, "patches"): [1, 2, 4, 5, 7, 8, 10, 11],
    (4, "both"): [0, 3, 6, 9, 1, 2],
}


def test_every_reading_and_strength_is_scored_as_scikit_learn_scores_it() -> None:
    problem = draw("features", output=BLOCKS)
    search = Layers(SETTINGS).search(problem.bench, problem.train, problem.validation, 4, TrialLog())
    assert len(search.trials) == 18
    train, labels = problem.train.inputs.numpy().astype(float), problem.train.labels.numpy()
    for trial in search.trials:
        read = READ[trial.settings["blocks"], trial.settings["tokens"]]
        scaler = StandardScaler().fit(train[:, read])
        strength = 1 / (trial.settings["l2"] * len(labels))
        model = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
        model.fit(scaler.transform(train[:, read]), labels)
        rows = scaler.transform(problem.validation.inputs.numpy()[:, read])
        shares = model.predict_proba(rows)[np.arange(len(rows)), problem.validation.labels.numpy()]
        assert trial.validation_loss == pytest.approx(-np.log(shares).mean(), rel=1e-4)
    best = max(trial.validation_accuracy or 0 for trial in search.trials)
    assert search.choice.validation_accuracy == best


def test_the_final_classifier_reads_what_was_chosen() -> None:
    problem = draw("features", output=BLOCKS)
    protocol = Layers(SETTINGS)
    search = protocol.search(problem.bench, problem.train, problem.validation, 4, TrialLog())
    for trial in search.trials:
        read = READ[trial.settings["blocks"], trial.settings["tokens"]]
        predictor = protocol.fit(problem.bench, trial, problem.both, 4, 0)
        changed = problem.test.clone()
        changed[:, [i for i in range(12) if i not in read]] = 1e3
        torch.testing.assert_close(predictor(problem.test), predictor(changed))


def test_a_network_without_class_token_is_read_by_its_patches() -> None:
    problem = draw("features", output=BLOCKS)
    bench: Any = workbench(BLOCKS)
    object.__setattr__(bench.backbone, "parts", (Part("block-1.patches", 0, (8,)), Part("block-2.patches", 8, (4,))))
    search = Layers(SETTINGS).search(bench, problem.train, problem.validation, 4, TrialLog())
    assert {(t.settings["blocks"], t.settings["tokens"]) for t in search.trials} == {(1, "patches")}
    only = LayersSettings(tokens=("class",))
    with pytest.raises(OptionError, match="none of the tokens"):
        Layers(only).search(bench, problem.train, problem.validation, 4, TrialLog())


def test_non_finite_features_diverge() -> None:
    problem = draw("features", output=BLOCKS)
    broken = Examples(torch.full_like(problem.train.inputs, float("nan")), problem.train.labels)
    with pytest.raises(AllTrialsDivergedError):
        Layers(SETTINGS).search(problem.bench, broken, problem.validation, 4, TrialLog())


@pytest.mark.parametrize("wrong", [{"blocks": (5,)}, {"blocks": ()}, {"tokens": ("mean",)}, {"l2_count": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        LayersSettings(**wrong)
