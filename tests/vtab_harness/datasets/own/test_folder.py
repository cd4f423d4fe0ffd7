"""``folder:PATH`` with class folders, against torchvision's reading and the md5 rule by hand."""

import hashlib
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from own_images import Make, draw
from PIL import Image
from torchvision.datasets import ImageFolder as TorchvisionFolder

from vtab_harness import ImageFolder, registry
from vtab_harness.api.errors import DataError, OptionError, PluginError
from vtab_harness.api.tasks import Task
from vtab_harness.datasets.own import reader
from vtab_harness.datasets.own.folder import collect, open_source
from vtab_harness.prepared.choice import choose
from vtab_harness.prepared.prepared_set import PreparedSet, prepare
from vtab_harness.testing import check_task

SIZES = {"daisy": 7, "rose": 20, "tulip/double": 5, "tulip/single": 8}


def prepared(task: Task, cache: Path) -> PreparedSet:
    return prepare(task.image_set, (), cache, ("train800", "val200", "test"))


def test_it_keeps_the_contract_of_tasks(flowers: Make) -> None:
    check_task(ImageFolder(flowers(SIZES)))


def test_labels_order_and_pixels_follow_from_the_files(flowers: Make, tmp_path: Path) -> None:
    root = flowers(SIZES)
    # The reference walks through the same folders in its own way; the order of examples is made by hand.
    reference = {Path(path).relative_to(root).as_posix(): label for path, label in TorchvisionFolder(str(root)).samples}
    ordered = sorted(reference, key=lambda key: hashlib.md5(b"train" + key.encode()).digest())
    parts = {"train800": ordered[:24], "val200": ordered[24:32], "test": ordered[32:]}
    task = ImageFolder(root)
    found = prepared(task, tmp_path / "cache")
    for split, keys in parts.items():
        assert found.keys(split) == keys
        assert found.labels(split, task.label).tolist() == [reference[key] for key in keys]
        images = found.images(split)
        for at, key in enumerate(keys):
            with Image.open(root / key, formats=("PNG",)) as image:
                assert (images.read(at, at + 1).data == np.asarray(image.convert("RGB")).ravel()).all()
    assert task.num_classes == 3
    assert task.chance == max(Counter(reference[key] for key in parts["test"]).values()) / 8
    assert (task.name, task.title, task.group) == ("own-flowers", "flowers", "own")


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "val", "test"), {"train": ("train", 12), "val": ("validation", 8), "test": ("test", 6)}),
        (("train", "valid"), {"train": ("train", 10), "val": ("train", 2), "test": ("validation", 8)}),
        (("train", "test"), {"train": ("train", 10), "val": ("train", 2), "test": ("test", 6)}),
    ],
)
def test_splits_that_are_given_are_kept(flowers: Make, splits: tuple[str, ...], expected: dict[str, object]) -> None:
    sizes = {"train": 6, "val": 4, "valid": 4, "test": 3}
    root = flowers({f"{split}/{name}": sizes[split] for split in splits for name in ("a", "b")})
    found = ImageFolder(root).image_set
    assert {s: (found.splits[s][0].split, found.size(s)) for s in ("train", "val", "test")} == expected
    check_task(ImageFolder(root))


def test_a_class_may_be_called_train(flowers: Make) -> None:
    assert ImageFolder(flowers({"bus": 8, "train": 8})).num_classes == 2


def test_equal_folders_are_one_and_another_byte_makes_another(flowers: Make, tmp_path: Path) -> None:
    root = flowers(SIZES)
    copy = tmp_path / "elsewhere" / "flowers"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)  # with other times of change
    cache = tmp_path / "cache"
    first, second = prepared(ImageFolder(root), cache), prepared(ImageFolder(copy), cache)
    assert first.folder == second.folder
    # The same name, and as many bytes.
    (copy / "rose" / "0.png").write_bytes((root / "rose" / "3.png").read_bytes())
    assert (copy / "rose" / "0.png").stat().st_size == (root / "rose" / "0.png").stat().st_size
    changed = prepared(ImageFolder(copy), cache)
    assert changed.variant != first.variant
    assert prepared(ImageFolder(root), cache).variant == first.variant
    draw(copy / "rose" / "new.png")
    assert prepared(ImageFolder(copy), cache).variant not in (first.variant, changed.variant)


def test_what_is_prepared_is_used_without_reading_an_image(
    flowers: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ImageFolder(flowers(SIZES))
    before = prepared(task, tmp_path).manifests
    monkeypatch.setattr("vtab_harness.datasets.own.folder.read_bounded", None)
    assert prepared(task, tmp_path).manifests == before


def test_no_path_is_written_down_with_the_data(flowers: Make, tmp_path: Path) -> None:
    found = prepared(ImageFolder(flowers(SIZES)), tmp_path / "cache")
    written = b"".join(path.read_bytes() for path in found.folder.rglob("*") if path.is_file())
    assert os.fsencode(tmp_path.name) not in written


def test_names(flowers: Make, tmp_path: Path) -> None:
    root = flowers(SIZES)
    odd = tmp_path / "Müllers <b>Blumen 花"
    shutil.copytree(root, odd)
    assert ImageFolder(odd).name == "own-Mullers-b-Blumen"
    shutil.copytree(root, tmp_path / "花")
    assert ImageFolder(tmp_path / "花").name == "own-images"
    assert registry.tasks.get(f"folder:{odd}?name=mine").name == "own-mine"
    shutil.copytree(root, tmp_path / "which?one")
    assert registry.tasks.get(f"folder:{tmp_path}/which?one").name == "own-which-one"
    assert registry.tasks.get(f"folder:{tmp_path}/which?one?name=mine").name == "own-mine"
    with pytest.raises(OptionError, match="cannot be that of a task"):
        ImageFolder(root, name="../up")
    with pytest.raises(OptionError, match="has the option 'nmae'"):
        registry.tasks.get(f"folder:{root}?nmae=mine")
    with (
        registry.tasks.registered("own-taken", "anything:TASK"),
        pytest.raises(PluginError, match="which this process owns"),
    ):
        registry.tasks.get(f"folder:{root}?name=taken")


def test_another_process_makes_the_task_again(flowers: Make) -> None:
    root = flowers(SIZES)
    made = registry.tasks.get(f"folder:{root}")
    entry = next(entry for entry in registry.registered_here()["tasks"] if entry.name == made.name)
    other = registry.Registry[Task]("task", "vtab_harness.tasks", {}, Task)
    other.take_over([entry])
    assert other.get(made.name) == made


def test_photographs_are_shrunk_and_webp_is_read(tmp_path: Path) -> None:
    rows = np.arange(1100 * 2100, dtype=np.uint32).reshape(1100, 2100, 1) * [3, 5, 7] % 256
    photo = rows.astype(np.uint8)
    means = photo[:1100, :2100].reshape(550, 2, 1050, 2, 3).mean(axis=(1, 3))
    assert np.abs(reader.shrunk(photo) - means).max() <= 0.5
    assert reader.shrunk(photo[:1023]) is not None
    assert reader.shrunk(photo[:1023]).shape == (1023, 2100, 3)
    path = tmp_path / "photo.webp"
    Image.fromarray(photo[:40, :30]).save(path, lossless=True)
    assert (reader.decoded(path.read_bytes(), "photo.webp") == photo[:40, :30]).all()
    with pytest.raises(DataError, match=r"photo\.webp cannot be decoded"):
        reader.decoded(path.read_bytes()[:60], "photo.webp")


def test_broken_images_are_named_together(flowers: Make, tmp_path: Path) -> None:
    root = flowers(SIZES)
    for i in range(5):
        (root / "rose" / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(i))
    with pytest.raises(
        DataError, match=r"flowers holds 5 images that cannot be used: .*rose/\d+\.png.*and 2 more"
    ) as e:
        prepare(ImageFolder(root).image_set, (), tmp_path / "cache", ("train", "val", "test"))
    assert e.value.hint == "Mend them, or take them out."


def nothing(root: Path) -> None:
    shutil.rmtree(root)


def one_class(root: Path) -> None:
    shutil.rmtree(root / "rose")


def one_folder_too_high(root: Path) -> None:
    root.rename(root.with_name("inner"))
    root.mkdir()
    root.with_name("inner").rename(root / "inner")


def three_images(root: Path) -> None:
    for path in sorted(root.rglob("*.png"))[3:]:
        path.unlink()
    draw(root / "rose" / "0.png")


def many_classes(root: Path) -> None:
    for i in range(10_001):
        (root / f"c{i}").mkdir()


def only_a_list(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()
    (root / "labels.csv").write_text("path,label\n")


def other_types(root: Path) -> None:
    (root / "rose" / "scan.TIFF").write_bytes(b"II*\0")


def link_out(root: Path) -> None:
    draw(root.parent / "secret.png")
    (root / "rose" / "x.png").symlink_to(root.parent / "secret.png")


def link_to_folder(root: Path) -> None:
    (root / "rose" / "again").symlink_to(root)


def gone_link(root: Path) -> None:
    (root / "rose" / "x.png").symlink_to(root / "rose" / "y.png")


def deep(root: Path) -> None:
    (root / "rose" / Path(*"x" * 40)).mkdir(parents=True)


def splits_and_more(root: Path) -> None:
    for name in ("train", "test"):
        shutil.copytree(root / "rose", root / name / "rose")


def one_split_twice(root: Path) -> None:
    for name in ("rose", "daisy"):
        (root / name).rename(root.with_name(name))
    for split in ("train", "val", "valid"):
        for name in ("rose", "daisy"):
            shutil.copytree(root.with_name(name), root / split / name)


@pytest.mark.parametrize(
    ("spoil", "message", "remedy"),
    [
        (nothing, "there is no such folder", "Name a folder"),
        (one_class, "flowers has one class, 'daisy'", "Two or more"),
        (one_folder_too_high, "flowers has one class, 'inner'", r"perhaps you mean .*flowers/inner"),
        (three_images, "too few images .*: 4 in train", "Give 10 or more"),
        (many_classes, "more than 10,000 folders", "not single examples"),
        (only_a_list, "has no class folders", r"name the list: .*labels\.csv"),
        (other_types, r"1 images of a type that is not read, such as rose/scan\.TIFF", "Convert them to PNG"),
        (link_out, r"x\.png is a symbolic link that leads out of", "Put the images themselves"),
        (link_to_folder, "again is a symbolic link that leads to a folder", "Put the images themselves"),
        (gone_link, r"x\.png cannot be read: No such file", None),
        (deep, "more than 32 folders deep", "Move the images up"),
        (splits_and_more, r"holds splits \(test, train\) and beside them the folder 'daisy'", "Take it out"),
        (one_split_twice, "one split under two names: train, val, valid", "Join"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_remedy(flowers: Make, spoil, message: str, remedy: str | None) -> None:
    root = flowers({"daisy": 20, "rose": 20})
    spoil(root)
    with pytest.raises(DataError, match=message) as raised:
        ImageFolder(root)
    if remedy is not None:
        assert re.search(remedy, raised.value.hint or "")


def test_what_is_no_image_is_passed_over(flowers: Make) -> None:
    root = flowers(SIZES)
    names = [
        root / "rose" / "Thumbs.db",
        root / "rose" / "._0.png",
        root / "__MACOSX" / "a.png",
        root / ".git" / "a.png",
    ]
    for path in names:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"none")
    os.mkfifo(root / "rose" / "pipe.png")
    assert sum(len(examples.keys) for examples in collect(root).splits.values()) == 40
    assert ImageFolder(root).num_classes == 3


def test_a_file_that_grew_out_of_bounds_is_named(flowers: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ImageFolder(flowers(SIZES))
    monkeypatch.setattr("vtab_harness.datasets.own.folder.MOST_BYTES", 10)
    with pytest.raises(DataError, match=r"daisy/0\.png cannot be read: it has more than 10 bytes"):
        open_source(task.image_set, ())


def test_a_folder_that_changes_under_the_task_is_noticed(flowers: Make, tmp_path: Path) -> None:
    root = flowers(SIZES)
    task = ImageFolder(root)
    draw(root / "rose" / "late.png")
    with pytest.raises(DataError, match="holds 41 examples where 40 are expected"):
        prepared(task, tmp_path / "cache")


def test_a_look_is_remembered_by_the_bytes(flowers: Make, tmp_path: Path) -> None:
    root = flowers(SIZES)
    task = ImageFolder(root)
    first = choose(task.image_set, (), tmp_path / "base")
    assert choose(task.image_set, (), tmp_path / "base").given.source is None
    (root / "rose" / "0.png").write_bytes((root / "rose" / "3.png").read_bytes())
    again = choose(task.image_set, (), tmp_path / "base")
    assert again.variant != first.variant
