"""What a run is said to take, beside what one takes."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from vivi_pretrain.plugin import presets
from vivi_pretrain.training.estimate import estimate

SETTINGS = replace(
    presets.ex_shot.settings,
    **{"encoder": "resnet18", "size": 32, "videos": 4, "shots": 2, "frames": 2, "identity_size": 16, "shot_size": 16},
    **{"steps": 6, "warmup": 2, "decay_at": (), "checkpoint_every": 4, "workers": 1, "device": "cpu"},
)


def test_a_run_takes_what_was_said(make_shards: Any, tmp_path: Path) -> None:
    shards = make_shards([[3, 4], [2, 3], [4, 2], [3, 3], [2, 2, 2], [3, 2]], sides=(36, 44)).folder
    before = torch.random.get_rng_state()
    said = estimate(SETTINGS)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert said.seconds is not None
    assert said.bytes is not None
    began = time.perf_counter()
    folder = presets.ex_shot.pretrain(SETTINGS, shards, tmp_path / "run")
    took = time.perf_counter() - began
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert said.bytes == pytest.approx(size, rel=0.02)
    # Other processes may be at work at either time; that it is no matter of orders of magnitude is what counts.
    assert took / 20 < said.seconds < 20 * took


def test_it_follows_the_images_of_a_step() -> None:
    one = estimate(SETTINGS).seconds
    rotated = estimate(replace(SETTINGS, shot_loss="rotation", steps=600)).seconds
    assert one is not None
    assert rotated is not None
    # 400 times as many images, timed one after the other.
    assert 40 < rotated / one < 4000
