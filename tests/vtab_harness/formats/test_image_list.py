from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from small_archives import folder, jpeg, refused, tar, zipped

from vtab_harness.api.data import ImageSet
from vtab_harness.formats.archives import Members
from vtab_harness.formats.image_list import Found, ListedImages, Listing, Place, in_wanted_order, labels, last

SET = ImageSet("some", "1", "nowhere:none", {}, {})
COUNT = 40
FILES = {f"pictures/{number:02d}.jpg": jpeg(6 * number) for number in range(COUNT)}


def source_of(tmp_path: Path, layout: str, files: Mapping[str, bytes] = FILES) -> ListedImages:
    write = {"tar": tar, "zip": zipped, "folder": folder}[layout]
    keys = [f"{number:02d}.jpg" for number in range(COUNT)]
    members = Members(SET, write(tmp_path / "archive", files))
    listings = {"a": Listing(keys[:30], labels([0] * 30)), "b": Listing(keys[30:], labels([1] * 10))}
    return ListedImages(listings, [Place(members, last(1, ".jpg"), ("a", "b"))])


@pytest.mark.parametrize("layout", ["tar", "zip", "folder"])
def test_images_come_as_wanted(tmp_path: Path, layout: str) -> None:
    wanted = {"b": [9, 0, 3], "a": list(range(29, -1, -2))}
    found = list(source_of(tmp_path, layout).images(wanted))
    assert [(split, at) for split, at, _ in found] == [(split, at) for split, each in wanted.items() for at in each]
    # A flat grey survives JPEG within one level.
    assert all(abs(int(image[0, 0, 0]) - 6 * (at + 30 * (split == "b"))) <= 1 for split, at, image in found)


@pytest.mark.parametrize("layout", ["tar", "zip", "folder"])
def test_damaged_images_are_counted(tmp_path: Path, layout: str) -> None:
    spoilt = {name: FILES[name][:-2] for name in list(FILES)[4:16:2]}
    source = source_of(tmp_path, layout, FILES | spoilt)
    delivered: list[int] = []

    def read() -> None:
        for _, at, _ in source.images({"a": range(30)}):
            delivered.append(at)

    message = refused(tmp_path / "archive", read).message
    assert "holds 6 images that cannot be used" in message
    assert "pictures/04.jpg cannot be decoded" in message
    assert "and 3 more" in message
    assert delivered == [at for at in range(30) if at not in range(4, 16, 2)]


@pytest.mark.parametrize("layout", ["zip", "folder"])
def test_unwanted_images_are_not_read(tmp_path: Path, layout: str) -> None:
    source = source_of(tmp_path, layout, FILES | {"pictures/07.jpg": b"no picture"})
    assert len(list(source.images({"a": [6, 8]}))) == 2


WANTED = {"b": [3, 0, 2], "a": [1]}
ORDER = [("b", 3), ("b", 0), ("b", 2), ("a", 1)]


def arriving(targets: list[tuple[str, int]], taken: list[tuple[str, int]]) -> Iterator[Found]:
    for target in targets:
        taken.append(target)
        yield Found(target, b"x" * 100, str(target))


def test_files_come_in_the_wanted_order() -> None:
    for turned in range(4):
        found = in_wanted_order(arriving(ORDER[turned:] + ORDER[:turned], []), WANTED)
        assert [file.target for file in found] == ORDER


def test_wanted_files_of_other_archives_are_passed_over() -> None:
    assert [file.target for file in in_wanted_order(arriving([("b", 2), ("b", 3)], []), WANTED)] == [("b", 3), ("b", 2)]


def test_too_many_files_come_as_they_are() -> None:
    coming, taken = [("a", number) for number in range(20)], []
    for number, file in enumerate(in_wanted_order(arriving(coming, taken), {"a": range(19, -1, -1)}, 250)):
        assert file.target == coming[number]
        assert len(taken) <= max(3, number + 1)
