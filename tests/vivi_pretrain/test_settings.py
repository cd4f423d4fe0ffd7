"""Settings and presets: what is refused, what each preset is, and that every value says where it comes from."""

from dataclasses import fields
from pathlib import Path

import pytest

from vivi_pretrain.presets.paper import PRESETS, SOURCES, page
from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.training.schedule import learning_rate
from vtab_harness import registry
from vtab_harness.api.errors import OptionError
from vtab_harness.overrides import apply_overrides

# They say how the work is done, not what comes out.
PRACTICAL = {"device", "workers", "gpu_decode", "checkpoint_every", "keep_states", "log_every"}


def test_the_issue_s_presets_are_registered_and_load() -> None:
    variants = ("", "-order", "-big", "-co10", "-co100", "-co100-big")
    wanted = {f"vivi-{loss}{k}{variant}" for loss in ("ex", "rot") for k in (2, 4) for variant in variants}
    wanted |= {"ex-frame", "rot-frame", "ex-shot"}
    assert set(PRESETS) == wanted
    for name in wanted:
        found = registry.pretrainers.get(name)
        assert found.summary
        assert found.settings == PRESETS[name].settings()
    assert {"vivi", "ex", "rot"} <= set(registry.pretrainer_families())


def test_what_the_names_say() -> None:
    ex2, ex4 = PRESETS["vivi-ex2"].settings(), PRESETS["vivi-ex4"].settings()
    assert (ex2.shots, ex2.frames, ex2.predictor) == (2, 8, "mlp")
    assert (ex4.shots, ex4.frames, ex4.predictor) == (4, 4, "lstm")
    assert PRESETS["vivi-rot4"].settings().has_colour is False
    assert ex4.has_colour is True
    assert PRESETS["vivi-rot2-order"].settings().video_level == "order"
    assert PRESETS["ex-shot"].settings().video_level == "none"
    assert PRESETS["ex-frame"].settings().copies
    co10, co100 = PRESETS["vivi-ex4-co10"].settings(), PRESETS["vivi-ex4-co100-big"].settings()
    assert (co10.labelled_fraction, co10.labelled_weight) == (0.1, 1.0)
    assert (co100.labelled_fraction, co100.labelled_weight, co100.encoder) == (1, 4, "resnetv2_50?width_factor=3")
    # Images a step: 2048 everywhere but in co-training, where 512 frames of videos meet 512 images.
    for preset in PRESETS.values():
        s = preset.settings()
        images = s.videos * s.shots * s.frames * (4 if s.shot_loss == "rotation" else 1)
        assert images == (512 if s.labelled_weight and s.shot_loss == "exemplar" else 2048)


def test_lambda_0_is_no_video_level() -> None:
    assert PretrainSettings(video_weight=0).video_level == "none"


def test_every_setting_has_a_source_and_the_page_is_up_to_date() -> None:
    assert {field.name for field in fields(PretrainSettings)} - PRACTICAL == set(SOURCES)
    assert Path("docs/presets.md").read_text(encoding="utf-8") == page()


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


def test_learning_rate_warms_up_and_falls() -> None:
    rates = [learning_rate(step, 0.8, 4, (6, 8)) for step in range(10)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.08, 0.08, 0.008, 0.008])
    assert learning_rate(0, 0.8, 0, ()) == 0.8
