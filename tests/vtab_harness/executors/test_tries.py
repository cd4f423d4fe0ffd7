"""Which job a worker gets: no job is lost, and a backbone is not loaded again and again."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.executors import Job
from vtab_harness.executors.tries import Waiting


def made(sizes: list[int]) -> list[Job]:
    """Makes jobs of backbones a, b, ...; those of a backbone one after another."""
    return [Job("abcdef"[i], (f"{k}",), None) for i, size in enumerate(sizes) for k in range(size)]


@given(st.lists(st.integers(1, 6), max_size=5), st.integers(1, 5), st.randoms(use_true_random=False))
def test_every_job_has_its_turn_once_and_workers_stay_with_a_backbone(
    sizes: list[int], workers: int, random: Random
) -> None:
    jobs, done = made(sizes), list[int]()
    waiting, loads = Waiting(jobs), dict[str, int]()
    loaded: list[str | None] = [None] * workers
    while True:
        worker = random.randrange(workers)
        left = {job.backbone for number, job in enumerate(jobs) if number not in done}
        number = waiting.take(loaded[worker])
        if number is None:
            break
        backbone = jobs[number].backbone
        if loaded[worker] in left:
            assert backbone == loaded[worker]
        else:
            # Helps with one that somebody has begun only where all are begun.
            assert backbone not in loads or left <= set(loads)
            loads[backbone] = loads.get(backbone, 0) + 1
        loaded[worker] = backbone
        done.append(number)
        assert len(waiting) == len(jobs) - len(done)
        if random.random() < 0.1:
            waiting.put_back(done.pop())
    assert sorted(done) == list(range(len(jobs)))
    if workers == 1:
        assert done == sorted(done)
        assert all(count == 1 for count in loads.values())


def test_helpers_go_where_most_wait() -> None:
    waiting = Waiting(made([2, 3]))
    assert [waiting.take() for _ in range(3)] == [0, 2, 3]
