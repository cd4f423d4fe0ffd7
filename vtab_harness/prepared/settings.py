"""What the commands ``vtab data`` are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vtab_harness.api.settings import REQUIRED, Settings, option

DEFAULT_SUITE = "vtab-1k"
_TASK = ("--task", "--tasks", "-t")
_TASKS = "Name of a task or of an image set; may be repeated."


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings(Settings):
    """What ``vtab data status`` is told; ``verify`` takes all but `data`."""

    suite: str | None = option(None, f"All tasks of a suite ({DEFAULT_SUITE} if no task is given).")
    tasks: Sequence[str] = option((), _TASKS, *_TASK)
    data: Sequence[Path] = option((), "Folder with data sets; may be repeated.")
    cache: Path | None = option(None, "Folder for prepared data and features.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSettings(DataSettings):
    """What ``vtab data prepare`` is told."""

    full: bool = option(False, "Also the whole training and validation splits, not only what VTAB-1k uses.", "--full")
    via: str | None = option(None, "tfds: let TensorFlow Datasets download and prepare; needs TensorFlow.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings(Settings):
    """What ``vtab data download`` is told."""

    data: Path = option(REQUIRED, "Data folder; each image set gets a folder in it.")
    suite: str | None = option(None, "All tasks of a suite; there is no default, as vtab-1k is 85 GB.")
    tasks: Sequence[str] = option((), _TASKS, *_TASK)
    mirrors: Sequence[str] = option(
        (),
        "Folder on a web server, tried before the publisher; may be repeated.",
        "--mirror",
        "--mirrors",
        metavar="URL",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSettings(DownloadSettings):
    """What ``vtab data get`` is told."""

    cache: Path | None = option(None, "Folder for prepared data.")
    at_once: int = option(4, "Image sets that are fetched at once.", least=1, most=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings(Settings):
    """What ``vtab data export`` is told."""

    to: Path = option(REQUIRED, "Folder to write into; each image set gets a folder in it.")
    layout: Literal["webdataset", "parquet"] = option("webdataset", "webdataset or parquet.")
    suite: str | None = option(None, f"All tasks of a suite ({DEFAULT_SUITE} if no task is given).")
    tasks: Sequence[str] = option((), _TASKS, *_TASK)
    cache: Path | None = option(None, "Folder with prepared data.")
    variant: str | None = option(None, "Data variant, where several are prepared; see vtab data status.")
