"""Several draws of the labels: the official one stays what it is, the others are results of their own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vtab_harness
from vtab_harness.api.errors import OptionError
from vtab_harness.sweep.evaluate import run_sweep
from vtab_harness.sweep.rerun import rerun
from vtab_harness.sweep.settings import SweepSettings


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 images of two classes, hard to tell apart: 72 to train on, 24 to choose on, 24 to test on."""
    folder = tmp_path_factory.mktemp("own") / "greys"
    chance = np.random.default_rng(0)
    for kind, level in (("dark", 120), ("light", 130)):
        (folder / kind).mkdir(parents=True)
        for i in range(60):
            pixels = chance.normal(level, 25, (8, 8, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{i}.png")
    return folder


@pytest.fixture
def settings(tmp_path: Path, cache: Path, small_backbone: str, images: Path) -> SweepSettings:
    return SweepSettings(
        backbones=(small_backbone,),
        tasks=(f"folder:{images}",),
        protocol="knn",
        set={"k": "1,3"},
        train_examples="20",
        results=tmp_path / "results",
        cache=cache,
        device="cpu",
    )


def test_the_official_draw_is_what_it_is_without_others(settings: SweepSettings) -> None:
    alone = run_sweep(settings)
    found = run_sweep(replace(settings, draws=3))
    assert [record.identity.labels.draw for record in found.records] == [0, 1, 2]
    assert [record.identity.labels.examples for record in found.records] == ["20"] * 3
    assert found.records.paths[:1] == alone.records.paths
    names = [Path(path).parts[-2].rpartition("-20")[2] for path in found.records.paths]
    assert names == ["", "-draw1", "-draw2"]
    prints = [record.identity.data.splits for record in found.records]
    assert [len({of[split].keys for of in prints if split in of}) for split in prints[0]] == [1, 1, 1]
    assert len({split.keys for of in prints for split in of.values()}) == 2 * 3 + 2 + 1, "and the official ones"
    assert run_sweep(replace(settings, draws=3)).records.paths == found.records.paths
    one = run_sweep(replace(settings, train_examples="20-draw2"))
    assert one.records.paths == found.records.paths[2:]
    assert rerun(Path(one.records.paths[0]), cache=settings.cache).equal


def test_more_draws_than_there_are_labels_are_refused_before_anything_runs(settings: SweepSettings) -> None:
    with pytest.raises(OptionError, match=r"own-greys has 96 examples to learn from, which is 4 draws of 20"):
        run_sweep(replace(settings, draws=5))
    with pytest.raises(OptionError, match=r"mini_\w+ declares no whole train and val split"):
        run_sweep(replace(settings, tasks=("mini_count",), train_examples="1000", draws=2))
    assert not settings.results.exists()


def test_draws_of_all_labels_or_of_one_draw_contradict(settings: SweepSettings) -> None:
    for given in ("all", "20-draw1"):
        with pytest.raises(OptionError, match="--draws 2: --train-examples .* is one draw"):
            replace(settings, train_examples=given, draws=2)


def test_from_python_the_table_is_that_of_the_official_draw(settings: SweepSettings, images: Path) -> None:
    common = {
        "protocol": "knn",
        "train_examples": 20,
        "results": settings.results,
        "cache": settings.cache,
        "device": "cpu",
    }
    task = vtab_harness.ImageFolder(images)
    official = vtab_harness.evaluate(settings.backbones[0], task, **common)
    found = vtab_harness.evaluate(settings.backbones[0], task, draws=2, **common)
    assert found.table().equals(official.table())
    assert found.to_pandas()["draw"].tolist() == [0, 1]
