"""How shots are found, and what an index holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import REQUIRED, Settings, argument, option

SHORT_SIDE = 144
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
class ShotDetectorSettings(Settings):
    """How shots are found; a cut sooner than `min_shot` after the start or the last cut is passed over.

    Raises:
        OptionError: An unknown detector or setting of it, or a value out of range.
    """

    detector: str = option("histogram", "histogram, content, adaptive, hash or threshold: PySceneDetect's.")
    set: Mapping[str, float] = option({}, "Other settings of the detector, as name=value.")
    threshold: float | None = option(None, "Of the detector; higher finds fewer cuts.")
    min_shot: float = option(0.5, "Shortest shot in seconds; earlier cuts are passed over.", least=0)

    def __post_init__(self) -> None:
        Settings.__post_init__(self)
        if self.threshold is not None:
            object.__setattr__(self, "set", {**self.set, "threshold": self.threshold})
        if self.detector not in DETECTORS:
            raise OptionError(f"There is no shot detector {self.detector!r}.", f"There are: {', '.join(DETECTORS)}.")
        defaults = DETECTORS[self.detector]
        for name, value in self.set.items():
            if name not in defaults:
                hint = f"Its settings are: {', '.join(defaults)}."
                raise OptionError(f"The shot detector {self.detector} has no setting {name!r}.", hint)
            if isinstance(defaults[name], int) and name != "threshold" and (value != int(value) or value < 1):
                raise OptionError(f"{name}={value} of the shot detector must be a whole number from 1.")
            if name == "threshold" and not value >= 0:
                raise OptionError(f"threshold={value} of the shot detector must not be negative.")

    def resolved(self) -> dict[str, Any]:
        """Returns all settings with defaults filled in, for hashes and records."""
        given = {name: self.set.get(name, value) for name, value in DETECTORS[self.detector].items()}
        options = {
            name: int(value)
            if isinstance(DETECTORS[self.detector][name], int) and name != "threshold"
            else float(value)
            for name, value in given.items()
        }
        return {"detector": self.detector, "options": options, "min_shot": self.min_shot, "short_side": SHORT_SIDE}


@dataclass(frozen=True, slots=True)
class IndexSettings(ShotDetectorSettings):
    """What decides an index's rows. A damaged video is reported, whatever becomes of it."""

    damaged: Literal["refuse", "keep"] = option(
        "refuse", "Videos damaged after some frames: refuse, or keep the part before the damage."
    )

    def resolved(self) -> dict[str, Any]:
        """Returns all settings, nothing left to defaults."""
        return {**ShotDetectorSettings.resolved(self), "damaged": self.damaged}


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCommand(IndexSettings):
    """What ``vivi index`` is told."""

    videos: Sequence[Path] = argument("Video files, folders, or one CSV with a column `path`.")
    out: Path = option(REQUIRED, "Folder of the index.")
    root: Path | None = option(None, "Folder that paths are relative to; for a CSV its own folder otherwise.")
    workers: int | None = option(None, "Processes; by default one for each core.")
    overwrite: bool = option(False, "Begin an index of other settings anew.")
