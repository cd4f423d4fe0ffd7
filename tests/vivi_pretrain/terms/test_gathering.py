"""Two ranks and one with the joint batch: the same losses and gradients, for every loss."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vivi_pretrain.terms.gathering import all_gather_with_gradient, first_row

SCRIPT = Path(__file__).with_name("joint_gradients.py")


def _module():
    spec = importlib.util.spec_from_file_location("joint_gradients", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


JOINT = _module()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    ranks = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), "2", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=120)[0].decode() for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(said)
    return torch.load(folder / "joint.pt", weights_only=True)


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=str)
def dtype(request):
    return request.param


@pytest.fixture(scope="module")
def one_rank(dtype):
    return JOINT.run(dtype)


@pytest.mark.parametrize("case", JOINT.CASES)
def test_two_ranks_are_one(two_ranks, one_rank, dtype, case):
    tolerance = 1e-5 if dtype == torch.float32 else 1e-11
    loss, gradients = two_ranks[str(dtype)][case]
    expected_loss, expected = one_rank[case]
    torch.testing.assert_close(loss, expected_loss, rtol=tolerance, atol=tolerance / 10)
    assert gradients.keys() == expected.keys()
    largest = max(float(g.abs().max()) for g in expected.values())
    assert largest > 1e-4
    for name, gradient in gradients.items():
        # A bias that is added to both sides of a distance has no gradient but rounding.
        scale = max(float(expected[name].norm()), 1e-3 * largest)
        assert float((gradient - expected[name]).norm()) <= tolerance * scale, name


@pytest.mark.parametrize("case", JOINT.CASES)
def test_each_case_has_gradients_in_the_encoder(one_rank, case):
    gradients = one_rank[case][1]
    assert float(gradients["encoder.0.weight"].norm()) > 1e-4


def test_without_a_process_group_it_is_the_identity():
    tensor = torch.randn(3, 2, dtype=torch.bfloat16)
    assert all_gather_with_gradient(tensor) is tensor
    assert first_row(3) == 0
