"""A CSV of paths and labels: read as pandas reads it, and what is wrong in one is named with its row."""

from pathlib import Path

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_images import draw

from vtab_harness import ImageFolder
from vtab_harness.api.errors import DataError
from vtab_harness.datasets.own.csv_list import listed
from vtab_harness.testing import check_task


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for i in range(12):
        draw(tmp_path / "images" / f"{i}.png", i)
    return tmp_path


def write(root: Path, text: str, encoding: str = "utf-8") -> Path:
    path = root / "moths.csv"
    path.write_bytes(text.encode(encoding))
    return path


def rows(split: bool = False, label: str = "{}") -> str:
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    return "".join(f"images/{i}.png,{label.format(i % 2)}{',' + splits[i] if split else ''}\n" for i in range(12))


def test_it_keeps_the_contract_of_tasks(images: Path) -> None:
    task = ImageFolder(write(images, "path,label\n" + rows()))
    check_task(task)
    assert (task.name, task.num_classes, task.image_set.size("train")) == ("own-moths", 2, 8)


def test_splits_that_are_given_are_kept(images: Path) -> None:
    task = ImageFolder(write(images, "\ufefffilename,Class,SPLIT\n" + rows(split=True)))
    check_task(task)
    assert {s: task.image_set.size(s) for s in ("train", "val", "test")} == {"train": 6, "val": 3, "test": 3}


def test_numbers_are_classes_in_their_own_order(images: Path) -> None:
    text = "path,label\n" + "".join(f"images/{i}.png,{i}\n" for i in range(12))
    assert listed(write(images, text)).classes == tuple(str(i) for i in range(12))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(
    labels=st.lists(
        st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8), min_size=12, max_size=12
    ).filter(lambda found: len(set(found)) > 1),
    separator=st.sampled_from([",", ";", "\t"]),
    quoting=st.sampled_from([0, 1]),
)
def test_labels_are_those_that_pandas_has_written(
    images: Path, labels: list[str], separator: str, quoting: int
) -> None:
    frame = pandas.DataFrame({"path": [f"images/{i}.png" for i in range(12)], "label": labels})
    path = images / "made.csv"
    frame.to_csv(path, sep=separator, index=False, quoting=quoting)
    found = listed(path)
    assert list(found.splits["train"].labels) == labels
    assert list(found.splits["train"].keys) == list(frame["path"])


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("", "has no column 'path', only none", "Give it a heading"),
        ("path,colour\nimages/0.png,1\n", "has no column 'label', only path, colour", "Give it a heading"),
        ("path,label\n" + rows() + "images/12.png,0\ngone/1.png,1\n", r"not in .*: images/12.png, gone/1.png\.", "Put"),
        ("path,label\n" + "".join(f"{i}.png,{i}\n" for i in range(9)), r"0.png, 1.png, 2.png and 6 more", "Put them"),
        ("path,label\n" + rows() + "images/0.png,\n", "row 14 has no label", "Fill it in"),
        ("path,label\n" + rows() + ",0\n", "row 14 has no path", "Fill it in"),
        ("path,label\n" + rows() + "../secret.png,0\n", r"names '\.\./secret\.png', which leads out", "above it"),
        ("path,label\n" + rows() + "/etc/passwd,0\n", "names '/etc/passwd', which leads out", "above it"),
        ("path,label\n" + rows() + "images/0.png,1\n", r"lists images/0\.png twice", "Keep one"),
        ("path,label,split\n" + rows(split=True) + "images/0.png,1,dev\n", "row 14 has the split 'dev'", "Write train"),
        ("path,label\n" + rows(label="one"), r"moths\.csv has one class, 'one'", "Two or more"),
        ("path,label,split\n" + "images/0.png,1,test\n", "lists nothing for the split train", "Leave the column"),
        ('path,label\n"images/0.png,1\n', "is not a list in CSV", "Give it a heading"),
        ("path,label\n" + "x" * 200_000 + ",1\n", "is not a list in CSV: field larger", "Give it a heading"),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(images: Path, text: str, message: str, remedy: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        ImageFolder(write(images, text))
    assert remedy in (raised.value.hint or "")


def test_other_bytes_are_no_list(images: Path) -> None:
    with pytest.raises(DataError, match="is no text in UTF-8"):
        ImageFolder(write(images, "path,label\nimages/é.png,1\n", "latin-1"))


def test_a_link_out_of_the_folder_is_refused(images: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("other") / "secret.png"
    draw(secret)
    (images / "images" / "x.png").symlink_to(secret)
    with pytest.raises(DataError, match="which leads out"):
        ImageFolder(write(images, "path,label\n" + rows() + "images/x.png,0\n"))
