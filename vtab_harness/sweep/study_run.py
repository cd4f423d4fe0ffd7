"""The whole of a study, in this process: data and pretrainings that are missing, evaluations, reports."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from vtab_harness import registry
from vtab_harness.api.errors import OptionError, StorageError, VtabError
from vtab_harness.api.identity import plain_json
from vtab_harness.api.pretrainers import CHECKPOINTS, FINISHED
from vtab_harness.backbones.spec import load
from vtab_harness.protocols.settings import build_protocol
from vtab_harness.sweep.evaluate import Evaluation
from vtab_harness.sweep.settings import SweepSettings
from vtab_harness.sweep.store import Store, storage_errors, write_atomically
from vtab_harness.sweep.study_steps import Made, Step, missing, steps_of
from vtab_harness.sweep.study_tables import EvaluateTable, ReportTable, Study

STOPPED = 75
"""Exit code of an error that says: told to stop, everything saved, give the same command again (EX_TEMPFAIL)."""
WAIT_SECONDS = 2.0
Tell = Callable[[str], None]
Sweep = Callable[[SweepSettings], Evaluation]


@dataclass(frozen=True, slots=True)
class Row:
    """Backbones that differ by a seed only: a row of the table of results.

    Attributes:
        name: That of the table in the study file; of a checkpoint on the way with its step.
        table: That of the table alone; None for backbones at the top of the file.
        specs: One for each seed.
        steps: What makes each; none for backbones that are there.
        checkpoint: Step on the way; None for finished backbones.
    """

    name: str
    table: str | None
    specs: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    checkpoint: int | None = None

    def there(self) -> list[str]:
        """Returns the specs of what can be loaded."""
        if not self.steps:
            return list(self.specs)
        made = zip(self.specs, self.steps, strict=True)
        return [spec for spec, step in made if (step.place(self.checkpoint) / FINISHED).is_file()]


@dataclass(frozen=True, slots=True)
class Failure:
    """Something of a study that could not be done; the rest is not affected.

    Attributes:
        what: What it was.
        error: Why.
    """

    what: str
    error: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A study whose every name, setting and folder was found to be there, and nothing computed.

    Attributes:
        study: The file.
        steps: Of each table that makes something.
        todo: Steps that are missing, in their order.
        rows: Backbones.
    """

    study: Study
    steps: Mapping[str, tuple[Step, ...]]
    todo: tuple[Step, ...]
    rows: tuple[Row, ...]

    @property
    def called(self) -> dict[str, str]:
        """Spec -> what tables call it: as the file's `names` say, else as the table of a backbone is called."""
        called: dict[str, str] = {}
        baselines = {table.name: table.seeds for table in self.study.baselines}
        for row in self.rows:
            if row.table is not None:
                several = len(row.specs) > 1
                seeds = [step.seed for step in row.steps] or baselines.get(row.table) or [None]
                names = [f"{row.name}, seed {seed}" if several else row.name for seed in seeds]
                called |= dict(zip(row.specs, names, strict=True))
        return called | self.study.settings.called

    def chosen(self, evaluation: EvaluateTable) -> list[Row]:
        """Returns the rows that an evaluation is of."""
        return [row for row in self.rows if not evaluation.only or row.table in evaluation.only]

    def sweep(self, evaluation: EvaluateTable, specs: Sequence[str]) -> SweepSettings:
        """Returns the settings of an evaluation of some backbones."""
        values = {f.name: getattr(evaluation, f.name) for f in fields(evaluation) if f.name != "only"}
        return SweepSettings(**{**values, "backbones": specs}, command=f"vtab study run {self.study.path}")


def open_study(study: Study) -> Opened:
    """Finds every mistake that can be found before anything is spent.

    Raises:
        VtabError: A name, setting or folder does not exist, or a folder cannot be written.
    """
    steps = steps_of(study) if study.produce or study.pretrain else {}
    opened = Opened(study, steps, tuple(missing(steps)), tuple(_rows(study, steps)))
    if not opened.rows:
        raise OptionError(
            f"{study.path}: there is nothing to evaluate.", "Give `backbones`, a [[baseline]] or a [[pretrain]]."
        )
    for evaluation in study.evaluations:
        evaluation.chosen_tasks()
        build_protocol(evaluation.protocol, evaluation.set)
        evaluation.make_executor()
    return opened


def check_before(opened: Opened) -> None:
    """Finds what else can be found before hours of pretraining: folders are written to, and baselines loaded.

    Raises:
        VtabError: A folder cannot be written, or a baseline cannot be loaded.
    """
    study = opened.study
    for folder in (study.settings.results, *(report.out for report in study.reports)):
        Store(folder).check_writable()
    if opened.todo:
        Store(study.out).check_writable()
        for spec in (spec for row in opened.rows if not row.steps for spec in row.specs):
            load(spec)


def run_steps(todo: Sequence[Step], tell: Tell, wait: float = WAIT_SECONDS) -> list[Failure]:
    """Makes what is missing, one after another; what another process is making is waited for, after everything else.

    Args:
        todo: Steps, each behind those that it needs.
        tell: Is given lines for a person.
        wait: Seconds between looks at what another process is making.

    Raises:
        VtabError: A pretraining was told to stop; its state is saved.
    """
    failures: dict[str, Failure] = {}
    open_ = list(todo)
    told: set[str] = set()
    while open_:
        busy: list[Step] = []
        for step in open_:
            if any(before.digest in failures for before in step.after):
                failures[step.digest] = Failure(step.title, "not made, because what it needs failed.")
            elif any(before.made() is None for before in step.after if before in busy):
                busy.append(step)
            else:
                try:
                    if not _make(step, tell):
                        busy.append(step)
                        if step.digest not in told:
                            tell(f"{step.title}: another process is making {step.folder}; it is left to it.")
                            told.add(step.digest)
                except VtabError as error:
                    if error.exit_code == STOPPED:
                        raise
                    failures[step.digest] = Failure(step.title, str(error))
                    tell(f"{step.title}: failed: {error.message}")
        if len(busy) == len(open_):
            time.sleep(wait)
        open_ = busy
    return list(failures.values())


def _make(step: Step, tell: Tell) -> bool:
    """Makes one folder; returns False where another process is at it."""
    with storage_errors(step.mark.parent, "keeping account of a study"):
        step.mark.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(step.mark.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
    try:
        # Another process may have made it since the plan.
        if step.made() is not None:
            return True
        fresh = not step.begun()
        tell(f"{step.title}: {step.by}{'' if fresh else ' goes on'}, in {step.folder}")
        began = time.perf_counter()
        step.folder.parent.mkdir(parents=True, exist_ok=True)
        if step.pretrains:
            step.maker.pretrain(step.settings, step.source, step.folder)  # type: ignore[union-attr, arg-type]
            if not (step.folder / FINISHED).is_file():
                raise StorageError(f"{step.title}: {step.by} ended and left no {FINISHED} in {step.folder}.")
            _give_back_memory()
        else:
            step.maker.produce(step.settings, step.source, step.folder)  # type: ignore[union-attr]
        seconds = time.perf_counter() - began
        made = Made(
            digest=step.digest,
            by=step.by,
            settings=plain_json(asdict(step.settings)),
            seconds=round(seconds, 1) if fresh else None,
            bytes=_size(step.folder),
        )
        with storage_errors(step.mark.parent, "keeping account of a study"):
            write_atomically(step.mark, msgspec.json.encode(made) + b"\n")
        tell(f"{step.title}: finished ({seconds:.0f} s)")
        return True
    finally:
        lock.release()


def run_evaluation(opened: Opened, evaluation: EvaluateTable, sweep: Sweep) -> tuple[Evaluation | None, list[Failure]]:
    """Evaluates the backbones that are there.

    Args:
        opened: The study.
        evaluation: One of its evaluations.
        sweep: `vtab_harness.sweep.evaluate.run_sweep`, with what shows its progress.

    Returns:
        What came of it, None where nothing could be begun; and the failures.
    """
    failures, specs = [], []
    for row in opened.chosen(evaluation):
        specs += row.there()
        for step in row.steps if row.checkpoint is not None else ():
            # Where the pretraining itself failed, that is the failure.
            if step.made() is not None and step.spec(row.checkpoint) not in specs:
                there = ", ".join(sorted(path.name for path in (step.folder / CHECKPOINTS).glob("step-*")))
                failures.append(Failure(row.name, f"{step.title} has no such checkpoint, but {there or 'none'}."))
    if not specs:
        return None, failures
    try:
        found = sweep(opened.sweep(evaluation, specs))
    except VtabError as error:
        what = f"{evaluation.protocol} on {evaluation.suite or ', '.join(evaluation.tasks)}"
        return None, [*failures, Failure(what, str(error))]
    for outcome in found.failures:
        what = f"{outcome.job.backbone} on {', '.join(outcome.job.tasks)}"
        failures.append(Failure(what, outcome.error or "failed"))
    return found, failures


def run_report(
    study: Study, report: ReportTable, tell: Tell, called: Mapping[str, str] | None = None
) -> Failure | None:
    """Writes a report; one whose settings have `names` is told what the study calls its backbones, spec -> name."""
    settings = report.settings
    if called and "names" in {f.name for f in fields(settings)}:
        own = {spec: name for name, spec in settings.names.items()}
        settings = replace(settings, names={name: spec for spec, name in ({**called, **own}).items()})
    try:
        registry.reports.get(report.report).write(settings, study.settings.results, report.out, tell)
    except VtabError as error:
        return Failure(report.report, str(error))
    return None


def _rows(study: Study, steps: Mapping[str, tuple[Step, ...]]) -> list[Row]:
    rows = [Row(spec, None, (spec,)) for spec in dict.fromkeys(study.settings.backbones)]
    rows += [Row(table.name, table.name, table.specs()) for table in study.baselines]
    for table in study.pretrain:
        of = steps[table.name]
        for number in table.checkpoints:
            specs = tuple(step.spec(number) for step in of)
            rows.append(Row(f"{table.name}, step {number:,}", table.name, specs, of, number))
        rows.append(Row(table.name, table.name, tuple(step.spec() for step in of), of))
    return rows


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _give_back_memory() -> None:
    """What a pretraining held on a device is wanted by what comes next, perhaps in other processes."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
