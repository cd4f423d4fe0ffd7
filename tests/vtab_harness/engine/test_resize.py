import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from vtab_harness.api.backbones import RESIZE_RULES
from vtab_harness.engine.resize import RULES, bicubic, legacy_bilinear, sample_points


def by_the_formula(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """TensorFlow's arithmetic, one output value at a time. Takes and gives (H, W, C)."""
    f = np.float32
    height, width, channels = image.shape
    out = np.empty((*size, channels), dtype=f)
    for i in range(size[0]):
        y = f(i) * (f(height) / f(size[0]))
        top, dy = int(np.floor(y)), f(y - np.floor(y))
        bottom = min(top + 1, height - 1)
        for j in range(size[1]):
            x = f(j) * (f(width) / f(size[1]))
            left, dx = int(np.floor(x)), f(x - np.floor(x))
            right = min(left + 1, width - 1)
            for c in range(channels):
                tl, tr, bl, br = (
                    f(image[r, s, c]) for r, s in ((top, left), (top, right), (bottom, left), (bottom, right))
                )
                upper, lower = f(tl + f(f(tr - tl) * dx)), f(bl + f(f(br - bl) * dx))
                out[i, j, c] = f(upper + f(f(lower - upper) * dy))
    return out


def test_golden_row() -> None:
    row = torch.tensor([0, 10, 20, 30], dtype=torch.uint8).view(1, 1, 4, 1)
    out = legacy_bilinear(row, (1, 224))[0, 0, 0]
    assert out[1].item() == pytest.approx(0.17857, abs=5e-6)
    assert [out[i].item() for i in (0, 28, 56)] == [0, 5, 10]
    assert out[84].item() == pytest.approx(15, abs=2e-6)
    assert (out[168:] == 30).all()


@settings(max_examples=60, deadline=None)
@given(
    source=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    channels=st.sampled_from([1, 3]),
    batch=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_equals_the_formula_bit_for_bit(
    source: tuple[int, int], target: tuple[int, int], channels: int, batch: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (batch, *source, channels), dtype=np.uint8)
    out = legacy_bilinear(torch.from_numpy(images), target)
    assert out.dtype == torch.float32
    assert out.shape == (batch, 3, *target)
    for image, resized in zip(images, out, strict=True):
        expected = np.broadcast_to(by_the_formula(image, target), (*target, 3)).transpose(2, 0, 1)
        np.testing.assert_array_equal(resized.numpy(), expected)


@pytest.mark.parametrize("size", [(300, 500), (90, 31), (224, 600)])
def test_equals_the_formula_at_true_size(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 1), dtype=np.uint8)
    out = legacy_bilinear(torch.from_numpy(image)[None], (224, 56))
    np.testing.assert_array_equal(out[0, 0].numpy(), by_the_formula(image, (224, 56))[..., 0])


def test_positions_are_computed_in_float32() -> None:
    # 112 * 62 / 224 is 31; TensorFlow's float32 arrives just below it and takes another pixel for the lower one.
    lower, upper, weight = sample_points(62, 224)
    assert (lower[112], upper[112]) == (30, 31)
    assert 0.99999 < weight[112] < 1


def test_same_size_passes_through() -> None:
    images = torch.randint(0, 256, (2, 7, 5, 3), dtype=torch.uint8)
    out = legacy_bilinear(images, (7, 5))
    assert torch.equal(out, images.permute(0, 3, 1, 2).float())


def test_result_never_shares_memory_with_its_input() -> None:
    images = torch.rand(1, 4, 4, 3)
    before = images.clone()
    legacy_bilinear(images, (4, 4)).zero_()
    legacy_bilinear(images, (4, 9)).zero_()
    assert torch.equal(images, before)


def test_shrinking_does_not_average() -> None:
    row = torch.tensor([0, 255] * 8, dtype=torch.uint8).view(1, 1, 16, 1)
    assert (legacy_bilinear(row, (1, 8)) == 0).all()


def test_positions_made_while_inferring_serve_training_too() -> None:
    images = torch.randint(0, 256, (1, 61, 67, 3), dtype=torch.uint8)
    with torch.inference_mode():
        legacy_bilinear(images, (32, 32))
    trained = images.float().requires_grad_()
    legacy_bilinear(trained, (32, 32)).sum().backward()
    assert trained.grad is not None


@pytest.mark.parametrize("shape", [(2, 3, 3), (1, 0, 4, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot resize"):
        legacy_bilinear(torch.zeros(shape, dtype=torch.uint8), (4, 4))


@pytest.mark.gpu
@pytest.mark.parametrize("size", [(300, 500), (32, 32), (64, 1200)])
def test_gpu_gives_the_same_bits(size: tuple[int, int]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    images = torch.randint(0, 256, (4, *size, 3), dtype=torch.uint8)
    there = legacy_bilinear(images.cuda(), (224, 224))
    assert torch.equal(there.cpu(), legacy_bilinear(images, (224, 224)))


@pytest.mark.parametrize("source", [(40, 57), (9, 300), (224, 224), (300, 200)])
def test_bicubic_is_that_of_pil(source: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((64, 48), Image.Resampling.BICUBIC)).astype(np.int64)
    resized = bicubic(torch.from_numpy(image)[None], (48, 64))[0].permute(1, 2, 0).numpy()
    difference = np.abs(resized - expected)
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.01


def test_bicubic_repeats_grey() -> None:
    image = torch.arange(64, dtype=torch.uint8).view(1, 8, 8, 1)
    resized = bicubic(image, (8, 8))
    assert torch.equal(resized[0, 0], image[0, :, :, 0].float())
    assert torch.equal(resized[0, 0], resized[0, 2])


def test_every_rule_that_a_transform_may_name_is_there() -> None:
    assert tuple(RULES) == RESIZE_RULES
