"""`vivi index` shows what it found, and names what it cannot use."""

import numpy as np
import pytest
from typer.testing import CliRunner

from vivi_pretrain.cli import index, synth  # noqa: F401  they register themselves; a lone command would have no name
from vivi_pretrain.cli.app import app
from vivi_pretrain.synthetic.encode import encoded
from vivi_pretrain.video.index_file import read_index
from vtab_harness.api.errors import DataError, OptionError


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    images = [np.full((32, 32, 3), 30 if number < 8 else 220, np.uint8) for number in range(16)]
    (folder / "a.mp4").write_bytes(encoded(iter(images), 32, 8, 18))
    (folder / "broken.mp4").write_text("no")
    (folder / "note.txt").touch()
    return folder


def test_index_prints_a_summary_and_problems(tmp_path, videos):
    command = ["index", str(videos), "--out", str(tmp_path), "--workers", "1", "--threshold", "0.3", "--set", "bins=32"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["videos", "indexed", "1"] in lines
    assert ["shots", "2"] in lines
    assert ["other", "files", "in", "the", "folders", "1"] in lines
    assert any(line[:2] == ["broken.mp4", "open"] for line in lines)
    assert read_index(tmp_path).settings["options"] == {"threshold": 0.3, "bins": 32}


def test_what_cannot_be_used_is_named(tmp_path, videos):
    with pytest.raises(OptionError, match="--set bins: expected key=value"):
        CliRunner().invoke(app, ["index", str(videos), "--out", str(tmp_path), "--set", "bins"], catch_exceptions=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no video"):
        CliRunner().invoke(app, ["index", str(tmp_path / "empty"), "--out", str(tmp_path)], catch_exceptions=False)
