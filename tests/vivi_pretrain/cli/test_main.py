"""The `vivi` command prints errors as messages that steer no terminal."""

import sys

import pytest

from vivi_pretrain.cli import main as vivi
from vtab_harness.cli.plain_text import plain_lines


def test_names_in_errors_are_plain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["vivi", "plot", "no \x1b[31m folder"])
    with pytest.raises(SystemExit) as left:
        vivi.main()
    told = capsys.readouterr().err
    assert left.value.code == 2
    assert "no  [31m folder" in told
    assert plain_lines(told) == told
