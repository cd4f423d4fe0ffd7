"""How shots are found, and what an index holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vtab_harness.api.errors import OptionError

SHORT_SIDE = 144
DAMAGED = ("refuse", "keep")
DETECTORS: Mapping[str, Mapping[str, float]] = {
    "histogram": {"threshold": 0.16, "bins": 64},
    "content": {"threshold": 27.0, "delta_hue": 1.0, "delta_sat": 1.0, "delta_lum": 1.0, "delta_edges": 0.0},
    "adaptive": {"threshold": 3.0, "window_width": 2, "min_content_val": 15.0},
    "hash": {"threshold": 0.395, "size": 16, "lowpass": 2},
    "threshold": {"threshold": 12, "fade_bias": 0.0},
}
"""The detectors, with their settings and defaults. Whole numbers are counts.

`histogram`: threshold 0 (cut everywhere) to 1, bins of the luma histogram. `content`: mean difference in HSV (0-255),
and the components' weights. `adaptive`: content's difference as a multiple of its neighbours'. `hash`: share of
differing bits of a perceptual hash of size x size bits, of frequencies below 1/lowpass. `threshold`: fades through
darkness below a mean grey level, cut at the fade's start (-1) to its end (1).
"""


@dataclass(frozen=True, slots=True)
class ShotDetectorSettings:
    """How shots are found.

    Attributes:
        detector: One of `DETECTORS`.
        options: The detector's own settings; those not given have their defaults.
        min_shot: Seconds; a cut that comes sooner than this after the start or the last cut is passed over.

    Raises:
        OptionError: An unknown detector or option, or a value out of range.
    """

    detector: str = "histogram"
    options: Mapping[str, float] = field(default_factory=dict)
    min_shot: float = 0.5

    def __post_init__(self) -> None:
        if self.detector not in DETECTORS:
            raise OptionError(f"There is no shot detector {self.detector!r}.", f"There are: {', '.join(DETECTORS)}.")
        defaults = DETECTORS[self.detector]
        for name, value in self.options.items():
            if name not in defaults:
                hint = f"Its settings are: {', '.join(defaults)}."
                raise OptionError(f"The shot detector {self.detector} has no setting {name!r}.", hint)
            if isinstance(defaults[name], int) and name != "threshold" and (value != int(value) or value < 1):
                raise OptionError(f"{name}={value} of the shot detector must be a whole number from 1.")
            if name == "threshold" and not value >= 0:
                raise OptionError(f"threshold={value} of the shot detector must not be negative.")
        if not self.min_shot >= 0:
            raise OptionError(f"The shortest shot, {self.min_shot} s, must not be negative.")

    def resolved(self) -> dict[str, Any]:
        """Returns all settings with defaults filled in, for hashes and records."""
        given = {name: self.options.get(name, value) for name, value in DETECTORS[self.detector].items()}
        options = {
            name: int(value)
            if isinstance(DETECTORS[self.detector][name], int) and name != "threshold"
            else float(value)
            for name, value in given.items()
        }
        return {"detector": self.detector, "options": options, "min_shot": self.min_shot, "short_side": SHORT_SIDE}


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What decides an index's rows.

    Attributes:
        shots: How shots are found.
        damaged: What becomes of a video that is damaged after some frames: "refuse" leaves it out, "keep" takes the
            frames before the damage. It is reported either way.
    """

    shots: ShotDetectorSettings = field(default_factory=ShotDetectorSettings)
    damaged: str = "refuse"

    def __post_init__(self) -> None:
        if self.damaged not in DAMAGED:
            raise OptionError(f"--damaged cannot be {self.damaged!r}.", f"Choose one of: {', '.join(DAMAGED)}.")

    def resolved(self) -> dict[str, Any]:
        """Returns all settings, nothing left to defaults."""
        return {**self.shots.resolved(), "damaged": self.damaged}
