from __future__ import annotations

import argparse
import collections
import copy
import functools
import json
import logging
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vtab_harness.api.backbones import Transform
from vtab_harness.api.errors import OptionError
from vtab_harness.backbones.objects import object_digest
from vtab_harness.backbones.spec import load

PROGRAM = """
import functools, json, logging, argparse, dataclasses, math
import torch
from torch import nn

MEAN = torch.tensor([0.5, 0.25, 0.125])
NAMES = {"left", "right", "up", "down", "far", "near"}
RATES = {"low": [1, 2.5], "high": (3,)}
args = argparse.Namespace(width=4, name="wide")
logger = logging.getLogger("mine")

@dataclasses.dataclass
class Settings:
    depth: int = 3
    extra: list = dataclasses.field(default_factory=list)

def decorated(function):
    @functools.wraps(function)
    def inner(*given):
        return function(*given)
    return inner

@decorated
def scale(images, by=2.0):
    return images * by

class Base(nn.Module):
    bias = 1
    def helper(self):
        return self.bias

class Net(Base):
    settings = Settings()
    def __init__(self, width=8):
        super().__init__()
        self.act = nn.ReLU()
    @torch.no_grad()
    def forward(self, images):
        logger.debug("forward")
        total = [scale(row) - MEAN[0] for row in images if "left" in {"left", "right"}]
        for name in NAMES:
            total[0] = total[0] + len(name) + RATES["low"][0] + args.width + math.pi
        return torch.stack(total).mean((2, 3)) + self.helper()
    @property
    def double(self):
        return 2
    @staticmethod
    def fixed():
        return 3
    @classmethod
    def made(cls):
        return cls()

def unused():
    return 1
"""
# What changes one thing that Net uses, and what changes nothing.
CHANGES = (
    ("0.125", "0.5"),
    ("far", "fat"),
    ("2.5", "2.25"),
    ("(3,)", "[3]"),
    ("width=4", "width=5"),
    ("depth: int = 3", "depth: int = 4"),
    ("return function(*given)", "return function(*given) + 1"),
    ("images * by", "images / by"),
    ("by=2.0", "by=2.5"),
    ("bias = 1", "bias = 2"),
    ("return self.bias", "return -self.bias"),
    ("class Net(Base)", "class Net(Base, dict)"),
    ("width=8", "width=9"),
    ("nn.ReLU", "nn.GELU"),
    ('"left" in', '"right" in'),
    ("return 2", "return 22"),
    ("return 3", "return 33"),
    ("@classmethod", "@staticmethod"),
    ("math.pi", "math.e"),
    ("@torch.no_grad()", "@torch.inference_mode()"),
)
NO_CHANGES = (
    ("def unused():\n    return 1", "def unused():\n    return 2"),
    ("MEAN =", "\n\n# a remark\nMEAN ="),
    ("import functools, json", "import json, functools"),
    ('getLogger("mine")', 'getLogger("mine"); logger.setLevel(10)'),
)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A ``__main__`` as a notebook has it."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def run(main: types.ModuleType, program: str) -> types.ModuleType:
    for name in [name for name in vars(main) if not name.startswith("__")]:
        delattr(main, name)
    exec(compile(dedent(program), "<cell>", "exec", dont_inherit=True), vars(main))
    return main


def test_every_change_of_what_is_used_shows(main: types.ModuleType) -> None:
    digests = [object_digest(run(main, PROGRAM).Net)]
    for old, new in CHANGES:
        assert PROGRAM.count(old) >= 1
        digests.append(object_digest(run(main, PROGRAM.replace(old, new)).Net))
    assert len(set(digests)) == 1 + len(CHANGES)
    for old, new in NO_CHANGES:
        assert PROGRAM.count(old) == 1
        assert object_digest(run(main, PROGRAM.replace(old, new)).Net) == digests[0]


@pytest.mark.slow
def test_it_is_the_same_in_another_process(main: types.ModuleType, tmp_path: Path) -> None:
    """Where sets have another order, objects other addresses, and the class was used before."""
    more = """
from vtab_harness.backbones.objects import object_digest
Net()(torch.ones(2, 3, 8, 8))
print(object_digest(Net))
"""
    (tmp_path / "script.py").write_text(PROGRAM + more)
    environment = {**os.environ, "PYTHONHASHSEED": "11", "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == object_digest(run(main, PROGRAM).Net)


def feature(spec: str) -> tuple[float, str]:
    backbone = load(spec)
    with torch.no_grad():
        return float(backbone.module(torch.ones(2, 3, 4, 4))[0, 0]), backbone.architecture["code"]


def test_a_class_redefined_in_main_is_another_backbone(main: types.ModuleType) -> None:
    spec = "python:__main__:Net?input_size=4"
    run(main, PROGRAM)
    first = feature(spec)
    assert feature(spec) == first
    run(main, PROGRAM.replace("by=2.0", "by=3.0"))
    second = feature(spec)
    assert second[0] == first[0] + 1
    assert second[1] != first[1]
    run(main, PROGRAM)
    assert feature(spec) == first


def test_a_function_a_network_and_a_module_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = """
    from torch import nn
    class Net(nn.Flatten):
        k = 1
    def make():
        return Net()
    net = Net()
    """
    for name in ("make", "net", "Net"):
        digests = []
        for program in (lines, lines, lines.replace("k = 1", "k = 2")):
            made = types.ModuleType("made_in_memory")
            exec(dedent(program), vars(made))
            monkeypatch.setitem(sys.modules, "made_in_memory", made)
            digests.append(load(f"python:made_in_memory:{name}?input_size=4").architecture["code"])
        assert digests[0] == digests[1] != digests[2]


def test_code_of_ones_own_files_counts_and_installed_code_by_name(
    main: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    program = """
    import helper_of_main, json
    def late():
        import late_helper_of_main
    def scale(x):
        return json.dumps(helper_of_main.deep(x))
    """
    digests = []
    for first, second in (("x", ""), ("x", ""), ("2 * x", ""), ("x", "# edited")):
        (tmp_path / "helper_of_main.py").write_text(f"def deep(x):\n    return {first}")
        (tmp_path / "late_helper_of_main.py").write_text(second)
        monkeypatch.delitem(sys.modules, "helper_of_main", raising=False)
        made = run(main, program)
        digests.append((object_digest(made.scale), object_digest(made.late)))
    assert digests[0] == digests[1]
    assert digests[0][0] != digests[2][0]
    assert digests[0][1] == digests[2][1] != digests[3][1]
    assert len({object_digest(thing) for thing in (len, max, torch.cat, nn.Linear, nn.Conv2d, json.dumps)}) == 6


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(), inner) | st.frozensets(st.integers()) | st.tuples(inner, inner)
    ),
    max_leaves=8,
)


def _key(value: Any) -> Any:
    """Tells apart what Python calls equal: 1, 1.0 and True, 0.0 and -0.0."""
    if isinstance(value, dict):
        return ("dict", tuple((key, _key(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, tuple(map(_key, value)))
    return (type(value).__name__, tuple(sorted(value)) if isinstance(value, frozenset) else repr(value))


def _user_of(value: Any) -> types.FunctionType:
    """Returns a function that names a global variable."""
    made: dict[str, Any] = {"VALUE": value, "__name__": "__main__"}
    exec("def use():\n    return VALUE", made)
    use = made["use"]
    assert isinstance(use, types.FunctionType)
    return use


@given(VALUES, VALUES)
@settings(max_examples=50, deadline=None)
def test_values_differ_where_they_do(first: Any, second: Any) -> None:
    alike = object_digest(_user_of(first)) == object_digest(_user_of(second))
    assert alike == (_key(first) == _key(second))
    assert object_digest(_user_of(first)) == object_digest(_user_of(copy.deepcopy(first)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(2, "f4"), np.zeros(2, "i4")),
        (np.float32(1), np.float32(2)),
        (np.array([1, "a"], object), np.array([2, "a"], object)),
        (torch.zeros(2), torch.zeros(2, 1)),
        (torch.zeros(2), nn.Parameter(torch.ones(2))),
        (torch.float32, torch.float16),
        (Path("a"), Path("b")),
        (collections.deque([1]), collections.deque([2])),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (functools.lru_cache(lambda: 1), functools.lru_cache(lambda: 2)),
        (argparse.Namespace(a=1), argparse.Namespace(a=2)),
        (argparse.Namespace(a=1), types.SimpleNamespace(a=1)),
        ({"a": {1, 2}}, {"a": {1, 3}}),
        (int | str, int | bytes),
        (list[int], list[str]),
        (re.compile("a"), re.compile("a", re.I)),
        (signal.SIGINT, signal.SIGTERM),
        (dict.items, dict.keys),
        (Transform((4, 4)), Transform((4, 8))),
    ],
)
def test_objects_differ_where_they_do(first: object, second: object) -> None:
    assert object_digest([first]) == object_digest([first]) != object_digest([second])


def test_circles_end_and_depth_has_an_end() -> None:
    circle: list[Any] = [1]
    circle.append(circle)
    assert object_digest(circle) == object_digest(circle) != object_digest([1, [1]])
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(OptionError, match="nested too deeply"):
        object_digest(deep)


def test_a_logger_that_learns_of_others_is_no_change(main: types.ModuleType) -> None:
    run(main, PROGRAM)
    before = object_digest(main.Net)
    logging.getLogger("mine.other").setLevel(3)
    assert object_digest(main.Net) == before


class Scaled(nn.Module):
    def __init__(self, by: float = 2.0, stride: int = 1, act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.by = by
        self.conv = nn.Conv2d(3, 4, 3, stride=stride)
        self.act = act()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = (self.by * self.act(self.conv(images))).mean((2, 3))
        return pooled


def test_a_network_in_memory_is_its_classes_and_settings_without_its_weights() -> None:
    first, other = Scaled(), Scaled()
    assert not torch.equal(first.conv.weight, other.conv.weight)
    digest = object_digest(first)
    assert object_digest(other) == digest
    assert object_digest(first.eval().to(torch.float64)) == digest
    # Running it and taking its gradients leaves it what it is.
    first(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    assert object_digest(first) == digest
    hooked = Scaled()
    hooked.conv.register_forward_hook(lambda module, given, output: output * 2)
    others = [Scaled(by=3.0), Scaled(stride=2), Scaled(act=nn.GELU), hooked]
    assert len({object_digest(module) for module in others} | {digest}) == 5
    # Weights that no fingerprint covers count.
    before = object_digest(_user_of(first))
    with torch.no_grad():
        first.conv.weight += 1
    assert object_digest(_user_of(first)) != before
    assert object_digest(first) == digest


def test_models_of_timm_and_parametrised_ones() -> None:
    first, again, other = (timm.create_model(name) for name in ("test_resnet", "test_resnet", "test_vit"))
    assert object_digest(first) == object_digest(again) != object_digest(other)
    plain, same = (nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)) for _ in range(2))
    assert object_digest(plain) == object_digest(same)
