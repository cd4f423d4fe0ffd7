"""Settings of a run: what is refused, and how values are read."""

import pytest

from vivi_pretrain.presets.paper import PRESETS
from vivi_pretrain.settings import PretrainSettings
from vtab_harness.api.errors import OptionError
from vtab_harness.api.values import apply_overrides


def test_lambda_0_is_no_video_level() -> None:
    assert PretrainSettings(video_weight=0).video_level == "none"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"video": "3"}, "Did you mean videos"),
        ({"videos": "0"}, "videos=0"),
        ({"lr": "nan"}, "lr="),
        ({"shot_loss": "exemplars"}, "Did you mean exemplar"),
        ({"shots": "1"}, "needs shots=2"),
        ({"frames": "1"}, "needs frames=2"),
        ({"min_area": "0.5", "max_area": "0.2"}, "min_area"),
        ({"warmup": "9", "steps": "5"}, "warmup=9"),
        ({"shot_loss": "none", "video_loss": "none"}, "there is no loss"),
        ({"labelled": "somewhere"}, "labelled_weight"),
        ({"temperature": "0"}, "temperature"),
    ],
)
def test_wrong_settings_are_named(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        apply_overrides(PRESETS["vivi-ex4"].settings(), overrides, "pretrainer 'vivi-ex4'")


def test_values_are_read_as_their_type() -> None:
    changed = apply_overrides(PretrainSettings(), {"decay_at": "5,7", "compile": "false", "colour": "none"}, "test")
    assert (changed.decay_at, changed.compile, changed.colour) == ((5, 7), False, None)
