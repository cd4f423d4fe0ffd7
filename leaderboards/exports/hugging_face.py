"""What the Hugging Face Hub shows on a model's page: ``model-index`` of its card, and evaluation-results files.

One folder a complete backbone. ``model-index.yaml`` goes into the head of the model's README.md;
``eval_results/*.yaml`` into ``.eval_results/`` of its repository (https://huggingface.co/docs/hub/eval-results). The
structures are built by huggingface_hub, so that they are what the Hub reads. Boards of another protocol, number of
labels or data variant have other ids and other files, and stand beside each other there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.exports.hub_benchmark import PLACEHOLDER, HubBenchmark, how_measured, part, task_ids
from leaderboards.text import YAML_WIDTH, for_yaml, shortened
from vtab_harness.sweep.store import storage_errors


def write(board: Board, summary: Summary, folder: Path, benchmark: HubBenchmark | None = None) -> list[Path]:
    """Writes both files of every complete backbone.

    Args:
        board: The scores.
        summary: Of that board.
        folder: Gets a folder a backbone.
        benchmark: What the results are reported for.
    """
    benchmark = benchmark or placeholder(board)
    index, entries = _index(board, benchmark), _entries(board, benchmark)
    scores = board.scores()
    files = []
    with storage_errors(folder, "writing a leaderboard"):
        for b, row in enumerate(board.backbones):
            if summary.missing[b]:
                continue
            values = [float(summary.mean[b]), *scores[b].tolist()]
            name = for_yaml(shortened(row.name, 96))
            parts = (
                ("model-index.yaml", _fill(index, [name, *(f"{value:.6f}" for value in values)])),
                (f"eval_results/{results_file(board)}", _fill(entries, _percent(values))),
            )
            for file, text in parts:
                path = folder / row.key / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                files.append(path)
    return files


def placeholder(board: Board) -> HubBenchmark:
    """Returns what results are reported for if nobody has said so."""
    return HubBenchmark(PLACEHOLDER.format(suite=part(board.suite)))


def results_file(board: Board) -> str:
    """Returns the name of a board's file in ``.eval_results/``."""
    return f"{'_'.join((part(board.suite), *how_measured(board)))}.yaml"


def evaluation_results(board: Board, summary: Summary, row: int, benchmark: HubBenchmark) -> str:
    """Returns the evaluation-results file of one complete backbone."""
    return _fill(_entries(board, benchmark), _percent([float(summary.mean[row]), *board.scores()[row].tolist()]))


def _percent(values: list[float]) -> list[str]:
    return ["", *(f"{100 * value:.4f}" for value in values)]


# Only where a number or the backbone's name stands: a title may look like a hole.
_HOLE = re.compile(r"(?:(?<=value: )|(?<=^- name: ))<(\d+)>$", re.MULTILINE)
_SOURCE = "Records and predictions"


def _index(board: Board, benchmark: HubBenchmark) -> list[str]:
    """Returns ``model-index`` as YAML with holes: number 0 for the name, then the mean and the tasks.

    Backbones differ in nothing else, and PyYAML would take 9 seconds for a thousand of them.
    """
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    titles = [f"{board.suite}, mean of {len(board.tasks)} tasks", *(task.title for task in board.tasks)]
    results = [
        EvalResult(
            task_type="image-classification",
            task_name=note,
            dataset_type=benchmark.repository,
            dataset_name=title,
            dataset_config=name,
            dataset_split="test",
            dataset_revision=benchmark.revision,
            metric_type="accuracy",
            metric_name="Top-1 accuracy",
            metric_value=f"<{number}>",
            source_name=_SOURCE if benchmark.source else None,
            source_url=benchmark.source,
        )
        for number, (name, title, note) in enumerate(zip(task_ids(board), titles, _notes(board), strict=True), 1)
    ]
    return _template({"model-index": eval_results_to_model_index("<0>", results)})


def _entries(board: Board, benchmark: HubBenchmark) -> list[str]:
    """Returns an evaluation-results file as YAML with holes for the mean and the tasks, from number 1 on."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = [
        EvalResultEntry(
            dataset_id=benchmark.repository,
            task_id=name,
            value=f"<{number}>",
            dataset_revision=benchmark.revision,
            date=board.date or None,
            source_url=benchmark.source,
            source_name=_SOURCE if benchmark.source else None,
            notes=note,
        )
        for number, (name, note) in enumerate(zip(task_ids(board), _notes(board), strict=True), 1)
    ]
    return _template(eval_result_entries_to_yaml(entries))


def _notes(board: Board) -> list[str]:
    """Returns how the mean and every task were measured, in words."""
    variants = [board.variant, *(board.variants.get(task.name, "") for task in board.tasks)]
    seeds = "1 seed" if len(board.seeds) == 1 else f"{board.aggregation} of up to {len(board.seeds)} seeds"
    return [f"{board.protocol}, {board.train_examples} labels, data variant {name}, {seeds}" for name in variants]


def _template(value: Any) -> list[str]:
    return _HOLE.split(yaml.safe_dump(value, sort_keys=False, width=YAML_WIDTH))


def _fill(template: list[str], values: list[str]) -> str:
    # Text and numbers of holes take turns.
    return "".join(values[int(part)] if i % 2 else part for i, part in enumerate(template))
