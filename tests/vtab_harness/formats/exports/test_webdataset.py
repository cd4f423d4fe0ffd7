import random
from pathlib import Path

import numpy as np
import pytest
from small_export import OPTIONS, encoded, eurosat_order, eurosat_samples, pixels, write

from vtab_harness import registry
from vtab_harness.api.errors import DataError, NotFoundError
from vtab_harness.datasets import dsprites, eurosat, svhn_cropped
from vtab_harness.datasets.vtab_1k import SUITE
from vtab_harness.formats.certificate_files import certified_order
from vtab_harness.formats.example_order import examples_by_split
from vtab_harness.formats.exports.find import open_copies
from vtab_harness.formats.locate import open_any
from vtab_harness.prepared.certify import certify, provenance
from vtab_harness.prepared.prepared_set import SPLITS, prepare

SET, TASK = eurosat.IMAGE_SET, eurosat.TASK


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """EuroSAT as an exporter writes it that reads splits of 1, 2 and 8 files."""
    for split, files in zip(SPLITS, (1, 2, 8), strict=True):
        write(tmp_path / "wds_vtab-eurosat" / split, eurosat_samples(split, files), most=1000)
    return tmp_path


@pytest.mark.usefixtures("drawn_pixels")
def test_keys_and_order_are_recovered_and_labels_certified(root: Path, tmp_path: Path) -> None:
    prepared = prepare(SET, [root], tmp_path / "cache")
    certificate = certify(prepared, TASK)
    assert certificate.labels == dict.fromkeys(SPLITS, "exact")
    assert certificate.keys == {"train800": "exact", "val200": "exact", "test": "unknown"}
    assert certificate.exact == SPLITS
    assert provenance(prepared, TASK.label, TASK.name).variant == provenance(prepared).variant == "vtab-1k"
    keys, labels = eurosat_order()
    assert prepared.keys("train800") == keys[:800]
    assert prepared.keys("val200") == keys[16200:16400]
    assert prepared.labels("test", TASK.label).tolist() == labels[21600:]
    for split, start in (("train800", 0), ("val200", 16200), ("test", 21600)):
        found = prepared.images(split).read(0, SET.size(split)).data
        expected = np.concatenate([pixels(start + at).reshape(-1) for at in range(SET.size(split))])
        assert (found == expected).all()


def test_larger_splits_hold_the_smaller_ones(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / "wds_vtab-eurosat" / split, eurosat_samples(split, 2))
    source = open_any(SET, [tmp_path])
    assert source.variant == "vtab-1k"
    keys = eurosat_order()[0]
    listed = source.keys("train")
    assert listed[:800] == keys[:800]
    assert listed[16200:16400] == keys[16200:16400]
    assert listed[800] == "tfds-position-800"
    assert examples_by_split(SET, source, ["val"])["val"] == [("train", at) for at in range(16200, 21600)]
    with pytest.raises(DataError, match="lacks 5,400 of 5,400 examples of eurosat/test; it holds train, val"):
        examples_by_split(SET, source, ["test"])


def test_the_whole_split_of_tfds_under_its_own_name(tmp_path: Path) -> None:
    whole = [(encoded(pixels(at), "png"), label) for at, label in enumerate(eurosat_order()[1])]
    write(tmp_path / "eurosat" / "wds_vtab-eurosat" / "train", whole, "png")
    source = open_any(SET, [tmp_path])
    assert source.variant == "vtab-1k"
    assert [image.tolist() for _, _, image in source.images({"train": [26999]})] == [pixels(26999).tolist()]


def test_permuted_labels_are_caught(root: Path, tmp_path: Path) -> None:
    samples = eurosat_samples("val200", 1)
    labels = [label for _, label in samples]
    random.Random(0).shuffle(labels)
    folder = tmp_path / "wds_vtab-eurosat/val200"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    write(folder, [(image, label) for (image, _), label in zip(samples, labels, strict=True)])
    source = open_any(SET, [root])
    assert source.variant == "unverified"
    assert source.keys("train")[16200] == "tfds-position-16200"
    assert source.keys("train")[:2] == eurosat_order()[0][:2], "what was proved stays proved"


def test_images_that_lost_something_are_another_variant(tmp_path: Path) -> None:
    for split in SPLITS:
        write(tmp_path / "wds_vtab-eurosat" / split, eurosat_samples(split, 1, "jpg"), "jpg")
    variant = open_any(SET, [tmp_path]).variant
    assert variant.startswith("reencoded-")
    assert len(variant) == len("reencoded-") + 8


def test_other_numbers_of_samples_are_another_edition(tmp_path: Path) -> None:
    write(tmp_path / "wds_vtab-eurosat/test", eurosat_samples("test", 1)[:-1])
    with pytest.raises(DataError, match="holds 5,399 samples, which is no split of eurosat"):
        open_any(SET, [tmp_path])


@pytest.mark.parametrize("label", [10, -1])
def test_classes_that_there_are_not(tmp_path: Path, label: int) -> None:
    samples = eurosat_samples("val200", 1)
    write(tmp_path / "wds_vtab-eurosat/val200", [*samples[:-1], (samples[-1][0], label)])
    with pytest.raises(DataError, match="gives the class"):
        open_any(SET, [tmp_path])


def test_positions_alone_prove_nothing(tmp_path: Path) -> None:
    """SVHN has no certified labels, and its keys are positions."""
    image = encoded(np.zeros((2, 2, 3), dtype=np.uint8), "png")
    for split in ("train800", "val200"):
        write(tmp_path / "wds_vtab-svhn" / split, [(image, 3)] * svhn_cropped.IMAGE_SET.size(split), "png")
    prepared = prepare(svhn_cropped.IMAGE_SET, [tmp_path], tmp_path / "cache", ("train800", "val200"))
    assert provenance(prepared, svhn_cropped.TASK.label, "svhn").variant == "unverified"
    assert prepared.annotations("train800")["label"].dtype == np.int64


def test_two_tasks_share_images_and_grey_stays_grey(tmp_path: Path) -> None:
    grey = encoded(np.full((3, 3, 3), 255, dtype=np.uint8), "webp")
    for repository, task in zip(dsprites.IMAGE_SET.repositories, (0, 1), strict=True):
        write(tmp_path / repository.folder / "val200", [(grey, (at + task) % 16) for at in range(200)])
    source = open_copies(dsprites.IMAGE_SET, [tmp_path])
    assert source is not None
    columns = {
        name: values[663552 - 73728 : 663552 - 73728 + 200] for name, values in source.annotations("train").items()
    }
    assert dsprites.LOCATION.label(columns).tolist() == [at % 16 for at in range(200)]
    assert dsprites.ORIENTATION.label(columns).tolist() == [(at + 1) % 16 for at in range(200)]
    assert [image.shape for _, _, image in source.images({"train": [589824]})] == [(3, 3, 1)]
    write(tmp_path / dsprites.IMAGE_SET.repositories[0].folder / "train800", [(grey, 0)] * 800)
    with pytest.raises(DataError, match="hold different images of 'train800'"):
        open_copies(dsprites.IMAGE_SET, [tmp_path])


def test_colour_where_grey_is_declared(tmp_path: Path) -> None:
    colour = encoded(np.array([[[1, 2, 3]]], dtype=np.uint8), "png")
    write(tmp_path / dsprites.IMAGE_SET.repositories[0].folder / "val200", [(colour, 0)] * 200, "png")
    source = open_copies(dsprites.IMAGE_SET, [tmp_path])
    assert source is not None
    with pytest.raises(DataError, match="in colour where grey is declared"):
        list(source.images({"train": [589824]}))


def test_nothing_found_names_the_repository(tmp_path: Path) -> None:
    assert open_copies(SET, [tmp_path, tmp_path / "nowhere"]) is None
    wanted = "of clip-benchmark/wds_vtab-eurosat or timm/eurosat-rgb on the Hugging Face Hub"
    with pytest.raises(NotFoundError, match=wanted):
        open_any(SET, [tmp_path])


def test_every_declared_repository_is_about_a_task_of_its_set() -> None:
    for task in map(registry.tasks.get, SUITE.tasks):
        for repository in task.image_set.repositories:
            of = registry.tasks.get(repository.task)
            assert of.image_set.name == task.image_set.name
            values = np.array(repository.values)
            assert of.label({repository.column: values}).tolist() == list(range(of.num_classes))
            assert repository.revision == "main" or len(repository.revision) == 40


@pytest.mark.slow
def test_what_clip_benchmark_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own writer, over drawn images; its loading of data needs TensorFlow and is left out."""
    torch_data = pytest.importorskip("torch.utils.data")
    pytest.importorskip("webdataset")
    builder = pytest.importorskip("clip_benchmark.webdataset_builder", exc_type=ImportError)
    samples = eurosat_samples("val200", 4)
    loader = torch_data.DataLoader
    monkeypatch.setattr(torch_data, "DataLoader", lambda *a, **k: loader(*a, **{**k, "num_workers": 0}))
    builder.convert_dataset(samples, "val200", str(tmp_path / "theirs"), max_count=90, verbose=False)
    ours = write(tmp_path / "ours", samples, most=90)
    theirs = tmp_path / "theirs/val200"
    assert sorted(path.name for path in theirs.iterdir()) == sorted(path.name for path in ours.iterdir())
    (tmp_path / "theirs").rename(tmp_path / "wds_vtab-eurosat")
    source = open_any(SET, [tmp_path])
    assert source.variant == "vtab-1k"
    assert source.keys("train")[16200:16400] == list(certified_order(SET)["val200"])
    assert OPTIONS.keys() == {"webp", "png", "jpg"}
