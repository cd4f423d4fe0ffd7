"""Which shots and frames a step takes: a pure function of the shard set, the settings, the seed and the step."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vivi_pretrain.data.loading.epochs import EpochOrder
from vivi_pretrain.data.loading.settings import ShotLoaderSettings
from vivi_pretrain.data.randomness import Stream, generator
from vtab_harness.api.errors import DataError


class Shots(Protocol):
    """The columns that are needed of a shard set's table of shots; a row a shot, in order of video and time."""

    @property
    def video(self) -> NDArray[np.int32]:
        """Index of the video in the shard set."""

    @property
    def first_row(self) -> NDArray[np.int64]:
        """Row of the shot's first frame in the frame table."""

    @property
    def frames(self) -> NDArray[np.int32]:
        """Number of frames."""


@dataclass(frozen=True, slots=True)
class ShotChoice:
    """The global batch of a step.

    Attributes:
        videos: int64 (N,): indices of the videos in the shard set.
        shots: int64 (N, K): rows in the table of shots, in order of time.
        rows: int64 (N, K, L): rows in the frame table, in order of time.
    """

    videos: NDArray[np.int64]
    shots: NDArray[np.int64]
    rows: NDArray[np.int64]

    def part(self, of_rank: slice) -> ShotChoice:
        """Returns the videos of a slice."""
        return ShotChoice(self.videos[of_rank], self.shots[of_rank], self.rows[of_rank])


@dataclass(frozen=True, slots=True)
class Eligibility:
    """How many videos and shots can be used, and what became of the others.

    Attributes:
        videos: In the shard set.
        eligible: That can be visited.
        few_shots_left_out: Left out for having too few usable shots.
        few_shots_repeated: Of those that can be visited, the ones in which shots are taken more than once.
        shots: In the shard set.
        short_shots_left_out: Shots that are left out for having too few frames.
        short_shots_repeated: Shots in which frames are taken more than once.
    """

    videos: int
    eligible: int
    few_shots_left_out: int
    few_shots_repeated: int
    shots: int
    short_shots_left_out: int
    short_shots_repeated: int

    def __str__(self) -> str:
        parts = [f"{self.eligible} of {self.videos} videos with {self.shots} shots can be used"]
        for field in fields(self):
            count = getattr(self, field.name)
            if count and field.name.startswith(("few", "short")):
                parts.append(f"{field.name.replace('_', ' ')}: {count}")
        return "; ".join(parts)


class ShotSampler:
    """Chooses K shots of L consecutive frames from each of N videos.

    Videos come in epochs: each that can be used is visited once in an epoch, and none twice in a step. Shots are drawn
    without replacement, starts uniformly among all that leave L frames.
    """

    def __init__(self, shots: Shots, settings: ShotLoaderSettings, *, seed: int) -> None:
        """Sorts out what can be used.

        Raises:
            DataError: Fewer videos can be used than a step takes; says how many, and why not the others.
        """
        self._settings = settings
        self._seed = seed
        self._first_row = shots.first_row.astype(np.int64, copy=False)
        self._frames = shots.frames.astype(np.int64, copy=False)
        video = shots.video.astype(np.int64, copy=False)
        if np.any(np.diff(video) < 0):
            raise DataError("the table of shots is not sorted by video", "Make the shards again with `vivi shard`.")

        short = self._frames < settings.frames
        usable = self._frames > 0 if settings.repeat_frames else ~short
        per_video = np.bincount(video[usable], minlength=int(video[-1]) + 1 if len(video) else 0)
        enough = per_video >= (1 if settings.repeat_shots else settings.shots)
        self._shots = np.flatnonzero(usable & enough[video])
        self._videos = np.flatnonzero(enough)
        self._count = per_video[self._videos]
        self._start = np.cumsum(self._count) - self._count
        videos = len(np.unique(video))
        self.eligibility = Eligibility(
            videos=videos,
            eligible=len(self._videos),
            few_shots_left_out=videos - len(self._videos),
            few_shots_repeated=int((self._count < settings.shots).sum()),
            shots=len(video),
            short_shots_left_out=int((~usable).sum()),
            short_shots_repeated=int((usable & short).sum()),
        )
        try:
            self._order = EpochOrder(len(self._videos), settings.videos, seed=seed, stream=Stream.VIDEO_ORDER)
        except DataError as error:
            wanted = f"{settings.shots} shots of {settings.frames} frames"
            raise DataError(f"{error.message} ({wanted} wanted; {self.eligibility})", error.hint) from None

    def choose(self, step: int) -> ShotChoice:
        """Returns the global batch of a step; safe to call from several threads."""
        of_step = self._order.at(step)
        wanted, length = self._settings.shots, self._settings.frames
        rng = generator(self._seed, Stream.SHOTS, step)
        for_shots, for_starts = rng.random((2, len(of_step), wanted))
        picked = _distinct(self._count[of_step], for_shots)
        shots = self._shots[self._start[of_step][:, None] + picked]

        frames = self._frames[shots]
        if self._settings.copies:
            offsets = np.floor(for_starts * frames).astype(np.int64)[:, :, None].repeat(length, axis=2)
        else:
            starts = np.floor(for_starts * np.maximum(frames - length + 1, 1)).astype(np.int64)
            along = np.arange(length)
            # Short shots are stretched: 3 frames become 0 0 1 1 2 for L = 5.
            stretched = along * frames[:, :, None] // length
            offsets = np.where(frames[:, :, None] < length, stretched, starts[:, :, None] + along)
        return ShotChoice(self._videos[of_step], shots, self._first_row[shots][:, :, None] + offsets)


def _distinct(counts: NDArray[np.int64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draws K different numbers below each count, uniformly, and sorts them.

    Where a count is below K, each number comes at least once and the rest are drawn freely.

    Args:
        counts: (N,), 1 or more.
        uniforms: (N, K) in [0, 1).

    Returns:
        int64 (N, K), increasing along K.
    """
    picked = np.empty(uniforms.shape, np.int64)
    for k, column in enumerate(uniforms.T):
        # The j-th number among those not picked yet: step over the picked ones in increasing order.
        number = np.floor(column * np.where(k < counts, counts - k, counts)).astype(np.int64)
        stepped = number.copy()
        for before in np.sort(picked[:, :k], axis=1).T:
            stepped += stepped >= before
        picked[:, k] = np.where(k < counts, stepped, number)
    return np.sort(picked, axis=1)
