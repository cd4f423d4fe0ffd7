"""One split of a WebDataset: ``nshards.txt``, and ``0.tar``, ``1.tar`` and so on, a sample being the files of one name.

Tars are not packed: their headers are read once, and images later from where they lie.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vtab_harness.api.errors import DataError, VtabError
from vtab_harness.formats.archives import BoundedHeader
from vtab_harness.formats.errors import UNREADABLE
from vtab_harness.formats.json_file import read_bounded

COUNT = "nshards.txt"
IMAGES = ("webp", "png", "jpg", "jpeg")
LABEL = "cls"
_MOST_SHARDS = 100_000
MOST_BYTES = 1 << 26
"""Of one image."""
_MOST_NOTE = 1 << 16
"""Of a label, or of what else is said of a sample."""
_COUNTED = re.compile(r"s(\d{7,})")
"""Names that CLIP_benchmark gives: samples are counted through all shards."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a WebDataset.

    Attributes:
        shard: The tar.
        start: Where the image begins in it.
        size: Bytes of the image.
        suffix: One of `IMAGES`.
        notes: Content of the other files that were asked for, by suffix.
    """

    shard: Path
    start: int
    size: int
    suffix: str
    notes: Mapping[str, bytes]

    @property
    def where(self) -> str:
        """What to call it in messages."""
        return f"{self.shard} (at byte {self.start:,})"


def wrong_copy(path: Path, what: str) -> DataError:
    """Returns the error for a copy that cannot be used; `what` continues a sentence that starts with the path."""
    return DataError(f"{path} {what}.", "Fetch it again from where it came, or use the published archives.")


def read_shards(folder: Path, notes: Sequence[str] = (LABEL,)) -> list[Sample]:
    """Reads what is in one split, but no image.

    Args:
        folder: Of the split.
        notes: Suffixes of small files that every sample must have beside its image.

    Raises:
        DataError: A shard is missing, doubled, damaged or one too many, or a sample is incomplete.
    """
    samples: list[Sample] = []
    names: set[str] = set()
    for shard in _shards(folder):
        try:
            with tarfile.open(shard, mode="r:", tarinfo=BoundedHeader) as tar:
                for name, sample in _samples(shard, tar, notes):
                    counted = _COUNTED.fullmatch(name)
                    if name in names or (counted and int(counted[1]) != len(samples)):
                        raise wrong_copy(
                            shard,
                            f"holds the sample {name} where the sample {len(samples)} of the split is expected: a shard"
                            " is doubled, missing or misplaced",
                        )
                    names.add(name)
                    samples.append(sample)
        except VtabError:
            raise
        except (*UNREADABLE, RecursionError) as error:
            raise wrong_copy(shard, f"cannot be read: {error or type(error).__name__}") from error
    return samples


def contents(samples: Sequence[Sample], wanted: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yields the position and the bytes of wanted samples.

    Raises:
        DataError: A shard has become shorter, or is gone.
    """
    for position in wanted:
        sample = samples[position]
        try:
            with sample.shard.open("rb", buffering=0) as file:
                file.seek(sample.start)
                content = file.read(sample.size)
        except OSError as error:
            raise wrong_copy(sample.shard, f"cannot be read: {error}") from error
        if len(content) != sample.size:
            raise wrong_copy(sample.shard, "has become shorter")
        yield position, content


def _shards(folder: Path) -> list[Path]:
    try:
        count = int(read_bounded(folder / COUNT, 64))
    except (OSError, ValueError) as error:
        raise wrong_copy(folder / COUNT, f"does not say how many shards there are: {error}") from error
    if not 1 <= count <= _MOST_SHARDS:
        raise wrong_copy(folder / COUNT, f"claims {count:,} shards")
    shards = [folder / f"{number}.tar" for number in range(count)]
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise wrong_copy(folder, f"lacks {len(missing)} of its {count} shards: {', '.join(missing[:5])}")
    more = sorted(path.name for path in folder.glob("*.tar") if path not in shards)
    if more:
        raise wrong_copy(folder, f"holds {', '.join(more[:5])} beside the {count} shards that {COUNT} says")
    return shards


def _samples(shard: Path, tar: tarfile.TarFile, notes: Sequence[str]) -> Iterator[tuple[str, Sample]]:
    """Yields name and sample; the files of a sample lie one after another."""
    files: dict[str, tarfile.TarInfo] = {}
    current = ""

    def finished() -> tuple[str, Sample]:
        image = [suffix for suffix in IMAGES if suffix in files]
        if len(image) != 1 or any(note not in files for note in notes):
            wanted = " and ".join(f".{note}" for note in notes)
            raise wrong_copy(shard, f"holds the sample {current} with {', '.join(files)}, not one image and {wanted}")
        header = files[image[0]]
        if header.size > MOST_BYTES:
            raise wrong_copy(shard, f"holds the image {header.name} of {header.size:,} bytes")
        said = {note: _note(shard, tar, files[note]) for note in notes}
        return current, Sample(shard, header.offset_data, header.size, image[0], said)

    for header in tar:
        if header.isdir():
            continue
        name, _, suffix = header.name.removeprefix("./").partition(".")
        if not header.isfile() or header.issparse() or not name or "/" in name:
            raise wrong_copy(shard, f"holds {header.name!r}, which is no file of a sample")
        if name != current and files:
            yield finished()
            files = {}
        current = name
        if suffix.lower() in files:
            raise wrong_copy(shard, f"holds {header.name} twice")
        files[suffix.lower()] = header
    if files:
        yield finished()


def _note(shard: Path, tar: tarfile.TarFile, header: tarfile.TarInfo) -> bytes:
    opened = tar.extractfile(header) if 0 <= header.size <= _MOST_NOTE else None
    if opened is None:
        raise wrong_copy(shard, f"holds {header.name} of {header.size:,} bytes")
    content: bytes = opened.read()
    return content


Contents = Callable[[Sequence[int]], Iterator[tuple[int, bytes]]]
"""Ascending positions in a split -> position and bytes of each image, in any order."""
