"""`check_protocol` lets good protocols through, and finds each way in which one can be wrong."""

import random
from typing import Any

import numpy as np
import pytest
import torch
import wrong_protocols as wrong
from torch import Tensor
from wrong_protocols import Means, MeansSettings

from vtab_harness.engine.training import Classifier
from vtab_harness.protocols.attentive import Attentive, AttentiveSettings
from vtab_harness.protocols.few import NearestCentroid
from vtab_harness.protocols.finetune import FineTune, FineTunePredictor, FineTuneSettings
from vtab_harness.protocols.knn import NearestNeighbours
from vtab_harness.protocols.layers import Layers, LayersSettings
from vtab_harness.protocols.linear import Linear, LinearSettings
from vtab_harness.protocols.linear_sgd import LinearSgd, LinearSgdSettings
from vtab_harness.protocols.lora import Lora, LoraSettings
from vtab_harness.testing import ContractError, check_protocol

SMALL = FineTuneSettings(lr=(0.05, 0.01), steps=(3, 6), batch_size=16)


@pytest.mark.parametrize(
    ("protocol", "settings"),
    [
        (NearestNeighbours, None),
        (NearestCentroid, None),
        (LinearSgd, LinearSgdSettings((1.0, 5.0), (1e-3,), passes=12, warmup_passes=2, batch_size=16)),
        (Attentive, AttentiveSettings((1e-2, 3e-2), (1e-2,), steps=40, batch_size=16)),
        (Layers, LayersSettings(l2_count=2, tolerance=1e-3)),
        (Linear, LinearSettings(l2_count=3, tolerance=1e-3)),
        (FineTune, SMALL),
        (Lora, LoraSettings((2, 4), (0.01, 0.03), passes=10, warmup_passes=2, batch_size=16)),
        (Means, None),
        (Means, MeansSettings(powers=(2.0,))),
        (wrong.Seeded, None),
        (wrong.WholeState, None),
    ],
)
def test_good_protocols_pass(protocol: Any, settings: Any) -> None:
    before = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    check_protocol(protocol, settings)
    after = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def batch_mean(predictor: Any, inputs: Tensor) -> Tensor:
    scores: Tensor = predictor(inputs - 0.1 * inputs.mean(0))
    return scores


def in_place(predictor: Any, inputs: Tensor) -> Tensor:
    scores: Tensor = predictor(inputs.mul_(1.5))
    return scores


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        # It looks at test inputs, or learns more than it should before it chooses.
        (wrong.ReadsTheHeap, "its search or its training depends on test inputs"),
        (wrong.ReadsTheHeapInSearch, "its search or its training depends on test inputs"),
        (wrong.ReadsFrames, "its search or its training depends on test inputs"),
        (wrong.LearnsValidation, "has learned the labels that it chooses by"),
        (wrong.ChoosesAgain, "its final training comes out the same whichever of 3 trials was chosen"),
        (wrong.LateSearch, "changes its choice in fit"),
        # Its predictor adapts to what it is asked.
        (wrong.predicting(batch_mean), "the size or the order of test batches"),
        (wrong.predicting(lambda p, x: p(x).sort(0).values), "the size or the order of test batches"),
        (wrong.Adapts, "the size or the order of test batches"),
        # One use leaks into the next.
        (wrong.RemembersTests, "its search or its training depends on test inputs"),
        (wrong.NeedsItsSearch, r"fit\(\) raised AttributeError"),
        (wrong.CachesOnInstance, "a second search and training depend on those before"),
        (wrong.CachesOnClass, "gives the same scores after training on other examples"),
        (wrong.Accumulates, "an instance depends on what another was used for"),
        (wrong.SharesWeights, "a predictor changes when another is trained"),
        # Classes that are absent.
        (wrong.NanForAbsent, "scores are NaN"),
        (wrong.FailsForAbsent, "AssertionError"),
        # Random numbers.
        (wrong.Unseeded, "gives another result with the same seed"),
        (wrong.UnseededSearch, "gives another result with the same seed"),
        (wrong.SeededButOne, "has seeds=1, and its result depends on the seed"),
        # What it is given.
        (wrong.WorksInPlace, "changes the inputs of the final training"),
        (wrong.ChangesLabels, "changes the labels of the final training"),
        (wrong.TrainsInPlace, "changes the weights of the backbone"),
        (wrong.LeavesTrainMode, "changes the mode of the backbone"),
        (wrong.predicting(in_place), "changes the test inputs"),
        # The log.
        (wrong.NoLog, "keeps 0 of 3 trials in the log"),
        (wrong.TakesOnly, "keeps 0 of 3 trials in the log"),
        (wrong.KeepsOnly, "does not take finished trials from the log"),
        (wrong.WarmStarts, "a search that goes on after . of 3 trials differs from an undisturbed one"),
        # What comes out.
        (wrong.predicting(lambda p, x: p(x).argmax(1)), r"gives torch.int64 \(30,\), not float32 \(30, 4\)"),
        (wrong.predicting(lambda p, x: p(x).double()), r"gives torch.float64 \(30, 4\)"),
        (wrong.predicting(lambda p, x: p(x)[:, :3]), r"gives torch.float32 \(30, 3\)"),
        (wrong.predicting(lambda p, x: p(x).numpy()), "gives ndarray"),
        (wrong.predicting(lambda p, x: p(x) - float("inf")), "none of a row is finite"),
        (wrong.predicting(lambda p, x: p(x)[99]), "its predictor raised IndexError"),
        (wrong.searching(lambda s: s.trials), "its search gives tuple"),
        (wrong.searching(lambda s: wrong.Search((), 0)), "its search gives Search"),
        (wrong.searching(lambda s: wrong.Search(s.trials, 3)), "its search chooses number 3 of 3"),
        (wrong.searching(lambda s: wrong.with_first(s, validation_accuracy=None)), "accuracy None"),
        (wrong.searching(lambda s: wrong.with_first(s, validation_accuracy=98.0)), r"accuracy 98\.0"),
        (wrong.searching(lambda s: wrong.with_first(s, validation_loss=float("nan"))), "nan"),
        (wrong.searching(lambda s: wrong.with_first(s, validation_accuracy=torch.tensor(1.0))), "raised TypeError"),
        (wrong.searching(lambda s: wrong.with_first(s, status="diverged")), "a diverged trial has a score"),
        (
            wrong.searching(lambda s: wrong.with_first(s, status="diverged", validation_accuracy=None)),
            "chooses a diverged trial",
        ),
        # What is declared.
        (wrong.ShortGrid, r"its grid lists \{\"power\": 2\.0\}\."),
        (wrong.OrderedGrid, "List every trial in grid"),
        (wrong.TupleGrid, "of its grid as JSON gave"),
        (wrong.NestedSettings, "the setting more"),
        (wrong.ForgetsSettings, "other settings than it was made with"),
        (wrong.counting(-1), r"training_images\(800, 1000, 1\) is -1"),
        (wrong.counting(1.5), r"training_images\(800, 1000, 1\) is 1\.5"),
        (wrong.counting(True), r"training_images\(800, 1000, 1\) is True"),
        (type("NoGrid", (Means,), {"grid": None}), r"has no grid\(\)"),
        (type("NoConsumer", (Means,), {"consumes": "pixels"}), "consumes='pixels'"),
        (wrong.StateAlone, r"has state\(\) alone"),
        (wrong.HalfState, "a restored predictor gives other scores"),
    ],
)
def test_a_wrong_protocol_is_found(protocol: Any, message: str) -> None:
    for kept in (wrong.RemembersTests.asked, wrong.CachesOnClass.cache, wrong.Accumulates.total):
        kept.clear()
    settings = MeansSettings(powers=(1.0, 2.0, 3.0)) if protocol is wrong.ForgetsSettings else None
    with pytest.raises(ContractError, match=message):
        check_protocol(protocol, settings)


class TrainMode(FineTune):
    """Leaves batch norm looking at test batches."""

    def fit(self, *arguments: Any, **named: Any) -> FineTunePredictor:
        predictor = super().fit(*arguments, **named)
        predictor.classifier.train()
        return predictor


class TrainsTheBackbone(FineTune):
    """Forgets to copy the network."""

    def fit(self, bench: Any, *arguments: Any, **named: Any) -> FineTunePredictor:
        predictor = super().fit(bench, *arguments, **named)
        bench.backbone.module.load_state_dict(predictor.classifier.backbone.state_dict())
        return predictor


class LosesTheHead(FineTune):
    """Restores a network with a head that was never trained."""

    def restore(self, bench: Any, state: Any, num_classes: int) -> FineTunePredictor:
        predictor = super().restore(bench, state, num_classes)
        fresh = Classifier(predictor.classifier.backbone, bench.backbone.feature_size, num_classes)
        return FineTunePredictor(bench, fresh.eval())


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (TrainMode, "its scores depend on|raised ValueError"),
        (TrainsTheBackbone, "changes the weights of the backbone"),
        (LosesTheHead, "a restored predictor gives other scores"),
    ],
)
def test_a_wrong_protocol_on_images_is_found(protocol: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_protocol(protocol, SMALL)


def test_one_that_never_returns_is_found_with_a_limit() -> None:
    with pytest.raises(ContractError, match=r"has not returned within 0\.3 s"):
        check_protocol(wrong.Endless, timeout=0.3)
