"""Drives every timm architecture below 30 M parameters through feature extraction.

    pytest -m slow -s tests/vtab_harness/backbones/test_every_timm_architecture.py

Each is loaded by its spec with random weights and given four images of its own input size. Set VTAB_TIMM_ONLY to a
comma-separated list of names to look at some of them, and VTAB_TIMM_REPORT to a file for the report.
"""

from __future__ import annotations

import collections
import gc
import os
import time
from pathlib import Path

import pytest
import timm
import torch

from vtab_harness.backbones.spec import load
from vtab_harness.backbones.timm_build import Plan, sketch

LIMIT = 30_000_000
# name -> why it cannot give features; an entry that works is reported as stale.
KNOWN_EXCEPTIONS: dict[str, str] = {}


def _problem(name: str) -> str | None:
    backbone = load(f"timm:{name}?pretrained=false")
    images = torch.rand(4, 3, *backbone.transform.input_size, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.no_grad():
        features = backbone.module(images)
    if features.shape != (4, backbone.feature_size):
        return f"shape {tuple(features.shape)} with feature_size {backbone.feature_size}"
    if features.dtype != torch.float32:
        return f"dtype {features.dtype}"
    if not bool(torch.isfinite(features).all()):
        return "not finite"
    if backbone.macs is None:
        return "multiply-adds not counted"
    if bool((features == features[0]).all()):
        return "the same features for different images"
    return None


@pytest.mark.slow
def test_every_small_timm_architecture_gives_pooled_features() -> None:
    wanted = [name for name in os.environ.get("VTAB_TIMM_ONLY", "").split(",") if name] or timm.list_models()
    failures: dict[str, str] = {}
    working = large = 0
    start = time.monotonic()
    for name in wanted:
        try:
            parameters = sum(p.numel() for p in sketch(Plan(name)).parameters())
            if parameters >= LIMIT:
                large += 1
                continue
            reason = _problem(name)
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error)[:200]}"
        gc.collect()
        if reason is None:
            working += 1
        else:
            failures[name] = reason
        print(f"{time.monotonic() - start:7.1f} s  {name}: {reason or 'works'}", flush=True)
    total = working + len(failures)
    lines = [f"timm {timm.__version__}: {working} of {total} architectures below 30 M parameters work; {large} larger."]
    for reason, count in collections.Counter(failures.values()).most_common():
        names = [name for name, why in failures.items() if why == reason]
        lines.append(f"  {count} x {reason}: {', '.join(names)}")
    print("\n".join(lines))
    if os.environ.get("VTAB_TIMM_REPORT"):
        Path(os.environ["VTAB_TIMM_REPORT"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert failures.keys() - KNOWN_EXCEPTIONS.keys() == set()
    assert KNOWN_EXCEPTIONS.keys() & set(wanted) <= failures.keys(), "an exception works now: take it off the table"
    assert total > 0
