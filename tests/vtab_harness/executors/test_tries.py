"""Which job a worker gets: no job is lost, and a backbone is not loaded again and again."""

from __future__ import annotations

from pathlib import Path
from random import Random
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from vtab_harness.api.executors import Job, JobOutcome
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
        else:
            outcome = JobOutcome(jobs[number])
            assert waiting.ended(number, outcome) is outcome
    assert sorted(done) == list(range(len(jobs)))
    if workers == 1:
        assert done == sorted(done)
        assert all(count == 1 for count in loads.values())


def test_helpers_go_where_most_wait() -> None:
    waiting = Waiting(made([2, 3]))
    assert [waiting.take() for _ in range(3)] == [0, 3, 4]


def test_two_do_not_begin_with_the_same_images() -> None:
    waiting = Waiting(made([3, 3]))
    assert [waiting.take(), waiting.take()] == [0, 4]
    waiting.ended(0, JobOutcome(made([3, 3])[0]))
    assert waiting.take("a") == 2, "1 has the images of 4"


def shared(workers: int, tries: int = 2, count: int = 1) -> list[Job]:
    """Makes jobs that several workers may be at."""
    return [Job("a", (f"{k}",), SimpleNamespace(tries=tries), workers=workers) for k in range(count)]


def test_who_has_nothing_else_joins_a_job_that_has_room() -> None:
    waiting = Waiting(shared(2, count=2))
    assert waiting.wanted == 4
    assert [waiting.take("a", join=True) for _ in range(3)] == [0, 1, 0]
    assert waiting.wanted == 1
    assert [waiting.take("a", join=True), waiting.take("a", join=True)] == [1, None]
    assert Waiting(made([1])).take("b", join=True) == 0


def test_who_left_a_job_to_others_comes_back_when_one_of_them_has_finished_something(tmp_path: Path) -> None:
    (job,) = jobs = shared(2)
    waiting = Waiting(jobs)
    assert [waiting.take(join=True), waiting.take(join=True)] == [0, 0]
    leases = [tmp_path / "trial-1", tmp_path / "trial-2"]
    for lease in leases:
        lease.mkdir()
    left = JobOutcome(job, busy=("0",), waits_for=tuple(map(str, leases)))
    assert waiting.ended(0, left) is None
    assert waiting.take(join=True) is None
    leases[1].rmdir()
    assert waiting.take(join=True) == 0
    complete = JobOutcome(job, records=("r",))
    assert waiting.ended(0, complete) is None
    assert waiting.take(join=True) is None, "nothing is left to do"
    assert waiting.ended(0, left) is complete, "whoever says last that something is open did not see the end"


def test_a_job_is_tried_again_only_when_nobody_else_is_at_it() -> None:
    (job,) = jobs = shared(3, tries=2)
    waiting = Waiting(jobs)
    assert [waiting.take(join=True) for _ in range(3)] == [0, 0, 0]
    assert waiting.lost(0, "Killed.") is None
    assert len(waiting) == 0
    failed = JobOutcome(job, error="no memory")
    assert waiting.ended(0, failed) is None
    given_up = waiting.lost(0, "Killed.")
    assert given_up is not None
    assert "try 2 of 2" in str(given_up.error)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 4), st.randoms(use_true_random=False), st.data()
)
def test_whatever_happens_each_job_has_one_outcome_and_room_is_kept(
    rooms: list[int], workers: int, random: Random, data: st.DataObject
) -> None:
    settings = SimpleNamespace(tries=2)
    jobs = [Job("ab"[i % 2], (f"{i}",), settings, workers=room) for i, room in enumerate(rooms)]
    waiting, told = Waiting(jobs), dict[int, int]()
    at_work: list[int | None] = [None] * workers
    while True:
        worker = random.randrange(workers)
        number = at_work[worker]
        if number is None:
            at_work[worker] = number = waiting.take(join=True)
            if number is not None:
                assert at_work.count(number) <= rooms[number]
                assert number not in told
            elif not any(other is not None for other in at_work):
                break
            continue
        at_work[worker] = None
        # A lease that is there, so that nobody comes back to a job before it has ended.
        left = JobOutcome(jobs[number], busy=("x",), waits_for=(str(Path(__file__)),))
        match data.draw(st.sampled_from(["complete", "failed", "left", "lost", "put back"])):
            case "complete":
                outcome = waiting.ended(number, JobOutcome(jobs[number]))
            case "failed":
                outcome = waiting.ended(number, JobOutcome(jobs[number], error="x"))
            case "left":
                outcome = waiting.ended(number, left)
            case "lost":
                outcome = waiting.lost(number, "Killed.")
            case _:
                outcome = None
                waiting.put_back(number)
        assert waiting.wanted >= len(waiting) >= 0
        if outcome is not None:
            assert number not in at_work
            told[number] = told.get(number, 0) + 1
    assert told == dict.fromkeys(range(len(jobs)), 1)
    assert len(waiting) == waiting.wanted == 0
