"""A request to stop: by a signal or by a call, and forgotten afterwards."""

import os
import signal
import threading

import pytest

from vtab_harness.engine.stopping import StoppedError, request_stop, stop_if_requested, stop_requested, stopping_on


def test_signal_asks_and_the_handler_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopping_on(signal.SIGTERM):
        stop_if_requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_requested()
        with pytest.raises(StoppedError):
            stop_if_requested()
    assert signal.getsignal(signal.SIGTERM) is before
    assert not stop_requested()


def test_whatever_lets_a_person_stop_lets_a_request_do_so() -> None:
    with stopping_on():
        request_stop()
        with pytest.raises(KeyboardInterrupt):
            stop_if_requested()


def test_other_threads_install_nothing() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def work() -> None:
        with stopping_on(signal.SIGTERM):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
