"""Gives every reader many mutated inputs, in worker processes, and prints what became of them.

``python tests/fuzz/run.py --inputs 100000 --workers 2``. A worker that dies, or does not come back from C code, is
noticed by this process, which puts it down to the input that was being read and starts another. Inputs that find a
fault are kept in the folder ``--keep``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

SILENCE = 60.0
"""Seconds without a word from a worker after which it is killed: the alarm did not reach it."""


Task = tuple[str, int, int]
"""Reader, and its first and last input, the last exclusive."""


@dataclass
class Tally:
    """What became of the inputs of one reader."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def work(tasks: list[Task], seed: int, keep: Path | None) -> None:
    """Reads inputs; a line before and after each goes to standard output, as JSON."""
    import logging

    import torch
    from fuzzing.reader import Outcome, attempt, mutated
    from fuzzing.readers import READERS

    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    talk = os.fdopen(os.dup(1), "w", buffering=1)
    # Whatever is printed in between.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    readers = {reader.name: reader for reader in READERS}
    for name, first, last in tasks:
        reader = readers[name]
        with tempfile.TemporaryDirectory() as folder:
            valid = reader.make(Path(folder))
            for number in range(first, last):
                # The first is not damaged: a reader that refuses what is right would pass any test.
                data = mutated(reader, valid, seed, number) if number else valid
                talk.write(json.dumps({"name": name, "number": number}) + "\n")
                began = time.perf_counter()
                outcome = attempt(reader, Path(folder), data)
                if number == 0 and outcome.kind != "accepted":
                    outcome = Outcome("fault", f"refuses what is right: {outcome.what}", outcome.trace)
                said = {"kind": outcome.kind, "what": outcome.what[:500], "trace": outcome.trace}
                said |= {"name": name, "number": number, "seconds": time.perf_counter() - began}
                talk.write(json.dumps(said) + "\n")
                if outcome.kind == "fault" and keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}-{number}").write_bytes(data)


class Worker:
    """A process that works through a list of tasks."""

    def __init__(self, tasks: list[Task], seed: int, keep: Path | None) -> None:
        self.tasks = tasks
        arguments = ["--worker", json.dumps(tasks), "--seed", str(seed)]
        arguments += [] if keep is None else ["--keep", str(keep)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        self.process = subprocess.Popen(
            [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, stderr=self._said, env=environment
        )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.heard = time.monotonic()
        self._rest = b""
        self._reading: tuple[str, int] | None = None

    def listen(self, tallies: dict[str, Tally]) -> bool:
        """Takes what the worker said; returns whether it is still there."""
        data = os.read(self.output.fileno(), 1 << 20)
        self.heard = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            at = (said["name"], said["number"])
            if "kind" not in said:
                self._reading = at
                continue
            tally = tallies[at[0]]
            tally.counts[said["kind"]] += 1
            tally.seconds += said["seconds"]
            tally.slowest = max(tally.slowest, said["seconds"])
            if said["kind"] == "fault":
                tally.faults.append(f"{at[0]} #{at[1]}: {said['what']}\n{said['trace']}")
            self._done(at)
        return bool(data)

    def _done(self, at: tuple[str, int]) -> None:
        self._reading = None
        while self.tasks and self.tasks[0][0] != at[0]:
            del self.tasks[0]
        name, _, last = self.tasks[0]
        self.tasks[0] = (name, at[1] + 1, last)
        if at[1] + 1 >= last:
            del self.tasks[0]

    def bury(self, tallies: dict[str, Tally], silent: bool) -> None:
        """Ends it, and puts its death down to the input that was being read."""
        self.process.kill()
        self.process.wait()
        if self._reading is not None:
            name, number = self._reading
            what = "does not come back" if silent else f"ends the process with {self.process.returncode}"
            tallies[name].counts["fault"] += 1
            tallies[name].faults.append(f"{name} #{number}: {what}")
            self._done(self._reading)
        elif self.tasks:
            self._said.seek(0)
            raise RuntimeError(f"{self.tasks[0]} cannot be run: {self._said.read().decode()[-3000:]}")


def fuzz(names: dict[str, int], seed: int, workers: int, keep: Path | None = None) -> dict[str, Tally]:
    """Returns what became of the inputs, by reader.

    Args:
        names: Reader -> how many inputs.
        seed: Of all inputs.
        workers: Processes at a time.
        keep: Folder for inputs that find a fault.
    """
    tallies = {name: Tally() for name in names}
    parts = [[(name, 0, count) for name, count in names.items()][at::workers] for at in range(workers)]
    running: list[Worker] = []
    with selectors.DefaultSelector() as selector:
        while parts or running:
            while parts:
                tasks = parts.pop()
                if tasks:
                    running.append(Worker(tasks, seed, keep))
                    selector.register(running[-1].output, selectors.EVENT_READ, running[-1])
            gone = [key.data for key, _ in selector.select(1.0) if not key.data.listen(tallies)]
            silent = [worker for worker in running if time.monotonic() - worker.heard > SILENCE]
            for worker in dict.fromkeys([*gone, *silent]):
                selector.unregister(worker.output)
                running.remove(worker)
                worker.bury(tallies, worker in silent)
                parts.append(worker.tasks)
    return tallies


def report(tallies: dict[str, Tally]) -> str:
    """Returns a table of counts."""
    lines = [f"{'reader':58} {'accepted':>9} {'refused':>9} {'faults':>7} {'seconds':>8} {'slowest':>8}"]
    for name, tally in tallies.items():
        counts = [tally.counts[kind] for kind in ("accepted", "refused", "fault")]
        lines.append(
            f"{name:58} {counts[0]:9,} {counts[1]:9,} {counts[2]:7,} {tally.seconds:8.1f} {tally.slowest:8.2f}"
        )
    whole = sum((tally.counts for tally in tallies.values()), Counter())
    lines.append(f"{'all':58} {whole['accepted']:9,} {whole['refused']:9,} {whole['fault']:7,}")
    return "\n".join(lines)


def shares(inputs: int, only: str = "") -> dict[str, int]:
    """Returns how many inputs each reader gets of so many in all."""
    from fuzzing.readers import READERS

    chosen = [reader for reader in READERS if only in reader.name]
    whole = sum(reader.share for reader in chosen)
    return {reader.name: -int(-inputs * reader.share // whole) for reader in chosen}


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="In all readers together.")
    parser.add_argument("--only", default="", help="Readers whose names hold this.")
    parser.add_argument("--each", type=int, help="So many inputs for each reader, whatever its share.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="Folder for inputs that find a fault.")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(json.loads(given.worker), given.seed, given.keep)
        return
    names = shares(given.inputs, given.only)
    if given.each:
        names = dict.fromkeys(names, given.each)
    tallies = fuzz(names, given.seed, given.workers, given.keep)
    for tally in tallies.values():
        for fault in tally.faults[:5]:
            print(fault, end="\n\n")
    print(report(tallies))
    sys.exit(any(tally.counts["fault"] for tally in tallies.values()))


if __name__ == "__main__":
    main()
