"""A command whose options come from declarations takes them as they are declared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import typer
from typer.testing import CliRunner, Result

from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import REQUIRED, Settings, argument, option, part_of
from vtab_harness.cli.from_settings import with_options


@dataclass(frozen=True, slots=True)
class Cut(Settings):
    depth: float = option(0.5, "How deep.", least=0, most=1)
    blades: int = option(1, "How many.", "--blade-count", "--blades", least=1)
    shape: Literal["round", "square"] = option("round", "Which.")
    set: Mapping[str, float] = option({}, "Others.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Cut):
    woods: Sequence[Path] = argument("What is cut.", "WOOD...")
    out: Path = option(REQUIRED, "Where to.")
    dry: bool = option(False, "Only look.", "--dry")
    dust: bool = option(True, "Take it away.")
    parent: int | None = option(None, "Who began.", hidden=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saw(Settings):
    saw: str | None = option(None, "By name.")
    age: int = option(0, "In years.")


told: list[tuple[dict[str, Any], dict[str, Any], bool]] = []
app = typer.Typer()


@app.command()
@with_options(Command, Saw, leave_out=("age",))
def cut(given: dict[str, Any], of_saw: dict[str, Any], loud: bool = False) -> None:
    told.append((given, of_saw, loud))


def run(*words: str) -> Result:
    told.clear()
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "TERM": "dumb"})


def test_what_is_not_given_is_not_told() -> None:
    assert run("oak", "--out", "o").exit_code == 0
    assert told == [({"woods": [Path("oak")], "out": Path("o")}, {}, False)]
    made = Command(**told[0][0])
    assert (made.woods, made.depth, made.shape, made.dust) == ((Path("oak"),), 0.5, "round", True)


def test_every_kind_of_option() -> None:
    words = "oak elm --out o --depth 0 --blades 2 --shape square --set a=1 --set b=2.5 --dry --no-dust --parent 7"
    assert run(*words.split(), "--saw", "x", "--loud").exit_code == 0
    ((given, of_saw, loud),) = told
    made = Command(**given)
    assert (made.woods, made.depth, made.blades, made.shape) == ((Path("oak"), Path("elm")), 0.0, 2, "square")
    assert (made.set, made.dry, made.dust, made.parent) == ({"a": 1.0, "b": 2.5}, True, False, 7)
    assert (Saw(**of_saw).saw, loud) == ("x", True)
    assert part_of(made, Cut) == Cut(0.0, 2, "square", {"a": 1.0, "b": 2.5})


@pytest.mark.parametrize(
    "words",
    [
        ("--out", "o"),
        ("oak",),
        ("oak", "--out", "o", "--depth", "1.1"),
        ("oak", "--out", "o", "--blade-count", "0"),
        ("oak", "--out", "o", "--shape", "oval"),
        ("oak", "--out", "o", "--no-dry"),
        ("oak", "--out", "o", "--age", "3"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2
    assert told == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 1.1}, "--depth 1.1: must be from 0 to 1"),
        ({"blades": 0}, "--blades 0: must be 1 or more"),
        ({"shape": "oval"}, "--shape=oval: expected one of round, square"),
        ({"set": {"a": "x"}}, "--set a=x: expected a number"),
    ],
)
def test_python_refuses_the_same(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Cut(**given)


def test_help_says_what_the_declaration_says() -> None:
    shown = " ".join(run("--help").output.split())
    for words in ("WOOD...", "How deep (default 0.5).", "[0<=x<=1]", "<round|square>", "Take it away (default true)."):
        assert words in shown
    assert "--parent" not in shown
    assert "--age" not in shown
