"""Reports: what is made from the records of a study, such as a leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class Report(Protocol):
    """A registered reader of records; the name that it is registered by is that of its table in a study file.

    Attributes:
        summary: One line for `vtab list reports`.
        settings: A frozen dataclass instance that holds every setting with its default; keys of the table replace
            fields of it. Where it has a field ``names``, name -> spec, the study adds what it calls its backbones.
    """

    summary: str
    settings: Any

    def write(self, settings: Any, results: Path, out: Path, tell: Callable[[str], None]) -> None:
        """Writes the report, or leaves it as it is where nothing has changed since.

        Args:
            settings: Of the class of the attribute `settings`.
            results: Results folder.
            out: Folder to write into, made if it is not there.
            tell: Is given lines for a person.

        Raises:
            VtabError: No record can be used, nothing fits the settings, or the folder cannot be written.
        """
        ...
