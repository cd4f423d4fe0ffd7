"""Every-Eval-Ever, schema 0.3: one JSON file a complete backbone, and beside it a line for each prediction.

The form is that of the package every-eval-ever 0.3.0 (https://github.com/evaleval/every_eval_ever): where files lie,
what identifies them, how a sample is hashed. It is made for language models; docs/publishing.md says what stands in its
fields.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from leaderboards.board.board import BackboneRow, Board
from leaderboards.board.summary import Summary
from leaderboards.exports.hub_benchmark import how_measured, part, task_ids
from leaderboards.records.record import read_answers
from leaderboards.text import shortened
from vtab_harness import __version__
from vtab_harness.cli.plain_text import plain
from vtab_harness.sweep.store import storage_errors, write_atomically

SCHEMA = "0.3.0"
UNSPECIFIED = "unspecified"
"""In place of what no record says; docs/publishing.md asks to fill it in."""
_encode = msgspec.json.Encoder().encode
_METRIC = {
    "metric_id": "accuracy",
    "metric_name": "Top-1 accuracy",
    "metric_kind": "accuracy",
    "metric_unit": "proportion",
    "lower_is_better": False,
    "score_type": "continuous",
    "min_score": 0.0,
    "max_score": 1.0,
}


def write(board: Board, summary: Summary, folder: Path) -> list[Path]:
    """Writes both files of every complete backbone, below ``data/`` of a folder.

    Returns:
        The files. Equal boards give equal bytes: identifiers follow from what was measured, times from the records.

    Raises:
        StorageError: Predictions of a record cannot be read, or a file not written.
    """
    scores = board.scores()
    files = []
    for b, row in enumerate(board.backbones):
        if summary.missing[b]:
            continue
        model = model_id(row)
        evaluation = "/".join((_collection(board), *how_measured(board), row.key))
        # Version 4 in form, which the schema asks for; the same for the same row, so that nothing is filed twice.
        name = uuid.UUID(bytes=hashlib.sha256(evaluation.encode()).digest()[:16], version=4)
        place = f"data/{_collection(board)}/{model}"
        samples = folder / place / f"{name}_samples.jsonl"
        log = _log(board, summary, b, scores[b].tolist(), evaluation, model)
        log["detailed_evaluation_results"] = {
            "format": "jsonl",
            "file_path": f"{place}/{samples.name}",
            "hash_algorithm": "sha256",
            **_write_samples(samples, _samples(board, b, evaluation, model)),
        }
        aggregate = folder / place / f"{name}.json"
        with storage_errors(folder, "writing a leaderboard"):
            write_atomically(aggregate, msgspec.json.format(_encode(log), indent=1) + b"\n")
        files += [aggregate, samples]
    return files


def model_id(row: BackboneRow) -> str:
    """Returns ``developer/model``: of a model of the Hub its own, of any other source and folder in the results.

    The weights of ``timm:NAME`` are those of ``timm/NAME``; with options they are something else.
    """
    name = row.spec.partition(":")[2]
    parts = name.split("/") if row.source == "hf-hub" else ["timm", name]
    is_published = row.source == "hf-hub" or (row.source == "timm" and row.pretrained)
    if is_published and len(parts) == 2 and all(part(piece) == piece for piece in parts):
        return "/".join(parts)
    return f"{part(row.source)}/{part(row.key)}"


def _collection(board: Board) -> str:
    return f"vtab-harness_{part(board.suite)}"


def _log(board: Board, summary: Summary, b: int, scores: list[float], evaluation: str, model: str) -> dict[str, Any]:
    row = board.backbones[b]
    day = datetime.fromisoformat(board.date).replace(tzinfo=UTC) if board.date else datetime.fromtimestamp(0, UTC)
    names = [f"{board.suite}.mean", *(f"{board.suite}.{task.name}" for task in board.tasks)]
    lows = [float(summary.mean_low[b]), *summary.task_low[b].tolist()]
    highs = [float(summary.mean_high[b]), *summary.task_high[b].tolist()]
    methods = ["bootstrap over test examples and seeds", *["Wilson, widened by the spread of the seeds"] * len(scores)]
    sizes = [int(board.examples[b].max(axis=1).sum()), *board.examples[b].max(axis=1).tolist()]
    results = []
    for t, name in enumerate(task_ids(board)):
        task = board.tasks[t - 1] if t else None
        variant = board.variants.get(task.name, "") if task else board.variant
        uncertainty: dict[str, Any] = {"num_samples": int(sizes[t])}
        # Without draws of the bootstrap there is no interval.
        if lows[t] == lows[t] and highs[t] == highs[t]:
            interval = {"lower": lows[t], "upper": highs[t], "confidence_level": summary.confidence}
            uncertainty["confidence_interval"] = interval | {"method": methods[t]}
        results.append(
            {
                "evaluation_result_id": name,
                "evaluation_name": plain(names[t]),
                "source_data": {
                    "dataset_name": plain(task.title if task else board.suite),
                    "source_type": "other",
                    "additional_details": {
                        "split": "test",
                        "data_variant": plain(variant),
                        "test_images": board.test_images.get(task.name, "") if task else "",
                    },
                },
                "metric_config": _METRIC,
                "score_details": {
                    "score": scores[t - 1] if t else float(summary.mean[b]),
                    "uncertainty": uncertainty,
                    "details": {"seeds": str(len(board.seeds)), "over_seeds": board.aggregation},
                },
                "generation_config": {
                    "additional_details": {
                        "protocol": plain(board.protocol),
                        "train_examples": board.train_examples,
                        "overridden": _encode(board.overridden).decode(),
                    }
                },
            }
        )
    return {
        "schema_version": SCHEMA,
        "evaluation_id": evaluation,
        "evaluation_timestamp": day.isoformat(),
        "retrieved_timestamp": str(int(day.timestamp())),
        "source_metadata": {
            "source_name": "vtab-harness",
            "source_type": "evaluation_run",
            "source_organization_name": UNSPECIFIED,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "vtab-harness", "version": __version__},
        "model_info": {
            "name": shortened(row.name, 96),
            "id": model,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "unknown" if model.endswith(f"/{part(row.key)}") else "open_weights",
                "spec": plain(row.spec),
                "weights_sha256": row.weights,
                "parameters": str(row.parameters),
                "feature_size": str(row.feature_size),
                "input_size": "x".join(map(str, row.input_size)),
            },
        },
        "evaluation_results": results,
    }


def _samples(board: Board, b: int, evaluation: str, model: str) -> Iterator[bytes]:
    """Yields a line for each test example of each task and seed; the mean has none of its own."""
    ids = task_ids(board)[1:]
    for t, task in enumerate(board.tasks):
        variant = plain(board.variants.get(task.name, ""))
        for s, seed in enumerate(board.seeds):
            if board.paths[b, t, s] is None:
                continue
            _, classes, labels = read_answers(Path(board.paths[b, t, s]))
            pairs = zip(classes.tolist(), labels.tolist(), strict=True)
            for i, (predicted, label) in enumerate(pairs):
                shown = {"raw": f"{task.name}, data variant {variant}, test image {i}", "reference": [str(label)]}
                answer = {
                    "turn_idx": 0,
                    "source": "output.raw",
                    "extracted_value": str(predicted),
                    "extraction_method": "argmax",
                    "is_terminal": True,
                }
                yield _encode(
                    {
                        "schema_version": SCHEMA,
                        "evaluation_id": evaluation,
                        "model_id": model,
                        "evaluation_name": f"{board.suite}.{task.name}",
                        "evaluation_result_id": ids[t],
                        "sample_id": f"{task.name}/test/{i}",
                        # Keys in alphabetical order and no blanks: as the schema's authors hash it.
                        "sample_hash": hashlib.sha256(_encode(shown)).hexdigest(),
                        "interaction_type": "single_turn",
                        "input": shown,
                        "output": {"raw": [str(predicted)]},
                        "answer_attribution": [answer],
                        "evaluation": {"score": float(predicted == label), "is_correct": predicted == label},
                        "metadata": {"seed": str(seed)},
                    }
                )


def _write_samples(path: Path, lines: Iterator[bytes]) -> dict[str, Any]:
    """Writes the lines one by one, for there may be millions; returns how many, and the sha256 of the file."""
    digest, count = hashlib.sha256(), 0
    with storage_errors(path.parent, "writing a leaderboard"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for line in lines:
                file.write(line + b"\n")
                digest.update(line + b"\n")
                count += 1
    return {"checksum": digest.hexdigest(), "total_rows": count}
