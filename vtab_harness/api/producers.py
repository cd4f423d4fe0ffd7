"""Producers: make the folders of data that pretrainers learn from, such as drawn videos, an index of shots, shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Producer(Protocol):
    """A registered way of making a folder of data, for the ``[[produce]]`` tables of a study file.

    One more member is optional: ``may_change: frozenset[str]``, settings that say how the work is done and not what
    comes out. A study goes on in the same folder when they change.

    Attributes:
        summary: One line for `vtab list producers`.
        takes: What it is made from, in words, such as "a folder of videos"; None where it needs nothing.
        settings: A frozen dataclass instance that holds every setting with its default.
    """

    summary: str
    takes: str | None
    settings: Any

    def produce(self, settings: Any, source: Path | None, out: Path) -> None:
        """Makes the data, or goes on where an interrupted call with the same settings stopped.

        Args:
            settings: Of the class of the attribute `settings`.
            source: What they are made from, a file or folder; None where `takes` is.
            out: Made if it is not there.

        Raises:
            VtabError: Something cannot be used, or `out` holds data of other settings.
        """
        ...
