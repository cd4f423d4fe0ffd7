"""Examples in docstrings: every public function has one, and all of them run."""

import doctest
import importlib
import inspect
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from torch import nn

import leaderboards
import vivi_pretrain
import vtab_harness
import vtab_harness.api
import vtab_harness.testing

PACKAGES = (vtab_harness, leaderboards, vivi_pretrain)


def with_examples() -> Iterator[str]:
    for package in PACKAGES:
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(root.parent).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public() -> Iterator[tuple[str, object]]:
    """Yields what other people's code calls: functions and classes of the packages, functions of the contracts."""
    for module in (vtab_harness, leaderboards, vtab_harness.testing):
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)
    for found in pkgutil.iter_modules(vtab_harness.api.__path__):
        module = importlib.import_module(f"vtab_harness.api.{found.name}")
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{module.__name__}.{name}", value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A folder with ``results`` of two backbones, `a` and `b`, a baseline of the gate, and an empty folder ``data``."""
    from leaderboards.gate.baseline import make_baseline, write_baseline
    from leaderboards.records.runs import runs_of

    found = tmp_path_factory.mktemp("examples")
    small = vtab_harness.Transform(input_size=(32, 32))
    pools = {"a": nn.AdaptiveAvgPool2d(1), "b": nn.AdaptiveMaxPool2d(2)}
    models = {name: nn.Sequential(pool, nn.Flatten()) for name, pool in pools.items()}
    vtab_harness.evaluate(
        models,
        tasks=["mini_count", "mini_distance"],
        transform=small,
        protocol="knn",
        results=found / "results",
        cache=cache / "vtab-harness",
    )
    runs = runs_of(leaderboards.load(str(found / "results")))["knn-v1"]
    tasks = next(iter(runs.values())).tasks
    write_baseline(found / "baseline.safetensors", make_baseline("knn-v1", None, list(tasks), list(runs.values())))
    (found / "data").mkdir()
    return found


def test_every_public_function_has_an_example() -> None:
    documented = {name: inspect.getdoc(value) or "" for name, value in public() if callable(value)}
    assert len(documented) > 40
    assert [name for name, doc in documented.items() if ">>> " not in doc] == []


@pytest.mark.parametrize("name", [*with_examples()])
def test_they_run(name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    module: ModuleType = importlib.import_module(name)
    done = doctest.testmod(module, verbose=False)
    assert done.attempted > 0
    assert done.failed == 0
