"""Test labels never reach a choice: what a protocol is handed holds nothing of the test split."""

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from vtab_harness import registry
from vtab_harness.api.executors import Job
from vtab_harness.api.protocols import Examples, Search, Trial, TrialLog
from vtab_harness.prepared.prepared_set import PreparedImages, PreparedSet, prepare
from vtab_harness.protocols.knn import NearestNeighbours
from vtab_harness.sweep.job import run_job
from vtab_harness.sweep.sealed import SealedTest
from vtab_harness.sweep.settings import SweepSettings

SEARCHED = Search((Trial({}, validation_accuracy=0.5),), 0)


def reachable(roots: Sequence[Any]) -> list[Any]:
    """Everything that a protocol could get at by following attributes, contents and closures of what it is given."""
    seen: dict[int, Any] = {}
    waiting = list(roots)
    while waiting:
        found = waiting.pop()
        # Modules, classes and code are the program, which every protocol can import anyway; they hold no examples.
        if id(found) in seen or isinstance(found, ModuleType | type | CodeType | FrameType):
            continue
        seen[id(found)] = found
        if isinstance(found, FunctionType):
            waiting.extend([found.__defaults__, found.__closure__])
        else:
            waiting.extend(gc.get_referents(found))
    return list(seen.values())


class Cheat(NearestNeighbours):
    """Looks for test examples in everything that it is given before its choice is fixed."""

    name = "cheat"
    found: ClassVar[list[Any]] = []
    looked_at: ClassVar[list[Any]] = []

    def search(self, bench: Any, train: Examples, validation: Examples, num_classes: int, log: TrialLog) -> Search:
        around = reachable([self, bench, train, validation, log])
        Cheat.looked_at.extend(around)
        for thing in around:
            if isinstance(thing, SealedTest | PreparedSet):
                Cheat.found.append(thing)
            if isinstance(thing, PreparedImages) and thing.name.endswith("/test"):
                Cheat.found.append(thing)
            # The 797 test images, their labels or their features, in whatever form.
            if isinstance(thing, torch.Tensor | np.ndarray) and thing.ndim and len(thing) == 797:
                Cheat.found.append(thing)
        return super().search(bench, train, validation, num_classes, log)


def test_a_cheating_protocol_finds_no_test_examples(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    settings = SweepSettings(protocol="cheat", results=tmp_path, cache=cache, device="cpu")
    with registry.protocols.registered("cheat", Cheat):
        outcome = run_job(Job(small_backbone, ("mini_digits",), settings))
    assert outcome.error is None, outcome.traceback
    assert Cheat.found == []
    # The search is worth something only if it does find what it is meant to see.
    assert any(isinstance(thing, torch.Tensor) and thing.shape == (800, 16) for thing in Cheat.looked_at)


def test_the_search_would_find_test_images_if_they_were_there(cache: Path) -> None:
    images = prepare(registry.tasks.get("mini_digits").image_set, (), cache).images("test")
    hidden = {"deep": [lambda: images]}
    assert any(thing is images for thing in reachable([hidden]))


@pytest.fixture
def sealed(cache: Path) -> SealedTest:
    task = registry.tasks.get("mini_digits")
    return SealedTest(prepare(task.image_set, (), cache), [task])


@pytest.mark.parametrize("searches", [{}, {"mini_digits": None}, {"mini_digits": "trust me"}, {"other": SEARCHED}])
def test_images_stay_sealed_without_a_choice(sealed: SealedTest, searches: Mapping[str, Any]) -> None:
    with pytest.raises(PermissionError, match="sealed until the choice for mini_digits is fixed"):
        sealed.open(searches)


def test_images_open_with_a_choice(sealed: SealedTest) -> None:
    assert len(sealed.open({"mini_digits": SEARCHED})) == 797


@pytest.mark.parametrize("predicted", [np.zeros(796, np.int64), np.full(797, 10), np.full(797, -1)])
def test_labels_need_a_prediction_for_every_image(sealed: SealedTest, predicted: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ValueError, match="expected 797 predictions in 0..9"):
        sealed.score("mini_digits", predicted)


def test_score_counts_what_is_right(sealed: SealedTest, cache: Path) -> None:
    task = registry.tasks.get("mini_digits")
    labels = prepare(task.image_set, (), cache).labels("test", task.label)
    scored = sealed.score("mini_digits", np.where(np.arange(797) < 100, labels, (labels + 1) % 10))
    assert scored.correct == 100
    assert np.array_equal(scored.labels, labels)
