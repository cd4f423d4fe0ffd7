import shutil
import tarfile
from pathlib import Path

import pytest
from small_export import add, write

from vtab_harness.api.errors import DataError
from vtab_harness.formats.exports.shards import contents, read_shards

SAMPLES = [(bytes([at] * (at + 1)), at % 3) for at in range(7)]


def test_samples_in_order(tmp_path: Path) -> None:
    samples = read_shards(write(tmp_path / "test", SAMPLES, most=3))
    assert [sample.shard.name for sample in samples] == ["0.tar"] * 3 + ["1.tar"] * 3 + ["2.tar"]
    assert [sample.notes["cls"] for sample in samples] == [b"0", b"1", b"2", b"0", b"1", b"2", b"0"]
    assert dict(contents(samples, [6, 2])) == {6: SAMPLES[6][0], 2: SAMPLES[2][0]}


def test_missing_doubled_and_misplaced_shards(tmp_path: Path) -> None:
    folder = write(tmp_path / "test", SAMPLES, most=3)
    (folder / "1.tar").rename(tmp_path / "kept.tar")
    with pytest.raises(DataError, match=r"lacks 1 of its 3 shards: 1.tar"):
        read_shards(folder)
    shutil.copy(folder / "0.tar", folder / "1.tar")
    with pytest.raises(DataError, match=r"1.tar holds the sample s0000000 where the sample 3 .* doubled"):
        read_shards(folder)
    shutil.copy(folder / "2.tar", folder / "1.tar")
    with pytest.raises(DataError, match=r"s0000006 where the sample 3"):
        read_shards(folder)
    shutil.copy(tmp_path / "kept.tar", folder / "1.tar")
    assert len(read_shards(folder)) == 7
    shutil.copy(tmp_path / "kept.tar", folder / "3.tar")
    with pytest.raises(DataError, match=r"holds 3.tar beside the 3 shards"):
        read_shards(folder)


def test_names_that_are_not_counted_must_differ(tmp_path: Path) -> None:
    folder = tmp_path / "test"
    folder.mkdir()
    (folder / "nshards.txt").write_text("1")
    with tarfile.open(folder / "0.tar", "w") as tar:
        for name in ("a", "b", "a"):
            add(tar, f"{name}.cls", b"1")
            add(tar, f"{name}.png", b"image")
    with pytest.raises(DataError, match="holds the sample a where"):
        read_shards(folder)


@pytest.mark.parametrize("count", ["", "x", "0", "-1", "1000000000", "9" * 100])
def test_counts_without_sense(tmp_path: Path, count: str) -> None:
    folder = write(tmp_path / "test", SAMPLES)
    (folder / "nshards.txt").write_text(count)
    with pytest.raises(DataError, match=r"nshards.txt"):
        read_shards(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["s0000000.cls"], "not one image and .cls"),
        (["s0000000.webp"], "not one image and .cls"),
        (["s0000000.cls", "s0000000.png", "s0000000.webp"], "not one image"),
        (["s0000000.cls", "s0000000.cls", "s0000000.webp"], "s0000000.cls twice"),
        (["../s0000000.cls"], "no file of a sample"),
        (["folder/s0000000.cls"], "no file of a sample"),
    ],
)
def test_samples_that_are_none(tmp_path: Path, names: list[str], message: str) -> None:
    (tmp_path / "nshards.txt").write_text("1\n")
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name in names:
            add(tar, name, b"0")
    with pytest.raises(DataError, match=message):
        read_shards(tmp_path)


def test_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nshards.txt").write_text("1\n")
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        header = tarfile.TarInfo("s0000000.webp")
        header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(header)
    with pytest.raises(DataError, match="no file of a sample"):
        read_shards(tmp_path)


def test_damaged_shards_end_in_an_error(tmp_path: Path) -> None:
    whole = (write(tmp_path / "test", SAMPLES) / "0.tar").read_bytes()
    shard = tmp_path / "test/0.tar"
    for at in range(0, 3000, 37):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        shard.write_bytes(bytes(broken))
        try:
            samples = read_shards(tmp_path / "test")
        except DataError:
            continue
        assert len(samples) <= len(SAMPLES)
    shard.write_bytes(whole[:700])
    with pytest.raises(DataError, match=r"0.tar"):
        read_shards(tmp_path / "test")


def test_a_shard_that_shrinks(tmp_path: Path) -> None:
    samples = read_shards(write(tmp_path / "test", SAMPLES))
    (tmp_path / "test/0.tar").write_bytes(b"")
    with pytest.raises(DataError, match="has become shorter"):
        list(contents(samples, [0]))


def test_absurd_sizes_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "nshards.txt").write_text("1\n")
    for name in ("s0000000.cls", "s0000000.webp"):
        with (tmp_path / "0.tar").open("wb") as file:
            header = tarfile.TarInfo(name)
            header.size = 1 << 40
            file.write(header.tobuf(tarfile.GNU_FORMAT))
            file.truncate((1 << 40) + 4096)
        with pytest.raises(DataError):
            read_shards(tmp_path)
