"""Shards written from real video files and read back."""

from __future__ import annotations

import errno
import io
import json
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from vivi_pretrain.shards.extract import VideoJob
from vivi_pretrain.shards.jobs import video_jobs
from vivi_pretrain.shards.manifest import file_record
from vivi_pretrain.shards.reader import ShardSet
from vivi_pretrain.shards.settings import ShardSettings
from vivi_pretrain.shards.tar_file import TarWriter, member_bytes
from vivi_pretrain.shards.writer import write_shards
from vivi_pretrain.synthetic.plan import planned
from vivi_pretrain.synthetic.settings import SynthSettings
from vivi_pretrain.synthetic.synthesise import synthesise
from vivi_pretrain.video.decode import frames
from vtab_harness.api.errors import DataError, OptionError, StorageError

VIDEOS = SynthSettings(videos=5, size=40, shots=3, shortest=1.0, longest=3.0)
SHARDS = ShardSettings(rate=2.0, short_side=32, frames_per_shot=3, shots_per_video=2, shard_megabytes=0.02)


def index_table(videos: SynthSettings = VIDEOS) -> pa.Table:
    rows = []
    for number in range(videos.videos):
        plan = planned(videos, number)
        for shot, (first, last) in enumerate(plan.boundaries()):
            row = {"video": plan.name, "path": f"{plan.name}.mp4", "shot": shot, "frame_rate": 8.0}
            row |= {"first_frame": first, "last_frame": last, "first_time": first / 8, "last_time": last / 8}
            rows.append(row)
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    synthesise(folder, VIDEOS)
    return folder


@pytest.fixture(scope="module")
def jobs(videos: Path) -> list[VideoJob]:
    return video_jobs(index_table(), videos)


@pytest.fixture(scope="module")
def made(jobs: list[VideoJob], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards")
    write_shards(jobs, out, SHARDS, "index")
    return out


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_frames_are_those_of_the_definition(videos: Path, made: Path):
    shards = ShardSet(made)
    expected, short, kept = [], 0, 0
    for number in range(VIDEOS.videos):
        plan = planned(VIDEOS, number)
        decoded = list(frames(videos / f"{plan.name}.mp4", short_side=32))
        rows = []
        for shot, (first, last) in enumerate(plan.boundaries()):
            parts = (last - first + 1) * 2 // 8
            if parts < 3:
                short += 1
                continue
            # Parts of 4 frames; the middle lies between the second and the third, and the earlier one is taken.
            rows += [(plan.name, shot, n, decoded[first + 4 * n + 1]) for n in range(parts)]
        if len({row[1] for row in rows}) >= 2:
            expected += rows
            kept += 1
    table = pq.read_table(made / "frames.parquet").to_pylist()
    assert [(row["video"], row["shot"], row["n"]) for row in table] == [row[:3] for row in expected]
    assert short > 0
    assert shards.manifest.counts.short_shots_left_out == short
    assert shards.manifest.counts.videos == kept
    assert shards.manifest.counts.few_shots_left_out == VIDEOS.videos - kept
    for row, data, (*_, frame) in zip(table, shards.read(np.arange(len(table))), expected, strict=True):
        assert data == simplejpeg.encode_jpeg(frame.image, quality=90, colorspace="RGB")
        assert row["time"] == pytest.approx(frame.time)
        assert simplejpeg.decode_jpeg(data).shape == (row["height"], row["width"], 3) == (32, 32, 3)


def test_tarfile_and_webdataset_read_the_same(made: Path):
    webdataset = pytest.importorskip("webdataset")
    shards = ShardSet(made)
    table = pq.read_table(made / "frames.parquet").to_pylist()
    names = [f"{row['video']}-{row['shot']:04d}-{row['n']:04d}" for row in table]
    data = dict(zip(names, shards.read(np.arange(len(table))), strict=True))
    assert len(shards.manifest.shards) > 1
    paths = [str(made / record.name) for record in shards.manifest.shards]
    seen = {}
    for path in paths:
        with tarfile.open(path) as file:
            for member in file:
                handle = file.extractfile(member)
                assert handle is not None
                seen[member.name.removesuffix(".jpg")] = handle.read()
    assert seen == data
    found = {sample["__key__"]: sample["jpg"] for sample in webdataset.WebDataset(paths, shardshuffle=False)}
    assert {Path(name).name: value for name, value in found.items()} == data


def test_shot_table_agrees_with_the_frame_table(made: Path):
    shards = ShardSet(made)
    table = pq.read_table(made / "frames.parquet").to_pylist()
    groups: dict[tuple[str, int], list[int]] = {}
    for number, row in enumerate(table):
        groups.setdefault((row["video"], row["shot"]), []).append(number)
    shots = shards.shots
    assert len(shots) == len(groups) == shards.manifest.counts.shots
    assert len(shards.video_names) == len({video for video, _ in groups})
    for place, ((video, shot), rows) in enumerate(groups.items()):
        assert shards.video_names[shots.video[place]] == video
        assert shots.shot[place] == shot
        assert list(range(shots.first_row[place], shots.first_row[place] + shots.frames[place])) == rows


def test_size_limit_holds_except_for_a_single_video(jobs: list[VideoJob], made: Path, tmp_path: Path):
    shards = ShardSet(made)
    table = pq.read_table(made / "frames.parquet")
    for number, record in enumerate(shards.manifest.shards):
        videos = set(table.filter(pa.compute.equal(table["shard"], number))["video"].to_pylist())
        assert record.bytes < 20_000 + 10_240 or len(videos) == 1
    whole = write_shards(jobs, tmp_path, replace(SHARDS, shard_megabytes=9), "index")
    assert len(whole.shards) == 1


def test_reading_from_threads_and_from_a_pickled_copy(made: Path):
    shards = ShardSet(made)
    rows = np.random.default_rng(0).integers(0, shards.num_frames, (20, 7))
    expected = [ShardSet(made).read(row) for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(shards.read, rows)) == expected
    again = pickle.loads(pickle.dumps(shards))
    shards.close()
    assert again.read(rows[0]) == expected[0]
    assert shards.read(rows[0]) == expected[0]
    with pytest.raises(IndexError):
        shards.read(np.asarray([shards.num_frames]))


def test_few_shots_and_short_shots_are_settings_and_counted(jobs: list[VideoJob], made: Path, tmp_path: Path):
    closer = write_shards(jobs, tmp_path / "a", replace(SHARDS, sample_closer=True), "index").counts
    skipped = ShardSet(made).manifest.counts
    kept = write_shards(jobs, tmp_path / "b", replace(SHARDS, keep_few_shots=True), "index").counts
    # Every shot has at least 8 frames, so closer ones can always be taken.
    assert (closer.videos, closer.shots, closer.short_shots_left_out) == (5, 15, 0)
    assert closer.shots_sampled_closer == skipped.short_shots_left_out
    assert kept.videos == skipped.videos + kept.few_shots_kept
    assert kept.few_shots_left_out == sum(
        all((last - first + 1) // 4 < 3 for first, last in planned(VIDEOS, number).boundaries()) for number in range(5)
    )
    assert kept.short_shots_left_out == skipped.short_shots_left_out


def test_a_folder_begun_under_older_names_of_options_goes_on(jobs: list[VideoJob], made: Path, tmp_path: Path):
    old = tmp_path / "old"
    shutil.copytree(made, old)
    manifest = json.loads((old / "manifest.json").read_text())
    assert (manifest["settings"].pop("sample_closer"), manifest["settings"].pop("keep_few_shots")) == (False, False)
    manifest["settings"] |= {"short_shots": "skip", "few_shots": "skip"}
    (old / "manifest.json").write_text(json.dumps(manifest))
    assert write_shards(jobs, old, SHARDS, "index").fingerprint == ShardSet(made).fingerprint
    with pytest.raises(OptionError, match="sample_closer False there and True now"):
        write_shards(jobs, old, replace(SHARDS, sample_closer=True), "index")


def test_no_video_with_enough_shots(jobs: list[VideoJob], tmp_path: Path):
    with pytest.raises(DataError, match="No video has 4 shots of 3 frames"):
        write_shards(jobs, tmp_path, replace(SHARDS, shots_per_video=4), "index")


def test_what_came_to_nothing_does_not_stand_in_the_way(jobs: list[VideoJob], made: Path, tmp_path: Path):
    moved = [replace(job, path=tmp_path / job.path.name) for job in jobs]
    with pytest.raises(DataError, match=r"5 cannot be read(.|\n)*--root"):
        write_shards(moved, tmp_path / "out", SHARDS, "index")
    with pytest.raises(DataError, match=r"0 cannot be read(.|\n)*higher rate"):
        write_shards(jobs, tmp_path / "out", replace(SHARDS, shots_per_video=4), "index")
    write_shards(jobs, tmp_path / "out", SHARDS, "index")
    assert ShardSet(tmp_path / "out").fingerprint == ShardSet(made).fingerprint


def test_workers_and_repetition_change_nothing(jobs: list[VideoJob], made: Path, tmp_path: Path):
    calls: list[tuple[int, int]] = []
    write_shards(jobs, tmp_path, SHARDS, "index", workers=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 5) for done in range(6)]
    assert contents(tmp_path) == contents(made)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_shards(jobs, tmp_path, SHARDS, "index")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("videos_done", [1, 3, 4])
def test_goes_on_after_an_error_to_the_same_result(jobs: list[VideoJob], made: Path, tmp_path: Path, videos_done: int):
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == videos_done:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_shards(jobs, tmp_path, SHARDS, "index", progress=stop)
    with pytest.raises(DataError, match="no finished shards"):
        ShardSet(tmp_path)
    with pytest.raises(OptionError, match=r"quality 90 there and 80 now"):
        write_shards(jobs, tmp_path, replace(SHARDS, quality=80), "index")
    finished = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.tar")}
    write_shards(jobs, tmp_path, SHARDS, "index")
    assert contents(tmp_path) == contents(made)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in finished} == finished


_KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_shards import SHARDS, index_table
from vivi_pretrain.shards.jobs import video_jobs
from vivi_pretrain.shards.writer import write_shards
def slowly(done, total):
    print(done, flush=True)
    time.sleep(0.2)
write_shards(video_jobs(index_table(), Path(sys.argv[1])), Path(sys.argv[2]), SHARDS, "index", progress=slowly)
"""


def test_goes_on_after_a_kill_to_the_same_result(jobs: list[VideoJob], videos: Path, made: Path, tmp_path: Path):
    command = [sys.executable, "-c", _KILLED, str(videos), str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "4":
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "manifest.json").exists()
    assert list(tmp_path.glob("shard-*.tar"))
    write_shards(jobs, tmp_path, SHARDS, "index")
    assert contents(tmp_path) == contents(made)


def test_another_index_is_refused(jobs: list[VideoJob], copy: Path):
    with pytest.raises(OptionError, match="index_settings_hash"):
        write_shards(jobs, copy, SHARDS, "another")
    with pytest.raises(OptionError, match="videos_and_shots"):
        write_shards(jobs[:-1], copy, SHARDS, "index")


def test_two_writers_in_one_folder_are_refused(jobs: list[VideoJob], tmp_path: Path):
    def second(done: int, total: int) -> None:
        write_shards(jobs, tmp_path, SHARDS, "index")

    with pytest.raises(StorageError, match="Another process"):
        write_shards(jobs, tmp_path, SHARDS, "index", progress=second)


def wrong_hashes(shards: ShardSet) -> list[str]:
    """Names the files that do not hold what the manifest says."""
    files = (*shards.manifest.shards, shards.manifest.frames, shards.manifest.problems)
    return [file.name for file in files if file_record(shards.folder / file.name) != file]


def test_broken_videos_are_reported_and_counted(videos: Path, tmp_path: Path):
    broken = tmp_path / "videos"
    shutil.copytree(videos, broken)
    (broken / "video000001.mp4").write_bytes(b"no video")
    (broken / "video000003.mp4").unlink()
    shutil.copy(broken / "video000000.mp4", broken / "video000002.mp4")
    manifest = write_shards(video_jobs(index_table(), broken), tmp_path / "out", SHARDS, "index")
    problems = pq.read_table(tmp_path / "out" / "problems.parquet").to_pylist()
    assert manifest.counts.unreadable == len(problems) >= 2
    assert [row["path"] for row in problems][-1] == "video000003.mp4"
    assert all(row["stage"] == "shard" and row["path"] in row["detail"] for row in problems)
    shards = ShardSet(tmp_path / "out")
    assert not {row["video"] for row in problems} & set(shards.video_names)
    assert wrong_hashes(shards) == []


def test_a_video_with_fewer_frames_than_the_index_says(videos: Path, tmp_path: Path):
    table = index_table(replace(VIDEOS, videos=1)).to_pylist()
    table[-1]["last_frame"] += 8
    table[-1]["last_time"] += 1
    jobs = video_jobs(pa.Table.from_pylist(table), videos)
    with pytest.raises(DataError, match="index says that a shot ends with"):
        write_shards(jobs, tmp_path, replace(SHARDS, frames_per_shot=1), "index")


def test_a_full_disk_leaves_what_is_finished(
    jobs: list[VideoJob], made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    add = TarWriter.add

    def full(self: TarWriter, name: str, data: bytes) -> int:
        if self.path.name == "shard-000001.tar":
            raise OSError(errno.ENOSPC, "No space left on device")
        return add(self, name, data)

    monkeypatch.setattr(TarWriter, "add", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_shards(jobs, tmp_path, SHARDS, "index")
    assert not list(tmp_path.glob(".shard*"))
    monkeypatch.undo()
    write_shards(jobs, tmp_path, SHARDS, "index")
    assert contents(tmp_path) == contents(made)


def test_a_truncated_shard_is_named(copy: Path):
    shards = ShardSet(copy)
    name = shards.manifest.shards[-1].name
    with (copy / name).open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DataError, match=f"{name} is truncated"):
        shards.read(np.asarray([shards.num_frames - 1]))
    with pytest.raises(DataError, match=f"{name} is truncated"):
        ShardSet(copy)
    (copy / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        ShardSet(copy)


def test_an_altered_shard_is_found(copy: Path):
    shards = ShardSet(copy)
    assert wrong_hashes(shards) == []
    row = pq.read_table(copy / "frames.parquet").to_pylist()[0]
    path = copy / shards.manifest.shards[0].name
    data = bytearray(path.read_bytes())
    data[row["offset"] + row["size"] // 2] ^= 1
    path.write_bytes(data)
    assert wrong_hashes(shards) == [path.name]
    data[row["offset"]] = 0
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"{path.name} holds no JPEG where frame 0 of shot {row['shot']}"):
        ShardSet(copy).read(np.asarray([0]))


@pytest.mark.parametrize("name", ["../shard-000000.tar", "/etc/passwd", "..", "a/b.tar", "c:x", "a\\b"])
def test_a_manifest_that_points_outside_is_refused(copy: Path, name: str):
    value = json.loads((copy / "manifest.json").read_text())
    value["shards"][0]["name"] = name
    (copy / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(DataError, match="outside its folder"):
        ShardSet(copy)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 9}', '{"format_version": 1}', "null"])
def test_a_damaged_manifest_is_named(copy: Path, text: str):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        ShardSet(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {"frames": "9"}},
        {"shards": [{"name": "a.tar", "bytes": -1, "sha256": ""}]},
        {"shards": [["a.tar", 1, ""]]},
        {"shards": []},
        {"frames": None},
        {"settings": 5},
    ],
)
def test_a_manifest_of_other_types_is_named(copy: Path, change: dict[str, object]):
    value = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(value | change))
    with pytest.raises(DataError, match=r"manifest"):
        ShardSet(copy)


@pytest.mark.parametrize("column", ["shard", "offset", "video", "n"])
def test_a_frame_table_with_holes_is_named(copy: Path, column: str):
    path = copy / "frames.parquet"
    table = pq.read_table(path)
    at = table.schema.get_field_index(column)
    values = [None, *table[column].to_pylist()[1:]]
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type)), path)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["frames"]["bytes"] = path.stat().st_size
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"frames\.parquet is not a table of frames"):
        ShardSet(copy)


@pytest.mark.parametrize("content", ["[]", "5", '"text"', "[" * 100_000, "{"])
def test_damaged_settings_of_unfinished_shards_are_named(tmp_path: Path, jobs: list[VideoJob], content: str):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / "settings.json").write_text(content)
    with pytest.raises(StorageError, match=r"settings\.json is damaged"):
        write_shards(jobs, tmp_path, SHARDS, "index")


@pytest.mark.parametrize(("column", "value"), [("offset", 10**9), ("shard", 99), ("size", 0), ("n", 5), ("shard", -1)])
def test_a_frame_table_that_does_not_fit_is_named(copy: Path, column: str, value: int):
    path = copy / "frames.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    values = table[column].to_pylist()
    values[3] = value
    pq.write_table(
        table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type)), path
    )
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["frames"]["bytes"] = path.stat().st_size
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"frames\.parquet does not fit"):
        ShardSet(copy)


def test_fingerprint_follows_the_frames(jobs: list[VideoJob], made: Path, tmp_path: Path):
    other = write_shards(jobs, tmp_path, replace(SHARDS, quality=50), "index")
    assert len(ShardSet(made).fingerprint) == 64
    assert other.fingerprint != ShardSet(made).fingerprint


@pytest.mark.parametrize(
    ("change", "words"),
    [({"video": "a/b"}, "id 'a/b'"), ({"first_frame": -1}, "cannot be"), ({"last_frame": 0}, "cannot be")],
)
def test_an_index_that_cannot_be_is_refused(change: dict[str, object], words: str):
    rows = index_table().to_pylist()
    rows[1] |= change
    with pytest.raises(DataError, match=words):
        video_jobs(pa.Table.from_pylist(rows), Path())


def test_an_empty_index_is_refused():
    with pytest.raises(DataError, match="no videos"):
        video_jobs(index_table().slice(0, 0), Path())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.from_regex(r"[a-z0-9-]{1,130}", fullmatch=True), st.binary(max_size=1500)), max_size=8))
def test_tar_members_lie_where_the_writer_says(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bytes]]
):
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    writer = TarWriter(path)
    offsets = [writer.add(name, data) for name, data in members]
    record = writer.finish()
    raw = path.read_bytes()
    assert record.bytes == len(raw)
    assert [raw[offset : offset + len(data)] for offset, (_, data) in zip(offsets, members, strict=True)] == [
        data for _, data in members
    ]
    with tarfile.open(fileobj=io.BytesIO(raw)) as file:
        found = [(member.name, file.extractfile(member).read()) for member in file]  # type: ignore[union-attr]
    assert found == members
    short = [data for name, data in members if len(name) <= 100]
    assert sum(member_bytes(len(data)) for data in short) <= len(raw)


def test_command_line(videos: Path, tmp_path: Path):
    from typer.testing import CliRunner

    from vivi_pretrain.cli import shard, synth  # noqa: F401
    from vivi_pretrain.cli.app import app
    from vivi_pretrain.video import index_file

    index = tmp_path / "index"
    index.mkdir()
    extra = {"frames_in_video": 99, "width": 40, "height": 40, "rotation": 0, "codec": "h264"}
    metadata = {"format": index_file.FORMAT, "root": str(videos), "settings": {}, "versions": {}, "settings_hash": "x"}
    index_file.write_shots(index, [row | extra for row in index_table().to_pylist()], metadata)
    arguments = ["shard", str(index), "--out", str(tmp_path / "out"), "--fps", "2", "--frames-per-shot", "3"]
    result = CliRunner().invoke(app, [*arguments, "--sample-closer", "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "15 shots of 5 videos in 1 shard " in result.output
    assert ShardSet(tmp_path / "out").manifest.index_settings_hash == "x"
