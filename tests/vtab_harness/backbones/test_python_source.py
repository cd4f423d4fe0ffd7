from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vtab_harness.api.backbones import Transform
from vtab_harness.api.errors import CheckpointError, OptionError, UnknownNameError, VtabError
from vtab_harness.backbones.spec import load

CODE = """
import torch
import timm
from torch import nn
from vtab_harness.api.backbones import Transform

class Net(nn.Module):
    def __init__(self, width=8, fail=""):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.fail = fail
    def forward(self, x):
        y = self.conv(x)
        if self.fail == "map":
            return y
        if self.fail == "nan":
            return y.mean((2, 3)) * float("nan")
        if self.fail == "batch":
            return y.mean((0, 2, 3))[None]
        if self.fail == "raise":
            raise ValueError("no such luck")
        if self.fail == "exit":
            raise SystemExit(7)
        if self.fail == "deep":
            return self.forward(x)
        if self.fail == "count" and x.device.type == "meta":
            raise SystemExit(8)
        return y.mean((2, 3))

def make(width=8):
    return Net(width)

def pair():
    return Net(), Transform((20, 24), (0.1, 0.2, 0.3))

def own_transform():
    net = Net()
    net.transform = Transform((16, 16))
    net.pretrained = False
    return net

def timm_like():
    return timm.create_model("mobilenetv3_small_050")

def text():
    return "no module"

def broken():
    raise RuntimeError("out of coffee")

def leaves():
    raise SystemExit("gone home")

def deep():
    return deep()

class Odd(Net):
    def state_dict(self):
        raise SystemExit(9)

class Meta(type):
    def __getattr__(cls, name):
        raise SystemExit(10)

class Strange(metaclass=Meta):
    pass

def interrupted():
    raise KeyboardInterrupt

NUMBER = 3
class space:
    inner = Net
"""
_COUNT = itertools.count()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def write(code: str = CODE) -> str:
        name = f"backbones_of_test_{next(_COUNT)}"
        (tmp_path / f"{name}.py").write_text(code)
        return name

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in __import__("sys").path if entry])
    return write


def test_a_function_with_arguments(source: Callable[..., str], tmp_path: Path) -> None:
    name = source()
    backbone = load(f"python:{name}:make?width=5&input_size=12x10&mean=0.5")
    assert (backbone.feature_size, backbone.parameters, backbone.macs) == (5, 140, 5 * 27 * 10 * 8)
    assert backbone.transform == Transform((12, 10), (0.5, 0.5, 0.5))
    assert backbone.pretrained
    own = hashlib.sha256((tmp_path / f"{name}.py").read_bytes()).hexdigest()
    code = hashlib.sha256(f"{name}.py\n{own}\n".encode()).hexdigest()
    assert backbone.architecture == {
        "source": "python",
        "name": f"{name}:make",
        "arguments": {"width": 5},
        "code": code,
    }
    assert load(f"python:{name}:make?width=5&input_size=12x10&mean=0.5").identity() == backbone.identity()


def test_edited_code_has_another_identity(source: Callable[..., str]) -> None:
    first, second = (load(f"python:{source(code)}:make?input_size=8") for code in (CODE, CODE + "\n# edited\n"))
    assert first.fingerprint == second.fingerprint
    assert first.architecture["code"] != second.architecture["code"]


def test_other_ways_to_say_it(source: Callable[..., str]) -> None:
    name = source()
    assert load(f"python:{name}:pair").transform == Transform((20, 24), (0.1, 0.2, 0.3))
    assert load(f"python:{name}:Net?input_size=8").feature_size == 8
    assert load(f"python:{name}:space.inner?input_size=8").feature_size == 8
    own = load(f"python:{name}:own_transform")
    assert own.transform == Transform((16, 16))
    assert not own.pretrained
    timm_like = load(f"python:{name}:timm_like?input_size=32")
    assert timm_like.transform.mean == (0.485, 0.456, 0.406)
    assert timm_like.feature_size == 1024


def test_seed_and_checkpoint(source: Callable[..., str], tmp_path: Path) -> None:
    name = source()
    state = torch.random.get_rng_state()
    prints = [load(f"python:{name}:make?input_size=8&seed={seed}").fingerprint for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert prints[0] == prints[1] != prints[2]
    torch.save({"conv.weight": torch.ones(8, 3, 3, 3), "conv.bias": torch.zeros(8)}, tmp_path / "w.pt")
    backbone = load(f"python:{name}:make?input_size=8&checkpoint=w.pt")
    with torch.no_grad():
        assert backbone.module(torch.ones(1, 3, 8, 8)).tolist() == [[27.0] * 8]
    assert backbone.architecture["arguments"] == {}


@pytest.mark.parametrize(
    ("rest", "kind", "says"),
    [
        ("mak", UnknownNameError, "'make'"),
        ("NUMBER", OptionError, "cannot be called"),
        ("text", OptionError, "returned str"),
        ("broken", OptionError, "out of coffee"),
        ("leaves", OptionError, "leaves failed: SystemExit: gone home"),
        ("deep", OptionError, "deep failed: RecursionError"),
        ("Odd?input_size=4", OptionError, "Odd failed: SystemExit: 9"),
        ("Strange.inner", OptionError, "Strange.inner failed: SystemExit: 10"),
        ("make?widht=3", OptionError, "'width'"),
        ("Net?fail=map", OptionError, "(2, 8, 222, 222)"),
        ("Net?fail=batch", OptionError, "(1, 8)"),
        ("Net?fail=nan", CheckpointError, "not finite"),
        ("Net?fail=raise", OptionError, "no such luck"),
        ("Net?fail=exit&input_size=4", OptionError, "4x4 pixels: SystemExit: 7"),
        ("Net?fail=deep&input_size=4", OptionError, "4x4 pixels: RecursionError"),
        ("Net?input_size=2", OptionError, "2x2"),
    ],
)
def test_mistakes_are_named(source: Callable[..., str], rest: str, kind: type[VtabError], says: str) -> None:
    name = source()
    with pytest.raises(kind) as caught:
        load(f"python:{name}:{rest}")
    assert says in str(caught.value)


def test_modules_that_cannot_be_imported(source: Callable[..., str]) -> None:
    with pytest.raises(UnknownNameError, match="no_such_module_here"):
        load("python:no_such_module_here.sub:make")
    with pytest.raises(OptionError, match="CALLABLE"):
        load("python:torch")
    for code, says in (
        ("import no_such_neighbour", "no_such_neighbour"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit", "SystemExit"),
        ("def f(): f()\nf()", "RecursionError"),
        ("import this is wrong", "SyntaxError"),
    ):
        with pytest.raises(OptionError, match=says):
            load(f"python:{source(code)}:make")


def test_leaving_python_is_a_mistake_and_not_a_success(source: Callable[..., str]) -> None:
    with pytest.raises(OptionError, match=r"^python:sys:exit failed: SystemExit$"):
        load("python:sys:exit")
    name = source()
    assert load(f"python:{name}:Net?fail=count&input_size=4").macs == 8 * 27 * 2 * 2
    with pytest.raises(KeyboardInterrupt):
        load(f"python:{name}:interrupted")
