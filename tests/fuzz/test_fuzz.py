"""Whatever is read from outside is accepted, or refused with a message: no traceback, no hang, no memory without end.

A new reader is added to `fuzzing.readers`. To look for faults: ``python tests/fuzz/run.py --only NAME --inputs 10000``;
an input that found one is made a test of its reader.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fuzzing.reader import Outcome, Reader, attempt, mutated
from fuzzing.readers import READERS
from run import fuzz, report, shares

from vtab_harness.api.errors import DataError

INPUTS = 15
"""Of a reader whose share is 1."""


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_mutated_inputs_are_read_or_refused(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    valid = reader.make(tmp_path)
    outcome = attempt(reader, tmp_path, valid)
    # A reader that refuses what is right would pass any test.
    assert outcome.kind == "accepted", outcome
    changed = 0
    for number in range(1, 1 + max(3, round(INPUTS * min(reader.share, 2)))):
        data = mutated(reader, valid, 0, number)
        changed += data != valid
        outcome = attempt(reader, tmp_path, data)
        assert outcome.kind != "fault", f"input {number}: {outcome.what}\n{outcome.trace}"
    assert changed


def test_names_tell_readers_apart() -> None:
    assert len({reader.name for reader in READERS}) == len(READERS)


def test_inputs_depend_on_nothing_but_their_number(tmp_path: Path) -> None:
    reader = next(reader for reader in READERS if reader.name == "local-dir config.json")
    valid = reader.make(tmp_path)
    first = [mutated(reader, valid, 0, number) for number in range(50)]
    assert [mutated(reader, valid, 0, number) for number in range(50)] == first
    assert [mutated(reader, valid, 1, number) for number in range(50)] != first
    assert len(set(first)) > 40


def _reading(read: object) -> Reader:
    return Reader("made", lambda folder: b"", lambda rng, data: data, lambda folder, data: read())  # type: ignore[operator]


def _refuse() -> None:
    raise DataError("no", "Do this.")


def _refuse_for_memory() -> None:
    try:
        bytearray(1 << 40)
    except MemoryError as error:
        raise DataError("damaged") from error


def _leave() -> None:
    raise SystemExit(0)


def _wait() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "kind", "what"),
    [
        (lambda: None, "accepted", ""),
        (_refuse, "refused", "no\nDo this."),
        (lambda: 1 // 0, "fault", "ZeroDivisionError"),
        (_leave, "fault", "SystemExit"),
        (_refuse_for_memory, "fault", "too much memory"),
        (lambda: bytearray(b"x") * (1 << 28), "fault", "takes 0."),
        (_wait, "fault", "takes more than"),
    ],
    ids=["nothing", "refusal", "traceback", "exit", "hidden memory", "memory", "hang"],
)
def test_faults_are_found(read: object, kind: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise no reader could fail."""
    monkeypatch.setattr("fuzzing.reader.SECONDS", 0.5 if read is _wait else 20.0)
    monkeypatch.setattr("fuzzing.reader.MEMORY", 1 << 27)
    outcome = attempt(_reading(read), tmp_path, b"")
    assert isinstance(outcome, Outcome)
    assert outcome.kind == kind
    assert what in outcome.what


@pytest.mark.slow
def test_a_hundred_thousand_inputs(tmp_path: Path) -> None:
    tallies = fuzz(shares(100_000), seed=1, workers=os.cpu_count() or 1, keep=tmp_path / "faults")
    print(report(tallies))
    assert not [fault for tally in tallies.values() for fault in tally.faults]
    assert sum(sum(tally.counts.values()) for tally in tallies.values()) >= 100_000
