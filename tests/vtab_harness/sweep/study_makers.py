"""A producer, a pretrainer and a report that cost nothing, and take note of what they are asked for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtab_harness import registry
from vtab_harness.api.errors import DataError, VtabError
from vtab_harness.api.pretrainers import Estimate
from vtab_plugin_example.pretrainers import NoTraining


@dataclass(frozen=True)
class NumberSettings:
    count: int = 1
    workers: int = 1
    extra: str = ""


class Numbers:
    """Writes numbers into a file."""

    summary = "numbers"
    takes = None
    settings = NumberSettings()
    may_change = frozenset({"workers"})

    def __init__(self, made: list[str]) -> None:
        self.made = made

    def produce(self, settings: NumberSettings, source: Path | None, out: Path) -> None:
        self.made.append(out.name)
        out.mkdir(parents=True, exist_ok=True)
        (out / "numbers").write_text(str(list(range(settings.count))))


class Doubled(Numbers):
    """Copies what another has made."""

    takes = "a folder of numbers"

    def produce(self, settings: NumberSettings, source: Path | None, out: Path) -> None:
        assert source is not None
        self.made.append(out.name)
        out.mkdir(parents=True, exist_ok=True)
        (out / "numbers").write_text((source / "numbers").read_text() * 2)


@dataclass(frozen=True)
class StudySettings:
    seed: int = 0
    width: float = 1.0
    start: str = ""
    fails: bool = False
    workers: int = 1


class Stopped(VtabError):  # noqa: N818
    exit_code = 75


class Pretrain(NoTraining):
    """Random weights, from the seed; told to stop by a file in the training data."""

    settings: Any = StudySettings()
    may_change = frozenset({"workers"})

    def __init__(self, made: list[str]) -> None:
        self.made = made

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        self.made.append(out.name)
        assert (data / "numbers").is_file()
        if settings.fails:
            raise DataError("it fails, as it was told to")
        if (data / "stop").exists():
            out.mkdir(parents=True, exist_ok=True)
            (out / "half").touch()
            raise Stopped("stopped")
        return super().pretrain(settings, data, out)

    def estimate(self, settings: Any) -> Estimate:
        return Estimate(seconds=60.0, bytes=1000)


@dataclass(frozen=True)
class CountSettings:
    unit: str = "records"


class Count:
    """Writes how many records there are."""

    summary = "how many records"
    settings = CountSettings()

    def write(self, settings: CountSettings, results: Path, out: Path, tell: Callable[[str], None]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        count = len(list(results.glob("*/*/*/seed*.json")))
        (out / "count.txt").write_text(f"{count} {settings.unit}")
        tell(f"{count} {settings.unit}")


STUDY = """
out = "out"
tasks = ["mini_digits"]
protocol = "knn"

[[pretrain]]
name = "first"
pretrainer = "no-study"
data = "twice"
seeds = [0, 3]
set = { width = 2 }

[[produce]]
name = "twice"
producer = "doubled"
source = "once"

[[produce]]
name = "once"
producer = "numbers"
set = { count = 3 }

[[pretrain]]
name = "second"
pretrainer = "no-study"
data = "once"
seeds = [3]
set = { start = { folder = "first" } }
"""
"""Two pretrainings, of which one starts from the other, on data that are made in two steps."""


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(text)
    return folder / "study.toml"


@contextmanager
def makers() -> Iterator[list[str]]:
    """Registers them; yields the names of the folders that were made, in order."""
    made: list[str] = []
    with ExitStack() as stack:
        for kind, name, found in (
            (registry.producers, "numbers", Numbers(made)),
            (registry.producers, "doubled", Doubled(made)),
            (registry.pretrainers, "no-study", Pretrain(made)),
            (registry.pretrainers, "no", Pretrain(made)),
            (registry.reports, "count", Count()),
        ):
            stack.enter_context(kind.registered(name, found))
        yield made
