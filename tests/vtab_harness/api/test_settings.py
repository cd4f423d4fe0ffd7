"""An option is declared once: everything else that names options follows from the declaration."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import leaderboards.cli
import vivi_pretrain.cli
import vtab_harness
import vtab_harness.cli
from vtab_harness.api.errors import OptionError
from vtab_harness.api.records import Record
from vtab_harness.api.settings import FLAGS, HELP, ResultSettings, options_of
from vtab_harness.api.values import flag
from vtab_harness.cli.from_settings import shown_default
from vtab_harness.sweep.settings import RunSettings

PAGE = Path(__file__).parents[3] / "docs" / "options.md"


# Commands register themselves where they are imported.
for rooms in (vtab_harness.cli, leaderboards.cli, vivi_pretrain.cli):
    for module in pkgutil.iter_modules(rooms.__path__, f"{rooms.__name__}."):
        importlib.import_module(module.name)
vtab, vivi = vtab_harness.cli.app.app, vivi_pretrain.cli.app.app


def test_the_page_of_options_is_the_declaration() -> None:
    """Write it anew with ``python tests/vtab_harness/api/test_settings.py``."""
    assert PAGE.read_text(encoding="utf-8") == page()


OURS = ("vtab_harness", "leaderboards", "vivi_pretrain")
"""Packages; a plugin that a test has loaded has commands as well."""


def page() -> str:
    commands = {
        f"{program} {' '.join(words)}": command
        for program, app in (("vtab", vtab), ("vivi", vivi))
        for words, command in leaves(get_command(app))
        if command.callback.__module__.split(".")[0] in OURS
    }
    lines = [
        "# Options",
        "",
        "Every option is declared once, and this page is made from the declarations. An option has the same words on",
        "the command line, in Python (the class that is named) and in a study file (`vtab run --study FILE`); what has",
        "no name in Python is of the command line only. `vtab_harness.evaluate` takes the words of `RunSettings`. What",
        "stands in a record as `asked` and `used` is marked with R.",
    ]
    # The main one first. Others register themselves in the order in which somebody imports them.
    for name in sorted(commands, key=lambda name: (name != "vtab run", name.startswith("vivi"), name)):
        command = commands[name]
        classes = getattr(command.callback, "settings", ())
        lines += ["", f"## `{name}`", ""]
        if classes:
            lines += [f"{' and '.join(f'`{one.__module__}.{one.__qualname__}`' for one in classes)}.", ""]
        lines += rows(command, {f.name: f for one in classes for f in options_of(one)})
    return "\n".join(lines) + "\n"


def leaves(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Returns the commands below one with the words that name each."""
    for word, command in group.commands.items():
        yield from leaves(command, (*words, word)) if hasattr(command, "commands") else [((*words, word), command)]


def rows(command: Any, declared: dict[str, Any]) -> list[str]:
    shown = [p for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
    if not shown:
        return ["It has none."]
    recorded = {f.name for f in options_of(ResultSettings)} if command.name == "run" else set()
    lines = ["| Python | command line | default | |", "|---|---|---|---|"]
    for p in shown:
        f = declared.get(p.name)
        flags = ", ".join(f"`{flag}`" for flag in [*p.opts, *p.secondary_opts])
        if p.param_type_name == "argument":
            flags = (p.metavar or p.name).strip(".").upper() + "..." * (p.nargs == -1)
        default = "required" if p.required else "" if f is None else shown_default(f)
        sentence = (p.help if f is None else f.metadata[HELP]).replace("|", "\\|")
        mark = " R" if p.name in recorded else ""
        lines.append(f"| {f'`{p.name}`' if f else ''}{mark} | {flags} | {default} | {sentence} |")
    return lines


@pytest.mark.parametrize("command", [command for _, command in leaves(get_command(vtab))], ids=lambda c: c.name)
def test_a_word_of_python_is_a_word_of_the_command_line(command: Any) -> None:
    declared = {f.name for one in getattr(command.callback, "settings", ()) for f in options_of(one)}
    for p in command.params:
        if p.name in declared and p.param_type_name == "option":
            assert flag(p.name) in p.opts


def test_the_command_has_every_option_with_its_sentence() -> None:
    command = [sys.executable, "-m", "vtab_harness", "run", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, env={"COLUMNS": "1000", "PATH": ""}, check=True)
    words = re.sub(r"[\s│]+", " ", shown.stdout)
    for f in options_of(RunSettings):
        assert all(name in words for name in f.metadata[FLAGS] or (flag(f.name),))
        assert f.metadata[HELP].rstrip(".") in words


def test_evaluate_takes_what_the_settings_class_takes() -> None:
    names = list(inspect.signature(vtab_harness.evaluate).parameters)
    assert names[0] == "backbones"
    # What only a caller in Python can mean.
    own = {"transform", "raise_error", "progress"}
    # There, names are the keys of a dict of backbones.
    assert set(names) == {f.name for f in options_of(RunSettings)} - {"names"} | own
    assert all(f"{name}: " in str(vtab_harness.evaluate.__doc__) for name in names)


def test_a_record_holds_the_settings_that_a_result_depends_on() -> None:
    hints = typing.get_type_hints(Record)
    assert hints["asked"] is hints["used"] is ResultSettings


def test_a_single_value_need_not_be_a_list_and_values_are_read_as_their_types() -> None:
    settings = RunSettings("timm:a,b", tasks="t", data="folder", batch_size="8", tf32="true", micro_batch="none")  # type: ignore[arg-type]
    assert settings.backbones == ("timm:a,b",), "a spec may hold commas"
    assert (settings.tasks, settings.data) == (("t",), (Path("folder"),))
    assert (settings.batch_size, settings.tf32, settings.micro_batch) == (8, True, None)
    assert RunSettings(set={"lr": (0.1, 0.01)}).set == {"lr": [0.1, 0.01]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 0}, "--batch-size 0"),
        ({"batch_size": "many"}, "--batch-size=many: expected a whole number"),
        ({"micro_batch": -1}, "--micro-batch -1"),
        ({"set": {"lr": float("nan")}}, "--set"),
        ({"set": {"lr": object()}}, "--set"),
        ({"set": 5}, "--set=5: expected a table"),
        ({"device": 5}, "--device=5: expected text"),
        ({"train_examples": "few"}, "--train-examples few"),
        ({"results": 5}, "--results=5: expected a path"),
    ],
)
def test_wrong_values_are_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RunSettings(**given)  # type: ignore[arg-type]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
