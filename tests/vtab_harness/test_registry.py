"""The registry, with a plugin package that is really installed by pip."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtab_harness import registry
from vtab_harness.api.errors import PluginError, UnknownNameError
from vtab_harness.registry import Entry, Registry

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


def test_two_owners_of_one_name_are_both_named() -> None:
    names: Registry[object] = Registry("task", "no.such.group", {"a": "json:dumps"}, ())
    names._entries["a"].append(Entry("a", "other:thing", "some-plugin"))
    with pytest.raises(PluginError, match=r"vtab-harness .*json:dumps.* and some-plugin .*other:thing"):
        names.get("a")


def test_wrong_type_is_refused_with_its_owner() -> None:
    names: Registry[object] = Registry("task", "no.such.group", {"a": "json:dumps"}, ("image_set", "label"))
    with pytest.raises(PluginError, match=r"vtab-harness is not a task: it has no image_set, label"):
        names.get("a")


def test_missing_attribute_is_an_error_of_the_plugin() -> None:
    names: Registry[object] = Registry("task", "no.such.group", {"a": "json:nothing"}, ())
    with pytest.raises(PluginError, match="AttributeError"):
        names.get("a")


def test_import_and_help_load_no_torch() -> None:
    code = "import sys, vtab_harness, vtab_harness.cli.main; print(sys.modules.keys() & {'torch', 'timm', 'numpy'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    code = "import sys; sys.argv = ['vtab', '--help']\nfrom vtab_harness.cli.main import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")


def test_every_builtin_name_can_be_loaded() -> None:
    for plural in ("backbones", "tasks", "suites", "protocols", "pretrainers", "executors"):
        names = getattr(registry.KINDS, plural)
        for name in names.names():
            names.get(name)
