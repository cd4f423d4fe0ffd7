"""Rotated copies against NumPy's rot90."""

import numpy as np
import pytest
import torch

from vivi_pretrain.terms.rotated_copies import rotated_copies


def test_copies_and_labels() -> None:
    images = torch.rand(3, 2, 5, 5)
    copies, labels = rotated_copies(images)
    assert copies.shape == (12, 2, 5, 5)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    for i, (copy, label) in enumerate(zip(copies, labels, strict=True)):
        np.testing.assert_array_equal(copy, np.rot90(images[i % 3], int(label), axes=(1, 2)))


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(ValueError, match="square"):
        rotated_copies(torch.zeros(1, 3, 4, 5))
