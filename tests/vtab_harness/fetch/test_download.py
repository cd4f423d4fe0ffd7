"""Downloading, from a server that misbehaves in every way that servers do."""

import errno
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import FileServer, serving

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.api.errors import DataError, OfflineError, StorageError
from vtab_harness.fetch import download, http_stream
from vtab_harness.fetch.download import fetch, may_fetch

CONTENT = bytes(range(256)) * 400
DIGEST = hashlib.sha256(CONTENT).hexdigest()
IMAGES = ImageSet("pictures", "1", "no:thing", {}, {}, (Archive("pictures.zip", page="https://a.page"),))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http_stream, "SECONDS_BETWEEN_ATTEMPTS", 0.0)
    with serving() as running:
        running.files["/pictures.zip"] = CONTENT
        yield running


@pytest.fixture
def archive(server: FileServer) -> Archive:
    return Archive("pictures.zip", len(CONTENT), DIGEST, "https://a.page", server.url("/pictures.zip"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pictures" / "pictures.zip"


@pytest.fixture
def part(path: Path) -> Path:
    path.parent.mkdir()
    return path.with_name("pictures.zip.part")


def test_download_and_then_nothing_more(server: FileServer, archive: Archive, tmp_path: Path, path: Path) -> None:
    told: list[tuple[int, int]] = []
    assert fetch(IMAGES, archive, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert not fetch(IMAGES, archive, tmp_path)
    assert server.asked == [("/pictures.zip", None)]
    assert not path.with_name("pictures.zip.part").exists()


def test_file_in_the_data_folder_itself_is_taken(server: FileServer, archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "pictures.zip").write_bytes(CONTENT)
    assert not fetch(IMAGES, archive, tmp_path)
    assert not server.asked


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"x"])
def test_wrong_file_that_is_here_is_refused_and_kept(
    archive: Archive, tmp_path: Path, part: Path, path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"pictures\.zip has (102,399 bytes instead of 102,400|sha256 .* instead of)"):
        fetch(IMAGES, archive, tmp_path)
    assert path.read_bytes() == content


def test_resumes_after_broken_connections(server: FileServer, archive: Archive, tmp_path: Path, path: Path) -> None:
    server.breaks = [1000, 0, 0, 500]
    assert fetch(IMAGES, archive, tmp_path)
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, *["bytes=1000-"] * 3, "bytes=1500-"]


def test_gives_up_and_goes_on_in_the_next_run(
    server: FileServer, archive: Archive, tmp_path: Path, part: Path, path: Path
) -> None:
    server.breaks = [1000, 0, 0, 0]
    with pytest.raises(OfflineError, match="broke off after 1,000 of 102,400 bytes"):
        fetch(IMAGES, archive, tmp_path)
    assert part.read_bytes() == CONTENT[:1000]
    assert fetch(IMAGES, archive, tmp_path)
    assert server.asked[-1] == ("/pictures.zip", "bytes=1000-")
    assert path.read_bytes() == CONTENT


def test_complete_part_needs_no_server(
    server: FileServer, archive: Archive, tmp_path: Path, part: Path, path: Path
) -> None:
    part.write_bytes(CONTENT)
    assert fetch(IMAGES, archive, tmp_path)
    assert path.read_bytes() == CONTENT
    assert not server.asked


@pytest.mark.parametrize("tells_length", [True, False])
def test_server_that_ignores_range_starts_over(
    server: FileServer, archive: Archive, tmp_path: Path, part: Path, path: Path, tells_length: bool
) -> None:
    server.ranges, server.tells_length = False, tells_length
    part.write_bytes(b"from elsewhere")
    assert fetch(IMAGES, archive, tmp_path)
    assert path.read_bytes() == CONTENT


def test_server_that_ignores_range_and_breaks_off_is_given_up(
    server: FileServer, archive: Archive, tmp_path: Path
) -> None:
    server.ranges = False
    server.breaks = [1000] * 10
    with pytest.raises(OfflineError):
        fetch(IMAGES, archive, tmp_path)
    assert len(server.asked) == 4


@pytest.mark.parametrize("old", [b"of an older file", b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)])
def test_part_of_another_file_is_fetched_anew(
    archive: Archive, tmp_path: Path, part: Path, path: Path, old: bytes
) -> None:
    part.write_bytes(old)
    assert fetch(IMAGES, archive, tmp_path)
    assert path.read_bytes() == CONTENT


def test_wrong_checksum_is_removed_and_said(
    server: FileServer, archive: Archive, tmp_path: Path, part: Path, path: Path
) -> None:
    server.files["/pictures.zip"] = other = CONTENT[::-1]
    with pytest.raises(DataError) as caught:
        fetch(IMAGES, archive, tmp_path)
    assert f"has sha256 {hashlib.sha256(other).hexdigest()} instead of {DIGEST}, and was removed" in str(caught.value)
    assert "https://a.page" in str(caught.value)
    assert not part.exists()
    assert not path.exists()


def test_page_instead_of_the_file_does_not_touch_what_has_come(
    server: FileServer, archive: Archive, tmp_path: Path, part: Path
) -> None:
    part.write_bytes(CONTENT[:1000])
    server.ranges = False
    server.files["/pictures.zip"] = b"<html>Please log in"
    with pytest.raises(OfflineError, match="has 19 bytes instead of 102,400"):
        fetch(IMAGES, archive, tmp_path)
    assert part.read_bytes() == CONTENT[:1000]


def test_mirrors_come_first_and_in_order(server: FileServer, archive: Archive, tmp_path: Path, path: Path) -> None:
    server.files["/b/pictures/pictures.zip"] = CONTENT[::-1]
    server.files["/c/pictures.zip"] = CONTENT
    assert fetch(IMAGES, archive, tmp_path, [server.url(name) for name in ("/a", "/b", "/c/", "/d")])
    assert path.read_bytes() == CONTENT
    assert [asked for asked, _ in server.asked] == [
        "/a/pictures/pictures.zip",
        "/a/pictures.zip",
        "/b/pictures/pictures.zip",
        "/b/pictures.zip",
        "/c/pictures/pictures.zip",
        "/c/pictures.zip",
    ]


def test_publisher_comes_after_the_mirrors(server: FileServer, archive: Archive, tmp_path: Path) -> None:
    assert fetch(IMAGES, archive, tmp_path, [server.url("/a")])
    assert server.asked[-1] == ("/pictures.zip", None)


def test_no_answer_names_every_address(archive: Archive, tmp_path: Path) -> None:
    nobody = replace(archive, url="http://127.0.0.1:1/x")
    with pytest.raises(OfflineError) as caught:
        fetch(IMAGES, nobody, tmp_path, ["http://127.0.0.1:1/mirror"])
    assert str(caught.value).count("http://127.0.0.1:1/") == 3
    assert "https://a.page" in str(caught.value.hint)


def test_proxy_of_the_environment_is_used(
    server: FileServer, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url())
    server.files["http://publisher.invalid/pictures.zip"] = CONTENT
    assert fetch(IMAGES, replace(archive, url="http://publisher.invalid/pictures.zip"), tmp_path)


def test_two_at_once_download_once(server: FileServer, archive: Archive, tmp_path: Path, path: Path) -> None:
    outcomes: list[bool] = []
    threads = [threading.Thread(target=lambda: outcomes.append(fetch(IMAGES, archive, tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True]
    assert len(server.asked) == 1
    assert path.read_bytes() == CONTENT


def test_full_disk(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "stream", full)
    with pytest.raises(StorageError, match=r"No room in .*pictures for pictures\.zip \(102,400 bytes\)"):
        fetch(IMAGES, archive, tmp_path)


def test_folder_that_cannot_be_made(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(StorageError, match="Cannot read or write"):
        fetch(IMAGES, archive, tmp_path)


def test_may_fetch() -> None:
    assert may_fetch(Archive("a", 1, "00", url="http://x/a"))
    assert not may_fetch(Archive("a", 1, None, url="http://x/a"))
    assert not may_fetch(Archive("a", 1, "00"))
    assert may_fetch(Archive("a", 1, "00"), ["http://mirror"])
