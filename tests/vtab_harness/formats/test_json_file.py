"""JSON that somebody else wrote: strict, of a bounded size, and typed where that is asked for."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from vtab_harness.formats.json_file import parse_json, read_json


@dataclass(frozen=True)
class Point:
    x: int
    name: str = "none"


def test_reads_what_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": 3, "more": [null, 1.5, "\\ud83d\\ude00"]}')
    assert read_json(tmp_path / "a.json", 100) == {"x": 3, "more": [None, 1.5, "\U0001f600"]}
    assert read_json(tmp_path / "a.json", 100, Point) == Point(3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"x": NaN}',
        b'{"x": 1e999}',
        b'{"x": "\\ud800"}',
        b'{"x": true}',
        b'{"x": "3"}',
        b'{"x": 3.5}',
        b'{"name": "x"}',
        b"[3]",
        b"[" * 100_000,
        b'{"x": ' + b"9" * 5000 + b"}",
    ],
)
def test_everything_else_is_one_error(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whichever it is)
        parse_json(content, Point)


def test_size_and_kind_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('"' + "x" * 98 + '"')
    assert len(read_json(tmp_path / "a.json", 100)) == 98
    with pytest.raises(ValueError, match="more than 99 bytes"):
        read_json(tmp_path / "a.json", 99)
    with pytest.raises(ValueError, match="not a file"):
        read_json(Path(os.devnull), 99)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a file"):
        read_json(tmp_path / "pipe", 99)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "absent", 99)
