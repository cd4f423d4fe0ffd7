"""Files that a board is written to: one module a format, all written by `write_all`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboards.board.board import Board
from leaderboards.board.choices import SearchChoice
from leaderboards.board.summary import Summary

if TYPE_CHECKING:
    from leaderboards.exports.hub_benchmark import HubBenchmark
    from leaderboards.published import Reference


def write_all(
    board: Board,
    summary: Summary,
    out: Path,
    references: tuple[Reference, ...] = (),
    benchmark: HubBenchmark | None = None,
    choices: Sequence[SearchChoice] = (),
) -> list[Path]:
    """Writes every table.

    Args:
        board: The scores.
        summary: Of that board.
        out: Folder; made if need be.
        references: Published results to show below the table, set off from it.
        benchmark: What evaluation results are reported for on the Hugging Face Hub.
        choices: Of searches, for what they hang on.

    Returns:
        The files. Equal boards give equal bytes, but for Parquet's version of its writer.
    """
    from leaderboards.exports import (
        csv,
        hub_benchmark,
        hugging_face,
        latex,
        markdown,
        parquet,
        tidy,
        vtab_website,
        wins,
    )

    out.mkdir(parents=True, exist_ok=True)
    return [
        csv.write_leaderboard(board, summary, out / "leaderboard.csv"),
        tidy.write_results(board, out / "results.csv"),
        wins.write(board, summary, out / "wins.csv"),
        csv.write_left_out(board, out / "left_out.csv"),
        *csv.write_published(references, out / "published.csv"),
        markdown.write(board, summary, out / "leaderboard.md", references, choices),
        latex.write(board, summary, out / "leaderboard.tex", references),
        *parquet.write(board, summary, out),
        vtab_website.write(board, summary, out / "vtab_website.csv"),
        hub_benchmark.write_eval_yaml(board, out / hub_benchmark.EVAL_YAML),
        *hugging_face.write(board, summary, out / "hugging_face", benchmark),
    ]
