"""What each preset is, and that the page says where every value comes from."""

import re
from dataclasses import fields
from pathlib import Path

from vivi_pretrain.presets.page import BASE, page
from vivi_pretrain.presets.paper import PRESETS, SOURCES
from vivi_pretrain.settings import PretrainSettings
from vtab_harness import registry
from vtab_harness.api.values import apply_overrides

# They say how the work is done, not what comes out.
PRACTICAL = {"device", "workers", "gpu_decode", "checkpoint_every", "keep_states", "log_every"}


def test_presets_are_registered_and_load() -> None:
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


def test_every_setting_has_a_source_and_the_page_is_up_to_date() -> None:
    assert {field.name for field in fields(PretrainSettings)} - PRACTICAL == set(SOURCES)
    assert Path("docs/presets.md").read_text(encoding="utf-8") == page()


def test_the_page_tells_every_value_with_its_mark() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page().splitlines() if line.startswith("| ")]
    told = {row[0]: row[1] for row in rows if row[0] in SOURCES}
    assert apply_overrides(PretrainSettings(lr=9), told, "page") == BASE.settings()
    others = {row[0]: row[2] for row in rows if row[0] in PRESETS}
    assert others.keys() == PRESETS.keys() - {BASE.name}
    for name, text in others.items():
        differing = dict(found.split("=", 1) for found in re.findall("`(.*?)`", text))
        assert apply_overrides(BASE.settings(), differing, name) == PRESETS[name].settings()
        for group in text.split("; "):
            mark, _, values = group.partition(": ")
            assert {SOURCES[key][0] for key in re.findall(r"`(\w+)=", values)} == {mark}
