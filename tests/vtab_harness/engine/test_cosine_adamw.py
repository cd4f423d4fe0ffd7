"""AdamW by passes: rates beside timm's own scheduler, and an order that is a permutation a pass."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.scheduler import CosineLRScheduler
from torch import nn

from vtab_harness.engine.cosine_adamw import CosineAdamW


@given(
    passes=st.integers(1, 30),
    warmup=st.integers(0, 40),
    steps_per_pass=st.integers(1, 5),
    lr=st.floats(1e-4, 1.0),
)
def test_rates_are_those_of_timm(passes: int, warmup: int, steps_per_pass: int, lr: float) -> None:
    recipe = CosineAdamW(lr, passes, steps_per_pass, 8, warmup_passes=warmup)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = CosineLRScheduler(optimiser, passes, lr_min=1e-5, warmup_t=warmup, warmup_lr_init=1e-6)
    for step in range(recipe.steps):
        scheduler.step(step // steps_per_pass)
        assert recipe.rate(step) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)


@given(examples=st.integers(1, 50), batch_size=st.integers(1, 20), seed=st.integers(0, 100))
def test_every_pass_takes_whole_batches_of_other_examples(examples: int, batch_size: int, seed: int) -> None:
    batch_size = min(batch_size, examples)
    recipe = CosineAdamW(0.1, 3, examples // batch_size, batch_size)
    order = recipe.order(examples, seed)
    assert order.shape == (recipe.steps, batch_size)
    for each in order.view(3, -1).tolist():
        assert len(set(each)) == len(each) > examples - batch_size
        assert set(each) <= set(range(examples))
    assert torch.equal(order, recipe.order(examples, seed))
    if examples > 20:
        assert not torch.equal(order, recipe.order(examples, seed + 1))
