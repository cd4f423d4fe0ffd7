"""The marker and the fixture, in a pytest run of their own."""

import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
from bad_records import without_predictions
from made_boards import write_records

from leaderboards import pytest_plugin
from leaderboards.gate.baseline import make_baseline, write_baseline
from leaderboards.gate.settings import GateSettings
from leaderboards.records.runs import read_runs

pytest_plugins = ["pytester"]
TASKS = ("mini_digits", "mini_count")
RUN = ("-p", "leaderboards.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers")


@pytest.fixture(autouse=True)
def only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed harness announces the plugin as well, and pytest takes it once only."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    """The same results and worse ones, and a baseline."""
    for name, accuracy in (("same", 0.7), ("worse", 0.6)):
        write_records(pytester.path / name, ["timm:m"], TASKS, accuracies=[accuracy], examples=800)
    for path in write_records(pytester.path / "damaged", ["timm:m"], TASKS, accuracies=[0.7], examples=800):
        if path.parents[1].name == "mini_count":
            without_predictions(path)
    (protocol, backbones), *_ = read_runs([pytester.path / "same"]).items()
    write_baseline(pytester.path / "base", make_baseline(protocol, None, TASKS, list(backbones.values())))
    return pytester.path


def test_marker(folder: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.vtab_gate(results="same", baseline="base")
        def test_same(): ...

        @pytest.mark.vtab_gate(results="worse", baseline="base")
        def test_worse(): ...

        @pytest.mark.vtab_gate(results=["worse"], baseline="base", margin=20)
        def test_wide(): ...

        @pytest.mark.vtab_gate(results="same", baseline="nothing")
        def test_missing(): ...

        @pytest.mark.vtab_gate(results="damaged", baseline="base")
        def test_damaged(): ...

        @pytest.mark.vtab_gate(result="same")
        def test_wrong_word(): ...

        def test_unmarked(): ...
        """
    )
    result = pytester.runpytest_subprocess(*RUN)
    result.assert_outcomes(passed=3, failed=4)
    result.stdout.fnmatch_lines(
        [
            "*timm:m got worse than the baseline*",
            "*There is no baseline*",
            "*mini_count: *No such file or directory*",
            "*timm:m cannot be held against the baseline.*",
            "*it takes vtab_gate(results, *",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_fixture(folder: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_same(vtab_gate):
            assert vtab_gate("same", "base").backbones[0].now > 0.6

        def test_worse(vtab_gate):
            vtab_gate("worse", baseline="base", per_task=True)
        """
    )
    pytester.runpytest_subprocess(*RUN).assert_outcomes(passed=1, failed=1)


def test_the_marker_is_announced(pytester: pytest.Pytester) -> None:
    pytester.runpytest_subprocess(*RUN, "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.vtab_gate(results, baseline,*"]
    )


def test_the_marker_states_the_words_of_the_settings_class() -> None:
    words = [
        p.name if p.default is p.empty else f"{p.name}={p.default}".replace("<factory>", "{}")
        for p in signature(GateSettings).parameters.values()
    ]
    assert pytest_plugin._WORDS.startswith(f"vtab_gate({', '.join(words)}): ")


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    code = "import leaderboards.pytest_plugin, sys; print({'numpy', 'torch', 'scipy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
