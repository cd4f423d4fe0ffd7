import hashlib
import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_archives import folder, jpeg, labels_by_key, order_of, png, read_all, refused, tar

from vtab_harness.api.data import Archive, Source
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.sun397 import IMAGE_SET, TASK
from vtab_harness.datasets.sun397 import reader as sun397
from vtab_harness.datasets.sun397.reader import open_source, read_lists
from vtab_harness.formats.example_order import keys_fingerprint

SPLITS = ("train", "validation", "test")
LISTS = {
    "sun397_tfds_tr.txt": b"/b/bar/sun_1.jpg\n/a/abbey/sun_2.jpg\n",
    "sun397_tfds_va.txt": b"/b/brewery/indoor/sun_3.jpg\n",
    "sun397_tfds_te.txt": b"/a/abbey/sun_4.jpg\n",
}
CHECKED = tuple(
    Archive(name, len(content), hashlib.sha256(content).hexdigest(), "page") for name, content in LISTS.items()
)
SMALL = replace(IMAGE_SET, sizes={"train": 2, "validation": 1, "test": 1}, splits={}, archives=CHECKED)
IMAGES = {
    "b/bar/sun_1.jpg": jpeg(40, (600, 400)),
    "a/abbey/sun_2.jpg": jpeg(80, (400, 300)),
    "b/brewery/indoor/sun_3.jpg": png(120, (401, 300)),
    "a/abbey/sun_4.jpg": jpeg(160, (20, 10)),
    "c/church/outdoor/unlisted.jpg": jpeg(0),
    "readme.txt": b"",
}
LABELS = {"/b/bar/sun_1.jpg": 1, "/a/abbey/sun_2.jpg": 0, "/b/brewery/indoor/sun_3.jpg": 2, "/a/abbey/sun_4.jpg": 0}

FIRST = {
    "train800": ["/r/rope_bridge/sun_biqflnsoednmhvce.jpg", "/t/tower/sun_avxiyhlcnzjayhrk.jpg"],
    "val200": ["/b/boathouse/sun_armmkazxnlvxglwr.jpg", "/r/restaurant_patio/sun_afhgmyopzixkqugi.jpg"],
    "test": ["/l/living_room/sun_apdtcxrsfiravnis.jpg", "/k/kitchen/sun_akklrypwxrgfswbe.jpg"],
}
GOLDEN_KEYS = {
    "train800": "bbfe318c912bf27829cb49d1a32e2cd8c017ff4cd1ed2d6c810c55f7e4633be2",
    "val200": "ed3f4079a4f342a7cb67dc40ca6e4dc88f525012b98c79822afba984580b5aa2",
    "test": "e6ff58577ca493eb2d6d03316452e5e057357a6b210cfea042486c1bd3e3679b",
}
GOLDEN_LABELS = {
    "train800": "bbaf271d595fa123f3071fd7c2d3ae012cbdaaa0094a2012c97a46d9a7035807",
    "val200": "52d3319bbc2930fea72859460f11d38b61c19f46f1ecf938e71e2c473c9d3c00",
    "test": "018b47eac25ad4534a338f5726b441639e5ea7003658594355b08fcebf2de796",
}


def tiff() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, "TIFF")
    return buffer.getvalue()


def claiming(side: int) -> bytes:
    data = bytearray(jpeg(90, (40, 30)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = side.to_bytes(2, "big") * 2
    return bytes(data)


def long_chunk() -> bytes:
    """A PNG whose second chunk claims four gigabytes, which OpenCV would take."""
    data = bytearray(png(90, (40, 30)))
    data[33:37] = b"\xff" * 4
    return bytes(data)


def below(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"SUN397/{name}": data for name, data in files.items()}


def opened(root: Path) -> Source:
    pytest.importorskip("cv2")
    return open_source(SMALL, [root])


@pytest.mark.parametrize("layout", ["tar.gz", "folder"])
@pytest.mark.parametrize("place", [".", "sun397"])
def test_reads_every_layout(tmp_path: Path, layout: str, place: str) -> None:
    folder(tmp_path / place, LISTS)
    if layout == "folder":
        folder(tmp_path / place, below(IMAGES))
    else:
        tar(tmp_path / place / "SUN397.tar.gz", below(IMAGES))
    source = opened(tmp_path)
    assert labels_by_key(source, SPLITS) == LABELS
    images = read_all(source, SPLITS)
    # At most 120,000 pixels, the aspect ratio kept.
    assert {key: image.shape for key, image in images.items()} == {
        "/b/bar/sun_1.jpg": (283, 424, 3),
        "/a/abbey/sun_2.jpg": (300, 400, 3),
        "/b/brewery/indoor/sun_3.jpg": (300, 400, 3),
        "/a/abbey/sun_4.jpg": (10, 20, 3),
    }
    greys = {"/b/bar/sun_1.jpg": 40, "/a/abbey/sun_2.jpg": 80, "/b/brewery/indoor/sun_3.jpg": 120}
    for key, grey in greys.items():
        assert abs(images[key].astype(int) - grey).max() <= 1


def test_colours_keep_their_order_except_in_gifs(tmp_path: Path) -> None:
    red = Image.new("RGB", (32, 32), (250, 10, 10))
    stored = {}
    for kind in ("PNG", "GIF"):
        buffer = io.BytesIO()
        red.save(buffer, kind)
        stored[kind] = buffer.getvalue()
    folder(tmp_path, LISTS)
    folder(tmp_path, below({**IMAGES, "b/bar/sun_1.jpg": stored["PNG"], "a/abbey/sun_2.jpg": stored["GIF"]}))
    images = read_all(opened(tmp_path), SPLITS)
    assert np.abs(images["/b/bar/sun_1.jpg"].astype(int) - [250, 10, 10]).max() <= 3
    # TensorFlow decoded these, and OpenCV stored them as if it had.
    assert np.abs(images["/a/abbey/sun_2.jpg"].astype(int) - [10, 10, 250]).max() <= 3


def test_lists_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder(tmp_path / "site", {"tensorflow_datasets/__init__.py": b"raise ImportError"})
    folder(package / "tensorflow_datasets" / "image_classification", LISTS)
    monkeypatch.syspath_prepend(str(package))
    # Other tests of this process may have imported the real one.
    monkeypatch.delitem(sys.modules, "tensorflow_datasets", raising=False)
    folder(tmp_path, below(IMAGES))
    assert labels_by_key(opened(tmp_path), SPLITS) == LABELS
    assert "tensorflow_datasets" not in sys.modules


def test_missing_lists_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2")
    monkeypatch.setattr(sun397, "find_spec", lambda name: None)
    tar(tmp_path / "SUN397.tar.gz", below(IMAGES))
    with pytest.raises(DataError, match=r"sun397_tfds_tr\.txt[\s\S]*3,070,803 bytes, sha256 764d9aa5c7"):
        open_source(IMAGE_SET, [tmp_path])


@pytest.mark.parametrize("content", [b"", b"/b/bar/sun_1.jpg\r\n/a/abbey/sun_2.jpg\r\n", b"/a/abbey/../../x.jpg\n"])
def test_other_lists_are_refused(tmp_path: Path, content: bytes) -> None:
    folder(tmp_path, LISTS | {"sun397_tfds_tr.txt": content})
    folder(tmp_path, below(IMAGES))
    error = refused(tmp_path / "sun397_tfds_tr.txt", lambda: opened(tmp_path))
    assert "is not the published list" in error.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b/bar/sun_1.jpg": None}, "1 images are missing, such as /b/bar/sun_1.jpg"),
        ({"b/bar/sun_1.jpg": b"text"}, "b/bar/sun_1.jpg is not an image"),
        ({"b/bar/sun_1.jpg": b""}, "b/bar/sun_1.jpg is not an image"),
        # OpenCV knows more formats, and gives memory for any size that a header claims.
        ({"b/bar/sun_1.jpg": tiff()}, "b/bar/sun_1.jpg is not an image"),
        ({"b/bar/sun_1.jpg": claiming(60_000)}, "its header claims 60000 x 60000 pixels"),
        ({"b/bar/sun_1.jpg": long_chunk()}, "b/bar/sun_1.jpg cannot be decoded: it ends early"),
    ],
)
def test_damage_is_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    folder(tmp_path, LISTS)
    files = {name: data for name, data in {**IMAGES, **change}.items() if data is not None}
    path = tar(tmp_path / "SUN397.tar.gz", below(files))
    assert message in refused(path, lambda: read_all(opened(tmp_path), SPLITS)).message


@pytest.mark.parametrize("kept", [0, 500, -8])
def test_truncated_archive_is_refused(tmp_path: Path, kept: int) -> None:
    folder(tmp_path, LISTS)
    path = tar(tmp_path / "SUN397.tar.gz", below(IMAGES))
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, lambda: read_all(opened(tmp_path), SPLITS))


def test_order_and_labels_of_the_published_lists() -> None:
    package = sun397.find_spec("tensorflow_datasets")
    if package is None or package.origin is None:
        pytest.skip("the lists come with tensorflow_datasets, which is not installed")
    lists = Path(package.origin).parent / "image_classification"
    found = read_lists(IMAGE_SET, {split: lists / name for split, name in sun397._LISTS.items()})
    resolved = order_of(IMAGE_SET, found)
    assert {split: first[:2] for split, (first, _, _) in resolved.items()} == FIRST
    assert {split: keys for split, (_, keys, _) in resolved.items()} == GOLDEN_KEYS
    labels = {split: TASK.label({"label": values}) for split, (_, _, values) in resolved.items()}
    assert {split: keys_fingerprint(values.tolist()) for split, values in labels.items()} == GOLDEN_LABELS
    assert len(set(labels["train800"].tolist())) == 309
    assert len(set(labels["val200"].tolist())) == 136
    assert len({*labels["train800"].tolist(), *labels["val200"].tolist()}) == 325
    assert np.bincount(labels["test"]).max() / 21750 == TASK.chance


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    pytest.importorskip("cv2")
    source = open_source(replace(IMAGE_SET, archives=()), [shared_data / "tfds_fake"])
    assert [len(read_all(source, [split])) for split in SPLITS] == [4, 2, 2]
