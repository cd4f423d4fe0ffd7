"""What all checks share: a clause that does not hold, settings as text, and a limit of time."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from types import FrameType
from typing import Any

from vtab_harness.api.contracts import is_settings, lacking
from vtab_harness.api.values import apply_overrides, parse_overrides


class ContractError(AssertionError):
    """A clause of a contract does not hold; says which one, and how to mend it.

    Examples:
        >>> from vtab_harness.testing import check_executor
        >>> try:
        ...     check_executor(dict)
        ... except ContractError as error:
        ...     print(error)
        The executor dict has no summary, run().
        See vtab_harness.api.executors.Executor.
    """


class _Expired(BaseException):
    """Time is up; no `Exception`, so that the code under check does not catch it."""


def expect(holds: object, what: str, mend: str) -> None:
    """States a clause.

    Args:
        holds: Whether it holds.
        what: What is so if it does not.
        mend: How to mend that.

    Raises:
        ContractError: It does not hold.
    """
    if not holds:
        raise ContractError(f"{what}\n{mend}")


@contextmanager
def working(what: str, mend: str) -> Iterator[None]:
    """Runs code under check, which has no reason to fail.

    Raises:
        ContractError: It raised something, `SystemExit` too.
    """
    try:
        yield
    except (ContractError, KeyboardInterrupt, GeneratorExit, _Expired):
        raise
    except BaseException as error:
        raise ContractError(f"{what} raised {type(error).__name__}: {error}\n{mend}") from error


@contextmanager
def refusing(kinds: tuple[type[Exception], ...], what: str, mend: str) -> Iterator[None]:
    """Runs code under check that has to raise one of some errors.

    Raises:
        ContractError: It raised nothing, or something else.
    """
    wanted = " or ".join(kind.__name__ for kind in kinds)
    try:
        yield
    except (KeyboardInterrupt, _Expired):
        raise
    except BaseException as error:
        if isinstance(error, kinds):
            return
        raise ContractError(f"{what} raised {type(error).__name__}: {error}\nRaise {wanted}. {mend}") from error
    raise ContractError(f"{what} raised nothing.\nRaise {wanted}. {mend}")


def expect_members(found: object, contract: type, what: str) -> None:
    """Expects all members of a contract, and a summary of one line where it has one."""
    expect(not isinstance(found, type), f"{what} is a class.", "Give an object of it.")
    missing = lacking(found, contract)
    expect(not missing, f"{what} has no {', '.join(missing)}.", f"See {contract.__module__}.{contract.__name__}.")
    summary = getattr(found, "summary", "-")
    fine = isinstance(summary, str) and summary.strip() and "\n" not in summary
    expect(fine, f"{what} has the summary {summary!r}.", "Give one line of text; `vtab list` prints it.")


def expect_settings(settings: Any, what: str) -> None:
    """Expects a frozen dataclass whose every field ``--set key=value`` can give and a record can hold."""
    expect(
        is_settings(settings),
        f"{what} has the settings {settings!r}.",
        "Make them an instance of a dataclass with frozen=True, so that nothing changes them on the way.",
    )
    for field in fields(settings):
        value = getattr(settings, field.name)
        text = f"{field.name}={_as_text(value)}"
        mend = f"--set {text} has to give {value!r}: use int, float, bool, str, a Literal, or a tuple of one of these."
        with working(f"{what}: reading the setting {field.name} from text", mend):
            again = apply_overrides(settings, parse_overrides([text]), what)
        expect(again == settings, f"{what}: its setting {field.name} does not survive as text.", mend)
    with working(f"{what}: writing its settings as JSON", "Records hold them; use plain values."):
        json.dumps(asdict(settings))


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_as_text, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def expect_plain(value: Any, what: str) -> None:
    """Expects a value that is the same after it was written as JSON and read again."""
    with working(what, "Use plain values: text, numbers, true, false, None, lists, and mappings with text as keys."):
        again = json.loads(json.dumps(value))
    expect(again == value, f"{what} gave {again!r} for {value!r}.", "Use lists for tuples, and text as keys.")


@contextmanager
def time_limit(seconds: float | None, what: str) -> Iterator[None]:
    """Ends code under check that does not return, as far as that can be done.

    Python code in the main thread is interrupted. There is no limit in another thread, on Windows, where a timer of the
    process is in use already (such as that of a test framework), nor within a call into a library that does not return.

    Args:
        seconds: None means no limit.
        what: For the message.

    Raises:
        ContractError: Time is up.
    """
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not main or not hasattr(signal, "setitimer") or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def expire(number: int, frame: FrameType | None) -> None:
        raise _Expired

    before = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    except _Expired as error:
        raise ContractError(f"{what} has not returned within {seconds:g} s.\nFind out what it waits for.") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
