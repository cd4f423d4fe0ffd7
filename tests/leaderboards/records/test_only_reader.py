"""Nothing outside `leaderboards.records` reads a record."""

import ast
from pathlib import Path

import leaderboards
from vtab_harness.sweep import store

ROOT = Path(leaderboards.__file__).parent
READERS = {name for name in vars(store) if name.startswith("read_")}


def test_no_other_room_imports_what_reads_records() -> None:
    assert {"read_head", "read_record", "read_predictions"} <= READERS
    found = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == store.__name__
        if {alias.name for alias in node.names} & {*READERS, "Store"}
    }
    assert found == {"records"}
