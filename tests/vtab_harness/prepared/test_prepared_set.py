import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ragged_source import IMAGE_SET, Ragged

from vtab_harness.api.errors import DataError, StorageError
from vtab_harness.api.labels import Column
from vtab_harness.datasets.caltech101 import IMAGE_SET as CALTECH101
from vtab_harness.formats.example_order import examples_by_split, keys_fingerprint
from vtab_harness.prepared.certify import provenance
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet, default_cache, prepare

HERE = Path(__file__).parent

ABSENT = replace(IMAGE_SET, source="no_such_module:nothing")
COMMAND = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ragged_source import IMAGE_SET
from vtab_harness.prepared.prepared_set import prepare
found = prepare(IMAGE_SET, [], Path(sys.argv[1]))
found.verify()
print(sorted(found.manifests))
"""


def base(cache: Path) -> Path:
    return cache / "prepared" / "ragged-3"


def in_process(cache: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(cache), str(HERE)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("split", SPLITS)
def test_images_keys_and_annotations_come_in_example_order(prepared: PreparedSet, split: str) -> None:
    source = Ragged()
    examples = examples_by_split(IMAGE_SET, source, [split])[split]
    images = prepared.images(split)
    assert images.name == f"ragged/{split}"
    assert len(images) == len(examples) == IMAGE_SET.size(split)
    pixels = images.read(0, len(images))
    offset = 0
    for shape, (name, position) in zip(pixels.shapes.tolist(), examples, strict=True):
        expected = source.image(name, position)
        assert tuple(shape) == expected.shape
        assert (pixels.data[offset : offset + expected.size] == expected.ravel()).all()
        offset += expected.size
    assert offset == len(pixels.data)
    assert prepared.keys(split) == [source.keys(name)[position] for name, position in examples]
    columns = prepared.annotations(split)
    assert {name: values.dtype.name for name, values in columns.items()} == {"label": "int64", "size": "float32"}
    labels = [position % 7 for _, position in examples]
    assert prepared.labels(split, Column("label", offset=2)).tolist() == [label + 2 for label in labels]


def test_parts_can_be_read(prepared: PreparedSet) -> None:
    images = prepared.images("test")
    whole = images.read(0, 40)
    parts = [images.read(start, min(start + 7, 40)) for start in range(0, 40, 7)]
    assert (np.concatenate([part.data for part in parts]) == whole.data).all()
    assert (np.concatenate([part.shapes for part in parts]) == whole.shapes).all()
    empty = images.read(5, 5)
    assert len(empty.data) == len(empty.shapes) == 0
    whole.data[:] = 0
    assert images.read(0, 40).data.any(), "each read gives fresh memory"
    for start, stop in ((-1, 3), (0, 41), (5, 4)):
        with pytest.raises(IndexError, match="has 40 images"):
            images.read(start, stop)


def test_images_carry_no_labels_and_no_way_to_them(prepared: PreparedSet) -> None:
    images = prepared.images("test")
    assert {name for name in dir(images) if name[0] != "_"} == {
        "name",
        "fingerprint",
        "path",
        "shapes",
        "starts",
        "read",
    }
    seen = pickle.dumps(images)
    assert b"PreparedSet" not in seen
    assert (pickle.loads(seen).read(3, 9).data == images.read(3, 9).data).all()


def test_provenance_names_data_and_labels(prepared: PreparedSet) -> None:
    found = provenance(prepared)
    assert (found.image_set, found.version, found.variant) == ("ragged", "3", "noise")
    assert found.fingerprints["test"]["keys"] == keys_fingerprint(prepared.keys("test"))
    assert found.fingerprints["test"]["pixels"] == prepared.images("test").fingerprint
    plain, shifted = provenance(prepared, Column("label")), provenance(prepared, Column("label", 1))
    assert plain.fingerprints["test"]["labels"] != shifted.fingerprints["test"]["labels"]
    assert plain.fingerprints["test"]["pixels"] == found.fingerprints["test"]["pixels"]


def test_fingerprint_covers_pixels_and_shapes(prepared: PreparedSet, tmp_path: Path, monkeypatch: Any) -> None:
    prints = {prepared.images("test").fingerprint}
    assert prepare(IMAGE_SET, [], tmp_path / "again").images("test").fingerprint in prints
    plain = Ragged.image

    def turned(self: Ragged, split: str, position: int) -> Any:
        image = plain(self, split, position)
        return image.reshape(image.shape[1], image.shape[0], -1)

    def brighter(self: Ragged, split: str, position: int) -> Any:
        return plain(self, split, position) ^ np.uint8(position == 3)

    for number, change in enumerate((turned, brighter)):
        monkeypatch.setattr(Ragged, "image", change)
        prints.add(prepare(IMAGE_SET, [], tmp_path / str(number)).images("test").fingerprint)
    assert len(prints) == 3


def test_progress_counts_each_image_once(fresh: Path) -> None:
    seen: list[tuple[int, int]] = []
    prepare(
        IMAGE_SET, [], fresh, ("train800", "train", "val200"), progress=lambda done, total: seen.append((done, total))
    )
    # The first split lies within the second.
    assert seen == [(n, 65) for n in range(1, 66)]


def test_prepared_data_needs_no_source(fresh: Path, prepared: PreparedSet) -> None:
    again = prepare(ABSENT, [], fresh)
    assert provenance(again) == provenance(prepared)
    again.verify()


def test_missing_splits_are_added(fresh: Path, prepared: PreparedSet, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGGED_LOG", str(tmp_path / "log"))
    more = prepare(IMAGE_SET, [], fresh, ("train800", "train"))
    assert len((tmp_path / "log").read_text().splitlines()) == 50
    first, longer = more.images("train800").read(0, 30), more.images("train").read(0, 30)
    assert (first.data == longer.data).all()
    with pytest.raises(DataError, match="ragged/test was not prepared"):
        more.images("test")


def test_variants_are_kept_apart(fresh: Path, prepared: PreparedSet, monkeypatch: Any) -> None:
    monkeypatch.setattr(Ragged, "variant", "other")
    with pytest.raises(DataError, match="'third' is wanted, but the data found gives 'other'"):
        prepare(IMAGE_SET, [], fresh, variant="third")
    assert prepare(IMAGE_SET, [], fresh).variant == "noise", "the only one prepared needs no source"
    assert prepare(IMAGE_SET, [], fresh, variant="other").variant == "other"
    assert prepare(IMAGE_SET, [], fresh).variant == "other", "of several, the source's"
    assert prepare(ABSENT, [], fresh, variant="noise").variant == "noise"


@pytest.mark.parametrize("variant", ["", "../up", ".hidden", "a/b"])
def test_variant_cannot_leave_the_cache(fresh: Path, monkeypatch: Any, variant: str) -> None:
    monkeypatch.setattr(Ragged, "variant", variant)
    with pytest.raises(DataError, match="cannot be the name of a variant"):
        prepare(IMAGE_SET, [], fresh)


def test_killed_half_way_leaves_nothing_that_counts(fresh: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = in_process(fresh, RAGGED_LOG=str(log), RAGGED_SLEEP="0.05")
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 10)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert all(path.name.startswith((".partial-", ".leases")) for path in base(fresh).iterdir())
    prepare(IMAGE_SET, [], fresh).verify()
    assert [path.name for path in base(fresh).iterdir() if path.is_dir()] == ["noise"]


def test_stopped_while_another_takes_over(fresh: Path, tmp_path: Path, monkeypatch: Any) -> None:
    log = tmp_path / "log"
    process = in_process(fresh, RAGGED_LOG=str(log), RAGGED_SLEEP="0.02")
    wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 10)
    process.send_signal(signal.SIGSTOP)
    (held,) = base(fresh).glob(".leases/prepare/*.json")
    # As long as it was promised is a minute; here the promise is cut short.
    held.write_bytes(b"unreadable")
    monkeypatch.setattr("vtab_harness.leases.EXPIRES", 0.3)
    mine = prepare(IMAGE_SET, [], fresh)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "test" in out
    mine.verify()
    assert [path.name for path in base(fresh).iterdir() if path.is_dir()] == ["noise"]


def test_two_processes_prepare_once(fresh: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [in_process(fresh, RAGGED_LOG=str(log), RAGGED_SLEEP="0.02") for _ in range(2)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "test" in out
    lines = log.read_text().splitlines()
    assert len(lines) == len(set(lines)) == 85


@pytest.fixture
def full_disk(monkeypatch: Any) -> None:
    class Full:
        """A file that takes 20 000 bytes."""

        def __init__(self, file: Any) -> None:
            self._file, self._room = file, 20_000

        def write(self, data: Any) -> int:
            self._room -= memoryview(data).nbytes
            if self._room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(self._file.write(data))

        def seek(self, offset: int) -> int:
            return int(self._file.seek(offset))

        def close(self) -> None:
            self._file.close()

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    plain = Path.open

    def opened(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        file = plain(self, mode, *rest, **options)
        return Full(file) if mode == "wb" and self.suffix == ".bin" else file

    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.usefixtures("full_disk")
def test_full_disk_says_how_much_is_needed(fresh: Path) -> None:
    with pytest.raises(StorageError, match=r"about [\d,]+ bytes are needed .* are free") as error:
        prepare(IMAGE_SET, [], fresh)
    assert str(base(fresh)) in error.value.message
    assert not any(path.is_dir() for path in base(fresh).iterdir())


def test_limit_on_files_is_met_in_earnest(fresh: Path) -> None:
    resource = pytest.importorskip("resource")
    process = subprocess.run(
        [sys.executable, "-c", COMMAND, str(fresh), str(HERE)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "StorageError: No room in" in process.stderr
    assert not any(path.is_dir() for path in base(fresh).iterdir())
    prepare(IMAGE_SET, [], fresh).verify()


def test_unwritable_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written") as error:
        prepare(IMAGE_SET, [], tmp_path / "file")
    assert str(tmp_path / "file") in error.value.message


def test_forbidden_cache_is_named(fresh: Path, monkeypatch: Any) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        prepare(IMAGE_SET, [], fresh)


@pytest.mark.parametrize("fault", ["lost", "twice", "float", "flat", "text", "short", "one-sided"])
def test_faulty_source_leaves_nothing(fresh: Path, monkeypatch: Any, fault: str) -> None:
    plain, columns = Ragged.images, Ragged.annotations

    def images(self: Ragged, wanted: Any) -> Iterator[Any]:
        found = list(plain(self, wanted))
        split, position, image = found[7]
        if fault == "lost":
            del found[7]
        elif fault == "twice":
            found.append(found[7])
        elif fault == "float":
            found[7] = split, position, image.astype(float)
        elif fault == "flat":
            found[7] = split, position, image[..., 0]
        yield from found

    def annotations(self: Ragged, split: str) -> Any:
        values = dict(columns(self, split))
        if fault == "text":
            values["label"] = values["label"].astype(str)
        elif fault == "short":
            values["label"] = values["label"][:-1]
        elif fault == "one-sided" and split == "train":
            del values["size"]
        return values

    monkeypatch.setattr(Ragged, "images", images)
    monkeypatch.setattr(Ragged, "annotations", annotations)
    with pytest.raises(DataError):
        prepare(IMAGE_SET, [], fresh)
    assert not any(path.is_dir() for path in base(fresh).iterdir())


def test_interruption_leaves_nothing(fresh: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(IMAGE_SET, [], fresh, progress=interrupt)
    assert not any(path.is_dir() for path in base(fresh).iterdir())


def test_memory_does_not_grow_with_the_set(fresh: Path, monkeypatch: Any) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    monkeypatch.setattr(Ragged, "image", lambda self, split, position: np.full((500, 700, 3), position, np.uint8))
    tracemalloc.start()
    found = prepare(IMAGE_SET, [], fresh).images("test")
    for start in range(0, 40, 4):
        found.read(start, start + 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 85 images of 1 MB are written; buffers of three files and a handful of images are held.
    assert peak < 25e6


def test_default_cache_is_the_persons(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert default_cache() == tmp_path / "vtab-harness"


@pytest.mark.shared
@pytest.mark.slow
def test_real_caltech101(fresh: Path, shared_data: Path) -> None:
    found = prepare(CALTECH101, [shared_data / "raw"], fresh)
    labels = {split: found.labels(split, Column("label")) for split in SPLITS}
    assert {split: len(np.unique(values)) for split, values in labels.items()} == {
        "train800": 102,
        "val200": 91,
        "test": 102,
    }
    # Fixed by the archive and the decoder: a change here changes every result.
    assert {split: found.images(split).fingerprint for split in SPLITS} == {
        "train800": "192af3470c9c6768af566aaaa29af7d852b38b3e00a1ba57fad7b717193a7331",
        "val200": "e649ca634b0385529a40724b9672e795a4bbda182516b672ce0cd66b6b172121",
        "test": "7e53677658f66f38e5168a03ea28a272f91d3ae9f8bfa71243f87121883f9c2e",
    }


def test_reading_needs_no_certificates() -> None:
    code = (
        "import sys, vtab_harness.prepared.prepared_set;"
        "sys.exit(any(name.startswith('vtab_harness.prepared.certif') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
