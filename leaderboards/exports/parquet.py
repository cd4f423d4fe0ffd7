"""Both tables as Parquet, for programs: typed, and with names as they are, which no spreadsheet opens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary
from leaderboards.exports.rows import Column, constants, leaderboard_columns, results_columns
from vtab_harness.sweep.store import storage_errors, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

_WHOLE = {
    "rank",
    "rank_low",
    "rank_high",
    "tied_rank",
    "parameters",
    "multiply_adds",
    "seeds_fewest",
    "seeds_most",
    "seed",
    "correct",
    "examples",
}
_WHOLE |= {"pretraining_step", "feature_size", "input_height", "input_width", "label_draws"}
_TEXT = {"backbone", "source", "spec", "folder", "weights", "missing", "finish_with", "group", "task", "title"}
_TEXT |= {"status", "record", "task_variant", "baseline", "measured_on"}


def write(board: Board, summary: Summary, out: Path) -> list[Path]:
    """Writes ``leaderboard.parquet`` and ``results.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = []
    tables = {"leaderboard": leaderboard_columns(board, summary), "results": results_columns(board, out)}
    for name, columns in tables.items():
        texts = _TEXT | set(constants(board))
        table = pa.table({key: _array(key, column, texts) for key, column in columns.items()})
        table = table.replace_schema_metadata({f"vtab.{key}": value for key, value in constants(board).items()})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        path = out / f"{name}.parquet"
        with storage_errors(out, "writing a leaderboard"):
            write_atomically(path, sink.getvalue().to_pybytes())
        files.append(path)
    return files


def _array(name: str, column: Column, texts: set[str]) -> pa.Array:
    import pyarrow as pa

    # Named types: a column of nothing but empty cells would otherwise have none.
    if name in texts:
        # A lone half of a surrogate pair, as an odd file name gives, has no UTF-8.
        return pa.array([str(value).encode("utf-8", "replace").decode() for value in column], pa.string())
    kind = pa.bool_() if name in ("pretrained", "tied") else pa.int64() if name in _WHOLE else pa.float64()
    return pa.array(column, kind)
