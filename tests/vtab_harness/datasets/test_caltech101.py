import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtab_harness.api.data import Archive, Source
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.caltech101 import IMAGE_SET, TASK
from vtab_harness.datasets.caltech101.reader import image_list, open_source
from vtab_harness.datasets.caltech101.splits import CLASS_SIZES, STRAYS, membership
from vtab_harness.formats.example_order import examples_by_split, keys_fingerprint
from vtab_harness.formats.image_list import ListedImages

SIZES = dict.fromkeys(CLASS_SIZES, 31)
SMALL = replace(IMAGE_SET, sizes={"train": 3060, "test": 102}, splits={})
WHOLE = image_list(IMAGE_SET, Path("nowhere"), CLASS_SIZES, STRAYS)

# Of the real archive, over the sorted listing.
FINGERPRINTS = {
    "train800": "b508d3bc3b228f01e14401b4ba49bcb5a14b69174d292aada61e848f54fc84fd",
    "val200": "7d66c33f70fd64bea28af098874cf80ba2bbea52b9d3385f24328dd90f2e39c3",
    "test": "e5f1185162dc93b9730e517a94b48dc25db6f627104ef0168aea542d5007876a",
}


def jpeg(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 6), grey).save(buffer, "JPEG")
    return buffer.getvalue()


def contents() -> dict[str, bytes]:
    """A small data set: every image of a class has the class's grey level."""
    files = {}
    for label, name in enumerate(CLASS_SIZES):
        for number in range(1, 32):
            files[f"{name}/image_{number:04d}.jpg"] = jpeg(2 * label)
    return files | {"BACKGROUND_Google/tmp": b"stray"}


CONTENTS = contents()


def tar_bytes(files: dict[str, bytes], extra: tarfile.TarInfo | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"101_ObjectCategories/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        if extra is not None:
            tar.addfile(extra)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def packed() -> bytes:
    return tar_bytes(CONTENTS)


def source_of(path: Path, *archives: Archive) -> ListedImages:
    return image_list(replace(SMALL, archives=archives), path, SIZES, STRAYS)


def read_all(source: Source) -> dict[str, np.ndarray]:
    wanted = {split: range(len(source.keys(split))) for split in ("train", "test")}
    return {source.keys(split)[position]: image for split, position, image in source.images(wanted)}


def archive(folder: Path, data: bytes) -> Path:
    path = folder / "101_ObjectCategories.tar.gz"
    path.write_bytes(data)
    return path


def test_membership_of_the_published_classes() -> None:
    keys = membership(CLASS_SIZES, STRAYS)
    assert (len(keys["train"]), len(keys["test"])) == (3060, 6084)
    assert not set(keys["train"]) & set(keys["test"])
    for name, size in CLASS_SIZES.items():
        assert sum(key.startswith(f"{name}/") for key in keys["train"]) == 30
        assert sum(key.startswith(f"{name}/") for key in keys["test"]) == size - 30


def test_stray_file_takes_part_in_the_draw() -> None:
    assert membership(CLASS_SIZES, STRAYS) != membership(CLASS_SIZES, {})


def test_example_order_is_fixed() -> None:
    source = WHOLE
    splits = examples_by_split(IMAGE_SET, source, ["train800", "val200", "test", "train", "val"])
    keys = {split: [source.keys(s)[position] for s, position in found] for split, found in splits.items()}
    assert {split: keys_fingerprint(keys[split]) for split in FINGERPRINTS} == FINGERPRINTS
    assert keys["train"][:800] == keys["train800"]
    assert keys["val"][:200] == keys["val200"]
    assert len({*keys["train"], *keys["val"]}) == 3060


def test_labels_are_alphabetical_without_regard_to_case() -> None:
    assert list(CLASS_SIZES) == sorted(CLASS_SIZES, key=str.lower)
    assert len(CLASS_SIZES) == TASK.num_classes
    names = list(CLASS_SIZES)
    known = {"accordion": 0, "BACKGROUND_Google": 4, "Faces": 37, "hedgehog": 48, "trilobite": 93, "yin_yang": 101}
    assert {name: names.index(name) for name in known} == known
    labels = TASK.label(WHOLE.annotations("test"))
    assert [names[label] for label in labels] == [key.split("/")[0] for key in WHOLE.keys("test")]


def test_chance_is_the_best_constant() -> None:
    labels = TASK.label(WHOLE.annotations("test"))
    assert TASK.chance == np.bincount(labels).max() / len(labels)


@pytest.mark.parametrize("layout", ["tar", "zip", "folder"])
@pytest.mark.parametrize("place", [".", "caltech101", "caltech-101"])
def test_finds_and_reads_every_layout(tmp_path: Path, packed: bytes, layout: str, place: str) -> None:
    folder = tmp_path / "second" / place
    folder.mkdir(parents=True)
    if layout == "tar":
        archive(folder, packed)
    elif layout == "zip":
        with zipfile.ZipFile(folder / "caltech-101.zip", "w") as file:
            file.writestr("__MACOSX/caltech-101/101_ObjectCategories.tar.gz", b"not this one")
            file.writestr("caltech-101/101_ObjectCategories.tar.gz", packed)
    else:
        for name, data in CONTENTS.items():
            (folder / "101_ObjectCategories" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "101_ObjectCategories" / name).write_bytes(data)
    found = open_source(SMALL, [tmp_path / "first", tmp_path / "second"])
    assert isinstance(found, ListedImages)
    assert found.variant == "caltech-sorted"
    (path,) = found.files
    source = source_of(path)
    images = read_all(source)
    assert len(images) == 102 * 31
    names = list(CLASS_SIZES)
    for key, image in images.items():
        assert image.shape == (6, 8, 3)
        assert abs(int(image[0, 0, 0]) - 2 * names.index(key.split("/")[0])) <= 1


def test_yields_only_what_is_wanted(tmp_path: Path, packed: bytes) -> None:
    source = source_of(archive(tmp_path, packed))
    found = [(split, position) for split, position, _ in source.images({"train": [7, 3], "test": [1]})]
    assert sorted(found) == [("test", 1), ("train", 3), ("train", 7)]


def test_missing_data_says_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"was not found[\s\S]*101_ObjectCategories\.tar\.gz.*data\.caltech\.edu"
    ) as error:
        open_source(IMAGE_SET, [tmp_path])
    assert str(tmp_path) in error.value.message
    with pytest.raises(DataError, match="no data folder was given"):
        open_source(IMAGE_SET, [])


def without_class(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not name.startswith("pizza/")}


def without_file(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name != "pizza/image_0031.jpg"}


def with_more(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"pizza/image_0032.jpg": jpeg(0)}


def with_unknown_class(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"spoon/image_0001.jpg": jpeg(0)}


def with_a_text(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"pizza/image_0004.jpg": b"no picture"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_class, "31 images are missing, such as pizza/image_0001.jpg"),
        (without_file, "1 images are missing, such as pizza/image_0031.jpg"),
        (with_more, "pizza/image_0032.jpg"),
        (with_unknown_class, "spoon/image_0001.jpg"),
        (with_a_text, "pizza/image_0004.jpg is not an image"),
    ],
)
def test_archive_with_other_contents_is_refused(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    path = archive(tmp_path, tar_bytes(change(CONTENTS)))
    with pytest.raises(DataError) as error:
        read_all(source_of(path))
    assert message in error.value.message
    assert str(path) in error.value.message
    assert error.value.hint is not None


@pytest.mark.parametrize("kept", [0, 10, 0.4, 0.95, -100, -4])
def test_truncated_archive_is_refused(tmp_path: Path, packed: bytes, kept: float) -> None:
    path = archive(tmp_path, packed[: int(kept * len(packed)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(DataError) as error:
        read_all(source_of(path))
    assert str(path) in error.value.message


def test_damaged_archive_is_refused(tmp_path: Path, packed: bytes) -> None:
    plain = bytearray(gzip.decompress(packed))
    whole = gzip.compress(bytes(plain), compresslevel=0)
    middle = bytearray(whole)
    # In the content of an image, where only the checksum of the archive notices.
    at = middle.find(jpeg(20)) + 200
    middle[at] ^= 1
    with pytest.raises(DataError):
        read_all(source_of(archive(tmp_path, bytes(middle))))


def test_damaged_images_are_counted_and_the_archive_is_compared(tmp_path: Path) -> None:
    spoilt = {
        name: CONTENTS[name][:-2] for name in ("ant/image_0001.jpg", "ant/image_0002.jpg", "yin_yang/image_0003.jpg")
    }
    path = archive(tmp_path, tar_bytes(CONTENTS | spoilt))
    published = Archive("101_ObjectCategories.tar.gz", path.stat().st_size, "ab" * 32)
    with pytest.raises(DataError) as error:
        read_all(source_of(path, published))
    assert f"{path} holds 3 images that cannot be used" in error.value.message
    assert "ant/image_0001.jpg cannot be decoded" in error.value.message
    assert f"its sha256 is {hashlib.sha256(path.read_bytes()).hexdigest()}, that of the published file" in str(
        error.value
    )


# Named, because gzip writes the time into its bytes, and tests are called the same in every process.
@pytest.mark.parametrize(
    "data",
    [b"", b"text" * 1000, gzip.compress(b"text" * 1000), tar_bytes({})],
    ids=["empty", "text", "packed text", "empty tar"],
)
def test_something_else_under_its_name_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DataError, match=r"101_ObjectCategories\.tar\.gz"):
        read_all(source_of(archive(tmp_path, data)))


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"", None])
def test_wrong_zip_is_refused(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "caltech-101.zip"
    if data is None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("readme.txt", "nothing here")
    else:
        path.write_bytes(data)
    with pytest.raises(DataError, match=r"caltech-101\.zip"):
        read_all(source_of(path))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../evil.jpg", tarfile.REGTYPE),
        ("/etc/evil.jpg", tarfile.REGTYPE),
        ("101_ObjectCategories/ant/../../evil.jpg", tarfile.REGTYPE),
        ("101_ObjectCategories/ant/link.jpg", tarfile.SYMTYPE),
        ("101_ObjectCategories/ant/hard.jpg", tarfile.LNKTYPE),
        ("101_ObjectCategories/ant/device.jpg", tarfile.CHRTYPE),
    ],
)
def test_unsafe_members_are_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    extra = tarfile.TarInfo(name)
    extra.type, extra.linkname = kind, "/etc/passwd"
    path = archive(tmp_path, tar_bytes(CONTENTS, extra))
    with pytest.raises(DataError, match="leads out of it or is no plain file"):
        read_all(source_of(path))


def test_claimed_size_is_not_believed(tmp_path: Path) -> None:
    info = tarfile.TarInfo("101_ObjectCategories/ant/image_0001.jpg")
    info.size = 1 << 40
    path = archive(tmp_path, gzip.compress(info.tobuf()))
    with pytest.raises(DataError, match="larger than any file of this data set"):
        read_all(source_of(path))


@pytest.mark.shared
def test_real_archive(shared_data: Path) -> None:
    source = open_source(IMAGE_SET, [shared_data / "raw"])
    # Two images of each split are decoded; every name in the archive is compared with the declaration on the way.
    found = list(source.images({"train": [0, 3059], "test": [0, 6083]}))
    assert sorted((split, position) for split, position, _ in found) == [
        ("test", 0),
        ("test", 6083),
        ("train", 0),
        ("train", 3059),
    ]
    assert all(image.shape[2] == 3 for _, _, image in found)
