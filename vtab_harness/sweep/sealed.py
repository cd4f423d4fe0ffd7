"""The test split under seal: images come out once choices are fixed, labels once predictions are complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vtab_harness.api.data import Images
from vtab_harness.api.protocols import Search
from vtab_harness.api.records import Scored
from vtab_harness.api.tasks import Task
from vtab_harness.prepared.prepared_set import PreparedSet


class SealedTest:
    """The test split of an image set.

    A protocol never gets this object. The job that holds it can get the images out only by showing a finished search
    for every task, and the labels of a task only by handing in a prediction for every image.

    Args:
        prepared: Holds the test split.
        tasks: Tasks of the job.
    """

    def __init__(self, prepared: PreparedSet, tasks: Sequence[Task]) -> None:
        self._prepared = prepared
        self._tasks = {task.name: task for task in tasks}
        self.size = len(prepared.images("test"))

    def open(self, searches: Mapping[str, Search]) -> Images:
        """Returns the test images.

        Args:
            searches: The finished search of every task.

        Raises:
            PermissionError: The choice of a task is not fixed yet.
        """
        for name in self._tasks:
            if not isinstance(searches.get(name), Search):
                raise PermissionError(f"The test images are sealed until the choice for {name} is fixed.")
        return self._prepared.images("test")

    def score(self, task: str, predicted: NDArray[np.int64]) -> Scored:
        """Compares predictions with the labels, which nothing has read before.

        Args:
            task: Registered name.
            predicted: A class for every test image, in example order.

        Raises:
            ValueError: There is not one prediction in range for every image.
        """
        classes = self._tasks[task].num_classes
        if len(predicted) != self.size or predicted.min() < 0 or predicted.max() >= classes:
            raise ValueError(f"{task}: expected {self.size} predictions in 0..{classes - 1}.")
        labels = self._prepared.labels("test", self._tasks[task].label)
        return Scored(predicted.astype(np.int32), labels.astype(np.int32))
