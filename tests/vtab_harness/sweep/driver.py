"""A driver as a process: two protocols on some tasks, and a log of every piece of work that is begun.

driver.py LOG RESULTS CACHE BACKBONE EXPIRES TASK ...

With CLOCK=SECONDS in the environment its clock jumps so far ahead and back again all the time, with EXECUTOR=devices
the work is done by a worker process.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vtab_harness
from vtab_harness import leases
from vtab_harness.engine import checkpoints, features, stopping, training
from vtab_harness.protocols import linear
from vtab_harness.sweep.store import Store

log, results, cache, backbone, expires, *tasks = sys.argv[1:]
leases.EXPIRES = float(expires)
checkpoints.SECONDS_BETWEEN = 0.2
if jump := float(os.environ.get("CLOCK", 0)):
    real_time = time.time
    time.time = lambda: real_time() + jump * (int(real_time() * 2) % 2)
SHORT = {"steps": (2, 3), "lr": (0.1, 0.01), "batch_size": 8}
LONG = {"steps": (3000, 6000), "lr": (0.1, 0.01), "batch_size": 16}


def noting(of: Any, name: str, what: Callable[..., str]) -> None:
    """Writes a line before each call of a function."""
    real = getattr(of, name)

    def call(*given: Any, **named: Any) -> Any:
        with Path(log).open("ab", buffering=0) as file:
            file.write(f"{what(*given)}\n".encode())
        return real(*given, **named)

    setattr(of, name, call)


noting(training, "train", lambda bench, images, labels, classes, schedule, seed, phase, *rest: f"{phase} of {classes}")
noting(features, "_append", lambda bench, images, *rest: f"features of {images.name}")
noting(linear.Linear, "trials", lambda self, *given: f"linear of {given[-1]}")
noting(Store, "write", lambda self, record, scored: f"record {record.identity.digest}")
common: dict[str, Any] = {"tasks": tasks, "results": results, "cache": cache, "device": "cpu", "tries": 1000}
if os.environ.get("EXECUTOR"):
    common |= {"executor": os.environ["EXECUTOR"], "executor_set": {"workers": 1, "threads": 1}}
# A worker process imports this file as well, and does not begin the sweep anew.
if __name__ == "__main__":
    with stopping.stopping_on(signal.SIGTERM):
        for given in (
            {"protocol": "linear", "set": {"l2_count": 3}},
            {"protocol": "finetune", "set": LONG if "long" in log else SHORT, "seeds": 2},
        ):
            done = vtab_harness.evaluate(backbone, **common, **given)
            assert not done.failures, done.failures
            print(len(done.records), flush=True)
