import io

import numpy as np
import pytest
from PIL import Image

from vtab_harness import registry
from vtab_harness.api.layouts import Example, TfdsColumns
from vtab_harness.datasets.dsprites.reader import _FACTORS
from vtab_harness.datasets.vtab_1k import SUITE
from vtab_harness.formats.tfds.features import text
from vtab_harness.formats.tfds.source import image_of

FAR = 1000.0
SETS = [registry.tasks.get(name).image_set for name in SUITE.tasks]
COLUMNS = {image_set.tfds: image_set.tfds_columns for image_set in SETS}


def key_of(columns: TfdsColumns, example: Example) -> str:
    return text(example, columns.key) if columns.key_of is None else columns.key_of(example)


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
    assert COLUMNS[builder].key in example
    assert key_of(COLUMNS[builder], example) == key


@pytest.mark.parametrize(
    "example",
    [{}, {"label": [102], "image/file_name": [b"a"]}, {"label": [1], "image/file_name": [b"\xff"]}, {"label": [1.0]}],
)
def test_other_features_are_refused(example: Example) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        key_of(COLUMNS["caltech101"], example)


@pytest.mark.parametrize(
    ("kinds", "depths", "distance"),
    [([0, 3], [7.5, 2.0], 7.5), ([2, 1], [30.0, 20.0], 20.0), ([3, 7], [1.0, 2.0], FAR), ([], [], FAR)],
)
def test_closest_vehicle(kinds: list[int], depths: list[float], distance: float) -> None:
    rule = COLUMNS["kitti"].computed["vehicle_distance"]
    places = [value for depth in depths for value in (0.5, 0.25, depth)]
    assert rule({"objects/type": kinds, "objects/location": places}) == distance
    with pytest.raises(ValueError, match="types than places"):
        rule({"objects/type": [*kinds, 0], "objects/location": places})
    with pytest.raises(ValueError, match="no list of points"):
        rule({"objects/type": kinds, "objects/location": [*places, 1.0]})


def test_solids() -> None:
    count, distance = (COLUMNS["clevr"].computed[name] for name in ("count", "distance"))
    example = {"objects/pixel_coords": [1.0, 2.0, 9.5, 3.0, 4.0, 8.25]}
    assert (count(example), distance(example)) == (2, 8.25)
    with pytest.raises(ValueError, match="no objects"):
        count({})


def test_sprites_are_white() -> None:
    image = np.zeros((4, 4), dtype=np.uint8)
    grey = io.BytesIO()
    Image.new("L", (4, 4), 9).save(grey, "PNG")
    with pytest.raises(ValueError, match="other than 0 and 1"):
        image_of(COLUMNS["dsprites"], grey.getvalue(), "sprite")
    image[1, 2] = 1
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    assert (image_of(COLUMNS["dsprites"], buffer.getvalue(), "sprite")[:, :, 0] == image * 255).all()
    assert image_of(COLUMNS["smallnorb"], buffer.getvalue(), "toy").shape == (4, 4, 1)
    assert image_of(COLUMNS["dtd"], buffer.getvalue(), "texture").tolist() == [
        [[v] * 3 for v in row] for row in image.tolist()
    ]


def test_all_image_sets_of_the_suite_have_columns() -> None:
    assert len(COLUMNS) == 16
    for columns in COLUMNS.values():
        # Without, any version would do.
        assert columns.versions
        assert columns.integers or columns.computed
