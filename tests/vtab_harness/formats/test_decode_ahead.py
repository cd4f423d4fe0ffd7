import threading
import time
from collections.abc import Callable, Iterator

import pytest

from vtab_harness.api.errors import DataError
from vtab_harness.formats.decode_ahead import _AHEAD, decode_ahead

Job = tuple[int, Callable[[], int]]


def jobs(count: int, bad: int = -1, ends: bool = True) -> Iterator[Job]:
    """Jobs that take longer the earlier they are; `bad` fails, and the iterator itself where it does not end."""

    def work(number: int) -> int:
        time.sleep(0.002 * (count - number) / count)
        if number == bad:
            raise ValueError(f"bad {number}")
        return number * number

    for number in range(count):
        yield number, lambda number=number: work(number)  # type: ignore[misc]
    if not ends:
        raise OSError("cut off")


def wrong(what: str) -> DataError:
    return DataError(f"archive {what}", "fetch it")


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert list(decode_ahead(jobs(50), wrong)) == [(n, n * n) for n in range(50)]
    assert list(decode_ahead(iter([]), wrong)) == []


@pytest.mark.parametrize("bad", [0, 3, 49])
def test_error_of_a_job_comes_after_the_results_before_it(bad: int) -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match=f"bad {bad}"):
        list(iter_into(seen, decode_ahead(jobs(50, bad, ends=False), wrong)))
    assert seen == list(range(bad))


@pytest.mark.parametrize("count", [0, 2, 30])
def test_error_of_the_iterator_comes_after_all_results(count: int) -> None:
    seen: list[int] = []
    with pytest.raises(OSError, match="cut off"):
        list(iter_into(seen, decode_ahead(jobs(count, ends=False), wrong)))
    assert seen == list(range(count))


def test_only_few_are_in_memory_and_only_the_consumer_asks() -> None:
    asked: list[int] = []
    askers: set[int] = set()

    def watched() -> Iterator[Job]:
        for job in jobs(100):
            asked.append(job[0])
            askers.add(threading.get_ident())
            yield job

    for number, _ in decode_ahead(watched(), wrong):
        assert len(asked) <= number + 1 + _AHEAD
    assert askers == {threading.get_ident()}


def test_stopping_early_leaves_no_thread() -> None:
    before = threading.active_count()
    results = decode_ahead(jobs(100), wrong)
    assert next(results) == (0, 0)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize(("bad", "message"), [((7,), "1 image "), ((0, 3, 30, 31, 49), "5 images ")])
def test_damaged_images_are_counted_and_the_first_are_named(bad: tuple[int, ...], message: str) -> None:
    def some() -> Iterator[Job]:
        def work(number: int) -> int:
            if number in bad:
                raise DataError(f"image {number} is damaged")
            return number * number

        for number in range(50):
            yield number, lambda number=number: work(number)  # type: ignore[misc]

    seen: list[int] = []
    with pytest.raises(DataError) as error:
        list(iter_into(seen, decode_ahead(some(), wrong)))
    assert seen == [number for number in range(50) if number not in bad]
    assert f"archive holds {message}that cannot be used: image {bad[0]} is damaged" in error.value.message
    assert ("and 2 more" in error.value.message) == (len(bad) == 5)
    assert "image 31" not in error.value.message
    assert error.value.hint == "fetch it"


def iter_into(seen: list[int], results: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for number, value in results:
        seen.append(number)
        yield number, value
