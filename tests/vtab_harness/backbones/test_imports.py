from __future__ import annotations

import hashlib
import importlib.util
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from modulefinder import ModuleFinder
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtab_harness.backbones.imports import installed_digest, own_modules

TREE = ("m0", "m1", "m2", "p", "p.a", "p.b", "p.q", "p.q.c", "p.q.d")
PACKAGES = {"p", "p.q"}
STATEMENTS = (
    *(f"import {name}" for name in TREE),
    "import m1 as other, p.q.c",
    "from p import a, NUMBER",
    "from p.q import *",
    "from m2 import NUMBER as n",
    "def late():\n    from p.q import d\n    import m0",
    "try:\n    import no_such_thing\nexcept ImportError:\n    import m2",
    "if NUMBER > 1:\n    from p.b import NUMBER",
    "class Net:\n    import p.a",
    "import json, torch.nn",
)
# Those that lead somewhere: of one that fails, the standard library's finder takes every other of its name to fail.
WITHIN = {
    "p": ("from . import a", "from .b import NUMBER", "from .q.d import *", "from . import q"),
    "p.q": ("from .. import b", "from ..q import c, d", "from . import d", "from ..a import *"),
}


def lines_of(name: str) -> st.SearchStrategy[list[str]]:
    package = name if name in PACKAGES else name.rpartition(".")[0]
    return st.lists(st.sampled_from(STATEMENTS + WITHIN.get(package, ())), max_size=4)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(content))
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def found(name: str) -> set[str]:
    return {file.relative for file in own_modules(name).values()}


@given(st.fixed_dictionaries({name: lines_of(name) for name in TREE}))
@settings(max_examples=40, deadline=None)
def test_it_finds_what_the_standard_librarys_modulefinder_finds(tree: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        for name, lines in tree.items():
            path = name.replace(".", "/") + ("/__init__" if name in PACKAGES else "")
            write(Path(place), {f"{path}.py": "\n".join(["NUMBER = 1", *lines])})
        reference = ModuleFinder(path=[place])
        reference.import_hook("m0")
        assert set(own_modules("m0")) == set(reference.modules)


@pytest.mark.parametrize(
    "line",
    [
        "import helper",
        "from helper import f",
        "def late():\n    import helper",
        "import importlib\nimportlib.import_module('helper')",
        "from importlib import import_module as i, import_module\nimport_module('helper')",
        "__import__('helper')",
        "import importlib\nimportlib.import_module(name='helper')",
    ],
)
def test_ways_to_import_a_neighbour(folder: Path, line: str) -> None:
    write(folder, {"net.py": line, "helper.py": "", "other.py": ""})
    assert found("net") == {"net.py", "helper.py"}


def test_packages_above_a_module_run_first_and_count(folder: Path) -> None:
    write(folder, {"a/__init__.py": "from . import c", "a/b/__init__.py": "", "a/b/net.py": "", "a/c.py": ""})
    assert found("a.b.net") == {"a/__init__.py", "a/b/__init__.py", "a/b/net.py", "a/c.py"}


def test_packages_without_init(folder: Path) -> None:
    write(
        folder, {"a/b/net.py": "from . import blocks\nimport a.c\nfrom ..d import e", "a/b/blocks.py": "", "a/c.py": ""}
    )
    write(folder, {"a/d/e.py": ""})
    assert found("a.b.net") == {"a/b/net.py", "a/b/blocks.py", "a/c.py", "a/d/e.py"}
    assert own_modules("a.b") == {}


def test_circles_end(folder: Path) -> None:
    write(folder, {"net.py": "import net\nimport helper", "helper.py": "from net import Net\nfrom helper import x"})
    assert found("net") == {"net.py", "helper.py"}


def test_computed_names_take_all_that_they_could_mean(folder: Path) -> None:
    write(folder, {"models/__init__.py": "", "models/a.py": "import deep", "models/sub/b.py": "", "deep.py": ""})
    write(folder, {"other.py": "", "net.py": "from importlib import import_module\nimport_module(f'models.{name}')"})
    models = {"models/__init__.py", "models/a.py", "models/sub/b.py", "deep.py"}
    assert found("net") == {"net.py", *models}
    for start in ("'models.' + name", "'models.%s' % name"):
        write(folder, {"net.py": f"from importlib import import_module\nimport_module({start})"})
        assert found("net") == {"net.py", *models}
    # Where nothing is known, all that lies beside it; in a package, all of that.
    write(folder, {"net.py": "from importlib import import_module\nimport_module(name)"})
    assert found("net") == {"net.py", *models, "other.py"}
    write(folder, {"models/a.py": "from importlib import import_module\nimport_module('.' + name, __package__)"})
    assert found("models.a") == models - {"deep.py"}
    write(folder, {"models/a.py": "from importlib import import_module\nimport_module('.sub.b', 'models')"})
    assert found("models.a") == {"models/__init__.py", "models/a.py", "models/sub/b.py"}


def test_what_is_installed_or_the_harness_is_not_ones_own(folder: Path) -> None:
    write(folder, {"site-packages/far.py": "", "torch/__init__.py": "", "vtab_harness/__init__.py": ""})
    write(folder, {"net.py": "import far, torch, vtab_harness.api, json, json.decoder, helper", "json.py": ""})
    write(folder, {"helper.py": ""})
    sys.path.append(str(folder / "site-packages"))
    try:
        assert found("net") == {"net.py", "helper.py"}
        assert own_modules("far") == {}
        assert installed_digest("far") is not None
    finally:
        sys.path.remove(str(folder / "site-packages"))
    (folder / "json.py").unlink()
    for name in ("torch.nn", "json", "sys", "os", "no_such_module_anywhere", "vtab_harness.api"):
        assert own_modules(name) == {}
    assert installed_digest("sys") is installed_digest("no_such_module_anywhere") is installed_digest("net") is None
    assert installed_digest("json") == installed_digest("json.decoder") != installed_digest("logging")


def test_a_file_named_as_a_library_module_counts_where_python_would_take_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, {"net.py": "import sndhdr, json", "sndhdr.py": "", "json.py": ""})
    monkeypatch.delitem(sys.modules, "sndhdr", raising=False)
    assert found("net") == {"net.py", "sndhdr.py"}


def test_another_folder_of_the_path_is_not_ones_own(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = write(tmp_path_factory.mktemp("elsewhere"), {"helper.py": "", "far.py": ""})
    write(folder, {"net.py": "import helper, far, near", "near.py": ""})
    sys.path.insert(0, str(elsewhere))
    try:
        # Python takes the helper from there, so the one beside has no say.
        (folder / "helper.py").write_text("")
        assert found("net") == {"net.py", "near.py"}
    finally:
        sys.path.remove(str(elsewhere))
    assert found("net") == {"net.py", "near.py", "helper.py"}


def test_packages_found_by_an_import_hook_have_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As editable installs have it."""
    write(
        tmp_path, {"src/mine/__init__.py": "", "src/mine/net.py": "from mine import blocks", "src/mine/blocks.py": ""}
    )

    class Hook:
        def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            place = tmp_path / "src" / "mine" / "__init__.py"
            return importlib.util.spec_from_file_location(name, place) if name == "mine" else None

    monkeypatch.setattr("sys.meta_path", [*sys.meta_path, Hook()])
    assert found("mine.net") == {"mine/__init__.py", "mine/net.py", "mine/blocks.py"}


def test_compiled_modules_and_broken_ones_count_by_their_bytes(folder: Path) -> None:
    write(folder, {"net.py": "import fast, broken, null, odd", "broken.py": "import (", "null.py": "\0"})
    (folder / "odd.py").write_bytes(b"# coding: latin-1\nname = '\xe9'\nimport deep")
    (folder / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    compiled = folder / f"fast{EXTENSION_SUFFIXES[0]}"
    compiled.write_bytes(b"\x7fELF1")
    modules = own_modules("net")
    assert set(modules) == {"net", "fast", "broken", "null", "odd", "deep"}
    assert modules["fast"].source is None
    assert modules["fast"].sha256 == hashlib.sha256(b"\x7fELF1").hexdigest()
    assert modules["broken"].source == b"import ("
