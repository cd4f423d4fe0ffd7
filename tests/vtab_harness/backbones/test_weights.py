from __future__ import annotations

import pytest
import torch
from torch import nn

from vtab_harness.api.errors import CheckpointError
from vtab_harness.backbones.weights import fingerprint, load_into


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
