"""Procedural videos: what is drawn, what is written, and how a run goes on."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from vivi_pretrain.synthetic.encode import encoded
from vivi_pretrain.synthetic.plan import planned
from vivi_pretrain.synthetic.scene import drawn_frames
from vivi_pretrain.synthetic.settings import SynthSettings
from vivi_pretrain.synthetic.synthesise import synthesise
from vtab_harness.api.errors import OptionError, StorageError
from vtab_harness.api.values import flag

SMALL = SynthSettings(videos=2, size=48, shots=3, shortest=0.75, longest=1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("videos")
    synthesise(out, SMALL)
    return out


def drawn(settings: SynthSettings, number: int) -> np.ndarray:
    return np.stack(list(drawn_frames(settings, number)))


def test_frames_follow_from_seed_and_number_alone():
    first = drawn(SMALL, 1)
    assert np.array_equal(first, drawn(replace(SMALL, videos=9), 1))
    assert not np.array_equal(first[:5], drawn(SMALL, 0)[:5])
    assert not np.array_equal(first[:5], drawn(replace(SMALL, seed=1), 1)[:5])


def test_same_frames_give_the_same_file():
    images = list(drawn_frames(SMALL, 0))
    assert encoded(images, 48, 8, 18) == encoded(images, 48, 8, 18)


def test_truth_counts_the_frames_of_the_files(folder: Path):
    with (folder / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(path.stem for path in folder.glob("*.mp4")) == sorted({row["video"] for row in rows})
    for video in {row["video"] for row in rows}:
        shots = [(int(row["first_frame"]), int(row["last_frame"])) for row in rows if row["video"] == video]
        with av.open(str(folder / f"{video}.mp4")) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert shots[0][0] == 0
        assert shots[-1][1] == len(times) - 1
        assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(shots))
        assert all(0.75 * 8 <= last - first + 1 <= 1.5 * 8 for first, last in shots)
        assert np.allclose(np.diff(times), 1 / 8)


def test_decoded_frames_are_those_drawn(folder: Path):
    with av.open(str(folder / "video000001.mp4")) as container:
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    difference = np.abs(decoded.astype(int) - drawn(SMALL, 1).astype(int))
    # Half the resolution of colour and the encoder's loss leave the pictures recognisable.
    assert difference.mean() < 12


def test_pictures_jump_at_cuts_and_move_within_shots():
    worst_cut, moves, within = np.inf, [], []
    for number in range(6):
        images = drawn(SMALL, number).astype(float)
        change = np.abs(np.diff(images, axis=0)).mean(axis=(1, 2, 3))
        cuts = [first - 1 for first, _ in planned(SMALL, number).boundaries()[1:]]
        worst_cut = min(worst_cut, change[cuts].min())
        within.append(np.median(np.delete(change, cuts)))
        moves.append(np.delete(change, cuts).min())
    assert worst_cut > 2 * np.mean(within)
    # Film grain alone changes a pixel by 2.3 on average.
    assert np.mean(moves) > 2.5


def test_fades_are_dark_at_the_cut_and_not_elsewhere():
    settings = replace(SMALL, fades=1.0, shortest=1.5, longest=1.5)
    images, plain = drawn(settings, 0), drawn(replace(settings, fades=0.0), 0)
    plan = planned(settings, 0)
    assert plan.fades.tolist() == [True, True, False]
    for first, _ in plan.boundaries()[1:]:
        assert images[first - 1].max() <= 3
        assert images[first].max() <= 3
        assert np.array_equal(images[first + 4], plain[first + 4])
    assert np.array_equal(images[0], plain[0])
    assert np.array_equal(images[-1], plain[-1])


def test_goes_on_where_it_was_and_adds_videos(folder: Path, tmp_path: Path):
    whole = synthesise(tmp_path, SMALL)
    before = [path.read_bytes() for path in whole]
    assert before == [(folder / path.name).read_bytes() for path in whole]
    whole[0].unlink()
    kept = whole[1].stat().st_mtime_ns
    calls: list[tuple[int, int]] = []
    synthesise(tmp_path, SMALL, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert whole[0].read_bytes() == before[0]
    assert whole[1].stat().st_mtime_ns == kept
    more = synthesise(tmp_path, replace(SMALL, videos=3))
    assert len(more) == 3
    assert whole[1].stat().st_mtime_ns == kept
    assert not list(tmp_path.glob(".*"))


def test_workers_make_the_same_files(folder: Path, tmp_path: Path):
    for path in synthesise(tmp_path, SMALL, workers=2):
        assert path.read_bytes() == (folder / path.name).read_bytes()


@pytest.mark.parametrize(("change", "words"), [({"seed": 5}, "seed 0 there and 5"), ({"videos": 1}, "2 videos")])
def test_other_settings_in_the_same_folder_are_refused(folder: Path, change: dict[str, int], words: str):
    with pytest.raises(OptionError, match=words):
        synthesise(folder, replace(SMALL, **change))


def test_a_settings_file_that_is_none_is_refused(tmp_path: Path):
    (tmp_path / "synth.json").write_text("[]")
    with pytest.raises(StorageError, match=r"synth\.json"):
        synthesise(tmp_path, SMALL)


@pytest.mark.parametrize(
    "change",
    [{"size": 33}, {"size": 16}, {"videos": 0}, {"shots": 0}, {"fades": 1.5}, {"longest": 0.5}, {"frame_rate": 0}],
)
def test_impossible_settings_name_themselves(change: dict[str, float]):
    (name,) = change
    with pytest.raises(OptionError, match=f"{flag(name)} "):
        replace(SMALL, **change)


def test_command_line(tmp_path: Path):
    from vivi_pretrain.cli import shard, synth  # noqa: F401
    from vivi_pretrain.cli.app import app

    arguments = ["synth", str(tmp_path), "--videos", "1", "--size", "32", "--shots", "2", "--shortest", "0.5"]
    result = CliRunner().invoke(app, [*arguments, "--longest", "0.5", "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "video000000.mp4").exists()
    assert "1 videos of 2 shots" in result.output
