"""`vtab_harness.evaluate`, and that it gives the same as scikit-learn where both can be asked."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import vtab_harness
from vtab_harness import registry
from vtab_harness.api.errors import OptionError
from vtab_harness.prepared.prepared_set import prepare
from vtab_harness.sweep.store import Store, read_predictions


def test_records_come_in_the_order_asked_for(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    other = small_backbone + "&seed=1"
    done = vtab_harness.evaluate(
        [other, small_backbone],
        tasks=["mini_textures", "mini_digits"],
        protocol="knn",
        results=tmp_path,
        cache=cache,
        device="cpu",
    )
    found = [(record.backbone.spec, record.identity.task.name) for record in done.records]
    assert found == [(spec, task) for spec in (other, small_backbone) for task in ("mini_textures", "mini_digits")]
    assert done.failures == ()


def test_whole_path_gives_what_scikit_learn_gives_on_the_same_pixels(tmp_path: Path, cache: Path) -> None:
    """Order, decoding, transform, features, split, search, refit and score, against a few lines of scikit-learn."""
    done = vtab_harness.evaluate(
        "python:docs.examples.pixels:Pixels?side=64",
        tasks="mini_digits",
        protocol="knn",
        set={"k": 1, "temperature": 1.0},
        results=tmp_path,
        cache=cache,
        device="cpu",
    )
    (record,) = done.records
    task = registry.tasks.get("mini_digits")
    prepared = prepare(task.image_set, (), cache)

    def examples(split: str) -> tuple[np.ndarray, np.ndarray]:
        images = prepared.images(split)
        pixels = images.read(0, len(images)).data.reshape(len(images), -1) / 255
        return pixels, prepared.labels(split, task.label)

    (train, a), (validation, b), (test, labels) = (examples(split) for split in ("train800", "val200", "test"))
    reference = KNeighborsClassifier(1, metric="cosine").fit(
        np.concatenate([train, validation]), np.concatenate([a, b])
    )
    expected = reference.predict(test)
    ((path, _),) = Store(tmp_path)
    predicted = read_predictions(path, record)["predicted"]
    # float32 against float64: the nearest of two equally near neighbours may differ, the class hardly ever.
    assert (predicted == expected).mean() > 0.998
    assert record.accuracy == pytest.approx((expected == labels).mean(), abs=0.003)
    assert record.identity.protocol_name.startswith("knn-v1-modified-")


def test_both_suite_and_task_is_an_error(tmp_path: Path, small_backbone: str) -> None:
    with pytest.raises(OptionError, match="either suite or tasks"):
        vtab_harness.evaluate(small_backbone, suite="mini", tasks="mini_digits", results=tmp_path)


def test_failed_job_is_reported_beside_what_worked(tmp_path: Path, cache: Path, small_backbone: str) -> None:
    done = vtab_harness.evaluate(
        small_backbone,
        tasks=["caltech101", "mini_digits"],
        protocol="knn",
        results=tmp_path,
        cache=cache,
        data=tmp_path,
        raise_error=False,
    )
    assert [record.identity.task.name for record in done.records] == ["mini_digits"]
    (failure,) = done.failures
    assert failure.tasks == ("caltech101",)
    assert "101_ObjectCategories" in str(failure.error)
