"""Workers of one machine that need the same image set at the same time prepare it once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WORKER = """
import sys
from pathlib import Path
from vtab_harness import registry
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.prepared import prepared_set
from vtab_harness.prepared.prepare_subsets import prepare_learning

cache, tally = map(Path, sys.argv[1:])
write = prepared_set.write_splits

def counted(*arguments):
    with tally.open("a") as file:
        file.write("prepared\\n")
    return write(*arguments)

prepared_set.write_splits = counted
tasks = [registry.tasks.get(name) for name in ("mini_location", "mini_orientation")]
print("ready", flush=True)
sys.stdin.readline()
found = prepare_learning(tasks, TrainExamples(), (), cache)
print(*(found[task.name].prepared.manifests["test"].pixels for task in tasks))
"""


def test_workers_that_begin_together_prepare_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path / "cache"), str(tmp_path / "tally")]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        printed = [worker.communicate(timeout=120)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len({pixels for line in printed for pixels in line.split()}) == 1
    assert (tmp_path / "tally").read_text() == "prepared\n"
