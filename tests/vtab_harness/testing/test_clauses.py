"""What the checks share: settings as text, and a limit of time."""

import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from vtab_harness.testing import ContractError
from vtab_harness.testing.clauses import expect_plain, expect_settings, refusing, time_limit, working


@dataclass(frozen=True)
class Fine:
    lr: tuple[float, ...] = (0.1, 1e-05)
    few: tuple[int, ...] = ()
    steps: int = 3
    name: str = "a b=c"
    norm: Literal["batch", "group"] = "group"
    frozen: bool = False
    most: int | None = None
    weight: float = 1e300


def test_settings_that_can_be_written_on_a_command_line() -> None:
    expect_settings(Fine(), "it")
    expect_settings(Fine(most=4, frozen=True, few=(1,)), "it")


@dataclass
class Open:
    lr: float = 1.0


@dataclass(frozen=True)
class Nested:
    optimiser: Fine = field(default_factory=Fine)


@dataclass(frozen=True)
class Listed:
    rates: list[float] = field(default_factory=lambda: [0.1])


@dataclass(frozen=True)
class Untyped:
    rate: "NotDefined" = 0.1  # type: ignore[name-defined]  # noqa: F821


@dataclass(frozen=True)
class Commas:
    names: tuple[str, ...] = ("a,b", "c")


@dataclass(frozen=True)
class Rounding:
    rate: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", self.rate + 0.1)


@pytest.mark.parametrize("settings", [Open(), Nested(), Listed(), Untyped(), Commas(), Rounding(), Fine, {"lr": 1}])
def test_settings_that_cannot(settings: Any) -> None:
    with pytest.raises(ContractError, match="setting"):
        expect_settings(settings, "it")


@pytest.mark.parametrize("value", [{"a": (1, 2)}, {1: 2}, {"a": object()}])
def test_values_that_are_not_plain(value: Any) -> None:
    expect_plain({"a": [1, 2.5, None, "b"]}, "it")
    with pytest.raises(ContractError, match="it "):
        expect_plain(value, "it")


def loop() -> None:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def test_an_endless_loop_that_catches_every_exception_is_ended() -> None:
    begin = time.monotonic()
    with pytest.raises(ContractError, match=r"It has not returned within 0\.1 s"), time_limit(0.1, "It"):  # noqa: SIM117
        with working("It", ""):
            loop()
    assert time.monotonic() - begin < 5
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_limit_leaves_handler_and_timer_as_they_were() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(60, "It"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        # One within another has to give way: there is one timer.
        with time_limit(0.001, "It"):
            time.sleep(0.05)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_no_limit_in_another_thread() -> None:
    found: list[str] = []

    def run() -> None:
        with time_limit(0.001, "It"):
            time.sleep(0.05)
        found.append("done")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == ["done"]


def test_what_must_be_refused() -> None:
    with refusing((KeyError,), "it", ""):
        raise KeyError
    with pytest.raises(ContractError, match="it raised nothing"), refusing((KeyError,), "it", ""):
        pass
    with pytest.raises(ContractError, match="it raised SystemExit"), refusing((KeyError,), "it", ""):
        raise SystemExit
    with pytest.raises(KeyboardInterrupt), refusing((KeyError,), "it", ""):
        raise KeyboardInterrupt
