"""Figures on disk: what cannot be written is said in words."""

import errno
import json
import math
import sys
from pathlib import Path

import pytest

from vivi_pretrain.watching.metrics import MetricLog, read_metrics
from vtab_harness.api.errors import StorageError


class Full:
    """TensorBoard's writer on a full disk."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", lambda folder, purge_step: Full())
    log = MetricLog(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", 0)
    with pytest.raises(StorageError, match="disk is full while writing metrics"):
        log.write(1, {"loss": 1.0})
    with pytest.raises(StorageError, match="disk is full while writing metrics"), log:
        pass


def test_the_first_trouble_is_the_one_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", lambda folder, purge_step: Full())
    with (
        pytest.raises(KeyError, match="the first"),
        MetricLog(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", 0),
    ):
        raise KeyError("the first")


def test_lines_without_tensorboard_and_with_a_torn_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    path = tmp_path / "metrics.jsonl"
    with MetricLog(path, tmp_path / "tensorboard", 0) as log:
        log.write(1, {"loss": math.nan, "lr": 0.5})
    assert json.loads(path.read_text()) == {"step": 1, "loss": None, "lr": 0.5}
    assert not (tmp_path / "tensorboard").exists()
    path.write_text(path.read_text() + '{"step": 2, "lo')
    assert [line["step"] for line in read_metrics(path)] == [1]
    with path.open("ab") as file:
        file.write(b'\n\xff\n{"step": [2]}\n{"step": 3, "loss": {}}\n[4]\n' + b"[" * 100_000 + b'\n{"step": 5}\n')
    assert [line["step"] for line in read_metrics(path)] == [1, 5]
