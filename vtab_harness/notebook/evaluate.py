"""`evaluate`: what ``vtab run`` does, from Python and with the same words, for modules and tasks in memory too."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import MISSING, replace
from typing import Any

from vtab_harness import registry
from vtab_harness.api.errors import OptionError, VtabError, near_names
from vtab_harness.api.settings import HELP, options_of
from vtab_harness.api.tasks import Task
from vtab_harness.datasets.own import ImageFolder
from vtab_harness.notebook.models import Models, Named, named
from vtab_harness.notebook.progress import Bar
from vtab_harness.notebook.results import Results
from vtab_harness.notebook.words import in_words_of_python, words_of_python
from vtab_harness.sweep.settings import RunSettings, SweepSettings


class EvaluationError(VtabError):
    """Something could not be evaluated.

    Attributes:
        results: Everything else, and the failures.

    Examples:
        >>> import vtab_harness
        >>> try:
        ...     spec = "timm:test_resnet?pretrained=false&input_size=32"
        ...     vtab_harness.evaluate(spec, ["caltech101", "mini_tissue"], protocol="knn")
        ... except vtab_harness.EvaluationError as error:
        ...     error.results
        Results(test_resnet on 2 tasks, knn-v1: 1 finished, 1 failed)
    """

    results: Results


def evaluate(
    backbones: Models = (),
    tasks: str | Task | Iterable[str | Task] = (),
    *,
    transform: object = None,
    raise_error: bool = True,
    progress: bool | None = None,
    **options: Any,
) -> Results:
    """Described by `_DESCRIPTION`, where the options are listed from their declaration."""
    with words_of_python(), ExitStack() as stack:
        models = named(backbones, transform)
        asked = _settings(backbones=models.specs, tasks=stack.enter_context(_registered(tasks)), **options)
        results = _run(asked, models, progress)
    if results.failures and raise_error:
        raise _error(results)
    return results


def _settings(**options: Any) -> RunSettings:
    known = [option.name for option in options_of(RunSettings) if option.name != "names"]
    for name in options:
        if name not in known:
            near = near_names(name, known)
            more = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise TypeError(f"evaluate() got an unexpected keyword argument {name!r}.{more}")
    return RunSettings(**options)


def _run(asked: RunSettings, models: Named, progress: bool | None) -> Results:
    # Imports torch.
    from vtab_harness.backbones.memory import MEMORY
    from vtab_harness.sweep.evaluate import run_sweep

    if models.held and not getattr(asked.make_executor(), "in_process", False):
        executor = asked.executor if isinstance(asked.executor, str) else type(asked.executor).__name__
        raise OptionError(
            f"--executor {executor}: it works in other processes, and {next(iter(models.held))!r} is a module in"
            " the memory of this one.",
            "Leave --executor out, or give a spec python:MODULE:CALLABLE of what makes the module.",
        )
    with MEMORY.holding(models.held), Bar(progress) as bar:
        done = run_sweep(SweepSettings.of(asked, "vtab_harness.evaluate"), bar.phase, bar.start, bar.outcome)
        failures = [replace(f, error=in_words_of_python(f.error or "")) for f in done.failures]
        return Results(
            records=done.records,
            specs=done.specs,
            tasks=asked.chosen_tasks(),
            suite=asked.suite,
            failures=failures,
            passed_over=done.passed_over,
            names=dict(models.names),
            asked=models.specs,
        )


@contextmanager
def _registered(tasks: str | Task | Iterable[str | Task]) -> Iterator[list[str]]:
    """Yields the names of tasks; those that are objects are registered inside.

    Raises:
        PluginError: A name is that of another task.
    """
    names = []
    with ExitStack() as stack:
        for task in [tasks] if isinstance(tasks, (str, Task)) else tasks:
            if isinstance(task, str):
                names.append(task)
                continue
            if not isinstance(task, Task):
                raise OptionError(
                    f"tasks: {task!r} is no task.", "Give names, or objects such as ImageFolder('photos')."
                )
            if isinstance(task, ImageFolder):
                # By what it is made of, from which other processes make it too.
                names.append(f"folder:{task.image_set.origin}?name={task.title}")
                continue
            if task.name not in registry.tasks.names() or registry.tasks.get(task.name) != task:
                stack.enter_context(registry.tasks.registered(task.name, task))
            names.append(task.name)
        yield names


def _error(results: Results) -> EvaluationError:
    first = results.failures[0]
    count = len(results.failures)
    more = f" So did {count - 1} more, see `results.failures`." if count > 1 else ""
    error = EvaluationError(
        f"{first.backbone} failed on {', '.join(first.tasks)}: {first.traceback or first.error}".rstrip() + more,
        f"{len(results.records)} results are finished and kept: `results` of this error has them, and so has"
        " evaluate(..., raise_error=False).",
    )
    error.results = results
    return error


_DESCRIPTION = """Evaluates backbones on the tasks of a suite, or on named tasks: what ``vtab run`` does.

Finished results are found in the results folder and not computed again. A module in memory is copied, so that its mode,
its device and its weights stay as they are, and is known again by its weights, its code and its transform, whatever it
is called.

Args:
    backbones: A spec such as ``timm:resnet50.a1_in1k``, an ``nn.Module`` that gives features (N, D) or is of timm's
        interface, or a pair of a module and its `Transform`; several in a list, or in a dict that names them.
    tasks: Names, ``folder:PATH``, ``hf:ORG/NAME``, or `Task` objects such as `ImageFolder`; one need not be in a list.
    transform: `Transform` of the modules that are given without one; by default what they bring (``transform``, or
        timm's ``pretrained_cfg``).
    raise_error: Whether to raise when all is done and something has failed.
    progress: Whether to show a bar; by default on a terminal and in a notebook.
{arguments}

Returns:
    `Results`.

Raises:
    EvaluationError: Something has failed; `results` of the error has everything else.
    VtabError: A name, option, checkpoint or device cannot be used; nothing has been computed then.

Examples:
    >>> import torch, vtab_harness
    >>> class Colours(torch.nn.Module):
    ...     def forward(self, images):
    ...         return images.mean(dim=(2, 3))
    >>> small = vtab_harness.Transform(input_size=(32, 32))
    >>> results = vtab_harness.evaluate(Colours(), "mini_tissue", transform=small, protocol="knn")
    >>> results
    Results(Colours on mini_tissue, knn-v1: 1 finished)
    >>> results.table().round(1)  # doctest: +SKIP
"""


def _describe() -> None:
    given = [option for option in options_of(RunSettings) if option.name not in ("backbones", "names", "tasks")]
    listed = "\n".join(f"    {option.name}: {option.metadata[HELP]}" for option in given)
    evaluate.__doc__ = _DESCRIPTION.format(arguments=listed)
    own = inspect.signature(evaluate)
    declared = inspect.signature(RunSettings).parameters
    # The default of a mapping is made anew each time.
    defaults: dict[str, Any] = {option.name: {} for option in given if option.default_factory is not MISSING}
    options = [
        declared[name].replace(kind=inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name, declared[name].default))
        for name in (option.name for option in given)
    ]
    parameters = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    evaluate.__signature__ = own.replace(parameters=[*parameters, *options])  # type: ignore[attr-defined]


_describe()
