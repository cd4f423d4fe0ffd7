"""One bad record is a named line: for tables, comparisons and the gate, as a person gives the commands."""

import csv
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bad_records import HEADS, PREDICTIONS, with_an_architecture_without_end
from made_boards import write_record, write_records
from typer.testing import CliRunner

import leaderboards.cli.compare
import leaderboards.cli.gate
import leaderboards.cli.leaderboard  # noqa: F401  (all register themselves)
from vtab_harness import registry
from vtab_harness.api.errors import VtabError
from vtab_harness.api.tasks import Suite
from vtab_harness.cli.app import app

TASKS = ("mini_digits", "mini_count", "mini_distance")
SMALL = Suite("small", "1", TASKS, "Three tasks of mini.")
ALL = HEADS | PREDICTIONS
Damage = Callable[[Path], None]
bad = pytest.mark.parametrize(("damage", "what"), ALL.values(), ids=ALL)


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """A suite of three tasks takes a third of the time that `mini` does."""
    with registry.suites.registered("small", SMALL):
        yield


def vtab(*words: object) -> tuple[int, str, list[str]]:
    """Returns exit code, what was said, and the warnings; anything but a `VtabError` is raised."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = CliRunner().invoke(app, [str(word) for word in words])
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    if isinstance(result.exception, VtabError):
        return result.exception.exit_code, result.output + str(result.exception), said
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output, said


def made(folder: Path, seeds: int = 1) -> Path:
    """Writes two backbones on three tasks; returns the record of the second on `mini_count`, the last seed."""
    paths = write_records(folder, ["timm:a", "timm:b"], TASKS, seeds, accuracies=[0.7, 0.6], examples=300)
    return next(p for p in reversed(paths) if p.parents[1].name == "mini_count" and p.parents[2].name.startswith("b-"))


def everything(folder: Path) -> dict[str, bytes | str]:
    """Returns what every file holds, or where it points."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or (path.is_file() and os.access(path, os.R_OK))
    }


@bad
def test_a_table_has_a_line_for_it(damage: Damage, what: str, tmp_path: Path) -> None:
    results, out = tmp_path / "results", tmp_path / "out"
    path = made(results)
    damage(path)
    before = everything(results)
    code, said, _ = vtab("leaderboard", results, "--out", out, "--no-plots", "--no-page", "--suite", "small")
    assert code == 0
    assert "1 records are left out; left_out.csv says why." in said
    with (out / "left_out.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (out / line["record"]).resolve() == path.resolve()
    assert what in line["reason"]
    assert everything(results) == before


@bad
def test_a_comparison_says_what_is_not_compared(damage: Damage, what: str, tmp_path: Path) -> None:
    path = made(tmp_path)
    damage(path)
    before = everything(tmp_path)
    code, said, warned = vtab("compare", "a", "b", tmp_path, "--suite", "small")
    assert code == 0
    (line,) = [line for line in said.splitlines() if line.startswith("Not compared: mini_count: ")]
    assert str(path) in line
    assert what in line
    assert sum(line.count(str(path)) for line in warned) <= 1
    assert any(line.startswith("Nothing can be said over the 3 tasks of small") for line in said.splitlines())
    assert everything(tmp_path) == before


@bad
def test_the_gate_cannot_tell_and_says_why(damage: Damage, what: str, tmp_path: Path) -> None:
    results, baseline = tmp_path / "results", tmp_path / "baseline"
    path = made(results)
    assert vtab("gate", results, "--baseline", baseline, "--update", "--suite", "small")[0] == 0
    damage(path)
    before = everything(results)
    code, said, warned = vtab("gate", results, "--baseline", baseline)
    assert code == 2
    (reason,) = [line for line in said.splitlines() if line.strip().startswith("mini_count: ")]
    assert str(path) in reason
    assert what in reason
    assert "cannot tell  timm:b" in said
    assert "ok           timm:a" in said
    assert sum(line.count(str(path)) for line in warned) <= 1
    code, said, _ = vtab("gate", results, "--baseline", tmp_path / "other", "--update", "--suite", "small")
    assert code == 2
    assert f"has no result for mini_count that can be used: {path}" in said
    assert what in said
    assert not (tmp_path / "other").exists()
    assert everything(results) == before


@bad
def test_where_another_seed_is_sound_the_bad_one_is_left_out(damage: Damage, what: str, tmp_path: Path) -> None:
    results, baseline = tmp_path / "results", tmp_path / "baseline"
    path = made(results, seeds=2)
    damage(path)
    for words in (
        ("compare", "a", "b", results, "--suite", "small"),
        ("gate", results, "--baseline", baseline, "--update", "--suite", "small"),
    ):
        code, _, warned = vtab(*words)
        assert code == 0
        (line,) = warned
        assert line.startswith(f"{path} is left out: ")
        assert what in line
        assert line.count(str(path)) == 1
    assert vtab("gate", results, "--baseline", baseline)[0] == 0


@bad
def test_a_table_of_nothing_else_says_why_there_is_none(damage: Damage, what: str, tmp_path: Path) -> None:
    path = write_record(tmp_path / "results", "mini_count", "timm:a")
    damage(path)
    code, said, _ = vtab("leaderboard", tmp_path / "results", "--out", tmp_path / "out", "--no-plots", "--no-page")
    assert code == 2
    assert str(path) in said
    assert what in said


@pytest.mark.parametrize(("damage", "what"), HEADS.values(), ids=HEADS)
def test_a_baseline_of_nothing_else_says_why_there_is_none(damage: Damage, what: str, tmp_path: Path) -> None:
    path = write_record(tmp_path / "results", "mini_count", "timm:a")
    damage(path)
    code, said, warned = vtab(
        "gate", tmp_path / "results", "--baseline", tmp_path / "b", "--update", "--suite", "small"
    )
    assert code == 2
    assert said.count(str(path)) == 1
    assert what in said
    assert not warned


def test_a_folder_of_the_layout_before_is_told_in_a_few_lines(tmp_path: Path) -> None:
    for path in write_records(tmp_path / "old", 5, TASKS):
        HEADS["version 1"][0](path)
    made(tmp_path / "new")
    code, said, warned = vtab("compare", "a", "b", tmp_path / "old", tmp_path / "new")
    assert code == 0
    assert said
    assert len(warned) == 11
    assert warned[-1].startswith("5 more files are left out for that reason: it is of the layout before this version")


@pytest.mark.parametrize("where", ["a folder", "a link", "a pipe"])
def test_what_is_no_file_is_named_and_stops_nothing(where: str, tmp_path: Path) -> None:
    path = made(tmp_path)
    odd = path.with_name("seed7-0123456789ab.json")
    if where == "a folder":
        odd = path.parents[1]
        closed = {odd}
        real = os.scandir

        def scandir(folder: str) -> object:
            if Path(folder) in closed:
                raise PermissionError(13, "Permission denied", folder)
            return real(folder)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("leaderboards.records.scan.os.scandir", scandir)
            code, said, warned = vtab("compare", "a", "b", tmp_path, "--suite", "small")
        assert "Not compared: mini_count: " in said
    else:
        if where == "a link":
            odd.symlink_to("nothing.json")
        else:
            os.mkfifo(odd)
        code, said, warned = vtab("compare", "a", "b", tmp_path, "--suite", "small")
        assert "Not compared: mini_count" not in said
    assert code == 0
    assert any(line.startswith(f"{odd} is left out: it ") for line in warned)


def test_records_nested_almost_too_deeply_are_compared(tmp_path: Path) -> None:
    made(tmp_path)
    for path in tmp_path.glob("b-*/*/*/*.json"):
        with_an_architecture_without_end(path)
    code, said, _ = vtab("compare", "a", "x", tmp_path)
    assert code in (0, 2)
    assert said
    assert vtab("leaderboard", tmp_path, "--out", tmp_path / "out", "--no-plots")[0] == 0


def test_a_suite_that_cannot_be_loaded_stops_nothing(tmp_path: Path) -> None:
    results, out, baseline = tmp_path / "results", tmp_path / "out", tmp_path / "baseline"
    write_records(results, ["timm:a", "timm:b"], "mini")
    registry.suites.unregister("small")
    registry.suites.register("small", "no_such_module:SUITE", "a-plugin")
    for words in (
        ("leaderboard", results, "--out", out, "--no-plots"),
        ("compare", "a", "b", results),
        ("gate", results, "--baseline", baseline, "--update"),
    ):
        code, _, warned = vtab(*words)
        assert code == 0
        assert any("The suite 'small' of a-plugin cannot be imported" in line for line in warned)
    assert vtab("gate", results, "--baseline", baseline)[0] == 0
