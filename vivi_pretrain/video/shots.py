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
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vivi_pretrain.video.settings import ShotDetectorSettings

if TYPE_CHECKING:
    from scenedetect.detector import SceneDetector

    from vivi_pretrain.video.decode import Frame


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
