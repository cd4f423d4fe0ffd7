"""One way in for something from outside, and what happens to one mutated input: accepted, refused, or a fault."""

from __future__ import annotations

import re
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType

from fuzzing.damage import Mutator
from vtab_harness.api.errors import VtabError

SECONDS = 20.0
"""An input that takes longer counts as a hang."""
MEMORY = 2 << 30
"""Bytes that reading one input may take beside what the process has, counted as they are really used."""
ADDRESSES = 6 << 30
"""Bytes that it may ask for; more is refused, lest the machine that tests is brought down."""
_SELF = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads something that another person, another program or a killed process has written.

    Attributes:
        name: As it is reported.
        make: Lays valid files into an empty folder and returns the valid input that is mutated.
        mutate: Damages the input.
        read: Reads a mutated input as the packages do, given the folder and the input. It may return, or raise
            `VtabError`; everything else is a fault.
        share: How many of the inputs of a run this reader gets, compared with the others: less where one is slow.
    """

    name: str
    make: Callable[[Path], bytes]
    mutate: Mutator
    read: Callable[[Path, bytes], object]
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input.

    Attributes:
        kind: ``accepted``, ``refused`` (by a message that a person can use) or ``fault``.
        what: The message, or of a fault what was raised.
        trace: Of a fault.
    """

    kind: str
    what: str = ""
    trace: str = ""


class HangError(BaseException):
    """Raised by the alarm; no Exception, so that nothing under test takes it for damage."""


def in_file(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """Returns a `Reader.read` that writes the input to a file and then reads the folder."""

    def place_and_read(folder: Path, data: bytes) -> object:
        (folder / name).write_bytes(data)
        return read(folder)

    return place_and_read


def as_text(read: Callable[[str], object]) -> Callable[[Path, bytes], object]:
    """Returns a `Reader.read` of text as it comes from a command line, where bytes that are no UTF-8 are surrogates."""
    return lambda folder, data: read(data.decode("utf-8", "surrogateescape"))


def mutated(reader: Reader, valid: bytes, seed: int, number: int) -> bytes:
    """Returns one of the inputs of a reader; they depend on nothing but these arguments."""
    return reader.mutate(Random(f"{seed}/{reader.name}/{number}"), valid)


def attempt(reader: Reader, folder: Path, data: bytes) -> Outcome:
    """Reads one input within the limits."""
    before = _memory_in_use()
    try:
        with _limits(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(folder, data)
        outcome = Outcome("accepted")
    except VtabError as error:
        ran_out = next((cause for cause in _causes(error) if _out_of_memory(cause)), None)
        if ran_out is not None:
            return Outcome("fault", f"takes too much memory: {ran_out!r}", _trace(error))
        outcome = Outcome("refused", str(error))
    except HangError as error:
        return Outcome("fault", f"takes more than {SECONDS:.0f} s", _trace(error))
    # Whatever it is, and SystemExit too: a person would see a traceback or an exit code that lies.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Outcome("fault", f"{type(error).__name__}: {str(error)[:300]}", _trace(error))
    taken = _number("status", r"VmHWM:\s+(\d+)") - before
    return Outcome("fault", f"takes {taken / 1e6:.1f} GB") if 1024 * taken > MEMORY else outcome


def _memory_in_use() -> int:
    """Returns what the process has in kB, and has the system forget what it had at its peak."""
    with suppress(OSError):
        (_SELF / "clear_refs").write_text("5")
    return _number("status", r"VmRSS:\s+(\d+)")


def _number(file: str, pattern: str) -> int:
    try:
        found = re.search(pattern, (_SELF / file).read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-6000:]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _out_of_memory(error: BaseException) -> bool:
    # FFmpeg has a limit of its own to what it asks for, and says the same of a length beyond it.
    ours = type(error).__module__ != "av.error"
    signs = ("CPUAllocator", "bad_alloc", "Failed to alloc")
    return ours and (isinstance(error, MemoryError) or any(sign in str(error) for sign in signs))


@contextmanager
def _limits() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    addresses = 1024 * _number("status", r"VmSize:\s+(\d+)")
    previous = signal.signal(signal.SIGALRM, _on_alarm)
    if addresses:
        resource.setrlimit(resource.RLIMIT_AS, (addresses + ADDRESSES, hard))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _on_alarm(number: int, frame: FrameType | None) -> None:
    raise HangError
