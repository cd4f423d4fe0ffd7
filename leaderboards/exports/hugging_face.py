"""What the Hugging Face Hub shows on a model's page: ``model-index`` of its card, and evaluation-results files.

One folder a complete backbone. ``model-index.yaml`` goes into the head of the model's README.md;
``eval_results/*.yaml`` into ``.eval_results/`` of its repository (https://huggingface.co/docs/hub/eval-results). The
structures are built by huggingface_hub, so that they are what the Hub reads.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.text import for_yaml, shortened
from vtab_harness.sweep.store import storage_errors

BENCHMARK = "vtab-harness/{suite}"
"""Dataset repository that evaluation results name if no other is given."""


def write(board: Board, summary: Summary, folder: Path, benchmark: str | None = None) -> list[Path]:
    """Writes both files of every complete backbone.

    Args:
        board: The scores.
        summary: Of that board.
        folder: Gets a folder a backbone.
        benchmark: Dataset repository of the benchmark, ``organisation/name``.
    """
    dataset = benchmark or BENCHMARK.format(suite=board.suite)
    index, entries = _templates(board, dataset)
    scores = board.scores()
    files = []
    with storage_errors(folder, "writing a leaderboard"):
        for b, row in enumerate(board.backbones):
            if summary.missing[b]:
                continue
            values = [float(summary.mean[b]), *scores[b].tolist()]
            name = for_yaml(shortened(row.name, 96))
            parts = (
                ("model-index.yaml", index, [name, *(f"{value:.6f}" for value in values)]),
                (f"eval_results/{board.suite}.yaml", entries, ["", *(f"{100 * value:.4f}" for value in values)]),
            )
            for file, template, filled in parts:
                path = folder / row.key / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_fill(template, filled), encoding="utf-8")
                files.append(path)
    return files


_HOLE = re.compile(r"(?<=: )<(\d+)>$", re.MULTILINE)
_WIDTH = 1 << 20
"""PyYAML breaks longer lines."""


def _templates(board: Board, dataset: str) -> tuple[list[str], list[str]]:
    """Returns both files as YAML with holes: number 0 for the name, then the mean and the tasks.

    Backbones differ in nothing else, and PyYAML would take 9 seconds for a thousand of them.
    """
    from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.repocard_data import eval_results_to_model_index

    note = f"{board.protocol}, {board.train_examples} labels, data variant {board.variant}"
    named = [("mean", f"{board.suite}, mean of {len(board.tasks)} tasks")]
    named += [(task.name, task.title) for task in board.tasks]
    results = [
        EvalResult(
            task_type="image-classification",
            task_name=note,
            dataset_type=dataset,
            dataset_name=title,
            dataset_config=name,
            dataset_split="test",
            metric_type="accuracy",
            metric_name="Top-1 accuracy",
            metric_value=f"<{number}>",
        )
        for number, (name, title) in enumerate(named, 1)
    ]
    entries = [
        EvalResultEntry(dataset_id=dataset, task_id=name, value=f"<{number}>", date=board.date, notes=note)
        for number, (name, _) in enumerate(named, 1)
    ]
    index = {"model-index": eval_results_to_model_index("<0>", results)}
    return _template(index), _template(eval_result_entries_to_yaml(entries))


def _template(value: Any) -> list[str]:
    return _HOLE.split(yaml.safe_dump(value, sort_keys=False, width=_WIDTH))


def _fill(template: list[str], values: list[str]) -> str:
    # Text and numbers of holes take turns.
    return "".join(values[int(part)] if i % 2 else part for i, part in enumerate(template))
