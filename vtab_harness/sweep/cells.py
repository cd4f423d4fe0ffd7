"""A cell while a process works on it: its leases, what others have of it, and how often it ended a process.

A cell is all seeds of one task, one backbone and one search. Its parts are what processes share: the whole cell where a
protocol works on features, each trial and each seed where the network itself is trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtab_harness.api.bench import Progress
from vtab_harness.api.errors import VtabError
from vtab_harness.api.identity import Identity
from vtab_harness.api.protocols import EvaluationProtocol, Trial, TrialLog, trial_key
from vtab_harness.engine.stopping import stop_if_requested
from vtab_harness.leases import LEASES, Holder, Lease, LostLeaseError, acquire, tidy
from vtab_harness.sweep.leases import cell_leases
from vtab_harness.sweep.store import UNFINISHED, Store, Unfinished

if TYPE_CHECKING:
    from vtab_harness.engine.workbench import Workbench

WHOLE = "cell"


def is_shared(protocol: EvaluationProtocol, overwrite: bool) -> bool:
    """Whether several processes may work on one task: each trial and each seed is worth the road."""
    return protocol.consumes == "images" and not overwrite


class GivenUpError(VtabError):
    """A part of a cell that several processes did not survive."""


def obtain(results: Path, folder: Path, holder: Holder) -> Lease | None:
    """Takes a lease of a results folder if it is free; a holder that died at its work is counted as a try of the part.

    Args:
        results: Results folder.
        folder: The lease; its last part is the part of the cell.
        holder: Who takes it.
    """
    lease = acquire(folder, holder)
    # One that only waited for its turn did not die of this.
    if lease is not None and lease.before is not None and lease.before.phase:
        below = folder.relative_to(results / LEASES)
        Unfinished(results, results / UNFINISHED / below.parent).count_try(below.name, lease.before)
    return lease


def has_ended(results: Path, folder: Path, holder: Holder) -> bool | None:
    """Looks after a lease that another one held.

    Returns:
        None while it is held, True where its holder gave it back, False where it died.
    """
    lease = obtain(results, folder, holder)
    if lease is None:
        return None
    lease.release()
    return lease.before is None


def forget_tries(results: Path) -> None:
    """Begins to count the tries of everything in a results folder anew."""
    for path in (results / UNFINISHED).rglob("tries-*.json"):
        path.unlink(missing_ok=True)


def listening(active: list[Lease], progress: Progress) -> Progress:
    """Returns what all long work tells its progress: it passes it on, and ends the work where that is asked for.

    Args:
        active: The leases of what is being worked on.
        progress: Told (phase, done, total).
    """

    def told(phase: str, done: int, total: int) -> None:
        stop_if_requested()
        for lease in active:
            lease.tell(phase, done, total)
        # Of several, the others are still worth going on.
        if len(active) == 1 and active[0].lost:
            raise LostLeaseError
        progress(phase, done, total)

    return told


def rest(active: list[Lease]) -> None:
    """Has what was being worked on wait for its turn: a process that dies now does not die of it."""
    for lease in active:
        lease.tell("")
    active.clear()


@dataclass(slots=True)
class Cell:
    """A cell that this process may work on.

    It is given to protocols inside their `TrialLog`, and knows nothing of the data.

    Attributes:
        identity: Of the first seed.
        store: Results folder.
        holder: This process.
        tries: Deaths of processes at one part, after which it is given up.
        command: That tries again what was given up.
        active: The leases of what is being worked on now, shared by all cells of a job.
        held: Leases, by part.
        busy: Leases that others hold.
    """

    identity: Identity
    store: Store
    holder: Holder
    tries: int
    command: str
    active: list[Lease]
    held: dict[str, Lease] = field(default_factory=dict)
    busy: list[Path] = field(default_factory=list)

    @property
    def unfinished(self) -> Unfinished:
        """What interrupted runs and other processes kept."""
        return self.store.unfinished(self.identity)

    def claim(self, part: str) -> Lease | None:
        """Takes the lease of a part, or takes note that it is busy.

        Raises:
            GivenUpError: Too many processes ended while they worked on it.
        """
        folder = cell_leases(self.store.root, self.identity) / part
        lease = obtain(self.store.root, folder, self.holder)
        if lease is None:
            self.busy.append(folder)
            return None
        count, last = self.unfinished.tries(part)
        if count >= self.tries:
            lease.release()
            raise GivenUpError(
                f"Given up after {count} processes ended without a word at {self.identity.task.name} ({part}): killed,"
                f" out of memory, or a crash. The last was {last}.",
                f"To try just what was given up again: {self.command}",
            )
        self.held[part] = lease
        return lease

    def work_on(self, *parts: str) -> None:
        """Says which parts are being worked on from now on; the others that are held wait for their turn."""
        rest(self.active)
        self.active += [self.held[part] for part in parts]
        for lease in self.active:
            lease.tell("begun")

    def release(self, *parts: str) -> None:
        """Gives leases back; all where none is named."""
        for part in parts or tuple(self.held):
            lease = self.held.pop(part)
            if lease in self.active:
                self.active.remove(lease)
            lease.release()

    def lose(self, part: str) -> None:
        """Takes note that another process has taken a part over."""
        self.busy.append(self.held[part].folder)
        self.release(part)

    def clear(self, seeds: tuple[int, ...]) -> None:
        """Removes what is kept of the cell, once all seeds have records and nobody works on it."""
        clear_finished(
            self.store, [replace(self.identity, seed=seed) for seed in seeds], self.holder, self.held.get(WHOLE)
        )


def clear_finished(store: Store, seeds: Sequence[Identity], holder: Holder, lease: Lease | None = None) -> None:
    """Removes what is kept of a cell, and the leases of those who died, once it has all records and nobody is at work.

    Args:
        store: Results folder.
        seeds: All seeds of the cell that may still be wanted.
        holder: This process.
        lease: Of the whole cell, where it is held already.
    """
    unfinished, folder = store.unfinished(seeds[0]), cell_leases(store.root, seeds[0])
    if not unfinished.is_there() and not folder.exists():
        return
    if any(not store.path(seed).exists() for seed in seeds):
        return
    mine = acquire(folder / WHOLE, holder) if lease is None else lease
    if mine is None:
        return
    alone = all(tidy(part) for part in folder.glob("*") if part.name != WHOLE)
    if alone and mine.held():
        unfinished.clear()
    if lease is None:
        mine.release()


@contextmanager
def keeping_states(bench: Workbench, cell: Cell, part: str) -> Iterator[None]:
    """Has trainings keep their states within the context, and removes these once what came of them is kept."""
    from vtab_harness.engine.checkpoints import Checkpoints  # brings torch

    lease, unfinished = cell.held[part], cell.unfinished

    def before() -> None:
        lease.check()
        unfinished.forget_tries(part)

    checkpoints = bench.checkpoints = Checkpoints(unfinished.folder, before)
    try:
        yield
        checkpoints.remove()
    finally:
        checkpoints.wait()
        bench.checkpoints = None


class SharedTrials(TrialLog):
    """Trials of one search that several processes work on: each takes those that no other one has.

    A protocol asks for all its trials and gets for those of others one that stands for nothing; as long as there are
    such, what it makes of them is thrown away.

    Args:
        finished: Trials that need not be run again.
        cell: Whose search it is.
        bench: Told where trainings keep their states.
        recorded: Gives the trials in records of this search, which another process may have written meanwhile.

    Attributes:
        missing: How many were others' in this round.
        ran: How many were run here in this round.
    """

    def __init__(
        self, finished: dict[str, Trial], cell: Cell, bench: Workbench, recorded: Callable[[], dict[str, Trial]]
    ) -> None:
        super().__init__(finished)
        self._recorded = recorded
        self._cell = cell
        self._bench = bench
        self.missing = self.ran = 0

    def begin_round(self) -> None:
        """Begins to ask for all of them once more."""
        self.missing = self.ran = 0
        self._cell.busy.clear()

    def run(self, settings: Mapping[str, Any], trial: Callable[[], Trial]) -> Trial:
        """Returns the kept trial with these settings, or runs and keeps it, or something in its place."""
        key = trial_key(settings)
        if key in self.finished:
            return self.finished[key]
        cell, part = self._cell, f"trial-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        # Also after the lease was obtained: another one may have finished it meanwhile, or all of the cell, whose
        # trials then stand in its record and nowhere else.
        lease = cell.claim(part)
        self.finished |= cell.unfinished.trials()
        if lease is not None and key not in self.finished:
            self.finished |= self._recorded()
        if key in self.finished:
            if lease is None:
                cell.busy.pop()
            else:
                cell.release(part)
            return self.finished[key]
        if lease is None:
            self.missing += 1
            return Trial(dict(settings), "diverged", diverged_at=0)
        cell.work_on(part)
        try:
            with keeping_states(self._bench, cell, part):
                found = trial()
                lease.check()
                cell.unfinished.keep(found, lease.token)
            cell.unfinished.forget_tries(part)
        except LostLeaseError:
            cell.lose(part)
            self.missing += 1
            return Trial(dict(settings), "diverged", diverged_at=0)
        finally:
            if part in cell.held:
                cell.release(part)
        self.ran += 1
        self.finished[key] = found
        return found
