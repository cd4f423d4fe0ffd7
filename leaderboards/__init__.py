"""Records -> tables, plots, a page, comparisons, and a gate.

From Python::

    frame = leaderboards.load("results")                               # tidy: a row a backbone x task x seed
    board = leaderboards.build_board(frame, suite="mini")              # the scores of one table
    found = leaderboards.compare_backbones("resnet50", "mine", frame)  # paired; print(found.verdict)
    report = leaderboards.check_gate(frame, "baseline.safetensors")    # report.exit_code as of `vtab gate`

Rooms, from the top; imports go down this list only:

    cli             the commands ``vtab leaderboard``, ``vtab publish``, ``vtab compare`` and ``vtab gate``
    publish         a leaderboard, and the results of one backbone, to repositories of the Hugging Face Hub
    plugin          the leaderboard as a report, for study files of the harness
    pytest_plugin   the gate as a marker and a fixture
    leaderboard     a folder with all that one table gives, made anew where anything changed
    page            the table, or a comparison, as one HTML file
    plots           a module for each plot
    exports         a module for each file format
    gate            did a backbone get worse than its baseline
    compare         is A better than B
    board           the scores of one table, and what is computed from them
    published       results of papers, for reference
    boards          committed boards with their records, no code
    statistics      intervals, tests, ranks: arrays in, arrays out
    records         the only reader of records
    text            names that may hold anything, made harmless for each format
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaderboards.board.from_records import build_board
    from leaderboards.compare.backbones import compare_backbones
    from leaderboards.gate.check import check_gate
    from leaderboards.records.frame import load

__all__ = ["build_board", "check_gate", "compare_backbones", "load"]
# Verbs, for the rooms are called `board`, `compare` and `gate`: a function of the same name would hide its room, or be
# hidden by it, whichever is imported last.
_HOMES = {
    "build_board": "leaderboards.board.from_records",
    "check_gate": "leaderboards.gate.check",
    "compare_backbones": "leaderboards.compare.backbones",
    "load": "leaderboards.records.frame",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: every pytest run imports this package, and pandas takes a while.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
