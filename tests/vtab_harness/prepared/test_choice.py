"""What the cache remembers of data folders is a hint: damaged, it costs another look and nothing else."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_source import IMAGE_SET, Small

from vtab_harness.api.data import ImageSet
from vtab_harness.prepared import choice
from vtab_harness.prepared.choice import choose

LOOKS: list[Path] = []
"""Folders whose source was opened."""


class InFolder(Small):
    """The small set, with a file that it says it was read from."""

    def __init__(self, root: Path) -> None:
        self.files = (root / "archive",)

    def images(self, wanted: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
        raise AssertionError("nothing is prepared here")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A data folder, and the folder of the set in a cache, which remembers it."""
    data, base = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    base.mkdir()
    (data / "archive").write_bytes(b"content")

    def opened(image_set: ImageSet, roots: Sequence[Path], variant: str | None = None) -> InFolder:
        LOOKS.append(roots[0])
        return InFolder(roots[0])

    monkeypatch.setattr(choice, "open_source", opened)
    choose(IMAGE_SET, [data], base)
    LOOKS.clear()
    return data, base


def test_a_folder_that_is_remembered_is_not_looked_at_again(place: tuple[Path, Path]) -> None:
    data, base = place
    assert choose(IMAGE_SET, [data], base).variant == "small"
    assert not LOOKS


@pytest.mark.parametrize(
    "known",
    [
        {"variant": "../../elsewhere", "files": []},
        {"variant": "/dev/zero", "files": []},
        {"variant": "x" * 500, "files": []},
        {"variant": "small", "files": ["a\0b"]},
        {"variant": "small", "files": ["gone"]},
        {"variant": 5, "files": []},
        {"variant": "small"},
        [],
    ],
)
def test_what_cannot_be_is_not_believed(place: tuple[Path, Path], known: Any) -> None:
    data, base = place
    seen = base / ".seen.json"
    seen.write_text(json.dumps(dict.fromkeys(json.loads(seen.read_text()), known)))
    assert choose(IMAGE_SET, [data], base).variant == "small"
    assert [data] == LOOKS


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"a": {"b": ' * 50_000])
def test_damage_is_as_if_nothing_were_there(place: tuple[Path, Path], content: bytes) -> None:
    data, base = place
    (base / ".seen.json").write_bytes(content)
    assert choose(IMAGE_SET, [data], base).variant == "small"
    assert [data] == LOOKS
    (base / "small").mkdir()
    (base / "small" / "source.json").write_bytes(content)
    assert not choose(IMAGE_SET, [data], base).prepared_from_this
