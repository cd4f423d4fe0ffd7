"""What came of an evaluation, for eyes and for pandas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vtab_harness.api.executors import JobOutcome, Passed
from vtab_harness.api.records import Record
from vtab_harness.api.tasks import GROUPS, Task
from vtab_harness.cli.tables import median_accuracy, short_names

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "backbone": "category",
    "task": "category",
    "seed": "int64",
    "accuracy": "float64",
    "correct": "int64",
    "examples": "int64",
    "status": "category",
    "protocol": "category",
    "train_examples": "category",
    "draw": "int64",
    "variant": "category",
    "title": "category",
    "group": "category",
    "classes": "int64",
    "chance": "float64",
    "spec": "category",
    "folder": "category",
    "parameters": "int64",
    "multiply_adds": "Int64",
    "feature_size": "int64",
    "pretrained": "bool",
    "seconds": "float64",
    "device": "category",
}
"""Columns of `Results.to_pandas` and their types; `leaderboards.load` has more, and those in common mean the same."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A backbone that could not be evaluated on tasks that share their images.

    Attributes:
        backbone: What tables call it.
        spec: By which it was asked for.
        tasks: Names.
        error: What went wrong and what to do.
        traceback: Where, for failures that are not a person's to mend; else None.
    """

    backbone: str
    spec: str
    tasks: tuple[str, ...]
    error: str
    traceback: str | None = None


class Results:
    """What came of an evaluation; `vtab_harness.evaluate` returns it.

    Attributes:
        records: One for each backbone, task and seed, those that were there before among them.
        failures: What could not be evaluated; the rest is not affected.
        passed_over: Records that are there and do not answer what was asked, with the difference.
        specs: For each record the spec by which its backbone was asked for.
        tasks: In the order asked for.
        suite: Name, if the tasks are one.

    Examples:
        >>> import timm, vtab_harness
        >>> network = timm.create_model("test_resnet.r160_in1k", num_classes=0)
        >>> results = vtab_harness.evaluate(network, tasks=["mini_digits", "mini_tissue"], protocol="knn")
        >>> results
        Results(ResNet on 2 tasks, knn-v1: 2 finished)
        >>> frame = results.to_pandas()
        >>> list(frame["task"]), frame["accuracy"].dtype
        (['mini_digits', 'mini_tissue'], dtype('float64'))
        >>> results.table().shape
        (1, 2)
    """

    def __init__(
        self,
        records: Sequence[Record],
        specs: Sequence[str],
        tasks: Sequence[Task],
        suite: str | None = None,
        failures: Sequence[JobOutcome] = (),
        passed_over: Sequence[Passed] = (),
        names: dict[str, str] | None = None,
        asked: Sequence[str] = (),
    ) -> None:
        self.records = tuple(records)
        self.specs = tuple(specs)
        self.tasks = tuple(tasks)
        self.suite = suite
        self.passed_over = tuple(passed_over)
        unnamed = [spec for spec in dict.fromkeys([*asked, *specs]) if spec not in (names or {})]
        self._names = {**dict(zip(unnamed, short_names(unnamed), strict=True)), **(names or {})}
        self._asked = tuple(dict.fromkeys([*asked, *specs]))
        self.failures = tuple(
            Failure(self._names[f.job.backbone], f.job.backbone, f.job.tasks, f.error or "", f.traceback)
            for f in failures
        )

    def __len__(self) -> int:
        """Returns the number of records."""
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        """Yields the records."""
        return iter(self.records)

    def to_pandas(self) -> pd.DataFrame:
        """Returns the records as a tidy frame: a row a backbone x task x seed, with typed `COLUMNS`.

        ``accuracy`` is a share, 0..1, and empty where training diverged.
        """
        import pandas as pd

        rows = [self._row(record, spec) for record, spec in zip(self.records, self.specs, strict=True)]
        frame = pd.DataFrame(rows, columns=[*COLUMNS])
        return frame.astype(COLUMNS)

    def _row(self, record: Record, spec: str) -> dict[str, Any]:
        identity, score = record.identity, record.score
        return {
            "backbone": self._names[spec],
            "task": identity.task.name,
            "seed": identity.seed,
            "accuracy": record.accuracy,
            "correct": score.correct if score else 0,
            "examples": score.examples if score else 0,
            "status": record.status,
            "protocol": identity.protocol_name,
            "train_examples": identity.labels.examples,
            "draw": identity.labels.draw or 0,
            "variant": identity.data.variant,
            "title": record.task.title,
            "group": record.task.group,
            "classes": record.task.num_classes,
            "chance": record.task.chance,
            "spec": spec,
            "folder": identity.row,
            "parameters": record.backbone.parameters,
            "multiply_adds": record.backbone.macs,
            "feature_size": record.backbone.feature_size,
            "pretrained": record.backbone.pretrained,
            "seconds": sum(record.run.seconds.values()),
            "device": record.environment.device,
        }

    def table(self) -> pd.DataFrame:
        """Returns accuracies, 0..1: a row a backbone, a column a task, the median over seeds, of the first draw.

        A cell is empty where there is no result, or a seed diverged. For a suite there follow the means of its groups
        and of all its tasks, in columns such as ``mean of natural`` and ``mean``, empty where any of their tasks is.
        """
        import pandas as pd

        found: dict[tuple[str, str], list[float | None]] = {}
        first = self.records[0].identity.labels if self.records else None
        for record, spec in zip(self.records, self.specs, strict=True):
            if record.identity.labels != first:
                continue
            accuracy = None if record.score is None else record.score.accuracy
            found.setdefault((spec, record.identity.task.name), []).append(accuracy)
        frame = pd.DataFrame(
            [[median_accuracy(found.get((spec, task.name), [])) for task in self.tasks] for spec in self._asked],
            index=pd.Index([self._names[spec] for spec in self._asked], name="backbone"),
            columns=[task.name for task in self.tasks],
            dtype="float64",
        )
        if self.suite is None:
            return frame
        means = {}
        for group in GROUPS:
            of_group = [task.name for task in self.tasks if task.group == group]
            if of_group:
                means[f"mean of {group}"] = frame[of_group].mean(axis=1, skipna=False)
        means["mean"] = frame.mean(axis=1, skipna=False)
        return frame.assign(**means)

    def _about(self) -> str:
        backbones = self._names[self._asked[0]] if len(self._asked) == 1 else f"{len(self._asked)} backbones"
        tasks = self.suite or (self.tasks[0].name if len(self.tasks) == 1 else f"{len(self.tasks)} tasks")
        protocol = f", {self.records[0].identity.protocol_name}" if self.records else ""
        return f"{backbones} on {tasks}{protocol}"

    def __repr__(self) -> str:
        diverged = sum(record.status == "diverged" for record in self.records)
        counts = [f"{len(self.records) - diverged} finished"]
        counts += [f"{diverged} diverged"] if diverged else []
        counts += [f"{sum(len(failure.tasks) for failure in self.failures)} failed"] if self.failures else []
        return f"Results({self._about()}: {', '.join(counts)})"

    def _repr_html_(self) -> str:
        """Returns the table for a notebook: accuracies in percent, and what failed."""
        from vtab_harness.notebook.html import table_in_html

        return table_in_html(self, self._about())
