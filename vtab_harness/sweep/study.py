"""Study files: options in TOML, to be kept beside the results, and tables of what else belongs to a study.

A file of options alone is the smallest study, and what ``vtab run --study`` takes::

    backbones = ["timm:resnet50.a1_in1k"]
    suite = "vtab-1k"

Tables say what is to be made and pretrained first, and what is to become of the records; ``vtab study run`` does all of
it, see docs/studies.md.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vtab_harness import registry
from vtab_harness.api.errors import OptionError, near_names
from vtab_harness.api.settings import options_of
from vtab_harness.api.values import apply_overrides, read_value
from vtab_harness.formats.toml_file import read_toml
from vtab_harness.sweep.settings import merged
from vtab_harness.sweep.study_tables import (
    BaselineTable,
    EvaluateTable,
    PretrainTable,
    ProduceTable,
    ReportTable,
    Study,
    StudySettings,
)

T = TypeVar("T")
_COMMON = "pretrain_common"
_TABLES = ("produce", _COMMON, "pretrain", "baseline", "evaluate")
_WHERE = ("backbones", "results", "cache", "data", "executor", "executor_set", "overwrite")
"""Options of a whole study; an evaluation has the others to itself."""


def read_study(path: Path, settings: type[Any]) -> dict[str, Any]:
    """Reads a study file of options alone; relative folders in it count from the folder that it lies in.

    Args:
        path: The file.
        settings: The dataclass whose options it may hold.

    Returns:
        Name of an option -> its value; what is not given is not there.

    Raises:
        OptionError: It is missing, not TOML, has an unknown key (the nearest are named) or a wrong type.
    """
    content = read_toml(path, "--study")
    tables = [key for key in content if key in _TABLES or key in registry.reports.names() or key == "out"]
    if tables:
        raise OptionError(
            f"--study {path}: it has {', '.join(tables)}, which `vtab run` does not do.", f"vtab study run {path}"
        )
    return _read_options(f"--study {path}", content, settings, path)


def read_whole_study(path: Path, given: Mapping[str, Any] | None = None) -> Study:
    """Reads a study file with all its tables.

    Args:
        path: The file.
        given: Options that win over those of its top.

    Raises:
        OptionError: It is missing, not TOML, has an unknown key, a wrong value, or two tables of a name.
        UnknownNameError: A producer, pretrainer or report is unknown; the message lists the nearest.
    """
    content = read_toml(path, "study")
    reports = [key for key in content if key in registry.reports.names()]
    tables = {key: _tables(f"{path}: [[{key}]]", content.pop(key)) for key in (*_TABLES, *reports) if key in content}
    # An unknown key may be a mistyped table as well.
    known = {f.name for f in options_of(StudySettings)}
    for key in content:
        if key not in known and (close := near_names(key, [*known, *_TABLES, *registry.reports.names()])):
            raise OptionError(f"{path}: unknown key {key!r}.", f"Did you mean {' or '.join(close)}?")
    top = merged(_read_options(str(path), content, StudySettings, path), given or {})
    if top.get("out") is not None:
        # Specs in records and commands name folders below it, wherever they are read.
        top["out"] = _plain(top["out"])
        top.setdefault("results", top["out"] / "results")
    settings = StudySettings(**top)
    common = tables.get(_COMMON, [{}])
    if len(common) > 1:
        raise OptionError(f"{path}: [{_COMMON}] is there more than once.")
    pretrain = [_over(common[0], table) for table in tables.get("pretrain", [])]
    study = Study(
        path,
        settings,
        tuple(_made(path, "produce", table, ProduceTable) for table in tables.get("produce", [])),
        tuple(_made(path, "pretrain", table, PretrainTable) for table in pretrain),
        tuple(_made(path, "baseline", table, BaselineTable) for table in tables.get("baseline", [])),
        tuple(_evaluation(path, top, table) for table in tables.get("evaluate", [{}])),
        tuple(_report(path, settings, key, table) for key in reports for table in tables[key]),
    )
    _check_names(study)
    return study


def _tables(where: str, value: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(table, dict) for table in found):
        raise OptionError(f"{where}: expected tables of keys and values.")
    return found


def _over(common: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    settings = [part.get("set", {}) for part in (common, table)]
    both = {**common, **table}
    # A value that is no table is named where it is read.
    if all(isinstance(part, dict) for part in settings):
        both["set"] = {**settings[0], **settings[1]}
    return both


def _made(path: Path, kind: str, table: Mapping[str, Any], settings: type[T]) -> T:
    where = f"{path}: [[{kind}]] {table.get('name', '')}".rstrip()
    try:
        return settings(**_read_options(where, table, settings, path))
    except OptionError as error:
        if error.message.startswith(str(path)):
            raise
        raise OptionError(f"{where}: {error.message}", error.hint) from error


def _evaluation(path: Path, top: Mapping[str, Any], table: Mapping[str, Any]) -> EvaluateTable:
    where = f"{path}: [[evaluate]]"
    misplaced = [key for key in table if key in _WHERE]
    if misplaced:
        raise OptionError(f"{where}: {misplaced[0]} is of the whole study.", "Put it at the top of the file.")
    own = _read_options(where, table, EvaluateTable, path)
    rest = {key: value for key, value in top.items() if key != "out"}
    return EvaluateTable(**merged(rest, own))


def _report(path: Path, settings: StudySettings, name: str, table: Mapping[str, Any]) -> ReportTable:
    found = registry.reports.get(name)
    given = dict(table)
    # Results that a command names begin where it is given, not where the file lies.
    beside = settings.results.absolute().parent / name
    out = read_value(f"{path}: [[{name}]] out", given.pop("out", beside), Path)
    chosen = apply_overrides(found.settings, given, f"report [[{name}]] of {path}")
    return ReportTable(name, chosen, path.resolve().parent / out)


def _read_options(where: str, content: Mapping[str, Any], settings: type[Any], path: Path) -> dict[str, Any]:
    """Reads keys and values as options of a settings class."""
    known = [f.name for f in options_of(settings)]
    hints = typing.get_type_hints(settings)
    base = path.resolve().parent
    values = {}
    for key, value in _with_executor(where, content).items():
        if key not in known:
            close = near_names(key, known)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"It may have: {', '.join(known)}."
            raise OptionError(f"{where}: unknown key {key!r}.", hint)
        # These have readers of their own.
        own = key in ("seeds", "train_examples", "executor")
        read = value if own else read_value(f"{where}: {key}", value, hints[key])
        if isinstance(read, Path):
            read = base / read
        elif isinstance(read, tuple):
            read = tuple(base / part if isinstance(part, Path) else part for part in read)
        values[key] = read
    return values


def _with_executor(where: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the table of an executor apart: its name, and its settings."""
    executor = content.get("executor")
    if not isinstance(executor, Mapping):
        return dict(content)
    if "name" not in executor:
        raise OptionError(f"{where}: [executor] has no name.", 'For instance name = "devices".')
    given = {key: value for key, value in executor.items() if key != "name"}
    return {**content, "executor": executor["name"], "executor_set": {**given, **content.get("executor_set", {})}}


def _plain(path: Path) -> Path:
    """Returns an absolute path without ``..``, and asks no file system."""
    return Path(os.path.normpath(path.absolute()))


def _check_names(study: Study) -> None:
    """Refuses two tables that would write the same, or that nothing could tell apart."""
    seen: dict[str, str] = {}
    parts: dict[str, Sequence[Any]] = {
        "produce": study.produce,
        "pretrain": study.pretrain,
        "baseline": study.baselines,
    }
    for kind, tables in parts.items():
        for table in tables:
            if table.name in seen:
                raise OptionError(
                    f"{study.path}: the name {table.name!r} is that of a [[{seen[table.name]}]] and of a [[{kind}]].",
                    "Give each a name of its own: folders and rows are called by it.",
                )
            seen[table.name] = kind
    outputs: dict[Path, str] = {_plain(study.settings.results): "the results"}
    for report in study.reports:
        what, place = f"a [[{report.report}]]", _plain(report.out)
        if place in outputs:
            raise OptionError(
                f"{study.path}: {report.out} is the output of {outputs[place]} and of {what}.",
                "Give each an `out` of its own.",
            )
        outputs[place] = what
    rows = [*(t.name for t in study.pretrain), *(t.name for t in study.baselines)]
    for evaluation in study.evaluations:
        for name in evaluation.only:
            if name not in rows:
                close = near_names(name, rows)
                hint = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(rows) or 'none'}."
                raise OptionError(f"{study.path}: [[evaluate]] only: there is no backbone {name!r}.", hint)
