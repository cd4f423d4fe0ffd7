"""What a step's batch of shots consists of, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass

from vtab_harness.api.errors import OptionError


@dataclass(frozen=True, slots=True)
class ShotLoaderSettings:
    """Settings of the loader of shots.

    Attributes:
        videos: N, videos in the global batch of a step, over all ranks.
        shots: K, shots of each video.
        frames: L, frames of each shot.
        repeat_shots: Whether videos with fewer than K usable shots give all of them, and some again; otherwise they are
            left out.
        repeat_frames: Whether shots with fewer than L frames give all of them, and some again, in the order of time;
            otherwise they are left out.
        copies: L times one random frame of a shot in place of L consecutive ones: the baseline of single frames. Which
            shots are usable stays the same, so that both see the same videos.
        workers: Threads that read and decode; 0 means one for each core that this process may use, 16 at most.
        prefetch: Batches made ahead of the one in use. Each takes memory, on the device as well if it is CUDA.
        gpu_decode: Decode JPEGs on the CUDA device (torchvision's nvJPEG); ignored on other devices. Pixels differ a
            little from those of the CPU's decoder.
    """

    videos: int
    shots: int = 2
    frames: int = 8
    repeat_shots: bool = False
    repeat_frames: bool = False
    copies: bool = False
    workers: int = 0
    prefetch: int = 2
    gpu_decode: bool = False

    def __post_init__(self) -> None:
        for name in ("videos", "shots", "frames", "prefetch"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.workers < 0:
            raise OptionError(f"workers must not be negative, got {self.workers}")
