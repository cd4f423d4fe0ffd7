"""Protocols on tokens and blocks, through a whole sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from vtab_harness.api.errors import DeviceError
from vtab_harness.backbones.outputs import giving
from vtab_harness.backbones.spec import load
from vtab_harness.engine import memory
from vtab_harness.engine.features import held_features
from vtab_harness.engine.workbench import Workbench
from vtab_harness.sweep.evaluate import Evaluation, run_sweep
from vtab_harness.sweep.settings import SweepSettings

VIT = "timm:test_vit2?pretrained=false&input_size=32"
SMALL = {
    "layers": {"l2_count": 2, "tolerance": 1e-2},
    "attentive": {"lr": "0.001", "weight_decay": "0.01", "steps": 5, "batch_size": 32},
    "linear": {"l2_count": 2, "tolerance": 1e-2},
}


def sweep(folder: Path, protocol: str, backbone: str = VIT) -> Evaluation:
    return run_sweep(
        SweepSettings(
            (backbone,),
            tasks=("mini_digits",),
            protocol=protocol,
            set=SMALL[protocol],
            seeds=1,
            device="cpu",
            results=folder / "results",
            cache=folder / "cache",
        )
    )


def test_records_say_what_was_read_and_tokens_are_not_kept(tmp_path: Path) -> None:
    outputs = {}
    for protocol in SMALL:
        evaluation = sweep(tmp_path, protocol)
        assert not evaluation.failures, evaluation.failures[0].traceback
        record = evaluation.records[0]
        outputs[protocol] = record.identity.backbone.output
        assert record.score is not None
    assert outputs == {"layers": "blocks-4", "attentive": "tokens", "linear": "pooled"}
    rows = {path.parts[-4] for path in (tmp_path / "results").rglob("*.json")}
    # A row a kind of features, so that none is taken for another.
    assert len(rows) == 3
    # Two outputs of three splits; the tokens are computed in passing.
    assert len(list((tmp_path / "cache" / "features").glob("*.f32"))) == 6


def test_finished_results_are_found_again(tmp_path: Path) -> None:
    first = sweep(tmp_path, "attentive")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")}
    assert sweep(tmp_path, "attentive").records.paths == first.records.paths
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*.json")}


def test_a_backbone_without_tokens_fails_with_a_word(tmp_path: Path) -> None:
    evaluation = sweep(tmp_path, "attentive", "python:docs.examples.pixels:Pixels")
    assert "no forward_intermediates" in str(evaluation.failures[0].error)
    assert evaluation.failures[0].traceback is None


def test_tokens_that_do_not_fit_are_refused_with_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Workbench(giving(load(VIT), "tokens"), torch.device("cpu"))
    images: Any = range(2000)
    monkeypatch.setattr(memory, "free_memory", lambda: 1_000_000)
    with pytest.raises(DeviceError, match=r"tokens of 2000 images take .* GB"):
        held_features(bench, images)
