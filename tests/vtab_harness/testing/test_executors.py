"""`check_executor` lets good executors through, and finds each way in which one can be wrong."""

import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from vtab_harness.api.executors import Job, JobOutcome, outcome_of
from vtab_harness.executors.devices import Devices, DevicesSettings
from vtab_harness.executors.local import Local
from vtab_harness.testing import ContractError, check_executor, executors

FORK = multiprocessing.get_context("fork")
Work = Callable[[Job], JobOutcome]
Outcomes = Iterator[JobOutcome]


def test_local_passes() -> None:
    check_executor(Local)


def test_devices_passes() -> None:
    check_executor(lambda: Devices(DevicesSettings(devices=("cpu",))), timeout=120)


class Base:
    summary = "one job after another"
    in_process = True

    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for job in jobs:
            yield outcome_of(job, work)


class NoSummary(Base):
    summary = ""


class Undecided(Base):
    in_process: Any = "perhaps"


class NeedsWork(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        yield outcome_of(jobs[0], work)
        yield from super().run(jobs[1:], work)


class Unguarded(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for job in jobs:
            yield work(job)


class CatchesExceptions(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for job in jobs:
            try:
                yield work(job)
            except Exception as error:
                yield JobOutcome(job, error=str(error))


class LosesFailures(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        yield from (outcome for outcome in super().run(jobs, work) if outcome.error is None)


class TriesTwice(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for job in jobs:
            yield outcome_of(job, work)
            if outcome_of(job, work).error:
                yield outcome_of(job, work)


class ForgetsErrors(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for outcome in super().run(jobs, work):
            yield JobOutcome(outcome.job, outcome.records)


class ForgetsRecords(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for outcome in super().run(jobs, work):
            yield replace(outcome, records=())


class ChangesJobs(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for outcome in super().run(jobs, work):
            yield replace(outcome, job=replace(outcome.job, backbone="mine"))


class YieldsText(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Any:
        for outcome in super().run(jobs, work):
            yield str(outcome)


class AllAtOnce(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        yield from [outcome_of(job, work) for job in jobs]


class Tidy(Base):
    """Goes on with the jobs after it was stopped."""

    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        waiting = list(jobs)
        try:
            while waiting:
                yield outcome_of(waiting.pop(0), work)
        finally:
            for job in waiting:
                outcome_of(job, work)


class NoGenerator(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Any:
        return iter([outcome_of(job, work) for job in jobs])


class Threaded(Base):
    """Says that it works in the caller's thread."""

    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        for job in jobs:
            found: list[JobOutcome] = []
            thread = threading.Thread(target=lambda job=job, found=found: found.append(outcome_of(job, work)))
            thread.start()
            thread.join()
            yield found[0]


class Lingering(Base):
    """Leaves a process behind."""

    in_process = False

    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        if jobs:
            FORK.Process(target=time.sleep, args=(2,), daemon=True).start()
        yield from super().run(jobs, work)


class Fragile(Base):
    """Does not expect that a process may die."""

    in_process = False

    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        with ProcessPoolExecutor(1, FORK) as pool:
            waiting = [pool.submit(outcome_of, job, work) for job in jobs]
            try:
                for future in waiting:
                    yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)


class Patient(Base):
    """Begins a job ahead, and when it is stopped waits for it, however long it takes."""

    in_process = False

    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        begun = [_begun(job, work) for job in jobs[:2]]
        try:
            for number, job in enumerate(jobs):
                try:
                    yield begun[number][1].recv()
                except EOFError:
                    yield JobOutcome(job, error="lost")
                begun += [_begun(following, work) for following in jobs[number + 2 : number + 3]]
        finally:
            for process, _ in begun:
                process.join()


def _begun(job: Job, work: Work) -> tuple[Any, Any]:
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=lambda: sender.send(outcome_of(job, work)))
    process.start()
    sender.close()
    return process, receiver


class Never(Base):
    def run(self, jobs: Sequence[Job], work: Work) -> Outcomes:
        while jobs:
            time.sleep(0.01)
        yield from ()


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (NoSummary, "has the summary ''"),
        (Undecided, "has in_process='perhaps'"),
        (NeedsWork, r"run\(\) raised IndexError"),
        (Unguarded, r"run\(\) raised RuntimeError: work that raises"),
        (CatchesExceptions, r"run\(\) raised SystemExit"),
        (LosesFailures, "yields 0 outcomes of the job backbone/1, one of 5"),
        (TriesTwice, "yields 2 outcomes of the job backbone/1"),
        (ForgetsErrors, "for a reported error"),
        (ForgetsRecords, "for work that succeeded"),
        (ChangesJobs, "yields an outcome of .*'mine'.* which is no job of its"),
        (YieldsText, 'yields "JobOutcome'),
        (AllAtOnce, "began 9 of 9 jobs, of which one was asked for"),
        (Tidy, "began 9 of 9 jobs, of which one was asked for"),
        (NoGenerator, r"closing run\(\) raised AttributeError"),
        (Threaded, "says in_process, and does the work elsewhere"),
        (Lingering, "leaves 2 processes behind when it is stopped"),
        (Fragile, r"run\(\) raised BrokenProcessPool"),
        (Patient, r"takes \d+ s to stop, while a job goes on"),
    ],
)
def test_a_wrong_executor_is_found(monkeypatch: pytest.MonkeyPatch, executor: type[Base], message: str) -> None:
    monkeypatch.setattr(executors, "PATIENCE", 0.5)
    with pytest.raises(ContractError, match=message):
        check_executor(executor)


def test_one_that_never_returns_is_found_with_a_limit() -> None:
    with pytest.raises(ContractError, match=r"has not returned within 0\.2 s"):
        check_executor(Never, timeout=0.2)


def test_checks_are_imported_one_by_one_and_without_pytest_or_torch() -> None:
    code = "from vtab_harness.testing import check_executor, check_task; import sys; "
    code += "print({'torch', 'pytest'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
