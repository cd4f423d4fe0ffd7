"""The producers do what the commands of `vivi` do, and study files find them by their entry points."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vivi_pretrain.cli import index, shard, synth  # noqa: F401
from vivi_pretrain.cli.app import app
from vivi_pretrain.producers import INDEX, SHARDS, SYNTH
from vivi_pretrain.shards.manifest import read_manifest
from vivi_pretrain.shards.settings import ShardSettings
from vivi_pretrain.synthetic.settings import SynthSettings
from vivi_pretrain.video.settings import IndexSettings
from vtab_harness.api.contracts import lacking
from vtab_harness.api.errors import DataError, OptionError
from vtab_harness.api.producers import Producer


def test_the_shards_are_those_of_the_commands(tmp_path: Path) -> None:
    videos = SynthSettings(videos=3, size=32, shortest=1, longest=1)
    SYNTH.produce(videos, None, tmp_path / "videos")
    INDEX.produce(IndexSettings(), tmp_path / "videos", tmp_path / "index")
    SHARDS.produce(ShardSettings(rate=4), tmp_path / "index", tmp_path / "shards")
    by_hand = tmp_path / "by hand"
    for arguments in (
        ["synth", by_hand / "videos", "--videos", 3, "--size", 32, "--shortest", 1, "--longest", 1, "--workers", 1],
        ["index", by_hand / "videos", "--out", by_hand / "index", "--workers", 1],
        ["shard", by_hand / "index", "--out", by_hand / "shards", "--fps", 4, "--workers", 1],
    ):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 0, done.output
    ours, theirs = (read_manifest(folder / "shards") for folder in (tmp_path, by_hand))
    assert ours.shards == theirs.shards
    # Again, nothing is done; with other settings, it is refused.
    before = (tmp_path / "shards" / "manifest.json").stat().st_mtime_ns
    SHARDS.produce(ShardSettings(rate=4), tmp_path / "index", tmp_path / "shards")
    assert (tmp_path / "shards" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(OptionError, match="settings"):
        SHARDS.produce(ShardSettings(rate=2), tmp_path / "index", tmp_path / "shards")


def test_all_members_are_there() -> None:
    for producer in (SYNTH, INDEX, SHARDS):
        assert lacking(producer, Producer) == []


def test_what_it_is_made_from_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="takes a video, a folder of videos"):
        INDEX.produce(IndexSettings(), None, tmp_path)
