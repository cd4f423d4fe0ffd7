"""Making batches ahead: order, errors, stages and closing, without any images."""

import threading
import time
from collections.abc import Callable

import pytest

from vivi_pretrain.data.loading.prefetch import Making, Prefetcher, split, worker_count


def prefetcher(make: Callable[[int], Making[int]], workers: int = 3, prefetch: int = 2) -> Prefetcher[int]:
    return Prefetcher(make, first_step=0, workers=workers, prefetch=prefetch)


def test_lists_of_parts_run_one_after_the_other() -> None:
    def make(step: int) -> Making[int]:
        seen: list[int] = []
        lock = threading.Lock()

        def part(number: int) -> None:
            time.sleep(0.001 * (number % 3))
            with lock:
                seen.append(number)

        yield [lambda n=n: part(n) for n in range(5)]  # type: ignore[misc]
        assert sorted(seen) == list(range(5))
        yield []
        yield [lambda n=n: part(n) for n in range(5, 9)]  # type: ignore[misc]
        assert sorted(seen) == list(range(9))
        return step

    batches = prefetcher(make)
    assert [batches.next()[0] for _ in range(20)] == list(range(20))
    batches.close()


@pytest.mark.parametrize("where", ["before", "in a part", "in every part", "after"])
def test_an_error_comes_in_its_turn_with_its_message(where: str) -> None:
    def fail() -> None:
        raise ValueError("step 2 is bad")

    def make(step: int) -> Making[int]:
        bad = step == 2
        if bad and where == "before":
            fail()
        yield [fail if bad and where == "in every part" else lambda: None] * 4
        yield [lambda: None, fail if bad and where == "in a part" else lambda: None]
        if bad and where == "after":
            fail()
        return step

    batches = prefetcher(make, prefetch=4)
    assert [batches.next()[0] for _ in range(2)] == [0, 1]
    with pytest.raises(ValueError, match="step 2 is bad"):
        batches.next()
    with pytest.raises(RuntimeError, match="closed"):
        batches.next()


def test_closing_wakes_a_thread_that_waits() -> None:
    release = threading.Event()

    def make(step: int) -> Making[int]:
        yield [lambda: release.wait(5) and None] * 2  # type: ignore[list-item, return-value]
        return step

    batches = prefetcher(make, workers=1)
    errors: list[Exception] = []

    def consume() -> None:
        try:
            batches.next()
        except RuntimeError as error:
            errors.append(error)

    consumer = threading.Thread(target=consume)
    consumer.start()
    time.sleep(0.05)
    threading.Timer(0.05, release.set).start()
    batches.close()
    consumer.join(5)
    assert "closed" in str(errors[0])


def test_parts_cover_everything_once() -> None:
    for count in (0, 1, 7, 8, 9, 100, 1000):
        for workers in (1, 3):
            parts = split(count, workers)
            assert [i for part in parts for i in range(count)[part]] == list(range(count))
            assert len(parts) <= 4 * workers
            assert all(len(range(count)[part]) >= 8 for part in parts[:-1])
    assert worker_count(3) == 3
    assert worker_count(0) >= 1
