"""Pretrainers: settings and data go in, a checkpoint folder comes out.

The layout that `vtab pretrain` and `vtab watch` rely on, whoever trains::

    OUT/checkpoints/step-00005000/    a checkpoint on the way: config.json and model.safetensors, as timm's local-dir:
    OUT/config.json, model.safetensors    the finished backbone, in the same form

Each folder under ``checkpoints`` appears by one rename, and so does ``config.json`` at the end, written last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vtab_harness.api.settings import REQUIRED, Settings, argument, option

CHECKPOINTS = "checkpoints"
FINISHED = "config.json"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a pretraining will take on this machine; None is unknown.

    Attributes:
        seconds: From its first step to its last.
        bytes: On disk when it is finished.
    """

    seconds: float | None = None
    bytes: int | None = None


class Pretrainer(Protocol):
    """A registered maker of checkpoints.

    A backbone it made is named ``local-dir:FOLDER`` or ``FAMILY:FOLDER``, such as ``vivi:runs/a``, where FAMILY is the
    registered name of a pretrainer up to its first hyphen.

    Two more members are optional. ``may_change: frozenset[str]`` names settings that say how the work is done and not
    what comes out; a study goes on in the same folder when they change. ``estimate(settings) -> Estimate`` says what a
    whole run will take, after a measurement of seconds at most; `vtab study plan` shows it.

    Attributes:
        summary: One line for `vtab list pretrainers`.
        family: The prefix that names its checkpoints; some pretrainer's name begins with it.
        settings: A frozen dataclass instance that holds every setting with its default; ``--set key=value`` replaces
            fields of it.
    """

    summary: str
    family: str
    settings: Any

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        """Trains, or goes on where an interrupted run of the same settings stopped.

        Args:
            settings: Of the class of the attribute `settings`.
            data: The training data.
            out: Made if it is not there.

        Returns:
            The finished checkpoint folder.

        Raises:
            VtabError: Something cannot be used, or `out` holds a run with other settings.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainCommand(Settings):
    """What ``vtab pretrain`` is told, whoever trains; settings of the pretrainer are its own."""

    pretrainer: str = argument("A name from `vtab list pretrainers`.")
    data: Path = option(REQUIRED, "The training data; for VIVI a folder that `vivi shard` made.")
    out: Path = option(REQUIRED, "Folder of the run; the same command goes on where it stopped.")
    set: Mapping[str, Any] = option({}, "Override a setting: key=value; may be repeated.")
    settings: Path | None = option(None, "TOML file with settings; --set wins over it.")
    watch_eval: str | None = option(None, "Evaluate checkpoints as they appear: knn, linear (see vtab watch).")
    suite: str = option("mini", "With --watch-eval: on this suite.")
