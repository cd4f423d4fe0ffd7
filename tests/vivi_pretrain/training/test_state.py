"""States of a run are loaded whole and of the same network and optimiser, or not at all."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vivi_pretrain.training.run_folder import RunFolder
from vtab_harness.api.errors import CheckpointError


def network(kind: type[torch.optim.Optimizer] = torch.optim.SGD) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    more: dict[str, Any] = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    return model, kind(
        [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.5}], lr=0.1, **more
    )


def train(model: nn.Module, optimiser: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        optimiser.zero_grad()
        (model(torch.ones(2, 3) * step).square().sum() + model[0].weight.sum()).backward()  # type: ignore[union-attr]
        optimiser.step()


def save(root: Path, model: nn.Module, optimiser: torch.optim.Optimizer, change: dict[str, Any]) -> RunFolder:
    folder = RunFolder(root)
    partial = folder.begin_checkpoint(7)
    state = {"step": 7, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    folder.save_state(partial, {key: value for key, value in (state | change).items() if value is not None})
    folder.commit(partial, 7)
    return folder


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_training_goes_on_as_if_it_had_never_stopped(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    whole, resumed = network(kind), network(kind)
    train(*whole, steps=3)
    folder = save(tmp_path, *whole, {})
    assert folder.resume(*resumed) == 7
    train(*whole, steps=2)
    train(*resumed, steps=2)
    for mine, theirs in zip(whole[0].state_dict().values(), resumed[0].state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_without_a_state_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).resume(*network()) == 0


MODEL, OPTIMISER = network()
train(MODEL, OPTIMISER, 1)
STATE, MOMENTS = MODEL.state_dict(), OPTIMISER.state_dict()
GROUPS = MOMENTS["param_groups"]


@pytest.mark.parametrize(
    "change",
    [
        {"step": "7"},
        {"step": 7.5},
        {"step": -1},
        {"step": torch.ones(2)},
        {"model": 3},
        {"model": {}},
        {"model": {**STATE, "more": torch.zeros(1)}},
        {"model": {**STATE, "0.bias": torch.zeros(5)}},
        {"model": {**STATE, "0.bias": torch.zeros(4, dtype=torch.float64)}},
        {"model": {**STATE, "0.bias": torch.zeros(4).to_sparse()}},
        {"model": {**STATE, "0.bias": [0.0] * 4}},
        {"optimiser": None},
        {"optimiser": []},
        {"optimiser": {"state": {}}},
        {"optimiser": {**MOMENTS, "state": []}},
        {"optimiser": {**MOMENTS, "state": {99: {}}}},
        {"optimiser": {**MOMENTS, "state": {0: {"momentum_buffer": torch.zeros(2)}}}},
        {"optimiser": {**MOMENTS, "state": {0: {"momentum_buffer": "x"}}}},
        {"optimiser": {**MOMENTS, "param_groups": GROUPS[:1]}},
        {"optimiser": {**MOMENTS, "param_groups": [{**GROUPS[0], "lr": "x"}, GROUPS[1]]}},
        {"optimiser": {**MOMENTS, "param_groups": [{**GROUPS[0], "params": [1, 0]}, GROUPS[1]]}},
        {"optimiser": torch.optim.Adam(MODEL.parameters()).state_dict()},
    ],
)
def test_other_states_are_refused_and_nothing_is_loaded(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = save(tmp_path, MODEL, OPTIMISER, change)
    model, optimiser = network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"state\.pt is damaged: it (is|does not)(.|\n)*Delete "):
        folder.resume(model, optimiser)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
