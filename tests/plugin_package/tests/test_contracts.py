"""How a plugin tests itself: one check for each thing that it registers."""

from pathlib import Path

import pytest

from vtab_harness.testing import (
    check_backbone_source,
    check_executor,
    check_pretrainer,
    check_protocol,
    check_task,
)
from vtab_plugin_example.backbones import CHANNEL_MEANS
from vtab_plugin_example.executors import Reversed
from vtab_plugin_example.pretrainers import NO_TRAINING, NoTrainingSettings
from vtab_plugin_example.protocols import NearestMean, NearestMeanSettings
from vtab_plugin_example.tasks import STRIPES


def test_task() -> None:
    check_task(STRIPES)


def test_backbone_source() -> None:
    others = ["channel-means:rgb?input_size=48", "channel-means:rgb?std=0.5"]
    check_backbone_source(CHANNEL_MEANS, "channel-means:rgb", others=others)


@pytest.mark.parametrize("settings", [None, NearestMeanSettings(power=(3.0,))])
def test_protocol(settings: NearestMeanSettings | None) -> None:
    check_protocol(NearestMean, settings)


def test_pretrainer(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    check_pretrainer(NO_TRAINING, NoTrainingSettings(), data, tmp_path, other_settings=NoTrainingSettings(seed=1))


def test_executor() -> None:
    check_executor(Reversed, timeout=60)
