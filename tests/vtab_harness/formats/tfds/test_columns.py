import io

import numpy as np
import pytest
from PIL import Image

from vtab_harness import registry
from vtab_harness.datasets.dsprites.reader import _FACTORS
from vtab_harness.datasets.vtab_1k import SUITE
from vtab_harness.formats.decode import decode
from vtab_harness.formats.tfds.columns import COLUMNS, Example

FAR = 1000.0


def sprite(**factors: int) -> Example:
    return {f"label_{name}": [factors.get(name, 0)] for name in _FACTORS}


@pytest.mark.parametrize(
    ("builder", "example", "key"),
    [
        ("cifar100", {"id": [b"train_00006"]}, "6"),
        ("svhn_cropped", {"id": [b"train_000000"]}, "0"),
        ("patch_camelyon", {"id": [b"valid_12"]}, "valid_12"),
        ("eurosat/rgb", {"filename": [b"Highway_2.jpg"]}, "Highway_Highway_2.jpg"),
        ("resisc45", {"filename": [b"sea_ice_057.jpg"]}, "sea_ice_sea_ice_057.jpg"),
        ("caltech101", {"label": [4], "image/file_name": [b"image_0001.jpg"]}, "BACKGROUND_Google/image_0001.jpg"),
        ("kitti", {"image/file_name": [b"000009.png"]}, "000009.png"),
        ("dsprites", sprite(), "0"),
        ("dsprites", sprite(y_position=31), "31"),
        ("dsprites", sprite(shape=2, scale=5, orientation=39, x_position=31, y_position=31), "737279"),
    ],
)
def test_keys_are_those_of_the_archives(builder: str, example: Example, key: str) -> None:
    found = COLUMNS[builder].key
    assert found is not None
    assert found[0] in example
    assert found[1](example) == key


@pytest.mark.parametrize(
    "example",
    [{}, {"label": [102], "image/file_name": [b"a"]}, {"label": [1], "image/file_name": [b"\xff"]}, {"label": [1.0]}],
)
def test_other_features_are_refused(example: Example) -> None:
    found = COLUMNS["caltech101"].key
    assert found is not None
    with pytest.raises(ValueError):  # noqa: PT011
        found[1](example)


@pytest.mark.parametrize(
    ("kinds", "depths", "distance"),
    [([0, 3], [7.5, 2.0], 7.5), ([2, 1], [30.0, 20.0], 20.0), ([3, 7], [1.0, 2.0], FAR), ([], [], FAR)],
)
def test_closest_vehicle(kinds: list[int], depths: list[float], distance: float) -> None:
    rule = COLUMNS["kitti"].distance
    assert rule is not None
    assert rule[0] == "vehicle_distance"
    places = [value for depth in depths for value in (0.5, 0.25, depth)]
    assert rule[1]({"objects/type": kinds, "objects/location": places}) == distance
    with pytest.raises(ValueError, match="types than places"):
        rule[1]({"objects/type": [*kinds, 0], "objects/location": places})
    with pytest.raises(ValueError, match="no list of points"):
        rule[1]({"objects/type": kinds, "objects/location": [*places, 1.0]})


def test_solids() -> None:
    rule = COLUMNS["clevr"]
    assert rule.count is not None
    assert rule.distance is not None
    example = {"objects/pixel_coords": [1.0, 2.0, 9.5, 3.0, 4.0, 8.25]}
    assert (rule.count[1](example), rule.distance[1](example)) == (2, 8.25)
    with pytest.raises(ValueError, match="no objects"):
        rule.count[1]({})


def test_sprites_are_white() -> None:
    image = np.zeros((4, 4), dtype=np.uint8)
    grey = io.BytesIO()
    Image.new("L", (4, 4), 9).save(grey, "PNG")
    with pytest.raises(ValueError, match="other than 0 and 1"):
        COLUMNS["dsprites"].decoder(grey.getvalue(), "sprite")
    image[1, 2] = 1
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    assert (COLUMNS["dsprites"].decoder(buffer.getvalue(), "sprite")[:, :, 0] == image * 255).all()
    assert COLUMNS["smallnorb"].decoder(buffer.getvalue(), "toy").shape == (4, 4, 1)
    assert COLUMNS["dtd"].decoder is decode


def test_all_image_sets_of_the_suite_have_columns() -> None:
    assert {registry.tasks.get(name).image_set.tfds for name in SUITE.tasks} == set(COLUMNS)
