"""Pretrainers: settings and data go in, a checkpoint folder comes out.

The layout that `vtab pretrain` and `vtab watch` rely on, whoever trains::

    OUT/checkpoints/step-00005000/    a checkpoint on the way: config.json and model.safetensors, as timm's local-dir:
    OUT/config.json, model.safetensors    the finished backbone, in the same form

Each folder under ``checkpoints`` appears by one rename, and so does ``config.json`` at the end, written last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

CHECKPOINTS = "checkpoints"
FINISHED = "config.json"


class Pretrainer(Protocol):
    """A registered producer of checkpoints.

    A backbone it made is named ``local-dir:FOLDER`` or ``FAMILY:FOLDER``, such as ``vivi:runs/a``, where FAMILY is the
    registered name of a pretrainer up to its first hyphen.

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
