"""Shot boundaries, by PySceneDetect's detectors on frames of our own decoder.

The default is the colour-histogram detector, of whose kind the VIVI paper's was; which one it was and its threshold are
not known, so everything here is our assumption. PySceneDetect's `HistogramDetector` compares the luma histograms of
neighbouring frames by correlation, and cuts where 1 - correlation reaches the threshold.

The default of 64 bins and threshold 0.16 comes from two places: procedural videos, where nearly all true cuts lie above
and everything else lies far below, and 16 true cuts of real clips (lowest: 0.170) beside the strongest motion and
compression jumps in them (highest: 0.158). It is not made for fades and dissolves: a fade gives cuts where darkness has
few grey levels, and most dissolves give none.

Detectors see frames reduced to a short side of 144 pixels by averaging, which changes neither histograms nor mean
differences by much. They are asked for every cut; the shortest shot is kept here, the same for all of them, in seconds
of presentation time, which holds for variable frame rates too.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vtab_harness.api.errors import OptionError

if TYPE_CHECKING:
    from scenedetect.detector import SceneDetector

    from vivi_pretrain.video.decode import Frame

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
class Shot:
    """A run of frames between two cuts.

    Attributes:
        first_frame: Number in presentation order.
        last_frame: Inclusive.
        first_time: Presentation time of the first frame, seconds.
        last_time: Of the last frame.
    """

    first_frame: int
    last_frame: int
    first_time: float
    last_time: float


class ShotDetector:
    """Finds the shots of one video, frame by frame.

    Args:
        settings: How.
    """

    def __init__(self, settings: ShotDetectorSettings) -> None:
        self._detector = _make(settings)
        self._min_shot = settings.min_shot
        self._times = array("d")
        self._cuts: list[int] = []

    @property
    def frames(self) -> int:
        """Frames so far."""
        return len(self._times)

    def push(self, frame: Frame) -> None:
        """Takes the next frame; its number must be the count of those before. Any size, RGB."""
        from scenedetect import FrameTimecode

        self._times.append(frame.time)
        bgr = np.ascontiguousarray(frame.image[:, :, ::-1])
        # Detectors only count frames here, so the rate does not matter.
        cuts = self._detector.process_frame(FrameTimecode(frame.number, fps=25.0), bgr)
        self._cuts += [cut.frame_num for cut in cuts]

    def finish(self) -> list[Shot]:
        """Returns the shots; together they hold every frame once, in order."""
        from scenedetect import FrameTimecode

        if not self._times:
            return []
        cuts = self._detector.post_process(FrameTimecode(len(self._times) - 1, fps=25.0))
        starts = [0]
        for cut in sorted({*self._cuts, *(cut.frame_num for cut in cuts)}):
            if cut > starts[-1] and self._times[cut] - self._times[starts[-1]] >= self._min_shot:
                starts.append(cut)
        lasts = [start - 1 for start in starts[1:]] + [len(self._times) - 1]
        return [
            Shot(first, last, self._times[first], self._times[last]) for first, last in zip(starts, lasts, strict=True)
        ]


def _make(settings: ShotDetectorSettings) -> SceneDetector:
    """Builds PySceneDetect's detector, asked for every cut."""
    from scenedetect import detectors

    options = settings.resolved()["options"]
    threshold = options.pop("threshold")
    match settings.detector:
        case "histogram":
            return detectors.HistogramDetector(threshold=threshold, min_scene_len=0, **options)
        case "content":
            weights = detectors.ContentDetector.Components(**options)
            return detectors.ContentDetector(threshold=threshold, min_scene_len=0, weights=weights)
        case "adaptive":
            return detectors.AdaptiveDetector(adaptive_threshold=threshold, min_scene_len=0, **options)
        case "hash":
            return detectors.HashDetector(threshold=threshold, min_scene_len=0, **options)
        case "threshold":
            return detectors.ThresholdDetector(threshold=threshold, min_scene_len=0, **options)
    raise AssertionError(settings.detector)
