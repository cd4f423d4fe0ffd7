"""Progress where images come unevenly; time is a number that the tests advance."""

import pytest

from vtab_harness.cli import data_progress
from vtab_harness.cli.data_progress import PrepareProgress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(data_progress, "time", found)
    return found


def test_time_left_follows_the_bytes(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """1000 images of the first half of the archive, at once, and 30,000 of the second."""
    progress = PrepareProgress(1)
    progress.start("patches")
    progress.reading("unpacking big.gz (6.4 GB)", 0, 8_000)
    for second in range(1, 41):
        clock.now = float(second)
        progress.reading("unpacking big.gz (6.4 GB)", 100 * second, 8_000)
    for image in range(1, 1001):
        progress.images(image, 31_000)
    clock.now = 50.0
    progress.images(1001, 31_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[1/1] patches: unpacking big.gz (6.4 GB)", "said before the first image"
    assert lines[1] == "[1/1] patches: 1.0 kB of 8.0 kB read, about 70 s left"
    assert lines[4] == "[1/1] patches: 4.0 kB of 8.0 kB read, about 40 s left"
    assert lines[-1] == "[1/1] patches: 1001 of 31000 images, 4.0 kB of 8.0 kB read, about 50 s left"


def test_no_time_left_from_the_first_images(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = PrepareProgress(1)
    progress.start("patches")
    progress.images(1, 1000)
    for second in (11, 22, 33):
        clock.now = float(second)
        progress.images(second, 1000)
    clock.now = 101.0
    progress.images(101, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [f"[1/1] patches: {done} of 1000 images" for done in (11, 22, 33)]
    assert lines[3] == "[1/1] patches: 101 of 1000 images, about 908 s left"


def test_images_after_the_archive_have_a_pace_of_their_own(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = PrepareProgress(1)
    progress.start("patches")
    progress.images(1, 1000)
    clock.now = 100.0
    progress.reading("unpacking", 5, 5)
    progress.images(2, 1000)
    clock.now = 111.0
    progress.images(112, 1000)
    assert capsys.readouterr().err.splitlines()[-1] == "[1/1] patches: 112 of 1000 images, about 89 s left"
