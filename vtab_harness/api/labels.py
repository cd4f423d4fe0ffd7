"""Label rules: how a task's class follows from the raw annotations of its image set.

A rule is data, so that a task stays a pure declaration. Rules are called with the annotation columns of some
examples and give their classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Annotations = Mapping[str, NDArray[Any]]


class LabelRule(Protocol):
    """Annotations of n examples -> their n classes."""

    def __call__(self, annotations: Annotations) -> NDArray[np.int64]:
        """Returns the classes, shape (n,), int64."""
        ...


@dataclass(frozen=True, slots=True)
class Column:
    """The class is an annotation column plus a constant (an object count of 3..10 with ``offset=-3`` gives 0..7)."""

    name: str
    offset: int = 0

    def __call__(self, annotations: Annotations) -> NDArray[np.int64]:
        """Returns the classes, shape (n,), int64."""
        import numpy as np

        return annotations[self.name].astype(np.int64) + self.offset


@dataclass(frozen=True, slots=True)
class FloorDivided:
    """Groups an ordinal annotation: floor(float32(value) / by), as VTAB's dSprites tasks do."""

    name: str
    by: float

    def __call__(self, annotations: Annotations) -> NDArray[np.int64]:
        """Returns the classes, shape (n,), int64."""
        import numpy as np

        return np.floor_divide(annotations[self.name].astype(np.float32), np.float32(self.by)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The class is the number of inner thresholds strictly below the value, compared in float32.

    With ``thresholds=(8, 8.5)``: 8.0 -> 0, 8.000001 -> 1, 8.5 -> 1, 9.0 -> 2.
    """

    name: str
    thresholds: tuple[float, ...]

    def __call__(self, annotations: Annotations) -> NDArray[np.int64]:
        """Returns the classes, shape (n,), int64."""
        import numpy as np

        edges = np.asarray(self.thresholds, dtype=np.float32)
        return np.searchsorted(edges, annotations[self.name].astype(np.float32), side="left").astype(np.int64)
