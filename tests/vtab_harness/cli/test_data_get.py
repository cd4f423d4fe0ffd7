"""`vtab data get` as a person meets it, from servers that misbehave."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "fetch"))
sys.path.insert(0, str(Path(__file__).parents[1] / "prepared"))
from drawn_eurosat import HERE
from file_server import FileServer, serving

from vtab_harness.api.data import Archive
from vtab_harness.api.errors import DataError, OfflineError, OptionError, StorageError
from vtab_harness.cli import data_get
from vtab_harness.cli.app import app
from vtab_harness.datasets import eurosat, resisc45, sun397
from vtab_harness.fetch import http_stream, hub
from vtab_harness.prepared.certify import certify
from vtab_harness.prepared.export import export
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet, prepare


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return prepare(HERE, [], tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def exported(original: PreparedSet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = export(original, [eurosat.TASK], tmp_path_factory.mktemp("mirror"), "webdataset", shard=1500)
    files = {f"/m/eurosat/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items()}


@pytest.fixture
def server(exported: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http_stream, "SECONDS_BETWEEN_ATTEMPTS", 0.0)
    with serving() as running:
        running.files = dict(exported)
        yield running


def test_the_program_knows_the_commands() -> None:
    # In a process of its own: here, these tests have imported them.
    shown = subprocess.run([sys.executable, "-m", "vtab_harness", "data", "--help"], capture_output=True, text=True)
    assert {" get ", " export ", " download "} <= {f" {word} " for word in shown.stdout.split()}


def get(tmp_path: Path, *arguments: str) -> Result:
    folders = ["--data", str(tmp_path / "data"), "--cache", str(tmp_path / "cache")]
    return CliRunner().invoke(app, ["data", "get", *folders, *arguments])


@pytest.mark.usefixtures("drawn_pixels")
def test_export_server_get_prepare(server: FileServer, original: PreparedSet, tmp_path: Path) -> None:
    server.corrupts = ["/m/eurosat/test/1.tar", "/m/eurosat/val200/0.tar"]
    asked = len(server.asked)
    # What is asked first is the description, and it has to come whole.
    server.breaks = [10**9, *(5000 * each for each in range(1, 11))]
    result = get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m"), "--at-once", "1")
    for _ in range(2):
        if result.exit_code:
            result = get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m"), "--at-once", "1")
    assert result.exit_code == 0, result.output
    assert not server.corrupts
    assert not server.breaks
    assert any(span for _, span in server.asked[asked:]), "what broke off went on where it stopped"
    assert "eurosat: vtab-1k; certified: train800, val200, test" in result.output
    again = prepare(replace(HERE, source="no:where"), [], tmp_path / "cache")
    assert certify(again, eurosat.TASK) == certify(original, eurosat.TASK)
    for split in SPLITS:
        assert again.manifests[split].content == original.manifests[split].content
    assert "prepared already" in get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m")).output


def test_the_plan_comes_first_and_says_size_time_and_licence(server: FileServer, tmp_path: Path) -> None:
    output = get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m")).output
    plan, _, rest = output.partition("To fetch: ")
    assert "mirror" in plan
    assert "licence: as stated on the page of the archive" in plan
    assert "min at 100 Mbit/s; free: " in rest.splitlines()[0]


def test_a_slow_server_is_waited_for(server: FileServer, tmp_path: Path) -> None:
    server.seconds = 0.05
    assert get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m")).exit_code == 0


@pytest.mark.parametrize("layout", ["other bytes", "longer", "shorter", "gone"])
def test_files_that_are_not_those_of_the_description(server: FileServer, tmp_path: Path, layout: str) -> None:
    name = "/m/eurosat/test/2.tar"
    whole = server.files[name]
    bad = {"other bytes": whole[:-1] + b"x", "longer": whole + b"x", "shorter": whole[:-1]}
    if layout == "gone":
        del server.files[name]
    else:
        server.files[name] = bad[layout]
    result = get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m"))
    assert result.exit_code == 1
    assert "eurosat: failed: test/2.tar of eurosat could not be downloaded" in result.output
    assert "Not here yet: eurosat." in result.output
    assert not (tmp_path / "data/eurosat/vtab.json").exists()
    assert not (tmp_path / "data/eurosat/test/2.tar").exists()
    server.files[name] = whole
    before = len(server.asked)
    assert get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m")).exit_code == 0
    fetched = {path for path, _ in server.asked[before:]}
    assert "/m/eurosat/test/0.tar" not in fetched, "what was here is not fetched again"


def test_another_edition_on_a_mirror(server: FileServer, tmp_path: Path) -> None:
    described = json.loads(server.files["/m/eurosat/vtab.json"])
    server.files["/m/eurosat/vtab.json"] = json.dumps(described | {"version": "2"}).encode()
    result = get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m"))
    assert isinstance(result.exception, DataError)
    assert "describes eurosat-2, not eurosat-1" in str(result.exception)


def test_pixels_that_are_not_those_of_the_description(server: FileServer, tmp_path: Path) -> None:
    described = json.loads(server.files["/m/eurosat/vtab.json"])
    described["splits"]["val200"]["pixels"] = "0" * 64
    server.files["/m/eurosat/vtab.json"] = json.dumps(described).encode()
    result = get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m"))
    assert result.exit_code == 1
    assert "(val200) are not those that its description tells" in result.output


def test_no_network_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive("EuroSAT.zip", 10, "0" * 64, "https://a.page", "http://127.0.0.1:9/EuroSAT.zip")
    alone = replace(eurosat.IMAGE_SET, archives=(archive,), repositories=())
    monkeypatch.setattr(data_get, "image_sets_of", lambda tasks: [alone])
    start = time.monotonic()
    result = get(tmp_path, "-t", "eurosat")
    assert time.monotonic() - start < 5
    assert isinstance(result.exception, OfflineError)
    assert "No server can be reached" in str(result.exception)
    assert "Missing: eurosat." in str(result.exception)


def test_no_room_is_said_before_anything_is_fetched(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    result = get(tmp_path, "-t", "eurosat", "--mirror", server.url("/m"))
    assert isinstance(result.exception, StorageError)
    assert [path for path, _ in server.asked] == ["/m/eurosat/vtab.json"]


def test_what_only_a_person_may_fetch_stands_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = tuple(archive for archive in sun397.IMAGE_SET.archives if not archive.url)
    assert lists
    monkeypatch.setattr(data_get, "image_sets_of", lambda tasks: [replace(sun397.IMAGE_SET, archives=lists)])
    result = get(tmp_path, "-t", "sun397")
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == "To fetch by hand"
    assert lists[0].name in result.output.partition("sun397   ")[0]
    assert "Not here yet: sun397." in result.output
    # An address is never broken, so that it can be copied.
    lines = [line for line in result.output.replace(str(tmp_path), "").splitlines() if "://" not in line]
    assert max(map(len, lines)) <= 80


def test_the_hub_serves_what_only_a_person_could_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def fetched(repository: object, folder: Path) -> Path:
        taken.append((repository, folder))
        raise DataError("timm/resisc45 (revision main) is gated.", "Ask for access.")

    monkeypatch.setattr("vtab_harness.prepared.ways.fetch_repository", fetched)
    monkeypatch.setattr("vtab_harness.prepared.ways.size_on_hub", lambda repository: None)
    monkeypatch.setattr("vtab_harness.fetch.reachable.unreachable", lambda url: None)
    result = get(tmp_path, "-t", "resisc45")
    assert result.exit_code == 1
    assert "Hub: resisc45" in result.output
    assert "size unknown" in result.output
    assert "is gated" in result.output
    named = next(each for each in resisc45.IMAGE_SET.repositories if each.layout == "parquet")
    assert taken == [(named, tmp_path / "data/resisc45")]


def test_the_hubs_client_is_told_revision_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {}

    def snapshot_download(name: str, **more: object) -> str:
        told.update(more, name=name)
        (tmp_path / "snapshot").mkdir(exist_ok=True)
        return str(tmp_path / "snapshot")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    repository = eurosat.IMAGE_SET.repositories[1]
    for _ in range(2):
        link = hub.fetch_repository(repository, tmp_path / "data")
    assert link.resolve() == (tmp_path / "snapshot").resolve()
    assert (told["name"], told["repo_type"]) == ("timm/eurosat-rgb", "dataset")
    assert told["revision"] == repository.revision
    assert told["allow_patterns"] == ["*.parquet"]


def test_a_hub_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineError, match="clip-benchmark/wds_vtab-eurosat"):
        hub.fetch_repository(eurosat.IMAGE_SET.repositories[0], tmp_path / "data")


@pytest.mark.parametrize("arguments", [[], ["-t", "cifar100", "--mirror", "/mnt/mirror"]])
def test_bad_options(arguments: list[str], tmp_path: Path) -> None:
    assert isinstance(get(tmp_path, *arguments).exception, OptionError)
