"""What is promised of arithmetic: TF32 and repeatability are settings, and are put back."""

import pytest
import torch

from vtab_harness.engine.device import repeatable, resolve_tf32

CPU = torch.device("cpu")


def flags() -> tuple[bool, ...]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return (
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.allow_tf32,
        matmul.allow_tf32,
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_fp32_means_fp32_unless_tf32_is_asked_for(tf32: bool, deterministic: bool) -> None:
    before = flags()
    with repeatable(CPU, tf32, deterministic):
        assert flags() == (True, False, tf32, tf32, deterministic)
    assert flags() == before


def test_flags_and_random_numbers_are_put_back_after_an_error() -> None:
    before, state = flags(), torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), repeatable(CPU, True, True):
        torch.rand(3) if torch.rand(1) < 0 else 1 / 0
    assert flags() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_only_cuda_has_tf32() -> None:
    assert not resolve_tf32(True, CPU)
    assert resolve_tf32(True, torch.device("cuda:0"))
    assert not resolve_tf32(False, torch.device("cuda:0"))
