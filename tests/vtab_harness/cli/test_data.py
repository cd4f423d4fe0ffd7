"""`vtab data` as a person meets it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "prepared"))
from tiny_source import cifar100

from vtab_harness import registry
from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import OptionError, UnknownNameError
from vtab_harness.cli import data, data_progress, data_tables
from vtab_harness.cli.app import app
from vtab_harness.formats.progress import in_words

Vtab = Callable[..., Result]


@pytest.fixture
def vtab(tmp_path: Path) -> Vtab:
    """Runs a subcommand with a cache of its own."""

    def run(command: str, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["data", command, *arguments, "--cache", str(tmp_path / "cache")])

    return run


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_status_of_an_empty_machine_says_what_to_fetch(vtab: Vtab, tmp_path: Path) -> None:
    found = rows(vtab("status", "--data", str(tmp_path), "--json"))
    assert [row["task"] for row in found] == list(registry.suites.get("vtab-1k").tasks)
    assert {row["state"] for row in found} == {"missing"}
    archives = {item["file"]: item for row in found for item in row["fetch"]}
    assert archives["devkit_object.zip"]["bytes"] == 63794
    assert archives["devkit_object.zip"]["sha256"].startswith("ce0b76b69c0c5f89")
    assert all(item["page"].startswith("http") for item in archives.values())
    assert found[1]["certificates"]["val200"] == "golden list; computed by the rule; confirmed by an independent list"
    printed = vtab("status", "--data", str(tmp_path)).output
    assert printed.count("NWPU-RESISC45.rar") == 1
    assert printed.count("CLEVR_v1.0.zip") == 1, "once for its two tasks"
    assert "https://cs.stanford.edu/people/jcjohns/clevr/" in printed
    assert not (tmp_path / "cache").exists()


def test_status_lists_only_what_is_not_there_yet(vtab: Vtab, tmp_path: Path) -> None:
    (tmp_path / "setid.mat").write_bytes(b"")
    (row,) = rows(vtab("status", "-t", "oxford_flowers102", "--data", str(tmp_path), "--json"))
    assert row["state"] == "incomplete"
    assert [item["file"] for item in row["fetch"]] == ["102flowers.tgz", "imagelabels.mat"]
    assert (
        "oxford_flowers102 is incomplete: none of imagelabels.mat, flowers-102/imagelabels.mat is in"
        in vtab("status", "-t", "oxford_flowers102", "--data", str(tmp_path)).output
    )


def test_found_is_no_claim_yet(vtab: Vtab, tmp_path: Path) -> None:
    (tmp_path / "train_32x32.mat").write_bytes(b"")
    (tmp_path / "test_32x32.mat").write_bytes(b"")
    asked = ("status", "-t", "svhn", "-t", "mini_digits", "--data", str(tmp_path))
    svhn, digits = rows(vtab(*asked, "--json"))
    assert (svhn["state"], svhn["variant"], svhn["would_be"]) == ("found", None, "vtab-1k")
    assert (digits["variant"], digits["would_be"]) == (None, "mini-1")
    printed = vtab(*asked).output
    assert "(would be checked)" in printed
    assert "(would be mini-1)" in printed
    assert "it is another edition, or damaged" in printed
    assert "results are stamped unverified. Fetch it again from http" in printed


def test_prepared_from_another_file_says_so(vtab: Vtab) -> None:
    declared = cifar100("exact")
    for archive, variant, certified in (
        (declared.archives[0], "vtab-1k", "train800, val200, test"),
        (replace(declared.archives[0], sha256="0" * 64), "unverified", "nothing: other files"),
    ):
        image_set = replace(declared, archives=(archive,))
        task = replace(registry.tasks.get("cifar100"), name="small_cifar100", image_set=image_set)
        with registry.tasks.registered(task.name, task):
            result = vtab("prepare", "-t", task.name)
            assert result.exit_code == 0
            assert f"as {variant}" in result.output
            assert ("which is not the published file" in result.output) == (variant == "unverified")
            (row,) = rows(vtab("status", "-t", task.name, "--json"))
            assert (row["variant"], row["archives"]) == (variant, "exact" if variant == "vtab-1k" else "differs")
            assert row["certified"].startswith(certified)
            status = vtab("status", "-t", task.name).output
            assert ("which is not the published file" in status) == (variant == "unverified")
            assert f"cifar100: intact; {variant}; certified: {certified}" in vtab("verify", "-t", task.name).output


@pytest.mark.parametrize(("there", "message"), [(False, "there is no such folder"), (True, "is a file, and a folder")])
def test_data_has_to_be_a_folder(vtab: Vtab, tmp_path: Path, there: bool, message: str) -> None:
    path = tmp_path / "some.zip"
    if there:
        path.write_bytes(b"")
    for command in ("status", "prepare"):
        error = vtab(command, "-t", "mini_digits", "--data", str(path)).exception
        assert isinstance(error, OptionError)
        assert f"--data {path}" in error.message
        assert message in error.message


def test_image_sets_stand_for_their_tasks() -> None:
    named = [
        task.name for task in data.tasks_named(None, ["dsprites", "mini_sprites", "cifar100", "dsprites_location"])
    ]
    expected = ["dsprites_location", "dsprites_orientation", "mini_location", "mini_orientation", "cifar100"]
    assert named == expected
    assert "dsprites_ndarray" in CliRunner().invoke(app, ["data", "where", "dsprites"]).output
    with pytest.raises(UnknownNameError, match="Unknown task or image set 'dsprite'[\\s\\S]*'dsprites'"):
        data.tasks_named(None, ["dsprite"])


def test_files_can_be_copied_from_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    found = [row for image_set in ("dsprites", "resisc45") for row in data_tables.archive_rows(image_set_of(image_set))]
    data_tables.print_archives("What to fetch", found)
    lines = capsys.readouterr().out.splitlines()
    for row in found:
        assert f"  {row['file']}" in lines
        assert f"  {row['page']}" in lines
        assert f"  sha256 {row['sha256'] or 'unknown'}" in lines
    assert max(map(len, lines)) <= 80


def image_set_of(name: str) -> ImageSet:
    return data.tasks_named(None, [name])[0].image_set


def test_where() -> None:
    shown = CliRunner().invoke(app, ["data", "where", "kitti_distance", "mini_digits"]).output
    assert "351c5a2aa0cd9238b50174a3a62b846bc5855da256b82a196431d60ff8d43617" in shown
    assert "12,569,945,557" in shown
    assert "mini_digits: nothing to fetch" in shown
    assert "name that folder with --data" in shown.replace("\n", " ")
    everything = rows(CliRunner().invoke(app, ["data", "where", "--json"]))
    assert len({row["image_set"] for row in everything}) == 16


def test_prepare_goes_on_after_a_failure_and_says_so(vtab: Vtab) -> None:
    asked = ["-t", "kitti_distance", "-t", "mini_location", "-t", "mini_orientation"]
    first = vtab("prepare", *asked)
    assert first.exit_code == 1
    assert "[1/2] kitti: failed: kitti was not found" in first.output
    assert "devkit_object.zip" in first.output
    assert "[2/2] mini_sprites: prepared as mini-1" in first.output
    assert "Not prepared: kitti." in first.output
    again = vtab("prepare", *asked[2:])
    assert again.exit_code == 0
    assert "[1/1] mini_sprites: prepared already, as mini-1" in again.output
    location, orientation = rows(vtab("status", *asked[2:], "--json"))
    assert (location["state"], location["variant"], location["certified"]) == ("prepared", "mini-1", "no certificate")
    assert location["bytes"] == orientation["bytes"] > 1_000_000
    assert "shared" in vtab("status", *asked[2:]).output


def test_prepare_says_how_long_it_takes_where_there_is_no_terminal(vtab: Vtab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECONDS_BETWEEN_LINES", "SECONDS_BEFORE_ESTIMATE"):
        monkeypatch.setattr(data_progress, name, 0.0)
    assert "[1/1] mini_digits: 900 of 1797 images, about " in vtab("prepare", "-t", "mini_digits").output


def test_full_prepares_the_whole_splits_too(vtab: Vtab, tmp_path: Path) -> None:
    task = registry.tasks.get("mini_location")
    whole = {"train": (Slice("train", 0, 800),), "val": (Slice("train", 800, 1000),)}
    image_set = replace(task.image_set, splits={**task.image_set.splits, **whole})
    folder = tmp_path / "cache" / "prepared" / "mini_sprites-1" / "mini-1"
    with registry.tasks.registered("larger", replace(task, name="larger", image_set=image_set)):
        assert vtab("prepare", "-t", "larger").exit_code == 0
        assert sorted(path.name for path in folder.iterdir()) == ["test", "train800", "val200"]
        assert vtab("prepare", "-t", "larger", "--full").exit_code == 0
        assert sorted(path.name for path in folder.iterdir()) == ["test", "train", "train800", "val", "val200"]
        assert vtab("verify", "-t", "larger").exit_code == 0


def test_via_tfds_needs_its_packages_and_a_folder(vtab: Vtab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    without = vtab("prepare", "-t", "eurosat", "--via", "tfds", "--data", str(tmp_path))
    assert isinstance(without.exception, OptionError)
    assert "pip install 'vtab-harness[tfds]'" in str(without.exception)
    for arguments in (["--via", "tfds"], ["--via", "torch", "--data", str(tmp_path)]):
        assert isinstance(vtab("prepare", "-t", "eurosat", *arguments).exception, OptionError)


def test_interrupted_prepare_says_how_to_go_on(vtab: Vtab, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("vtab_harness.prepared.prepared_set.write_splits", interrupted)
        stopped = vtab("prepare", "-t", "mini_digits")
    assert stopped.exit_code == data.INTERRUPTED
    assert "same command again" in stopped.output
    assert vtab("prepare", "-t", "mini_digits").exit_code == 0


def test_verify_finds_one_changed_byte_and_names_the_file(vtab: Vtab, tmp_path: Path) -> None:
    asked = ["-t", "mini_digits", "-t", "mini_location"]
    vtab("prepare", *asked)
    whole = vtab("verify", *asked)
    assert whole.exit_code == 0
    assert "mini_digits: intact; mini-1; certified: no certificate" in whole.output
    path = tmp_path / "cache" / "prepared" / "mini_digits-1" / "mini-1" / "val200" / "pixels.bin"
    content = bytearray(path.read_bytes())
    content[12345] ^= 1
    path.write_bytes(content)
    broken = vtab("verify", *asked)
    assert broken.exit_code == 1
    assert f"{path} has changed" in broken.output
    assert "mini_sprites: intact" in broken.output
    assert "1 of 2 prepared sets are damaged" in broken.output


def test_verify_of_nothing_is_no_success(vtab: Vtab) -> None:
    nothing = vtab("verify", "-t", "mini_digits")
    assert nothing.exit_code == 1
    assert "mini_digits: not prepared" in nothing.output


def test_bad_names(vtab: Vtab) -> None:
    assert isinstance(vtab("prepare", "-t", "mini_digit").exception, UnknownNameError)
    assert isinstance(vtab("status", "--suite", "mini", "-t", "mini_digits").exception, OptionError)


def test_two_commands_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vtab_harness", "data", "prepare", "-t", "mini_digits", "--cache", str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("prepared already" in text for text in said) == 1, "one waits for the other"


def test_help_imports_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, vtab_harness.cli.data; print([m for m in ('torch', 'numpy', 'rich.table') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000_000, "2.5 GB")])
def test_sizes_in_words(count: int, words: str) -> None:
    assert in_words(count) == words
