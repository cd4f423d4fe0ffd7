"""A board's cells -> which test examples its rows get right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leaderboards.board.board import Board
from leaderboards.statistics.examples import TaskExamples


def task_examples(board: Board, rows: NDArray[np.intp]) -> list[TaskExamples]:
    """Returns the test examples of each task; a row of which some are not known has no seeds there."""
    if board.right is None:
        nothing = np.zeros((len(rows), len(board.seeds), 0), np.uint8)
        return [TaskExamples(task.name, 0, nothing, np.zeros(len(rows), np.int64)) for task in board.tasks]
    right, found = board.right[rows], []
    for t, task in enumerate(board.tasks):
        sizes = board.examples[rows, t]
        examples = int(sizes.max(initial=0))
        width = (examples + 7) // 8
        # What was not read has no bits, and other examples have another number of them.
        known = np.array([[len(cell) == width > 0 for cell in seeds] for seeds in right[:, t]], np.bool_)
        known &= sizes == examples
        whole = (known == (sizes > 0)).all(axis=1)
        cells = zip(right[:, t].ravel(), known.ravel(), strict=True)
        bits = np.frombuffer(b"".join(cell if ok else bytes(width) for cell, ok in cells), np.uint8).reshape(
            *sizes.shape, width
        )
        images = board.test_images.get(task.name) or task.name
        found.append(TaskExamples(images, examples, bits, np.where(whole, known.sum(axis=1), 0)))
    return found
