"""The gate in pytest: a marker and a fixture.

The marker makes a test fail where a backbone got worse than its baseline, before its body runs::

    @pytest.mark.vtab_gate(results="results", baseline="baseline.safetensors", margin=0.5)
    def test_backbones() -> None: ...

The fixture gives the report to the test::

    def test_backbones(vtab_gate) -> None:
        report = vtab_gate("results", "baseline.safetensors")
        assert report.backbones[0].now > 0.6

Paths are relative to pytest's root folder. Imported by every pytest run of an environment that has the harness
installed, so nothing heavy is imported before it is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from leaderboards.gate.outcome import GateReport

_MARK = "vtab_gate"
_WORDS = (
    "vtab_gate(results, baseline, margin=0.5, confidence=0.95, per_task=False, policy=None, names={}, newest=False): "
    "fail where a backbone of the baseline is worse in these results (vtab-harness)"
)


def pytest_configure(config: pytest.Config) -> None:
    """Announces the marker."""
    config.addinivalue_line("markers", _WORDS)


def _gate(root: Path, *args: Any, **options: Any) -> GateReport:
    """Runs the gate; fails the test, with the report as its message, unless every backbone is ok.

    Raises:
        TypeError: It takes no such arguments.
    """
    from leaderboards.gate import reports
    from leaderboards.gate.check import gate
    from leaderboards.gate.settings import GateSettings
    from vtab_harness.api.errors import VtabError

    given = inspect.signature(GateSettings).bind(*args, **options)
    problem = None
    try:
        asked = GateSettings(*given.args, **given.kwargs)
        folders = [root / folder for folder in asked.results]
        policy = None if asked.policy is None else root / asked.policy
        report = gate(replace(asked, results=folders, baseline=root / asked.baseline, policy=policy))
    except VtabError as error:
        problem = str(error)
    # Outside of the handler, so that the error is not printed a second time as the cause.
    if problem is not None:
        pytest.fail(f"vtab gate: {problem}", pytrace=False)
    if report.exit_code:
        pytest.fail("\n".join(["vtab gate", *reports.as_lines(report)]), pytrace=False)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Runs the gate of each marker of a test."""
    __tracebackhide__ = True
    for mark in item.iter_markers(_MARK):
        try:
            _gate(item.config.rootpath, *mark.args, **mark.kwargs)
        except TypeError as error:
            pytest.fail(f"pytest.mark.vtab_gate: {error}; it takes {_WORDS.partition(':')[0]}", pytrace=False)


@pytest.fixture
def vtab_gate(pytestconfig: pytest.Config) -> Callable[..., GateReport]:
    """A function of results and baseline, with the options of ``vtab gate``; returns the report where all is well."""

    def run(*args: Any, **options: Any) -> GateReport:
        __tracebackhide__ = True
        return _gate(pytestconfig.rootpath, *args, **options)

    return run
