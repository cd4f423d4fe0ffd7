"""The page of a comparison: what flipped, with pictures of the very images where they are prepared."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from made_boards import made_record, write_records
from PIL import Image

import leaderboards
from leaderboards.page.comparison import write_comparison
from leaderboards.page.flips import LONGEST, flipped, thumbnail
from vtab_harness import registry
from vtab_harness.api.identity import SplitIdentity
from vtab_harness.prepared.prepared_set import prepare
from vtab_harness.sweep.store import Store

SCRIPT = "timm:<script>alert(1)</script>"


def decoded(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(";base64,")[2])))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    prepare(registry.tasks.get("mini_digits").image_set, [], folder, ["test"])
    return folder


def write(folder: Path, spec: str, cache: Path, accuracy: float) -> Path:
    """Writes a record on the images that are prepared."""
    image_set = registry.tasks.get("mini_digits").image_set
    found = prepare(image_set, [], cache, ["test"])
    record, scored = made_record("mini_digits", spec, accuracy=accuracy, examples=image_set.size("test"))
    prints = found.manifests["test"]
    test = SplitIdentity(prints.keys, record.identity.data.splits["test"].labels, prints.pixels)
    data = replace(record.identity.data, splits={**record.identity.data.splits, "test": test})
    return Store(folder).write(msgspec.structs.replace(record, identity=replace(record.identity, data=data)), scored)


def test_the_pictures_are_of_the_examples_that_flipped(tmp_path: Path, cache: Path) -> None:
    a, b = write(tmp_path, "timm:a", cache, 0.9), write(tmp_path, "timm:b", cache, 0.5)
    found = flipped(a, b, cache, 7)
    images = prepare(registry.tasks.get("mini_digits").image_set, [], cache, ["test"])
    assert (len(found.only_a), len(found.only_b), found.without) == (7, 7, "")
    for flip in found.only_a + found.only_b:
        pixels = images.images("test").read(flip.example, flip.example + 1)
        expected = pixels.data.reshape(pixels.shapes[0])
        assert np.array_equal(np.asarray(decoded(flip.picture)).reshape(expected.shape), expected)
        assert flip.key == images.keys("test")[flip.example]
    assert all(flip.label == flip.a != flip.b for flip in found.only_a)
    assert all(flip.label == flip.b != flip.a for flip in found.only_b)
    spread = [flip.example for flip in found.only_a]
    assert spread == sorted(spread)
    assert spread[-1] - spread[0] > images.image_set.size("test") // 2, "not only the first ones"


def test_a_page_has_all_of_it_and_no_script(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "results", "timm:a", cache, 0.9)
    write(tmp_path / "results", SCRIPT, cache, 0.5)
    frame = leaderboards.load(tmp_path / "results", names={"<b>First</b>": "timm:a"})
    compared = leaderboards.compare_backbones("timm:a", SCRIPT, frame, tasks=["mini_digits"], draws=100)
    said = write_comparison(compared, tmp_path / "new" / "page.html", cache, 3)
    assert said == [f"Written to {tmp_path / 'new' / 'page.html'}."]
    text = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert text.count("<img ") == 6
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;b&gt;First&lt;/b&gt; is better than" in text
    assert f"only A is right: {compared.tasks[0].only_a:,}, of which 3" in text


def test_without_prepared_images_the_page_says_how_to_get_them(tmp_path: Path) -> None:
    write_records(tmp_path / "results", ["timm:a", "timm:b"], ["mini_digits", "mini_count"], accuracies=[0.8, 0.5])
    frame = leaderboards.load(tmp_path / "results")
    compared = leaderboards.compare_backbones("a", "b", frame, tasks=["mini_digits", "mini_count"], draws=100)
    first, *rest = write_comparison(compared, tmp_path / "page.html", tmp_path / "cache")
    assert first.startswith("Written to ")
    assert [line.partition(":")[0] for line in rest] == ["mini_digits", "mini_count"]
    assert all("vtab data prepare --task" in line for line in rest)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "vtab data prepare --task mini_count" in text


@pytest.mark.parametrize("shape", [(40, 30, 3), (40, 30, 1), (500, 200, 3), (1, 900, 1)])
def test_thumbnails_are_small_and_keep_small_images_as_they_are(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    picture = decoded(thumbnail(pixels))
    assert max(picture.size) == min(LONGEST, max(shape[:2]))
    if max(shape[:2]) <= LONGEST:
        assert np.array_equal(np.asarray(picture).reshape(shape), pixels)
