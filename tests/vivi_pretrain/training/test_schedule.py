"""The learning rate."""

import pytest

from vivi_pretrain.training.schedule import learning_rate


def test_learning_rate_warms_up_and_falls() -> None:
    rates = [learning_rate(step, 0.8, 4, (6, 8)) for step in range(10)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.08, 0.08, 0.008, 0.008])
    assert learning_rate(0, 0.8, 0, ()) == 0.8
