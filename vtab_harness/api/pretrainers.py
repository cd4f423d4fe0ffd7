"""Pretrainers: settings and data go in, a checkpoint folder comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Pretrainer(Protocol):
    """A registered producer of checkpoints.

    Attributes:
        summary: One line for `vtab list pretrainers`.
        Settings: A frozen dataclass class that holds every setting with its default.
    """

    summary: str
    Settings: type[Any]

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        """Trains and returns the checkpoint folder, which ``local-dir:FOLDER`` (or the plugin's prefix) can load."""
        ...
