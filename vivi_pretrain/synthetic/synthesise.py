"""A folder of procedural videos, and a table of where their shots truly begin and end."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from vivi_pretrain.synthetic.plan import planned
from vivi_pretrain.synthetic.settings import SynthSettings
from vivi_pretrain.video.workers import ProgressCallback, process_pool
from vtab_harness.api.errors import OptionError, StorageError
from vtab_harness.sweep.store import storage_errors, write_atomically

TRUTH = "truth.csv"
SETTINGS = "synth.json"
_VERSION = 1
"""Raised whenever the same settings would give other frames."""


def synthesise(
    out: Path, settings: SynthSettings, workers: int = 1, progress: ProgressCallback | None = None
) -> list[Path]:
    """Makes the videos that are not there yet.

    The folder gets ``video000000.mp4`` and so on (H.264), `TRUTH` (CSV: video, shot, first_frame, last_frame, fade;
    frames counted from 0 in presentation order, both ends belong to the shot, ``fade`` is 1 where the shot ends in
    one) and `SETTINGS`. A file that exists is whole.

    Args:
        out: Folder, made if needed.
        settings: What to draw. A folder can be given more videos later; the other settings have to stay.
        workers: Processes.
        progress: Told after each video.

    Returns:
        The videos, in order.

    Raises:
        OptionError: The folder holds videos of other settings, or ``workers`` is below 1.
        StorageError: The folder cannot be written, or the disk is full.
    """
    if workers < 1:
        raise OptionError(f"Cannot work with {workers} workers.", "Give at least 1.")
    plans = [planned(settings, number) for number in range(settings.videos)]
    paths = [out / f"{plan.name}.mp4" for plan in plans]
    with storage_errors(out, "writing videos"):
        out.mkdir(parents=True, exist_ok=True)
        _check_settings(out, settings)
        write_atomically(out / TRUTH, _truth(settings).encode())
        missing = [number for number, path in enumerate(paths) if not path.exists()]
    done = len(paths) - len(missing)
    tell = progress or (lambda done, total: None)
    tell(done, len(paths))
    workers = min(workers, len(missing))
    if workers <= 1:
        for number in missing:
            _make(out, settings, number)
            done += 1
            tell(done, len(paths))
        return paths
    with process_pool(workers) as pool:
        futures = [pool.submit(_make, out, settings, number) for number in missing]
        try:
            for future in as_completed(futures):
                future.result()
                done += 1
                tell(done, len(paths))
        except BrokenProcessPool as error:
            hint = "Give the same command again with fewer --workers: finished videos are kept."
            raise StorageError(
                f"A process that wrote videos to {out} was killed, perhaps for its memory.", hint
            ) from error
    return paths


def _check_settings(out: Path, settings: SynthSettings) -> None:
    """Writes the settings beside the videos, or compares them with those that are there."""
    wanted = {"version": _VERSION, **asdict(settings)}
    path = out / SETTINGS
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            videos = int(found["videos"])
            differing = sorted(name for name in wanted.keys() - {"videos"} if found.get(name) != wanted[name])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StorageError(
                f"{path} does not hold settings of procedural videos.", "Choose another folder."
            ) from error
        if differing:
            words = ", ".join(f"{name} {found.get(name)} there and {wanted[name]} here" for name in differing)
            raise OptionError(f"{out} holds videos made with other settings: {words}.", "Choose another folder.")
        if videos > settings.videos:
            raise OptionError(
                f"{out} holds {videos} videos, and {settings.videos} were asked for.",
                "Ask for as many or more, or choose another folder.",
            )
        if videos == settings.videos:
            return
    write_atomically(path, (json.dumps(wanted, indent=1) + "\n").encode())


def _truth(settings: SynthSettings) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["video", "shot", "first_frame", "last_frame", "fade"])
    for number in range(settings.videos):
        plan = planned(settings, number)
        for shot, (first, last) in enumerate(plan.boundaries()):
            rows.writerow([plan.name, shot, first, last, int(plan.fades[shot])])
    return text.getvalue()


def _make(out: Path, settings: SynthSettings, number: int) -> None:
    """Draws and encodes one video; also runs in worker processes."""
    import cv2

    from vivi_pretrain.synthetic.encode import encoded
    from vivi_pretrain.synthetic.scene import drawn_frames

    # One thread a process, here and in the encoder: videos are made side by side.
    cv2.setNumThreads(1)
    data = encoded(drawn_frames(settings, number), settings.size, settings.frame_rate, settings.quality)
    with storage_errors(out, "writing videos"):
        write_atomically(out / f"{planned(settings, number).name}.mp4", data)
