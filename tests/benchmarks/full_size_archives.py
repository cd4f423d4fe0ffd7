"""Archives of the three image sets with the most images, drawn at full size, and what preparing them costs.

By number of images these are dSprites (737,280), PatchCamelyon (327,680) and DMLab (110,913; SUN397 has 108,753)::

    python tests/benchmarks/full_size_archives.py draw DATA --set dsprites --set patch_camelyon --set dmlab
    python tests/benchmarks/full_size_archives.py measure DATA CACHE --set dsprites --set patch_camelyon --set dmlab
    python tests/benchmarks/full_size_archives.py measure DATA CACHE --full --set dsprites --set patch_camelyon

The files have the public names, structure, number of images and image sizes, and within 2 % the public sizes (28 MB,
8.1 GB, 3.0 GB; the files of labels, some kB, are larger). The content is drawn, and barely compressible where that of
the public files is; dSprites shows every combination of its latent factors, as the published images do. Equal seeds
give equal bytes with equal libraries. Drawing takes little time and memory, because the images of the other two are
put together from a small stock of parts that are compressed once: each image is another combination of them.
`full_size_drawing` holds what draws them.

`measure` runs ``vtab data prepare`` in a process of its own and prints a row of a Markdown table for each set. What was
prepared is deleted after its measurement, unless ``--keep`` is given. Linux only. ``--full`` of DMLab needs 58 GB.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from full_size_drawing import draw_dmlab, draw_dsprites, draw_patch_camelyon

from vtab_harness.api.data import ImageSet
from vtab_harness.datasets import dmlab, dsprites, patch_camelyon

DRAW: Mapping[str, tuple[ImageSet, Callable[[Path, int, Mapping[str, int]], None]]] = {
    "dsprites": (dsprites.IMAGE_SET, draw_dsprites),
    "patch_camelyon": (patch_camelyon.IMAGE_SET, draw_patch_camelyon),
    "dmlab": (dmlab.IMAGE_SET, draw_dmlab),
}
TASKS = {"dsprites": "dsprites_location", "patch_camelyon": "patch_camelyon", "dmlab": "dmlab"}


def draw(folder: Path, name: str, seed: int = 0, limit: int | None = None) -> list[Path]:
    """Draws the archives of one image set.

    Args:
        folder: Data folder; they come into its folder ``<name>``.
        name: Image set.
        seed: Equal ones give equal bytes.
        limit: Images in each source split at most; all if None.

    Returns:
        The files.
    """
    image_set, write = DRAW[name]
    sizes = {split: count if limit is None else min(limit, count) for split, count in image_set.sizes.items()}
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    write(target, seed, sizes)
    return [target / archive.name for archive in image_set.archives]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took.

    Attributes:
        wall: Seconds.
        cpu: Seconds, of all threads and of the system on their behalf.
        memory: Largest resident set, bytes.
        kept: Bytes on disk of what was prepared.
        disk: Largest use of disk meanwhile, with what is only in between and with unnamed temporary files; bytes.
    """

    wall: float
    cpu: float
    memory: int
    kept: int
    disk: int


def measure(data: Path, cache: Path, name: str, full: bool) -> Cost:
    """Runs ``vtab data prepare`` for one image set, which must not be prepared yet.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    prepared = place(cache, name)
    command = [sys.executable, "-m", "vtab_harness", "data", "prepare", "--task", TASKS[name]]
    command += ["--data", str(data), "--cache", str(cache), *(["--full"] if full else [])]
    print("+", *command, file=sys.stderr)
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    done, most = threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.2):
            most[0] = max(most[0], disk_use(prepared) + unnamed_files(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    # Of this process alone, and its peak rather than a sample. It counts this process's own size too, up to the moment
    # when the new program starts, but that is smaller.
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    done.set()
    watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    kept = disk_use(prepared)
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, kept, max(most[0], kept))


def place(cache: Path, name: str) -> Path:
    """Returns the folder of a prepared image set."""
    image_set = DRAW[name][0]
    return cache / "prepared" / f"{image_set.name}-{image_set.version}"


def disk_use(folder: Path) -> int:
    """Returns the bytes on disk of the files in a folder; files and folders may vanish meanwhile."""
    return sum(blocks(Path(inside, name)) for inside, _, names in os.walk(folder) for name in names)


def unnamed_files(process: int) -> int:
    """Returns the bytes on disk of files that a process has open and that have no name any more."""
    return sum(blocks(path, unnamed=True) for path in Path(f"/proc/{process}/fd").glob("*"))


def blocks(path: Path, unnamed: bool = False) -> int:
    """Returns the bytes on disk of a plain file; 0 if it is none or has gone, or has a name though it should not."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_blocks * 512 if stat.S_ISREG(found.st_mode) and not (unnamed and found.st_nlink) else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw", help="write the archives")
    drawing.add_argument("data", type=Path, help="data folder")
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument("--limit", type=int, help="images in each source split at most (not for `measure`)")
    measuring = commands.add_parser("measure", help="prepare from the archives")
    measuring.add_argument("data", type=Path, help="data folder")
    measuring.add_argument("cache", type=Path, help="cache folder, which must not hold the image sets yet")
    measuring.add_argument("--full", action="store_true", help="train and val in full, too")
    measuring.add_argument("--keep", action="store_true", help="leave what was prepared")
    for command in (drawing, measuring):
        command.add_argument("--set", action="append", choices=list(DRAW), required=True, dest="names")
    given = parser.parse_args(arguments)
    if given.command == "draw":
        for name in given.names:
            begin = time.perf_counter()
            for path in draw(given.data, name, given.seed, given.limit):
                print(f"{path}: {path.stat().st_size:,} bytes")
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{name}: {time.perf_counter() - begin:.0f} s, {memory:.0f} MiB at most")
        return
    print("| image set | splits | images | wall s | CPU s | peak MB | archives GB | prepared GB | most disk GB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.names:
        prepared = place(given.cache, name)
        if prepared.exists():
            parser.error(f"{prepared} is there already")
        cost = measure(given.data, given.cache, name, given.full)
        images = sum(
            DRAW[name][0].size(split) for split in ("train800", "val200", "test", *(["train", "val"] * given.full))
        )
        print(
            f"| {name} | {'--full' if given.full else 'default'} | {images:,} | {cost.wall:.1f} | {cost.cpu:.1f}"
            f" | {cost.memory / 1e6:,.0f} | {disk_use(given.data / name) / 1e9:.2f} | {cost.kept / 1e9:.2f}"
            f" | {cost.disk / 1e9:.2f} |",
            flush=True,
        )
        if not given.keep:
            shutil.rmtree(prepared)


if __name__ == "__main__":
    main()
