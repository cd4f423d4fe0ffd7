"""What is exported is read again, certified again, and noticed where it was changed."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn_eurosat import ELSEWHERE, HERE, Drawn
from PIL import Image

from vtab_harness.api.errors import DataError, StorageError, VtabError
from vtab_harness.datasets import eurosat
from vtab_harness.prepared.certify import certify, provenance
from vtab_harness.prepared.export import export
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet, prepare

TASK = eurosat.TASK
LAYOUTS = pytest.mark.parametrize("layout", ["webdataset", "parquet"])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return prepare(HERE, [], tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def exports(prepared: PreparedSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("exports")
    for layout in ("webdataset", "parquet"):
        export(prepared, [TASK], to / layout, layout, shard=2000)  # type: ignore[arg-type]
    return to


@pytest.fixture
def copied(exports: Path, tmp_path: Path) -> Callable[[str], Path]:
    def copy(layout: str) -> Path:
        shutil.copytree(exports / layout, tmp_path / layout)
        return tmp_path / layout

    return copy


@pytest.mark.usefixtures("drawn_pixels")
@LAYOUTS
def test_the_whole_circle(layout: str, prepared: PreparedSet, exports: Path, tmp_path: Path) -> None:
    again = prepare(ELSEWHERE, [exports / layout], tmp_path)
    assert again.manifests.keys() == set(SPLITS)
    for split in SPLITS:
        assert again.manifests[split].content == prepared.manifests[split].content
        assert again.keys(split) == prepared.keys(split)
    first, second = (provenance(each, TASK.label, TASK.name) for each in (prepared, again))
    assert first == second
    assert second.variant == "vtab-1k"
    assert certify(again, TASK).exact == SPLITS


def test_the_description_holds_the_certificates(prepared: PreparedSet, exports: Path) -> None:
    described = json.loads((exports / "webdataset/eurosat/vtab.json").read_text())
    prints = prepared.fingerprints(TASK.label)
    assert described["splits"].keys() == set(SPLITS)
    for split, found in described["splits"].items():
        assert (found["keys"], found["pixels"]) == (prints[split]["keys"], prints[split]["pixels"])
        assert found["labels"] == {"eurosat": prints[split]["labels"]}
    there = {path.relative_to(exports / "webdataset/eurosat").as_posix() for path in exports.glob("webdataset/*/*/*")}
    assert described["files"].keys() == there
    assert described["licence"] == HERE.licence


def test_other_programs_find_what_they_expect(exports: Path, prepared: PreparedSet) -> None:
    with tarfile.open(exports / "webdataset/eurosat/val200/0.tar") as tar:
        assert tar.getnames()[:3] == ["s0000000.cls", "s0000000.json", "s0000000.png"]
        classes = [int(tar.extractfile(n).read()) for n in tar.getnames() if n.endswith(".cls")]  # type: ignore[union-attr]
    assert classes == prepared.labels("val200", TASK.label).tolist()
    webdataset = pytest.importorskip("webdataset")
    read = webdataset.WebDataset(str(exports / "webdataset/eurosat/val200/0.tar"), shardshuffle=False).decode("rgb8")
    assert [sample["cls"] for sample in read] == classes


@LAYOUTS
def test_every_changed_byte_of_a_file_is_caught(layout: str, copied: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(layout) / "eurosat"
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "vtab.json"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(DataError):
            prepare(ELSEWHERE, [tmp_path / layout], tmp_path / "cache")
        path.write_bytes(content)
    assert prepare(ELSEWHERE, [tmp_path / layout], tmp_path / "cache").variant == "vtab-1k"


@LAYOUTS
def test_missing_and_doubled_files(layout: str, copied: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(layout) / "eurosat"
    shards = sorted(folder.glob("test/?.tar")) or sorted(folder.glob("data/test-*"))
    assert len(shards) == 3
    kept = shards[1].read_bytes()
    shards[1].unlink()
    with pytest.raises(DataError, match="lacks"):
        prepare(ELSEWHERE, [tmp_path / layout], tmp_path / "cache")
    shutil.copy(shards[0], shards[1])
    with pytest.raises(DataError, match=r"bytes instead of|sha256|doubled"):
        prepare(ELSEWHERE, [tmp_path / layout], tmp_path / "cache")
    shards[1].write_bytes(kept)
    assert prepare(ELSEWHERE, [tmp_path / layout], tmp_path / "cache").variant == "vtab-1k"


def rewritten(folder: Path, shard: str, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    """Writes a shard anew, and its size and checksum into the description, as a mirror that means well would."""
    import hashlib

    stream = io.BytesIO()
    with tarfile.open(folder / shard) as old, tarfile.open(fileobj=stream, mode="w") as new:
        for name in old.getnames():
            file, content = change(name, old.extractfile(name).read())  # type: ignore[union-attr]
            header = tarfile.TarInfo(file)
            header.size = len(content)
            new.addfile(header, io.BytesIO(content))
    (folder / shard).write_bytes(stream.getvalue())
    described = json.loads((folder / "vtab.json").read_text())
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    described["files"][shard] = {"bytes": len(stream.getvalue()), "sha256": digest}
    (folder / "vtab.json").write_text(json.dumps(described))


def permute(name: str, content: bytes) -> tuple[str, bytes]:
    if name.endswith(".json"):
        note = json.loads(content)
        return name, json.dumps(note | {"label": (note["label"] + 1) % 10}).encode()
    return name, content


@pytest.mark.usefixtures("drawn_pixels")
def test_permuted_labels_are_caught(copied: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied("webdataset") / "eurosat"
    rewritten(folder, "val200/0.tar", permute)
    with pytest.raises(DataError, match="other keys or annotations than the description"):
        prepare(ELSEWHERE, [tmp_path / "webdataset"], tmp_path / "cache")
    # Even where the description was changed with them.
    from vtab_harness.formats.exports.description import columns_fingerprint, parse_description

    described = parse_description(ELSEWHERE, (folder / "vtab.json").read_bytes(), "")
    original = Drawn().annotations("train")
    order = {key: at for at, key in enumerate(Drawn().keys("train"))}
    with tarfile.open(folder / "val200/0.tar") as tar:
        notes = [json.loads(tar.extractfile(n).read()) for n in tar.getnames() if n.endswith(".json")]  # type: ignore[union-attr]
    at = [order[note["key"]] for note in notes]
    columns = {"label": (original["label"][at] + 1) % 10, "height": original["height"][at]}
    plain = json.loads((folder / "vtab.json").read_text())
    plain["splits"]["val200"]["annotations"] = columns_fingerprint(columns)
    (folder / "vtab.json").write_text(json.dumps(plain))
    assert described.splits["val200"].annotations != columns_fingerprint(columns)
    found = prepare(ELSEWHERE, [tmp_path / "webdataset"], tmp_path / "cache")
    assert certify(found, TASK).differing == ("labels of val200",)
    assert provenance(found, TASK.label, TASK.name).variant == "unverified"


def test_images_encoded_anew_are_another_variant(copied: Callable[[str], Path], tmp_path: Path) -> None:
    def lossy(name: str, content: bytes) -> tuple[str, bytes]:
        if not name.endswith(".png"):
            return name, content
        stream = io.BytesIO()
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            image.save(stream, "JPEG")
        return f"{name[:-3]}jpg", stream.getvalue()

    rewritten(copied("webdataset") / "eurosat", "train800/0.tar", lossy)
    found = prepare(ELSEWHERE, [tmp_path / "webdataset"], tmp_path / "cache")
    assert found.variant.startswith("reencoded-")
    assert provenance(found, TASK.label, TASK.name).variant == found.variant


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "another/1"}, "its format is"),
        ({"image_set": "resisc45"}, "describes resisc45-1, not eurosat-1"),
        ({"version": "2"}, "describes eurosat-2"),
        ({"decoding": 0}, "decoded by another version"),
        ({"files": {"../../x": {"bytes": 1, "sha256": ""}}}, "cannot be one of its own"),
        ({"files": {"a/b": {"bytes": -1, "sha256": ""}}}, "cannot be one of its own"),
        ({"columns": {"label": "object"}}, "a column of the type"),
        ({"columns": {"label": "no type"}}, "no description of an export"),
        ({"splits": {}, "files": 3}, "no description of an export"),
        ({"variant": "../up"}, "cannot be the name of a variant"),
        ({"layout": "zip"}, "no description of an export"),
    ],
)
def test_descriptions_without_sense(
    change: dict[str, Any], message: str, copied: Callable[[str], Path], tmp_path: Path
) -> None:
    path = copied("webdataset") / "eurosat/vtab.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(VtabError, match=message):
        prepare(ELSEWHERE, [tmp_path / "webdataset"], tmp_path / "cache")


def test_what_is_there_is_not_overwritten(prepared: PreparedSet, exports: Path) -> None:
    with pytest.raises(StorageError, match="exists already"):
        export(prepared, [TASK], exports / "webdataset", "webdataset")
