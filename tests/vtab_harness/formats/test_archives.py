import gzip
import io
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from small_archives import UNSAFE, folder, refused, tar, zipped

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.dtd import IMAGE_SET
from vtab_harness.formats.archives import Members, open_tar
from vtab_harness.formats.image_list import last

FILES = {"a/one.txt": b"1" * 5000, "a/b/two.txt": b"22", "three.txt": b""}
HIDDEN = {"__MACOSX/a/._one.txt": b"x", "a/._one.txt": b"x", ".DS_Store": b"x"}
SET = ImageSet("some", "1", "nowhere:none", {}, {})


def contents(path: Path) -> dict[str, bytes]:
    return {"/".join(member.parts): member.read() for member in Members(SET, path)}


@pytest.mark.parametrize("layout", ["tar.gz", "tar", "zip", "folder"])
def test_every_layout_has_the_same_files(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "archive"
    files = FILES | HIDDEN
    if layout == "folder":
        folder(path, files)
    elif layout == "zip":
        zipped(path, files)
    else:
        tar(path, files, "w:gz" if layout == "tar.gz" else "w")
    assert contents(path) == FILES


def test_names_with_a_leading_dot_folder(tmp_path: Path) -> None:
    assert contents(tar(tmp_path / "archive", {"./a/one.txt": b"1"})) == {"a/one.txt": b"1"}


def test_contents_stops_when_all_are_found(tmp_path: Path) -> None:
    path = tar(tmp_path / "archive", FILES)
    path.write_bytes(path.read_bytes()[:-4])
    members = Members(SET, path)
    assert members.contents(last(1), ["one.txt", "two.txt"]) == {"one.txt": b"1" * 5000, "two.txt": b"22"}
    with pytest.raises(DataError):
        members.contents(last(1), ["one.txt", "four.txt"])


def test_contents_names_what_is_missing(tmp_path: Path) -> None:
    path = tar(tmp_path / "archive", FILES)
    error = refused(path, lambda: Members(SET, path).contents(last(2), ["a/one.txt", "five.txt", "four.txt"]))
    assert "holds no five.txt and no four.txt" in error.message


@pytest.mark.parametrize(("name", "kind"), UNSAFE)
def test_unsafe_names_in_a_tar_are_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    extra = tarfile.TarInfo(name)
    extra.type, extra.linkname = kind, "/etc/passwd"
    path = tar(tmp_path / "archive", FILES, extra=extra)
    assert "leads out of it or is no plain file" in refused(path, lambda: contents(path)).message


@pytest.mark.parametrize(("name", "mode"), [("../evil", 0o100644), ("/etc/evil", 0o100644), ("link", 0o120777)])
def test_unsafe_names_in_a_zip_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    path = zipped(tmp_path / "archive", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"/etc/passwd")
    assert "leads out of it or is no plain file" in refused(path, lambda: contents(path)).message


@pytest.mark.parametrize("kept", [0, 3, 20, 0.5, 0.9, -6, -1])
@pytest.mark.parametrize("layout", ["tar.gz", "zip"])
def test_truncated_archives_are_refused(tmp_path: Path, layout: str, kept: float) -> None:
    path = tmp_path / "archive"
    whole = (tar(path, FILES) if layout == "tar.gz" else zipped(path, FILES)).read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    refused(path, lambda: contents(path))


@pytest.mark.parametrize("layout", ["tar.gz", "zip"])
def test_one_changed_byte_is_noticed(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "archive"
    if layout == "zip":
        data = bytearray(zipped(path, FILES).read_bytes())
    else:
        data = bytearray(gzip.compress(gzip.decompress(tar(path, FILES).read_bytes()), compresslevel=0))
    data[data.index(b"1" * 100)] ^= 1
    path.write_bytes(data)
    refused(path, lambda: contents(path))


def test_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "archive", {"a": b"text"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path, lambda: contents(path)).message


@pytest.mark.parametrize(
    "data",
    [b"", b"text" * 1000, gzip.compress(b"text" * 1000), b"PK\x03\x04" + b"text" * 100],
    # Not by content: gzip writes the time into it.
    ids=["empty", "text", "packed text", "start of a zip"],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "archive"
    path.write_bytes(data)
    refused(path, lambda: contents(path))


def test_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "archive", FILES)
    with (path / "a" / "one.txt").open("wb") as file:
        file.truncate((1 << 28) + 1)
    assert "a/one.txt, which is larger" in refused(path, lambda: contents(path)).message


def in_parts(path: Path, size: int, files: dict[str, bytes] = FILES) -> Path:
    """Splits a zip into parts of some bytes."""
    data = zipped(path, files).read_bytes()
    path.unlink()
    for number, start in enumerate(range(0, len(data), size), start=1):
        path.with_name(f"{path.name}.{number:03d}").write_bytes(data[start : start + size])
    return path.with_name(f"{path.name}.001")


@pytest.mark.parametrize("size", [7, 100, 4096, 1 << 20])
def test_parts_of_a_zip_are_read_as_one(tmp_path: Path, size: int) -> None:
    assert contents(in_parts(tmp_path / "archive.zip", size)) == FILES


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_missing_part_is_noticed(tmp_path: Path, number: int) -> None:
    first = in_parts(tmp_path / "archive.zip", 1000)
    assert len(list(tmp_path.iterdir())) == 6
    (tmp_path / f"archive.zip.{number:03d}").unlink()
    refused(first, lambda: contents(first))


def test_parts_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "archive.001", FILES)
    assert "not the first part of a zip" in refused(path, lambda: contents(path)).message


@pytest.mark.parametrize("layout", ["zip", "folder"])
def test_members_of_a_zip_or_folder_last(tmp_path: Path, layout: str) -> None:
    members = Members(SET, (zipped if layout == "zip" else folder)(tmp_path / "archive", FILES))
    assert members.lasting
    found = list(members)
    assert {"/".join(member.parts): member.read() for member in reversed(found)} == FILES


def test_members_of_a_tar_do_not_last(tmp_path: Path) -> None:
    assert not Members(SET, tar(tmp_path / "archive", FILES)).lasting
    with pytest.raises(DataError, match="gone cannot be read"):
        _ = Members(SET, tmp_path / "gone").lasting


IN_TAR = {"a.txt": b"first", "b/c.bin": bytes(100_000), "d" * 150: b"", "e.txt": b"last"}


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
    assert read(archive(IN_TAR, end=end), packed) == IN_TAR


@pytest.mark.parametrize("size", [2**20, 2**33, 2**62])
@pytest.mark.parametrize("packed", [False, True])
def test_sizes_beyond_the_end_are_found_at_once(size: int, packed: bool) -> None:
    start = time.perf_counter()
    data = archive(IN_TAR, {"b/c.bin": size})
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
    packed = bytearray(gzip.compress(archive(IN_TAR), 1))
    packed[-5] ^= 1
    with pytest.raises(gzip.BadGzipFile), open_tar(io.BytesIO(packed), packed=True) as tar:
        assert len(list(tar)) == len(IN_TAR)


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_files_without_a_name_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar").write_bytes(archive({"x.jpg": b"", name: b"content"}))
    with pytest.raises(DataError, match=r"a\.tar holds a file without a name"):
        list(Members(IMAGE_SET, tmp_path / "a.tar"))
