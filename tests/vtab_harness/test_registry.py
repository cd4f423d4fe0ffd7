"""The registry, with a plugin package that is really installed by pip."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

import pytest

import vtab_harness
from vtab_harness import registry
from vtab_harness.api.backbones import BackboneSource
from vtab_harness.api.errors import PluginError, UnknownNameError
from vtab_harness.api.executors import Executor
from vtab_harness.api.pretrainers import Pretrainer
from vtab_harness.api.protocols import EvaluationProtocol
from vtab_harness.api.tasks import Suite, Task
from vtab_harness.registry import Registry
from vtab_plugin_example.pretrainers import NoTrainingSettings

PLUGIN = Path(__file__).parents[1] / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Installs the plugin with pip into a folder of its own; returns the environment that sees it."""
    target = tmp_path_factory.mktemp("plugins")
    source = tmp_path_factory.mktemp("source") / "plugin"
    subprocess.run(["cp", "-r", str(PLUGIN), str(source)], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*pip, str(target), str(source)], check=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), str(Path(registry.__file__).parents[1])])}


def vtab(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vtab_harness", *arguments], env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("backbones", "channel-means:"),
        ("tasks", "stripes"),
        ("suites", "example"),
        ("protocols", "nearest-mean"),
        ("pretrainers", "no-training"),
        ("executors", "reversed"),
    ],
)
def test_plugin_adds_one_of_each_kind(installed: dict[str, str], kind: str, name: str) -> None:
    done = vtab(installed, "list", kind, "--json")
    assert done.returncode == 0, done.stderr
    assert {"name": name, "from": "vtab-plugin-example"}.items() <= next(
        row for row in json.loads(done.stdout) if row["name"] == name
    ).items()


def test_everything_of_a_plugin_works_together(installed: dict[str, str], tmp_path: Path) -> None:
    folders = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    names = ["--backbone", "channel-means:rgb", "--suite", "example", "--protocol", "nearest-mean"]
    done = vtab(installed, "run", *names, "--executor", "reversed", "--json", *folders)
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)["records"]
    assert record["score"] == {"accuracy": 1.0, "correct": 90, "examples": 90}


def test_broken_plugin_warns_with_its_distribution_and_the_rest_works(installed: dict[str, str]) -> None:
    done = vtab(installed, "list", "tasks", "--json")
    assert done.returncode == 0
    assert "vtab-plugin-example" in done.stderr
    assert "this plugin does not import" in done.stderr
    assert {"stripes", "mini_digits"} <= {row["name"] for row in json.loads(done.stdout)}
    used = vtab(installed, "run", "--backbone", "channel-means:rgb", "--task", "broken")
    assert used.returncode == 2
    assert "vtab-plugin-example" in used.stderr
    assert "Traceback" not in used.stderr


def test_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="mini_digits"):
        registry.tasks.get("mini_digit")


def test_two_owners_of_one_name_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announced = tmp_path / "some_plugin-1.dist-info"
    announced.mkdir()
    (announced / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugin\nVersion: 1\n")
    (announced / "entry_points.txt").write_text("[a.group.of.its.own]\na = other:thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    names: Registry[object] = Registry("task", "a.group.of.its.own", {"a": "json:dumps"})
    with pytest.raises(PluginError, match=r"vtab-harness .*json:dumps.* and some-plugin .*other:thing"):
        names.get("a")


STRIPES = "vtab_plugin_example.tasks:STRIPES"


@pytest.mark.parametrize(
    ("kind", "contract", "called", "name", "target", "broken"),
    [
        ("task", Task, False, "a", "json:dumps", "it is a function and no Task"),
        ("task", Task, False, "a", STRIPES, "it calls itself 'stripes' and is registered as 'a'"),
        ("suite", Suite, False, "stripes", STRIPES, "it is a Task and no Suite"),
        ("backbone source", BackboneSource, False, "a", "json:dumps", r"it has no summary, load\(\), names\(\)"),
        ("backbone source", BackboneSource, False, "a", "json:JSONDecoder", "it is a class, not an object of it"),
        ("executor", Executor, True, "a", "json:JSONDecoder", r"it has no summary, run\(\)"),
        ("executor", Executor, True, "a", "json:dumps", "it is no class"),
        ("protocol", EvaluationProtocol, True, "a", "json:JSONDecoder", "it has no name, version, summary, consumes"),
        ("pretrainer", Pretrainer, False, "a", f"{__name__}:Unfrozen.made", "not an instance of a frozen dataclass"),
        ("pretrainer", Pretrainer, False, "a", f"{__name__}:Stranger.made", "begins with 'stranger-'"),
    ],
)
def test_wrong_type_is_refused_with_its_owner(
    monkeypatch: pytest.MonkeyPatch, kind: str, contract: type, called: bool, name: str, target: str, broken: str
) -> None:
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(Unfrozen=Unfrozen, Stranger=Stranger))
    names: Registry[object] = Registry(kind, "no.such.group", {name: target}, contract, called)
    with pytest.raises(PluginError, match=f"vtab-harness is not a {kind}: .*{broken}"):
        names.get(name)
    # The same object, registered by a running program.
    empty: Registry[object] = Registry(kind, "no.such.group", {}, contract, called)
    with pytest.raises(PluginError, match=f"'{name}' of a notebook is not a {kind}: .*{broken}"):
        empty.register(name, resolve_name(target), "a notebook")
    assert empty.names() == []


class Unfrozen:
    summary, family, settings, made = "", "vivi", {"lr": 1}, None

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        return out


class Stranger(Unfrozen):
    family, settings = "stranger", NoTrainingSettings()


Unfrozen.made, Stranger.made = Unfrozen(), Stranger()  # type: ignore[assignment]


def test_a_declaration_that_cannot_be_names_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        def __getattr__(self, name: str) -> Any:
            return Suite("a", "1", (), "")

    monkeypatch.setitem(sys.modules, "declares_nothing", Module())  # type: ignore[arg-type]
    names: Registry[object] = Registry("suite", "no.such.group", {"a": "declares_nothing:SUITE"}, Suite)
    with pytest.raises(PluginError, match=r"The suite 'a' of vtab-harness cannot be used: The suite 'a' has the tasks"):
        names.get("a")


def test_a_plugin_that_leaves_the_program_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        def __getattr__(self, name: str) -> Any:
            raise SystemExit(0)

    monkeypatch.setitem(sys.modules, "leaves_at_once", Module())  # type: ignore[arg-type]
    names: Registry[object] = Registry("suite", "no.such.group", {"a": "leaves_at_once:SUITE"}, Suite)
    with pytest.raises(PluginError, match=r"'a' of vtab-harness cannot be imported from leaves_at_once:SUITE: System"):
        names.get("a")


def test_missing_attribute_is_an_error_of_the_plugin() -> None:
    names: Registry[object] = Registry("task", "no.such.group", {"a": "json:nothing"})
    with pytest.raises(PluginError, match="AttributeError"):
        names.get("a")


def test_what_a_program_registers_is_known_until_it_is_unregistered() -> None:
    suite = Suite("digits", "1", ("mini_digits",), "")
    vtab_harness.register("suites", "digits", suite)
    assert registry.suites.get("digits") is suite
    assert registry.suites.owner("digits") == "this process"
    assert list(registry.suites.names())[-1] == "digits"
    with pytest.raises(PluginError, match="'digits' cannot be registered: this process owns that name"):
        vtab_harness.register("suites", "digits", suite)
    vtab_harness.unregister("suites", "digits")
    with pytest.raises(UnknownNameError, match="'digits'"):
        registry.suites.get("digits")
    with pytest.raises(UnknownNameError, match="'digits'"):
        vtab_harness.unregister("suites", "digits")


def test_a_name_of_the_harness_can_be_neither_taken_nor_taken_away() -> None:
    mini = registry.suites.get("mini")
    with pytest.raises(PluginError, match="vtab-harness owns that name"):
        vtab_harness.register("suites", "mini", mini)
    with pytest.raises(PluginError, match="belongs to vtab-harness and was not registered by this process"):
        vtab_harness.unregister("suites", "mini")
    assert registry.suites.get("mini") is mini
    with pytest.raises(UnknownNameError, match="Did you mean 'suites'"):
        vtab_harness.register("suite", "other", mini)


def test_a_place_is_imported_on_use_as_that_of_a_plugin() -> None:
    with registry.tasks.registered("stripes", STRIPES):
        assert registry.tasks.get("stripes") is resolve_name(STRIPES)
    with (
        registry.tasks.registered("other", STRIPES, "a notebook"),
        pytest.raises(PluginError, match="STRIPES of a notebook is not a task: it calls itself 'stripes'"),
    ):
        registry.tasks.get("other")
    assert not {"stripes", "other"} & set(registry.tasks.names())


def test_another_process_knows_places_and_says_what_it_does_not_know() -> None:
    suite = Suite("small", "1", ("mini_digits",), "")
    with registry.tasks.registered("stripes", STRIPES), registry.suites.registered("small", suite):
        told = pickle.loads(pickle.dumps(registry.registered_here()))
        # What is known there already stays what it is.
        registry.take_over(told)
        assert registry.suites.get("small") is suite
    registry.take_over(told)
    assert registry.tasks.get("stripes") is resolve_name(STRIPES)
    with pytest.raises(PluginError, match="suite 'small' is an object in the memory of another process"):
        registry.suites.get("small")
    registry.tasks.unregister("stripes")
    registry.suites.unregister("small")


def test_import_and_help_load_no_torch() -> None:
    heavy = "{'torch', 'timm', 'numpy', 'tensorflow_datasets'}"
    code = f"import sys, vtab_harness, vtab_harness.cli.main; print(sys.modules.keys() & {heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    code = "import sys; sys.argv = ['vtab', '--help']\nfrom vtab_harness.cli.main import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    print(sys.modules.keys() & {'torch', 'tensorflow_datasets'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("set()")


def test_every_builtin_name_can_be_loaded() -> None:
    for plural in ("backbones", "tasks", "suites", "protocols", "pretrainers", "executors"):
        names = registry.of_kind(plural)
        for name in names.names():
            names.get(name)
