from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from small_export import encoded, eurosat_order

from vtab_harness.api.errors import DataError
from vtab_harness.datasets import cifar100, eurosat
from vtab_harness.datasets.eurosat import reader
from vtab_harness.formats.decode import decode
from vtab_harness.formats.exports.tables import Tables, numbered
from vtab_harness.formats.locate import open_any
from vtab_harness.prepared.certify import certify, provenance
from vtab_harness.prepared.prepared_set import SPLITS, prepare

SET, TASK = eurosat.IMAGE_SET, eurosat.TASK
Row = tuple[bytes, str | None, int]


@cache
def image(number: int, suffix: str = "jpg") -> bytes:
    return encoded(np.full((2, 2, 3), number % 256, dtype=np.uint8), suffix)


@cache
def rows() -> tuple[Row, ...]:
    """All of EuroSAT, class after class, as a repository has it that was made of the folders."""
    listed = [(file, label) for label, files in enumerate(reader.files(reader.CLASS_SIZES).values()) for file in files]
    return tuple((image(at), file, label) for at, (file, label) in enumerate(listed))


def write(path: Path, listed: Sequence[Row], image_column: str = "image", label: str = "label") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": content, "path": name} for content, name, _ in listed]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({image_column: pa.array(images, kind), label: [label for _, _, label in listed]})
    parquet.write_table(table, path, row_group_size=1000)


def write_eurosat(folder: Path, listed: Sequence[Row]) -> Path:
    """Splits it anew, as such repositories do."""
    write(folder / "data/train-00000-of-00002-0123456789abcdef.parquet", listed[:9000])
    write(folder / "data/train-00001-of-00002-0123456789abcdef.parquet", listed[9000:16200])
    write(folder / "data/validation-00000-of-00001.parquet", listed[16200:20000])
    write(folder / "data/test-00000-of-00001.parquet", listed[20000:])
    return folder


@pytest.mark.usefixtures("drawn_pixels")
def test_names_tell_keys_and_keys_the_order(tmp_path: Path) -> None:
    write_eurosat(tmp_path / "eurosat-rgb", rows())
    prepared = prepare(SET, [tmp_path], tmp_path / "cache")
    certificate = certify(prepared, TASK)
    assert certificate.keys == certificate.labels == dict.fromkeys(SPLITS, "exact")
    assert provenance(prepared, TASK.label, TASK.name).variant == "vtab-1k"
    by_name = {name: content for content, name, _ in rows()}
    keys = eurosat_order()[0]
    found = prepared.images("val200").read(0, 200).data.reshape(200, -1)
    expected = [decode(by_name[key.partition("_")[2]], "").reshape(-1) for key in keys[16200:16400]]
    assert (found == np.array(expected)).all()


def test_paths_may_have_folders(tmp_path: Path) -> None:
    listed = [(content, f"2750/{str(name).split('_')[0]}/{name}", label) for content, name, label in rows()]
    source = open_any(SET, [write_eurosat(tmp_path / "eurosat-rgb", listed).parent])
    assert sorted(source.keys("train")) == sorted(eurosat_order()[0])


def test_images_of_another_format_are_another_variant(tmp_path: Path) -> None:
    # Even without loss: whatever wrote them has decoded the published JPEGs in its own way.
    listed = [(image(at, "png"), name, label) for at, (_, name, label) in enumerate(rows())]
    assert open_any(SET, [write_eurosat(tmp_path / "eurosat-rgb", listed).parent]).variant.startswith("reencoded-")


def test_permuted_labels_are_caught(tmp_path: Path) -> None:
    listed = [(content, name, (label + (at % 7 == 0)) % 10) for at, (content, name, label) in enumerate(rows())]
    prepared = prepare(SET, [write_eurosat(tmp_path / "eurosat-rgb", listed).parent], tmp_path / "cache")
    assert "labels of train800" in certify(prepared, TASK).differing
    assert provenance(prepared, TASK.label, TASK.name).variant == "unverified"


def test_names_that_tell_nothing(tmp_path: Path) -> None:
    for name in (None, "image.jpg"):
        folder = tmp_path / str(name) / "eurosat-rgb"
        write(folder / "data/train-00000-of-00001.parquet", [(image(0), name, 0)] * 5)
        with pytest.raises(DataError, match="names do not tell which examples of eurosat they are"):
            open_any(SET, [folder.parent])


def test_missing_doubled_and_other_rows(tmp_path: Path) -> None:
    folder = write_eurosat(tmp_path / "eurosat-rgb", rows()[:-1])
    with pytest.raises(DataError, match="holds 26,999 examples of 'train' where 27,000 are expected"):
        open_any(SET, [tmp_path])
    write(folder / "data/test-00000-of-00001.parquet", [*rows()[20000:-1], rows()[20000]])
    with pytest.raises(DataError, match=r"more than once"):
        open_any(SET, [tmp_path])
    (folder / "data/train-00001-of-00002-0123456789abcdef.parquet").unlink()
    with pytest.raises(DataError, match="holds 1 of 2 files of a split"):
        open_any(SET, [tmp_path])
    write(folder / "data/train-00001-of-00002-another.parquet", rows()[:1])
    write(folder / "data/train-00001-of-00002.parquet", rows()[:1])
    with pytest.raises(DataError, match="a file is doubled"):
        open_any(SET, [tmp_path])


def test_labels_that_there_are_not(tmp_path: Path) -> None:
    write_eurosat(tmp_path / "eurosat-rgb", [(content, name, label + 1) for content, name, label in rows()])
    with pytest.raises(DataError, match="labels in 'label' that are none of 10"):
        open_any(SET, [tmp_path])


def test_positions_are_keys_where_there_are_no_names_and_prove_nothing(tmp_path: Path) -> None:
    declared = cifar100.IMAGE_SET
    for split, size in declared.sizes.items():
        listed = [(image(at, "png"), None, at % 100) for at in range(size)]
        write(tmp_path / "cifar100/cifar100" / f"{split}-00000-of-00001.parquet", listed, "img", "fine_label")
    prepared = prepare(declared, [tmp_path / "cifar100"], tmp_path / "cache")
    assert certify(prepared).keys == dict.fromkeys(SPLITS, "exact")
    assert provenance(prepared).variant == "unverified"
    first = int(prepared.keys("train800")[0])
    assert prepared.images("train800").read(0, 1).data.tolist() == [first % 256] * 12


def test_damaged_files_end_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    write(path, rows()[:20])
    whole = path.read_bytes()
    outcomes = set()
    for at in range(0, len(whole), 61):
        broken = bytearray(whole)
        broken[at] ^= 0x5A
        path.write_bytes(bytes(broken))
        try:
            table = Tables([path], "image")
            table.numbers("label")
            list(table.contents(range(len(table))))
            outcomes.add("read")
        except DataError:
            outcomes.add("refused")
    assert "refused" in outcomes
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"train.parquet cannot be read"):
        Tables([path], "image")


def test_columns_that_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    write(path, rows()[:3])
    with pytest.raises(DataError, match="no column 'img' with images; it has image.bytes, image.path, label"):
        Tables([path], "img")
    with pytest.raises(DataError, match="no column 'fine_label'"):
        Tables([path], "image").numbers("fine_label")
    parquet.write_table(pa.table({"image": [{"bytes": None, "path": "a.jpg"}], "label": ["x"]}), path)
    with pytest.raises(DataError):
        list(Tables([path], "image").contents([0]))


def test_files_without_numbers_keep_their_order(tmp_path: Path) -> None:
    files = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    assert numbered(files, tmp_path) == files[::-1]
