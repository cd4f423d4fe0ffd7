import re
from pathlib import Path

import pytest

from vtab_harness.api.data import Archive, ImageSet
from vtab_harness.api.errors import DataError
from vtab_harness.formats.errors import reading, wrong
from vtab_harness.formats.locate import how_to_get, locate

IMAGE_SET = ImageSet(
    name="spoons",
    version="1",
    source="nowhere:open_source",
    sizes={},
    splits={},
    archives=(Archive("spoons.zip", 1234567, "ab" * 32, "https://example.org/spoons"), Archive("labels.txt")),
)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_roots_come_before_folders_before_names(tmp_path: Path) -> None:
    names = ["spoons.zip", "images/big"]
    places = [
        tmp_path / "b" / "spoons" / "images" / "big",
        tmp_path / "b" / "spoons" / "spoons.zip",
        tmp_path / "b" / "images" / "big",
        tmp_path / "a" / "spoons" / "spoons.zip",
        tmp_path / "a" / "spoons.zip",
    ]
    for place in places:
        touch(place)
        assert locate(IMAGE_SET, [tmp_path / "a", tmp_path / "b"], names) == place


def test_missing_says_what_where_and_from_where(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        locate(IMAGE_SET, [tmp_path / "a", tmp_path / "b"], ["spoons.zip", "spoons_unpacked"])
    for part in ("spoons.zip, spoons_unpacked", str(tmp_path / "a"), str(tmp_path / "b" / "spoons")):
        assert part in error.value.message
    assert error.value.hint == (
        f"Fetch spoons.zip (1,234,567 bytes, sha256 {'ab' * 32}) from https://example.org/spoons,"
        " and put it into a data folder or its folder spoons."
    )


def test_advice_without_a_description() -> None:
    assert how_to_get(IMAGE_SET, ["labels.txt"]).startswith("Fetch labels.txt, and put")


def test_damage_names_the_file_once() -> None:
    def inner() -> None:
        with reading(IMAGE_SET, Path("outer")):
            raise wrong(IMAGE_SET, Path("spoons.zip"), "holds forks")

    with pytest.raises(DataError) as error:
        inner()
    assert error.value.message == "spoons.zip holds forks"


def test_failures_of_the_file_system_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.zip cannot be read: .*No such file"):  # noqa: SIM117
        with reading(IMAGE_SET, tmp_path / "gone.zip"):
            (tmp_path / "gone.zip").read_bytes()


def test_other_failures_pass() -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: SIM117
        with reading(IMAGE_SET, Path("spoons.zip")):
            1 / 0  # noqa: B018


def test_the_published_file_is_not_blamed(tmp_path: Path) -> None:
    path = touch(tmp_path / "spoons.zip")
    empty = Archive("spoons.zip", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    image_set = ImageSet("spoons", "1", "nowhere:open_source", {}, {}, archives=(empty,))
    assert "is that of the published file" in wrong(image_set, path, "is odd").message


@pytest.mark.parametrize(
    ("size", "sha256", "message"),
    [
        (9, "ab" * 32, r" \(it has 0 bytes and the sha256 e3b0[0-9a-f]{60}, the published file 9 and (ab){32}\)$"),
        (9, None, r" \(it has 0 bytes, the published file 9\)$"),
        (None, "ab" * 32, r" \(its sha256 is e3b0[0-9a-f]{60}, that of the published file (ab){32}\)$"),
        (0, None, r"is odd$"),
        (None, None, r"is odd$"),
    ],
)
def test_what_differs_from_the_published_file_is_said(
    size: int | None, sha256: str | None, message: str, tmp_path: Path
) -> None:
    path = touch(tmp_path / "spoons.zip")
    image_set = ImageSet("spoons", "1", "nowhere:x", {}, {}, archives=(Archive("spoons.zip", size, sha256),))
    assert re.search(message, wrong(image_set, path, "is odd").message)
