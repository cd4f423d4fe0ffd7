"""Tars whose headers lie are refused at once, and whole ones are read as `tarfile` reads them."""

import gzip
import io
import tarfile
import time
from pathlib import Path

import pytest

from vtab_harness.api.errors import DataError
from vtab_harness.datasets.dtd import IMAGE_SET
from vtab_harness.formats.archives import Members
from vtab_harness.formats.tar_stream import open_tar

FILES = {"a.txt": b"first", "b/c.bin": bytes(100_000), "d" * 150: b"", "e.txt": b"last"}


def archive(files: dict[str, bytes], claimed: dict[str, int] | None = None, end: bool = True) -> bytes:
    """Writes a tar; `claimed` are sizes that headers give instead of those of the content."""
    buffer = io.BytesIO()
    tar = tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 (closing writes an end)
    for name, data in files.items():
        info = tarfile.TarInfo(name)
        info.size = (claimed or {}).get(name, len(data))
        tar.addfile(info)
        buffer.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    if end:
        tar.close()
    return buffer.getvalue()


def read(data: bytes, packed: bool = False) -> dict[str, bytes]:
    with open_tar(io.BytesIO(gzip.compress(data, 1) if packed else data), packed) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar if member.isfile()}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", [True, False])
def test_whole_tars_are_read(packed: bool, end: bool) -> None:
    assert read(archive(FILES, end=end), packed) == FILES


@pytest.mark.parametrize("size", [2**20, 2**33, 2**62])
@pytest.mark.parametrize("packed", [False, True])
def test_sizes_beyond_the_end_are_found_at_once(size: int, packed: bool) -> None:
    start = time.perf_counter()
    data = archive(FILES, {"b/c.bin": size})
    with pytest.raises((EOFError, tarfile.ReadError)), open_tar(io.BytesIO(data), packed=False) as tar:
        # Passed over, as images that nobody wants are.
        for _ in tar:
            pass
    with pytest.raises((EOFError, tarfile.ReadError)):
        read(data, packed)
    assert time.perf_counter() - start < 5


def test_names_have_an_end() -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 2**30
    with pytest.raises(tarfile.ReadError, match="a name of 1,073,741,824 bytes"):
        read(long.tobuf() + bytes(tarfile.BLOCKSIZE))


def test_damage_behind_the_last_member_is_found() -> None:
    packed = bytearray(gzip.compress(archive(FILES), 1))
    packed[-5] ^= 1
    with pytest.raises(gzip.BadGzipFile), open_tar(io.BytesIO(packed), packed=True) as tar:
        assert len(list(tar)) == len(FILES)


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_files_without_a_name_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar").write_bytes(archive({"x.jpg": b"", name: b"content"}))
    with pytest.raises(DataError, match=r"a\.tar holds a file without a name"):
        list(Members(IMAGE_SET, tmp_path / "a.tar"))
