"""What is promised of arithmetic: TF32 and repeatability are settings, and are put back."""

import pytest
import torch

from vtab_harness.api.errors import DeviceError
from vtab_harness.engine.device import device_type, repeatable, resolve_device, resolve_tf32

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
    assert not resolve_tf32(True, "cpu")
    assert resolve_tf32(True, "cuda")
    assert not resolve_tf32(False, "cuda")


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_the_type_is_that_of_the_device(name: str) -> None:
    assert device_type(name) == resolve_device(name).type


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:7", ""])
def test_what_is_no_device_has_no_type(name: str) -> None:
    with pytest.raises(DeviceError, match="no such device"):
        device_type(name)


def test_a_cuda_device_need_not_be_here_to_have_a_type() -> None:
    assert device_type("cuda") == device_type("cuda:77") == "cuda"
