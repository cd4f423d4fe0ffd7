"""`vtab data download` as a person meets it."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "fetch"))
from file_server import FileServer, serving

from vtab_harness import registry
from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.api.errors import OptionError
from vtab_harness.cli import data_download
from vtab_harness.cli.app import app

LISTS = b"which example is whose"
PIXELS = bytes(5000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        running.files = {"/lists.txt": LISTS, "/pixels.zip": PIXELS}
        yield running


@pytest.fixture
def archives(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> tuple[Archive, ...]:
    """Two files with an address and one without, instead of those of every image set."""
    found = (
        Archive("by_hand.rar", page="https://a.page"),
        *(
            Archive(name, len(content), hashlib.sha256(content).hexdigest(), "https://a.page", server.url(f"/{name}"))
            for name, content in (("lists.txt", LISTS), ("pixels.zip", PIXELS))
        ),
    )

    def image_sets_of(tasks: list[object]) -> list[ImageSet]:
        return [replace(registry.tasks.get("cifar100").image_set, name="pictures", archives=found)]

    monkeypatch.setattr(data_download, "image_sets_of", image_sets_of)
    return found


def download(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", "download", *arguments])


def test_fetches_what_it_may_and_lists_the_rest(archives: tuple[Archive, ...], tmp_path: Path) -> None:
    result = download("-t", "cifar100", "--data", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "[1/2] pictures/lists.txt: downloaded and checked" in result.output
    assert "[2/2] pictures/pixels.zip: downloaded and checked" in result.output
    assert (tmp_path / "pictures" / "pixels.zip").read_bytes() == PIXELS
    by_hand = result.output.split("To fetch by hand")[1]
    assert "by_hand.rar" in by_hand
    assert "pixels.zip" not in by_hand
    assert "pixels.zip: here already, and intact" in download("-t", "cifar100", "--data", str(tmp_path)).output


def test_failure_of_one_file_does_not_keep_the_others_back(
    archives: tuple[Archive, ...], server: FileServer, tmp_path: Path
) -> None:
    del server.files["/lists.txt"]
    result = download("-t", "cifar100", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "pictures/lists.txt: failed: lists.txt of pictures could not be downloaded." in result.output
    assert "404" in result.output
    assert "Not downloaded: lists.txt." in result.output
    assert (tmp_path / "pictures" / "pixels.zip").is_file()


def test_mirror_is_asked_first(archives: tuple[Archive, ...], server: FileServer, tmp_path: Path) -> None:
    server.files["/mirror/pixels.zip"] = PIXELS
    assert download("-t", "cifar100", "--data", str(tmp_path), "--mirror", server.url("/mirror")).exit_code == 0
    assert "/pixels.zip" not in [asked for asked, _ in server.asked]


def test_second_form_of_a_set_that_is_here_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "caltech101" / "101_ObjectCategories").mkdir(parents=True)
    found = download("-t", "caltech101", "--data", str(tmp_path))
    assert found.exit_code == 0, found.output
    assert "caltech101/caltech-101.zip: not needed, caltech101 is here" in found.output
    assert "by hand" not in found.output


def test_interrupted_download_says_how_to_go_on(
    archives: tuple[Archive, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vtab_harness.fetch.download.fetch", interrupted)
    result = download("-t", "cifar100", "--data", str(tmp_path))
    assert result.exit_code == 130
    assert "same command again" in result.output


@pytest.mark.parametrize("arguments", [[], ["-t", "cifar100", "--mirror", "/mnt/mirror"]])
def test_bad_options(arguments: list[str], tmp_path: Path) -> None:
    result = download(*arguments, "--data", str(tmp_path))
    assert isinstance(result.exception, OptionError)


def test_every_declared_address_is_one_of_a_file_that_can_be_checked() -> None:
    archives = [
        archive
        for name in registry.suites.get("vtab-1k").tasks
        for archive in registry.tasks.get(name).image_set.archives
        if archive.url
    ]
    assert len({archive.url for archive in archives}) == 31
    for archive in archives:
        assert archive.url.startswith(("http://", "https://"))
        assert archive.name in archive.url
        assert archive.size
        assert archive.sha256
