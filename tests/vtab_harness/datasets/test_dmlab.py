from pathlib import Path

import pytest
from small_archives import folder, jpeg, labels_by_key, read_all, refused, tar
from small_records import bytes_feature, example, integer_feature, record

from vtab_harness.api.data import Source
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.dmlab import IMAGE_SET, TASK
from vtab_harness.datasets.dmlab.reader import open_source
from vtab_harness.formats.example_order import example_order
from vtab_harness.formats.progress import listening

SPLITS = ("train", "validation", "test")


def frame(name: str, label: int) -> bytes:
    return example(
        image=bytes_feature(jpeg(40 * label)),
        filename=bytes_feature(name.encode()),
        label=integer_feature(label),
    )


def of(*frames: tuple[str, int]) -> bytes:
    return b"".join(record(frame(*each)) for each in frames)


LABELS = {"video_1_1_1.jpg": 5, "video_1_1_2.jpg": 0, "video_1_2_1.jpg": 1, "video_2_1_1.jpg": 3, "video_3_1_1.jpg": 4}
FILES = {
    "dmlab-train.tfrecord-00001-of-00002": of(("video_1_2_1.jpg", 1)),
    "dmlab-train.tfrecord-00000-of-00002": of(("video_1_1_1.jpg", 5), ("video_1_1_2.jpg", 0)),
    "dmlab-validation.tfrecord-00000-of-00001": of(("video_2_1_1.jpg", 3)),
    "dmlab-test.tfrecord": of(("video_3_1_1.jpg", 4)),
    "readme.md": b"",
}


def opened(root: Path) -> Source:
    return open_source(IMAGE_SET, [root])


@pytest.mark.parametrize("layout", ["tar.gz", "folder"])
@pytest.mark.parametrize("place", [".", "dmlab"])
def test_reads_every_layout(tmp_path: Path, layout: str, place: str) -> None:
    if layout == "folder":
        folder(tmp_path / place / "dmlab", FILES)
    else:
        tar(tmp_path / place / "dmlab.tar.gz", FILES)
    source = opened(tmp_path)
    assert labels_by_key(source, SPLITS) == LABELS
    assert sorted(source.keys("train")) == ["video_1_1_1.jpg", "video_1_1_2.jpg", "video_1_2_1.jpg"]
    assert {key: int(image[0, 0, 0]) for key, image in read_all(source, SPLITS).items()} == {
        key: 40 * label for key, label in LABELS.items()
    }
    at = list(source.keys("train")).index("video_1_1_2.jpg")
    assert [(split, position) for split, position, _ in source.images({"train": [at]})] == [("train", at)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dmlab-train.tfrecord-00001-of-00002": None}, "holds 1 of 2 or more files of the train split"),
        ({"dmlab-test.tfrecord": None}, "holds 0 of 1 or more files of the test split"),
        ({"old/dmlab-test.tfrecord": b""}, "is there twice"),
        ({"dmlab-train.tfrecord-00002-of-00003": b""}, "belongs to other files"),
        ({"dmlab-test.tfrecord": FILES["dmlab-test.tfrecord"][:-1]}, "it ends within record 0"),
        ({"dmlab-test.tfrecord": FILES["dmlab-test.tfrecord"][:-1] + b"?"}, "record 0 has the wrong checksum"),
        ({"dmlab-test.tfrecord": b"no records at all"}, "these are no records"),
        ({"dmlab-test.tfrecord": record(b"no message")}, "cannot be read"),
        ({"dmlab-test.tfrecord": record(example(label=integer_feature(1)))}, "holds a record that is no frame"),
        ({"dmlab-test.tfrecord": of(("video_3_1_1.jpg", 6))}, "holds a record that is no frame"),
        ({"dmlab-test.tfrecord": of(("video_3_1_1.jpg", -1))}, "holds a record that is no frame"),
    ],
)
def test_damage_is_refused(tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    files = {name: data for name, data in {**FILES, **change}.items() if data is not None}
    path = tar(tmp_path / "dmlab.tar.gz", files)
    assert message in refused(path, lambda: opened(tmp_path).keys("test")).message


@pytest.mark.parametrize("kept", [0, 50, -9])
def test_truncated_archive_is_refused(tmp_path: Path, kept: int) -> None:
    path = tar(tmp_path / "dmlab.tar.gz", FILES)
    path.write_bytes(path.read_bytes()[:kept])
    assert "the published file 3,017,022,789" in refused(path, lambda: opened(tmp_path).keys("test")).message


def test_damaged_image_is_named(tmp_path: Path) -> None:
    bad = example(image=bytes_feature(b"text"), filename=bytes_feature(b"video_3_1_1.jpg"), label=integer_feature(4))
    path = tar(tmp_path / "dmlab.tar.gz", FILES | {"dmlab-test.tfrecord": record(bad)})
    assert "video_3_1_1.jpg is not an image" in refused(path, lambda: read_all(opened(tmp_path), SPLITS)).message


def test_changed_archive_is_noticed(tmp_path: Path) -> None:
    path = folder(tmp_path / "dmlab", FILES)
    source = opened(tmp_path)
    assert source.keys("test") == ["video_3_1_1.jpg"]
    (path / "dmlab-test.tfrecord").write_bytes(of(("video_4_1_1.jpg", 4)))
    assert "has changed: 1 frames" in refused(path, lambda: list(source.images({"test": [0]}))).message


def test_says_how_much_is_read(tmp_path: Path) -> None:
    more = [(f"video_9_9_{number}.jpg", 2) for number in range(128 - len(LABELS))]
    path = tar(tmp_path / "dmlab.tar.gz", FILES | {"dmlab-test.tfrecord": of(("video_3_1_1.jpg", 4), *more)})
    said: list[tuple[str, int, int]] = []
    with listening(lambda *what: said.append(what)):
        read_all(opened(tmp_path), SPLITS)
    size = path.stat().st_size
    listing, reading = (f"{verb} dmlab.tar.gz ({size / 1000:.1f} kB)" for verb in ("listing", "reading"))
    # After every 64 of the 128 records.
    assert [what for what, *_ in said] == [listing] * 2 + [reading] * 2
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)
    assert said[-1][1:] == (2 * size, 2 * size)


def test_records_that_change_between_the_passes_are_noticed(tmp_path: Path) -> None:
    path = folder(tmp_path / "dmlab", FILES)
    source = opened(tmp_path)
    assert source.keys("test") == ["video_3_1_1.jpg"]
    content = bytearray(FILES["dmlab-test.tfrecord"])
    content[-6] ^= 1
    (path / "dmlab-test.tfrecord").write_bytes(content)
    assert "the wrong checksum" in refused(path, lambda: list(source.images({"test": [0]}))).message


def test_missing_archive_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="638b18fa69a5d61bbc310cd0b87ac603a39f41de0fdb07b6e77de274a24480a4"):
        opened(tmp_path)


def test_published_keys_are_in_example_order() -> None:
    # The first of train800 and of val200, as Visual Prompt Tuning published them.
    for split, keys in {
        "train": ["video_200_2_1026.jpg", "video_800_1_87.jpg", "video_100_4_1273.jpg", "video_500_3_1670.jpg"],
        "validation": ["video_1600_7_1546.jpg", "video_1300_3_793.jpg", "video_1500_5_1779.jpg"],
    }.items():
        assert example_order(split, keys).tolist() == list(range(len(keys)))


def test_declaration() -> None:
    assert TASK.num_classes == 6
    assert IMAGE_SET.size("trainval") == 88178


@pytest.mark.shared
def test_small_input_of_tfds(shared_data: Path) -> None:
    source = opened(shared_data / "tfds_fake")
    assert source.keys("train") == ["video_400_0_884.jpg", "video_100_8_511.jpg"]
    assert source.annotations("train")["label"].tolist() == [3, 0]
    assert {image.shape for image in read_all(source, SPLITS).values()} == {(360, 480, 3)}
