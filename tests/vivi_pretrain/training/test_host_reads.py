"""A step of pretraining never makes the host wait for the device. No machine with one is needed to count."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from host_reads import counting

from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.data import StepBatch
from vivi_pretrain.training.trainer import Trainer, pretrain

TINY = PretrainSettings(
    encoder="test_resnet",
    size=32,
    videos=4,
    shots=2,
    frames=2,
    predictor="mlp",
    predictor_hidden=16,
    identity_size=16,
    shot_size=16,
    steps=3,
    warmup=2,
    decay_at=(),
    log_every=3,
    workers=1,
    device="cpu",
)
VARIANTS: dict[str, dict[str, Any]] = {
    "exemplar": {},
    "semi-hard": {"exemplar_recipe": "semi_hard", "pooling": "attention"},
    "rotation": {"shot_loss": "rotation", "predictor": "lstm"},
    "order": {"shot_loss": "none", "video_loss": "order"},
    "accumulated": {"accumulate": 2},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_step_never_waits(
    tmp_path: Path, make_shards: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    shards = make_shards([[3, 4], [2, 3], [4, 2], [3, 3]], sides=(36, 44)).folder
    step, waits = Trainer.train_step, []

    def counted(trainer: Trainer, batch: StepBatch) -> float:
        with counting() as counts:
            lr = step(trainer, batch)
        assert counts.operators > 100
        waits.append(dict(+counts.reads))
        return lr

    monkeypatch.setattr(Trainer, "train_step", counted)
    pretrain(replace(TINY, **changes), shards, tmp_path / "run")
    assert waits == [{}, {}, {}]
