from __future__ import annotations

import hashlib
import importlib.util
import os
import py_compile
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
import torch

from vtab_harness.api.errors import OptionError
from vtab_harness.backbones import code
from vtab_harness.backbones.code import exact_imports
from vtab_harness.backbones.spec import load

NET = """
from torch import nn
from helper import scale
class Net(nn.Module):
    def forward(self, images):
        return scale(images).mean((2, 3))
"""
HELPER = """
def scale(images):
    return images * 2
"""
SPEC = "python:net:Net?input_size=4"
Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    def files(**contents: str) -> None:
        for name, content in contents.items():
            path = tmp_path / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(content))

    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *(entry for entry in sys.path if entry)])
    yield files
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def feature(spec: str = SPEC) -> tuple[float, str]:
    backbone = load(spec)
    with torch.no_grad():
        value = float(backbone.module(torch.ones(1, 3, 4, 4))[0, 0])
    return value, backbone.architecture["code"]


def test_an_edited_neighbour_runs_and_is_another_backbone(write: Write) -> None:
    write(net=NET, helper=HELPER)
    before = feature()
    assert before == feature()
    write(helper=HELPER.replace("2", "30"))
    after = feature()
    assert (before[0], after[0]) == (2.0, 30.0)
    assert before[1] != after[1]
    # The identity is that of the files, whatever this process has seen.
    write(helper=HELPER)
    assert feature() == before


def test_a_new_process_says_the_same(write: Write, tmp_path: Path) -> None:
    write(net=NET, helper=HELPER)
    # What runs is shown without torch, whose import takes seconds.
    program = """
from vtab_harness.backbones.code import exact_imports
with exact_imports("helper"):
    import helper
with exact_imports("net") as digest:
    print(helper.scale(1), digest)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONHASHSEED": "7"}

    def fresh() -> tuple[float, str]:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True, cwd=tmp_path
        )
        value, digest = done.stdout.split()
        return float(value), digest

    first = fresh()
    assert first == feature()
    write(helper=HELPER.replace("2", "3"))
    assert first != fresh() == feature()


def test_relative_names_and_bytes_are_all_that_decides(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(net=NET, helper=HELPER, other="import helper")
    here = feature()
    lines = [f"{n}.py\n{hashlib.sha256((tmp_path / f'{n}.py').read_bytes()).hexdigest()}\n" for n in ("helper", "net")]
    assert here[1] == hashlib.sha256("".join(lines).encode()).hexdigest()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("net.py", "helper.py"):
        (elsewhere / name).write_bytes((tmp_path / name).read_bytes())
    monkeypatch.chdir(elsewhere)
    assert feature() == here
    assert sys.modules["net"].__file__ == str(elsewhere / "net.py")


def test_a_file_written_anew_at_the_same_time_with_the_same_length_runs(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    write(net=NET, helper=HELPER)
    stamp = (tmp_path / "helper.py").stat()
    # Compiled to __pycache__, where Python knows it by time and length only.
    importlib.import_module("helper")
    assert importlib.util.cache_from_source("helper.py") in map(str, Path().glob("__pycache__/*"))
    del sys.modules["helper"]
    before = feature()
    write(helper=HELPER.replace("2", "3"))
    os.utime(tmp_path / "helper.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (tmp_path / "helper.py").stat().st_size == stamp.st_size
    after = feature()
    assert (before[0], after[0]) == (2.0, 3.0)
    assert before[1] != after[1]


def test_what_an_older_compiled_file_says_does_not_count(write: Write, tmp_path: Path) -> None:
    write(net=NET, helper=HELPER)
    stamp = (tmp_path / "helper.py").stat()
    compiled = py_compile.compile("helper.py")
    write(helper=HELPER.replace("2", "3"))
    os.utime(tmp_path / "helper.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert compiled == importlib.util.cache_from_source("helper.py")
    assert feature()[0] == 3.0


def test_modules_that_something_else_imported_before_are_not_trusted(write: Write) -> None:
    write(net=NET, helper=HELPER)
    theirs = importlib.import_module("net"), importlib.import_module("helper")
    write(helper=HELPER.replace("2", "5"))
    assert feature()[0] == 5.0
    # The person's own session is left as it was.
    assert (sys.modules["net"], sys.modules["helper"]) == theirs
    images = torch.ones(1)
    assert float(theirs[1].scale(images)) == 2.0
    first = load(SPEC)
    assert type(load(SPEC).module) is type(first.module)
    assert isinstance(theirs[0].Net, type)


def test_a_module_that_was_reloaded_is_not_trusted(write: Write) -> None:
    write(net=NET, helper=HELPER)
    before = feature()
    write(helper=HELPER.replace("2", "7"))
    # A reload takes the file as it is, ...
    assert float(importlib.reload(sys.modules["helper"]).scale(torch.ones(1))) == 7.0
    write(helper=HELPER)
    # ... and what is loaded next as well.
    assert feature() == before


def test_a_module_shared_by_two_backbones(write: Write) -> None:
    write(net=NET, other=NET, helper=HELPER)
    for number in ("2", "4", "6"):
        write(helper=HELPER.replace("2", number))
        values = [feature(f"python:{name}:Net?input_size=4") for name in ("net", "other", "net")]
        assert [value for value, _ in values] == [float(number)] * 3
        assert values[0] == values[2] != values[1]
    assert sys.modules["net"].scale is sys.modules["other"].scale


def test_neighbours_that_appear_and_vanish(write: Write, tmp_path: Path) -> None:
    careful = "try:\n    from helper import scale\nexcept ImportError:\n    scale = abs"
    write(net=NET.replace("from helper import scale", careful))
    absent = feature()
    write(helper=HELPER)
    present = feature()
    (tmp_path / "helper.py").unlink()
    sys.modules.pop("helper", None)
    assert (absent[0], present[0]) == (1.0, 2.0)
    assert feature() == absent
    assert absent[1] != present[1]


def test_imports_in_functions_run_what_was_hashed(write: Write) -> None:
    late = NET.replace("from helper import scale\n", "").replace("return", "from helper import scale; return")
    write(net=late, helper=HELPER)
    before = feature()
    write(helper=HELPER.replace("2", "9"))
    after = feature()
    assert (before[0], after[0]) == (2.0, 9.0)
    assert before[1] != after[1]


def test_packages_and_their_other_modules(write: Write, tmp_path: Path) -> None:
    write(**{"pkg__in____init__": "kind = 'package'", "pkg__in__net": NET.replace("helper", ".helper")})
    write(pkg__in__helper=HELPER, pkg__in__train="from pkg import net")
    train = importlib.import_module("pkg.train")
    theirs = sys.modules["pkg"]
    spec = "python:pkg.net:Net?input_size=4"
    assert feature(spec)[0] == 2.0
    write(pkg__in__helper=HELPER.replace("2", "3"))
    assert feature(spec)[0] == 3.0
    assert sys.modules["pkg"] is theirs
    assert theirs.train is train
    assert theirs.net is train.net is sys.modules["pkg.net"]


def test_packages_without_init_hold_nothing_old(write: Write) -> None:
    write(space__in__net=NET.replace("from helper import scale", "from space import helper\nscale = helper.scale"))
    spec = "python:space.net:Net?input_size=4"
    for number in ("2", "3", "4"):
        write(space__in__helper=HELPER.replace("2", number))
        assert feature(spec)[0] == float(number)
    theirs = importlib.reload(sys.modules["space.helper"])
    write(space__in__helper=HELPER.replace("2", "5"))
    assert feature(spec)[0] == 5.0
    assert sys.modules["space"].helper is sys.modules["space.helper"] is theirs
    assert feature(spec)[0] == 5.0
    assert theirs.scale(1) == 4


def test_circles(write: Write) -> None:
    write(net=NET + "\nimport net\nassert net.Net is Net", helper="import net\n" + HELPER)
    assert feature()[0] == 2.0
    write(helper="from net import Net\n" + HELPER)
    with pytest.raises(OptionError, match="'net' cannot be imported: ImportError: .*circular import"):
        load(SPEC)


def test_a_mistake_in_a_neighbour_is_named_and_can_be_mended(write: Write) -> None:
    write(net=NET, helper=HELPER)
    before = feature()
    write(helper="def scale(images) return")
    for _ in range(2):
        with pytest.raises(OptionError, match=r"SyntaxError: .*helper\.py"):
            load(SPEC)
    write(helper=HELPER)
    assert feature() == before


def test_a_failed_import_leaves_the_persons_modules(write: Write) -> None:
    write(net=NET, helper=HELPER)
    theirs = [importlib.import_module(name) for name in ("net", "helper")]
    write(net=NET + "\n1 / 0")
    with pytest.raises(OptionError, match="ZeroDivisionError"):
        load(SPEC)
    assert [sys.modules["net"], sys.modules["helper"]] == theirs
    write(net="import helper, sys\nsys.modules.pop('helper')\n" + NET + "\n1 / 0")
    for name in ("net", "helper"):
        del sys.modules[name]
    with pytest.raises(OptionError, match="ZeroDivisionError"):
        load(SPEC)
    assert "net" not in sys.modules
    assert "helper" not in sys.modules


def test_a_changed_compiled_module_asks_for_a_new_interpreter(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"fast{EXTENSION_SUFFIXES[0]}"
    path.write_bytes(b"\x7fELF 1")
    write(net="import fast")
    # Not loaded yet, it may change.
    digests = []
    for content in (b"\x7fELF 1", b"\x7fELF 2"):
        path.write_bytes(content)
        with exact_imports("net") as found:
            digests.append(found)
    assert digests[0] != digests[1]
    loaded = ModuleType("fast")
    monkeypatch.setitem(sys.modules, "fast", loaded)
    with exact_imports("net") as found:
        assert found == digests[1]
        assert importlib.import_module("net").fast is loaded
    path.write_bytes(b"\x7fELF 3")
    with pytest.raises(OptionError, match="Restart the interpreter") as caught, exact_imports("net"):
        pass
    assert str(path) in str(caught.value)


@pytest.mark.slow
def test_a_real_compiled_module(write: Write, tmp_path: Path) -> None:
    """Compiled with what setuptools finds; a submodule of a package, which stays loaded when that is imported anew."""
    source = """
    #include <Python.h>
    static PyObject *number(PyObject *self, PyObject *none) { return PyLong_FromLong(NUMBER); }
    static PyMethodDef methods[] = {{"number", number, METH_NOARGS, ""}, {NULL}};
    static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "fast", "", -1, methods};
    PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&definition); }
    """
    setup = """
    from setuptools import Extension, setup
    setup(name="fast", ext_modules=[Extension("pkg.fast", ["fast.c"])], packages=[])
    """

    def build(number: int) -> None:
        (tmp_path / "fast.c").write_text(dedent(source).replace("NUMBER", str(number)))
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--force"]
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)

    write(setup=setup, pkg__in____init__="import pkg.fast\nnumber = pkg.fast.number()")
    net = NET.replace("from helper import scale", "import pkg").replace("scale(images)", "(images * pkg.number)")
    write(pkg__in__net=net)
    build(4)
    spec = "python:pkg.net:Net?input_size=4"
    before = feature(spec)
    assert before[0] == 4.0
    write(pkg__in____init__="import pkg.fast\nnumber = 10 * pkg.fast.number()")
    assert feature(spec)[0] == 40.0
    build(5)
    with pytest.raises(OptionError, match="Restart the interpreter"):
        load(spec)


def test_nothing_stays_behind(write: Write) -> None:
    write(net=NET, helper=HELPER)
    finders = list(sys.meta_path)
    feature()
    assert sys.meta_path == finders
    assert set(code._kept.modules) >= {"net", "helper"}
    write(net="raise SystemExit(3)")
    with pytest.raises(OptionError, match="SystemExit: 3"):
        load(SPEC)
    assert sys.meta_path == finders
    assert code._kept.modules == {}
