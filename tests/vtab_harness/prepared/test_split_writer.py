import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import DataError
from vtab_harness.formats.example_order import examples_by_split
from vtab_harness.prepared.manifest import PIXELS, SHAPES, Manifest, pixel_fingerprint
from vtab_harness.prepared.split_writer import write_splits

Shape = tuple[int, int, int]


class Given:
    """Images of given shapes, delivered in a given order."""

    variant = "given"

    def __init__(self, shapes: Sequence[Shape], order: Sequence[int]) -> None:
        random = np.random.default_rng(0)
        self.pictures = [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
        self.order = order

    def keys(self, split: str) -> Sequence[str]:
        return [f"image {number}" for number in range(len(self.pictures))]

    def annotations(self, split: str) -> Mapping[str, NDArray[Any]]:
        return {"label": np.arange(len(self.pictures))}

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        for position in self.order:
            if position in wanted["all"]:
                yield "all", position, self.pictures[position]


def declared(count: int) -> ImageSet:
    parts = {"first": (Slice("all", 0, count - count // 3),), "last": (Slice("all", count // 3, count),)}
    return ImageSet("given", "1", "nowhere:nothing", {"all": count}, parts)


SHAPES_DRAWN = st.sampled_from([(2, 3, 3), (2, 3, 3), (2, 3, 3), (3, 2, 3), (5, 1, 1), (1, 1, 3)])


@st.composite
def sources(draw: st.DrawFn) -> Given:
    count = draw(st.integers(1, 12))
    one = draw(st.booleans())
    shapes = [draw(SHAPES_DRAWN)] * count if one else draw(st.lists(SHAPES_DRAWN, min_size=count, max_size=count))
    return Given(shapes, draw(st.permutations(range(count))))


@given(source=sources())
def test_files_are_the_images_in_example_order(source: Given, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("splits")
    image_set = declared(len(source.pictures))
    folders = {split: folder / split for split in image_set.splits}
    write_splits(image_set, source, folders)
    for split, examples in examples_by_split(image_set, source, list(folders)).items():
        expected = [source.pictures[at] for _, at in examples]
        content = b"".join(image.tobytes() for image in expected)
        assert (folders[split] / PIXELS).read_bytes() == content
        shapes = np.array([image.shape for image in expected], dtype=np.int64).reshape(-1, 3)
        np.testing.assert_array_equal(np.load(folders[split] / SHAPES), shapes)
        manifest = Manifest.load(folders[split])
        assert manifest.pixels == pixel_fingerprint(shapes, hashlib.sha256(content).hexdigest())
        manifest.verify(folders[split])
        manifest.check(folders[split], image_set)
        assert len(list(folders[split].iterdir())) == len(manifest.files) + 1


@pytest.mark.parametrize(
    ("shapes", "ordered", "again"),
    [
        ([(2, 3, 3)] * 40, False, False),
        ([(2, 3, 3)] * 40, True, False),
        ([(2, 3, 3), (3, 3, 3)] * 20, True, False),
        ([(2, 3, 3)] * 39 + [(3, 3, 3)], False, True),
    ],
)
def test_images_are_written_again_only_where_they_must_be(
    shapes: list[Shape], ordered: bool, again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_set = ImageSet("given", "1", "n:n", {"all": 40}, {"first": (Slice("all", 0, 40),)})
    source = Given(shapes, range(40))
    if ordered:
        source.order = [at for _, at in examples_by_split(image_set, source, ["first"])["first"]]
    renamed: list[str] = []
    plain = Path.rename

    def counted(path: Path, target: Path) -> Path:
        renamed.append(target.name)
        return plain(path, target)

    monkeypatch.setattr(Path, "rename", counted)
    write_splits(image_set, source, {"first": tmp_path / "first"})
    # Those that arrive in order are the file itself, under another name.
    assert (PIXELS not in renamed) == again
    Manifest.load(tmp_path / "first").verify(tmp_path / "first")


@pytest.mark.parametrize(
    ("order", "message"), [([0, 2, 3], "image 1 is missing"), ([0, 1, 1, 2, 3], "example 1 .*twice")]
)
def test_lost_and_doubled_images_are_named(order: list[int], message: str, tmp_path: Path) -> None:
    image_set = ImageSet("given", "1", "n:n", {"all": 4}, {"first": (Slice("all", 0, 4),)})
    with pytest.raises(DataError, match=message):
        write_splits(image_set, Given([(2, 2, 3)] * 4, order), {"first": tmp_path / "first"})
