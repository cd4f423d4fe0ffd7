"""Leases: who works on what now, for any number of processes and machines that share a folder.

A lease is a folder, made by `mkdir`, with one file in it: the holder, named after a token that is drawn for each lease.
The holder writes a counter into that file every few seconds. Who wants the lease and sees the file unchanged for long
enough, by its own monotonic clock, renames the file to a token of its own. Only one of several can: for the others the
old name is gone. The old holder, if it was only slow, finds its name gone as well and knows that it holds nothing.

Nothing else is relied on: no flock, which many NFS mounts lack, no clock that two machines share, no time of change.
A heartbeat never creates a file, and needs no room on a full disk. What a killed process leaves is one folder, which
the next one that wants the lease takes over.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from vtab_harness.api.errors import StorageError

T = TypeVar("T")
LEASES = ".leases"
"""Name of the folder in which leases lie; what is empty in it is removed."""
EXPIRES = 60.0
"""Seconds without a beat after which a lease may be taken over."""
_BEATS = 6
"""In the time after which a lease expires."""
_LONGEST_EXPIRY = 24 * 3600.0
_LARGEST_FILE = 1 << 20
_GONE = (errno.ENOENT, errno.ESTALE, errno.ENOTDIR)


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease, and how far it is.

    Attributes:
        host: Name of the machine.
        pid: Of the process.
        sweep: Name of the driver's sweep.
        device: Where it works.
        backbone: Spec.
        tasks: Names.
        protocol: Name.
        phase: What it does now; empty while what it holds waits for its turn.
        done: How much of the phase is done.
        total: How much there is to do in it.
        began: When the lease was obtained, UTC, ISO; to be read by people only.
        beat: Counts the signs of life.
    """

    host: str
    pid: int
    sweep: str = ""
    device: str = ""
    backbone: str = ""
    tasks: tuple[str, ...] = ()
    protocol: str = ""
    phase: str = ""
    done: int = 0
    total: int = 0
    began: str = ""
    beat: int = 0


class _Written(Holder, frozen=True):
    """A holder as it is written.

    Attributes:
        expires: Seconds without a beat after which others may take over.
        machine: The running system and its space of process numbers; empty where that cannot be told.
        started: When the process started, in the system's own unit, so that a number used again is not taken for it.
    """

    expires: float = EXPIRES
    machine: str = ""
    started: int = 0


_HOLDER = msgspec.json.Decoder(_Written)

# What other holders' files were when they were last seen to change, and when that was on our clock.
_Seen = tuple[tuple[tuple[str, bytes], ...], float]
_seen: dict[Path, _Seen] = {}


def this_process(
    sweep: str = "", device: str = "", backbone: str = "", tasks: tuple[str, ...] = (), protocol: str = ""
) -> Holder:
    """Returns this process as a holder."""
    return Holder(socket.gethostname(), os.getpid(), sweep, device, backbone, tasks, protocol)


class LostLeaseError(Exception):
    """What was being worked on belongs to another one now; nothing more must be written."""


class Lease:
    """A lease that was obtained. `acquire` makes it.

    Attributes:
        folder: The lease.
        token: Drawn for this lease; for the names of files that only this holder writes.
        before: Who held it and never gave it back, where it was taken over.
    """

    def __init__(self, folder: Path, token: str, written: _Written, before: Holder | None) -> None:
        self.folder = folder
        self.token = token
        self.before = before
        self._path = folder / f"{token}.json"
        self._written = written
        self._length = 0
        self._lost = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._beaten = time.monotonic()
        self._thread = threading.Thread(target=self._keep_beating, name=f"lease {folder.name}", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether it is known that another one has it, or may have; costs nothing, and comes late by a beat."""
        return self._lost

    def held(self) -> bool:
        """Looks whether the lease is still ours; once it is not, it never is again.

        To be asked before anything is written that another holder could contradict.
        """
        if not self._lost:
            try:
                # Opened, not only looked at: that is when a network file system asks its server.
                os.close(os.open(self._path, os.O_RDONLY))
            except OSError as error:
                if error.errno in _GONE:
                    self._lost = True
                return not self._lost and time.monotonic() - self._beaten < self._written.expires
        return not self._lost

    def check(self) -> None:
        """Raises `LostLeaseError` where the lease is not `held`."""
        if not self.held():
            raise LostLeaseError(str(self.folder))

    def tell(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Says what is being done; another phase is written at once, the rest with the next beat."""
        other = phase != self._written.phase
        with self._lock:
            self._written = msgspec.structs.replace(self._written, phase=phase, done=done, total=total)
        if other:
            self._beat()

    def release(self) -> None:
        """Gives the lease back; one that is not held any more is left to its holder."""
        self._over.set()
        with self._lock:
            if self._lost:
                return
            self._lost = True
            try:
                self._path.unlink()
            except OSError:
                return
            _remove_empty(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _keep_beating(self) -> None:
        while not self._over.wait(self._written.expires / _BEATS) and not self._lost:
            self._beat()

    def _beat(self) -> None:
        with self._lock:
            if self._lost:
                return
            self._written = msgspec.structs.replace(self._written, beat=self._written.beat + 1)
            data = msgspec.json.encode(self._written)
            # Never shorter than before, so that nothing of the text before is left at its end.
            self._length = max(self._length, len(data))
            try:
                # Written in place: a file that was taken away must not come back.
                descriptor = os.open(self._path, os.O_WRONLY)
                try:
                    os.pwrite(descriptor, data.ljust(self._length), 0)
                finally:
                    os.close(descriptor)
                self._beaten = time.monotonic()
            except OSError as error:
                self._lost = error.errno in _GONE

    def _begin(self) -> Lease:
        self._beat()
        self._thread.start()
        return self


def acquire(folder: Path, holder: Holder, expires: float | None = None) -> Lease | None:
    """Takes a lease if it is free, or if its holder shows no life; does not wait.

    Whether a holder lives is judged by seeing its beat change. Who asks for the first time cannot know, and gets None;
    who asks again after `expires` seconds in which nothing changed takes over. A holder on this machine whose process
    has ended is known to be dead at once.

    Args:
        folder: The lease; below a folder `LEASES`.
        holder: See `this_process`.
        expires: Seconds without a beat after which others may take over; by default `EXPIRES`.

    Returns:
        None where another one holds it.

    Raises:
        StorageError: The folder cannot be written or the disk is full.
    """
    expires = EXPIRES if expires is None else expires
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    fields = msgspec.structs.asdict(msgspec.structs.replace(holder, began=now))
    written = _Written(**fields, expires=expires, machine=_machine(), started=_started(holder.pid))
    with _storage_errors(folder):
        # Others remove empty folders while we make them.
        for _ in range(20):
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                folder.mkdir()
                return _make(folder, written)
            except FileNotFoundError:
                continue
            except FileExistsError:
                if _in_the_way(folder.parent) or _in_the_way(folder):
                    raise
            there = _look(folder)
            if there is None:
                continue
            if not _dead(folder, there, expires):
                return None
            if there:
                return _take_over(folder, there, written)
            # Of one that was killed before it wrote its name; should it live, it will find that it came late.
            _remove_empty(folder)
    return None


def wait_for(
    folder: Path, holder: Holder, waiting: Callable[[], None] = lambda: None, expires: float | None = None
) -> Lease:
    """Waits for a lease, asking a few times a second at first and every two seconds later.

    Args:
        folder: The lease.
        holder: See `this_process`.
        waiting: Called before each pause; whatever it raises ends the waiting.
        expires: As of `acquire`.
    """
    pause = 0.05
    while True:
        lease = acquire(folder, holder, expires)
        if lease is not None:
            return lease
        waiting()
        time.sleep(pause)
        pause = min(1.5 * pause, 2.0)


def under_lease(
    folder: Path, holder: Holder, work: Callable[[Lease], T], waiting: Callable[[], None] = lambda: None
) -> T:
    """Does a piece of work that others may have done when its lease is obtained, and waits again if it is lost.

    Args:
        folder: The lease.
        holder: See `this_process`.
        work: Looks first whether it is done already. It raises `LostLeaseError` where it finds that it lost its lease.
        waiting: As of `wait_for`.
    """
    while True:
        with wait_for(folder, holder, waiting) as lease:
            try:
                return work(lease)
            except (LostLeaseError, OSError):
                # Another lease was lost, or nothing was; else the files may have been taken away by the next holder.
                if lease.held():
                    raise


def tidy(folder: Path, rest: Callable[[], None] = lambda: None) -> bool:
    """Removes a lease whose holder is known to be dead, where the work itself is done and nobody would ask for it.

    Args:
        folder: The lease.
        rest: Removes what else that holder may have left.

    Returns:
        Whether there is no lease any more.
    """
    if not folder.exists():
        return True
    with contextlib.suppress(StorageError):
        lease = acquire(folder, this_process())
        if lease is not None:
            with lease:
                rest()
            return True
    return False


def holders(root: Path) -> list[tuple[Path, Holder]]:
    """Returns the leases below a folder, such as a results folder, with their holders, dead or alive, in fixed order.

    Raises:
        StorageError: The folder cannot be read.
    """
    found: list[tuple[Path, Holder]] = []
    with _storage_errors(root):
        for path in sorted((root / LEASES).rglob("*.json")):
            written = _parse(_read(path))
            if written is not None:
                found.append((path.parent, written))
    return found


def lives(holder: Holder) -> bool | None:
    """Says whether the process of a holder, as `holders` gives it, is there.

    Returns:
        None where it is of another machine: only its beats tell.
    """
    if not isinstance(holder, _Written) or not holder.machine or holder.machine != _machine():
        return None
    return not _ended(holder)


def _make(folder: Path, written: _Written) -> Lease | None:
    token = secrets.token_hex(8)
    path = folder / f"{token}.json"
    try:
        _write_new(path, written)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        _remove_empty(folder)
        raise
    return _alone(folder, token, written, None)


def _take_over(folder: Path, there: tuple[tuple[str, bytes], ...], written: _Written) -> Lease | None:
    token = secrets.token_hex(8)
    new, path = folder / f"{token}.new", folder / f"{token}.json"
    try:
        _write_new(new, written)
        # Of several that try, one finds the name.
        (folder / there[0][0]).rename(path)
        # Another file, so that whoever has the old one open writes to nowhere.
        new.rename(path)
    except FileNotFoundError:
        return None
    finally:
        new.unlink(missing_ok=True)
    for left in [*(folder / name for name, _ in there[1:]), *folder.glob("*.new")]:
        left.unlink(missing_ok=True)
    return _alone(folder, token, written, _parse(there[0][1]))


def _alone(folder: Path, token: str, written: _Written, before: Holder | None) -> Lease | None:
    """Begins a lease, unless another one did while we were stopped on the way."""
    if [path.stem for path in folder.glob("*.json")] != [token]:
        (folder / f"{token}.json").unlink(missing_ok=True)
        _remove_empty(folder)
        return None
    _seen.pop(folder, None)
    return Lease(folder, token, written, before)._begin()


def _look(folder: Path) -> tuple[tuple[str, bytes], ...] | None:
    """Returns names and contents of the holders' files; None where one went meanwhile."""
    there = []
    if not folder.exists():
        return None
    for path in sorted(folder.glob("*.json")):
        data = _read(path)
        if data is None:
            return None
        there.append((path.name, data))
    return tuple(there)


def _dead(folder: Path, there: tuple[tuple[str, bytes], ...], expires: float) -> bool:
    """Whether what is there may be taken over."""
    now = time.monotonic()
    state, since = _seen.get(folder, (None, now))
    if state != there:
        since = now
        _seen[folder] = (there, now)
    # Where there are two, they came at once, and at least one is about to leave, unless they were killed.
    written = _parse(there[0][1]) if len(there) == 1 else None
    if written is None:
        return now - since >= expires
    if written.machine and written.machine == _machine() and _ended(written):
        return True
    return now - since >= max(expires, min(written.expires, _LONGEST_EXPIRY))


def _read(path: Path) -> bytes | None:
    """Returns a holder's file, or None where it went."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def _parse(data: bytes | None) -> _Written | None:
    try:
        return None if data is None else _HOLDER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _write_new(path: Path, written: _Written) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(written))


def _remove_empty(folder: Path) -> None:
    """Removes a lease without holder, and the folders above it that are empty then, up to `LEASES` itself."""
    with contextlib.suppress(OSError):
        for left in folder.glob("*.new"):
            left.unlink(missing_ok=True)
        folder.rmdir()
        for parent in folder.parents:
            if LEASES not in parent.parts:
                break
            parent.rmdir()


def _machine() -> str:
    """Returns what tells this running system, and the space of process numbers in it, from any other."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, ValueError):
        return ""


def _started(pid: int) -> int:
    """Returns when a process started, in the system's ticks; 0 where that cannot be told, -1 where it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name, which stands in parentheses, may hold anything.
        state, *rest = text.rpartition(")")[2].split()
        return -1 if state in "ZX" else int(rest[18])
    except (OSError, ValueError, IndexError):
        return 0


def _ended(written: _Written) -> bool:
    """Whether a process of this machine has ended."""
    try:
        os.kill(written.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass
    # It has ended, too, where another one has its number now.
    return written.started > 0 and _started(written.pid) not in (0, written.started)


def _in_the_way(path: Path) -> bool:
    """Whether there is something that is no folder."""
    try:
        # One look: of two, a folder that is removed between them is there and no folder.
        return not stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "Free some space and give the same command again: what is finished is kept."
            raise StorageError(f"The disk is full: there is no room for the lease {folder}.", hint) from error
        raise StorageError(
            f"The lease {folder}, by which processes share the work, cannot be read or written:"
            f" {error.strerror or error}.",
            "Choose another folder, or mend its permissions.",
        ) from error
