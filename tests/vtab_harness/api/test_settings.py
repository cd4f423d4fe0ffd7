"""An option is declared once: everything else that names options follows from the declaration."""

import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import vtab_harness
from vtab_harness.api.errors import OptionError
from vtab_harness.api.records import Record
from vtab_harness.api.settings import FLAGS, HELP, ResultSettings, options_of
from vtab_harness.api.values import flag
from vtab_harness.sweep.settings import RunSettings

PAGE = Path(__file__).parents[3] / "docs" / "options.md"


def test_the_page_of_options_is_the_declaration() -> None:
    """Write it anew with ``python tests/vtab_harness/api/test_settings.py``."""
    assert PAGE.read_text(encoding="utf-8") == page()


def page() -> str:
    lines = [
        "# Options",
        "",
        "The same words on the command line of `vtab run`, as keys of a study file (`vtab run --study FILE`), and as",
        "arguments of `vtab_harness.evaluate`. What stands in a record as `asked` and `used` is marked. `vtab watch`",
        "takes all but `backbones`, `executor` and `overwrite`.",
        "",
        "| study file and Python | command line | default | | in the record |",
        "|---|---|---|---|---|",
    ]
    recorded = {f.name for f in options_of(ResultSettings)}
    defaults = RunSettings()
    for f in options_of(RunSettings):
        default = getattr(defaults, f.name)
        shown = "" if default in (None, (), {}) else json.dumps(default) if isinstance(default, bool) else str(default)
        flags = ", ".join(f"`{name}`" for name in f.metadata[FLAGS] or (flag(f.name),))
        mark = "yes" if f.name in recorded else ""
        lines.append(f"| `{f.name}` | {flags} | {shown} | {f.metadata[HELP]} | {mark} |")
    return "\n".join(lines) + "\n"


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
    assert set(names) == {f.name for f in options_of(RunSettings)}
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
