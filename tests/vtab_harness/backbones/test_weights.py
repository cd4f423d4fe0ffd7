from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vtab_harness.api.errors import CheckpointError
from vtab_harness.backbones.weights import fingerprint, load_into, read_checkpoint


def network(width: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width, 2))


def test_fingerprint_is_fixed() -> None:
    module = nn.Linear(2, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -2.0]]))
        module.bias.zero_()
    # Written down once: another machine, version or byte order must give the same.
    assert fingerprint(module) == "cac19bde0a8610bd3a1a435bf6c54114503c2d6d3c1539f96bf8169ca67fcb04"


def test_fingerprint_sees_one_bit_anywhere() -> None:
    module = network()
    seen = {fingerprint(module)}
    count = 0
    for tensor in module.state_dict().values():
        raw = tensor.view(-1).view(torch.uint8)
        raw[-1] ^= 1
        seen.add(fingerprint(module))
        raw[-1] ^= 1
        count += 1
    assert len(seen) == count + 1
    assert fingerprint(module) == fingerprint(network())


def test_fingerprint_sees_dtypes_shapes_names_and_unsaved_buffers_but_no_order() -> None:
    first, second, third, fourth, fifth = (nn.Module() for _ in range(5))
    one, two = torch.zeros(4), torch.ones(2, dtype=torch.bfloat16)
    first.register_buffer("a", one)
    first.register_buffer("b", two, persistent=False)
    second.register_buffer("b", two)
    second.register_buffer("a", one.expand(4))
    third.register_buffer("a", one.view(2, 2))
    third.register_buffer("b", two)
    fourth.register_buffer("a", one.view(torch.int32))
    fourth.register_buffer("b", two)
    fifth.register_buffer("a", one)
    assert fingerprint(first) == fingerprint(second)
    assert len({fingerprint(module) for module in (first, third, fourth, fifth)}) == 4
    with pytest.raises(CheckpointError, match="'a'"):
        fingerprint(first.to("meta"))


@pytest.mark.parametrize("how", ["safetensors", "safetensors.bin", "pt", "legacy.pt", "nested.pt", "ddp.pt"])
def test_round_trip(tmp_path: Path, how: str) -> None:
    module, path = network(), tmp_path / f"w.{how}"
    state = module.state_dict()
    if how.startswith("safetensors"):
        save_file(state, path)
    elif how == "legacy.pt":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif how == "nested.pt":
        torch.save({"epoch": 3, "args": argparse.Namespace(lr=1.0), "state_dict": state, "optimizer": {}}, path)
    elif how == "ddp.pt":
        torch.save({"model": {f"module.{key}": value for key, value in state.items()}}, path)
    else:
        torch.save(state, path)
    other = network()
    nn.init.zeros_(other.get_parameter("0.weight"))
    assert fingerprint(other) != fingerprint(module)
    load_into(other, read_checkpoint(path))
    assert fingerprint(other) == fingerprint(module)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def _truncated_pt(path: Path) -> None:
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _truncated_safetensors(path: Path) -> None:
    save_file(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-7])


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "missing": ("cannot be read", lambda path: None),
    "empty": ("0 bytes", lambda path: path.write_bytes(b"")),
    "folder": ("is a folder", lambda path: path.mkdir()),
    "text": ("neither", lambda path: path.write_text("these are no weights\n")),
    "truncated torch": ("damaged or cut off", _truncated_pt),
    "bomb": ("would run code", lambda path: torch.save(Bomb(path.with_name("boom")), path)),
    "nested bomb": ("would run code", lambda p: torch.save({"model": {"a": Bomb(p.with_name("boom"))}}, p)),
    "plain pickle bomb": ("CHECKPOINT", lambda path: path.write_bytes(pickle.dumps(Bomb(path.with_name("boom"))))),
    "old pickle bomb": ("neither", lambda path: path.write_bytes(pickle.dumps(Bomb(path.with_name("boom")), 0))),
    "no tensors": ("holds no tensors", lambda path: torch.save({"lr": 1.0}, path)),
    "a number": ("holds no tensors", lambda path: torch.save(3, path)),
    "whole module": ("would run code", lambda path: torch.save(network(), path)),
    "sparse": ("sparse", lambda path: torch.save({"a": torch.eye(2).to_sparse()}, path)),
    "meta": ("empty tensor", lambda path: torch.save({"a": torch.zeros(2, device="meta")}, path)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named_and_nothing_runs(tmp_path: Path, case: str) -> None:
    says, make = BAD[case]
    path = tmp_path / "weights.pt"
    make(path)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert says.replace("CHECKPOINT", "checkpoint") in str(caught.value)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "boom").exists()


def test_damaged_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    for make in (_truncated_safetensors, lambda p: p.write_text("text"), lambda p: p.write_bytes(b"\xff" * 64)):
        make(path)
        with pytest.raises(CheckpointError, match=r"weights\.safetensors is not an intact safetensors file"):
            read_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_name_the_tensor(value: float) -> None:
    module, state = network(), network().state_dict()
    before = fingerprint(module)
    state["1.running_var"][2] = value
    with pytest.raises(CheckpointError, match=r"'1\.running_var'"):
        load_into(module, state, where="x.pt")
    assert fingerprint(module) == before


def test_mismatches_are_listed() -> None:
    module, state = network(), network().state_dict()
    state["stray"] = state.pop("0.bias")
    state["0.weight"] = state["0.weight"][:2]
    state["1.bias"] = state["1.bias"].to(torch.int8)
    with pytest.raises(CheckpointError) as caught:
        load_into(module, state, where="x.pt")
    for part in ("x.pt", "4 places", "missing '0.bias'", "unexpected 'stray'", "(2, 3, 3, 3)", "int8"):
        assert part in str(caught.value)
    assert "another architecture" not in str(caught.value)


def test_another_architecture_is_recognised() -> None:
    with pytest.raises(CheckpointError, match="another architecture") as caught:
        load_into(network(), {f"layer{i}.weight": torch.zeros(2) for i in range(40)})
    assert "more" in str(caught.value)


def test_classifiers_and_old_batch_norms_are_let_through() -> None:
    module, state = network(), network().state_dict()
    state["3.weight"], state["1.weight"] = torch.zeros(7, 4), torch.full((4,), 2.0, dtype=torch.float16)
    del state["3.bias"], state["1.num_batches_tracked"]
    load_into(module, state, ignore=("3",))
    assert module.get_parameter("1.weight").tolist() == [2.0] * 4
