"""VIVI's presets are pretrainers as anybody's are: they pass the public check."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vivi_pretrain.plugin import presets
from vtab_harness.testing import check_pretrainer
from vtab_harness.testing.clauses import expect_settings

TINY = {
    "encoder": "test_resnet",
    "size": 32,
    "videos": 4,
    "shots": 2,
    "frames": 2,
    "predictor": "mlp",
    "predictor_hidden": 16,
    "identity_size": 16,
    "shot_size": 16,
    "steps": 4,
    "warmup": 2,
    "decay_at": (),
    "checkpoint_every": 2,
    "workers": 1,
    "device": "cpu",
}


def test_a_tiny_run_passes(make_shards: Any, tmp_path: Path) -> None:
    shards = make_shards([[3, 4], [2, 3], [4, 2], [3, 3], [2, 2, 2], [3, 2]], sides=(36, 44)).folder
    settings = replace(presets.vivi_ex2.settings, **TINY)
    check_pretrainer(presets.vivi_ex2, settings, shards, tmp_path / "runs", other_settings=replace(settings, lr=0.01))


@pytest.mark.parametrize("name", sorted(vars(presets)))
def test_the_settings_of_every_preset_can_be_given_as_text(name: str) -> None:
    expect_settings(getattr(presets, name).settings, name)
