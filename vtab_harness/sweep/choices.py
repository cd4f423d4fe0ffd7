"""What a search's choice hangs on: a setting at the edge of its grid, a lead of one validation example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vtab_harness.api.protocols import Trial

FEWEST = 3
"""Values of a setting from which on a grid has a middle, so that its edge says something."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A setting whose chosen value is the smallest or the largest that was tried.

    Attributes:
        setting: Its name.
        value: What was chosen.
        which: ``smallest`` or ``largest``.
        tried: How many values were tried.
    """

    setting: str
    value: float
    which: str
    tried: int

    def in_words(self) -> str:
        """Returns it as a clause."""
        return f"{self.setting}={self.value:g} is the {self.which} of {self.tried} values"


def edges(trials: Sequence[Trial], chosen: int | None) -> tuple[Edge, ...]:
    """Returns the settings that were chosen at the edge of their grid: a value beyond it might have been better."""
    if chosen is None:
        return ()
    found = []
    for name, value in trials[chosen].settings.items():
        values: set[float] = {t.settings[name] for t in trials if _is_number(t.settings.get(name))}
        if _is_number(value) and len(values) >= FEWEST and value in (min(values), max(values)):
            found.append(Edge(name, value, "smallest" if value == min(values) else "largest", len(values)))
    return tuple(found)


def lead(trials: Sequence[Trial], chosen: int | None, validation: int) -> int | None:
    """Returns by how many validation examples the choice leads the best other setting; 0 where they are level.

    Args:
        trials: In the order of the grid.
        chosen: Index of the chosen one.
        validation: How many validation examples there were.

    Returns:
        None where there is no other that finished.
    """
    others = [t.validation_accuracy for i, t in enumerate(trials) if i != chosen and t.validation_accuracy is not None]
    if chosen is None or not others or trials[chosen].validation_accuracy is None:
        return None
    return round(((trials[chosen].validation_accuracy or 0.0) - max(others)) * validation)


def in_words(trials: Sequence[Trial], chosen: int | None, validation: int) -> list[str]:
    """Returns sentences on what the choice hangs on; none where it is clear."""
    said = [
        f"The choice is at the edge of the grid: {edge.in_words()}; a wider grid might find better."
        for edge in edges(trials, chosen)
    ]
    ahead = lead(trials, chosen, validation)
    if ahead is not None and ahead <= 1:
        how = "one validation example" if ahead == 1 else "the validation loss alone, at equal accuracy"
        said.append(f"The choice was decided by {how} (of {validation:,} examples).")
    return said


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
