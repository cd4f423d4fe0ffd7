"""A request to stop interrupts the driver as Ctrl-C would, however it was started."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vtab_harness.sweep.cancel import SweepCancelledError, ask_to_stop, stopping_when_asked

WAITS = """
import signal, sys, threading
from pathlib import Path
from vtab_harness.sweep.cancel import SweepCancelledError, stopping_when_asked
folder = Path(sys.argv[1])
if sys.argv[2] == "ignored":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    with stopping_when_asked(folder, poll=0.05):
        (folder / "ready").touch()
        threading.Event().wait(60)
except SweepCancelledError:
    print("stopped")
"""


@pytest.mark.parametrize("how", ["heeded", "ignored"])
def test_a_driver_that_waits_stops_within_seconds(tmp_path: Path, how: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path), how], stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    if how == "ignored":
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
    begin = time.monotonic()
    ask_to_stop(tmp_path)
    printed, _ = process.communicate(timeout=30)
    assert printed == "stopped\n"
    assert time.monotonic() - begin < 5


def test_ctrl_c_is_no_request(tmp_path: Path) -> None:
    def interrupted() -> None:
        with stopping_when_asked(tmp_path, poll=0.05):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    assert not isinstance(caught.value, SweepCancelledError)


def test_nobody_is_interrupted_after_the_end(tmp_path: Path) -> None:
    with stopping_when_asked(tmp_path, poll=0.05):
        pass
    ask_to_stop(tmp_path)
    time.sleep(0.2)
    assert all(thread.name != "looks for a request to stop" for thread in threading.enumerate())


def test_outside_of_the_main_thread_the_work_is_done(tmp_path: Path) -> None:
    done = []

    def work() -> None:
        with stopping_when_asked(tmp_path, poll=0.05):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
