"""Sizes, sha256 and addresses of the published archives, against those that TensorFlow Datasets registers."""

import pytest
import tensorflow_datasets as tfds

from vtab_harness import registry
from vtab_harness.api.data import ImageSet

IMAGE_SETS = {task.image_set.name: task.image_set for _, task in registry.tasks.items() if task.image_set.tfds}
UNKNOWN_TO_TFDS = {
    "caltech101": {"101_ObjectCategories.tar.gz"},
    "sun397": {"sun397_tfds_tr.txt", "sun397_tfds_va.txt", "sun397_tfds_te.txt"},
    "resisc45": {"NWPU-RESISC45.rar"},
    "diabetic_retinopathy_detection": {"train.zip", "test.zip", "trainLabels.csv"},
}
"""Fetched by hand, or from where TFDS does not fetch them."""


@pytest.mark.parametrize("image_set", IMAGE_SETS.values(), ids=IMAGE_SETS)
def test_archives_are_those_of_tfds(image_set: ImageSet) -> None:
    registered = tfds.builder_cls(image_set.tfds.partition("/")[0]).url_infos
    unknown = UNKNOWN_TO_TFDS.get(image_set.name, set())
    assert {archive.name for archive in image_set.archives if archive.url not in registered} == unknown
    for archive in image_set.archives:
        if archive.name not in unknown:
            known = registered[archive.url]
            assert (archive.size, archive.sha256) == (known.size, known.checksum)


def test_every_image_set_of_the_suite_is_compared() -> None:
    names = {registry.tasks.get(name).image_set.name for name in registry.suites.get("vtab-1k").tasks}
    assert names == set(IMAGE_SETS)
