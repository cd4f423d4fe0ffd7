"""What a run learns from: batches of shots, labelled images beside them, and the facts that tell which data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vivi_pretrain.data.labelled_images import LabelledImages, find_labelled_images
from vivi_pretrain.data.loading.labelled_loader import LabelledBatch, LabelledLoader, LabelledLoaderSettings
from vivi_pretrain.data.loading.settings import ShotLoaderSettings
from vivi_pretrain.data.loading.shot_loader import ShotBatch, ShotLoader
from vivi_pretrain.settings import PretrainSettings
from vivi_pretrain.shards.reader import ShardSet
from vivi_pretrain.training.ranks import Ranks
from vtab_harness.api.errors import OptionError

# Labelled images are reduced to this many times the side of a view before they are cut.
ROOM = 256 / 224


@dataclass(frozen=True, slots=True)
class StepBatch:
    """One rank's part of everything that a step learns from.

    Attributes:
        step: From 0.
        shots: Frames of videos; None where no loss is on them.
        labelled: Labelled images; None without co-training.
        waited: Seconds that the step waited for its data.
    """

    step: int
    shots: ShotBatch | None
    labelled: LabelledBatch | None
    waited: float


class RunData:
    """The data of a run, opened and checked.

    Args:
        settings: Of the run.
        data: Folder of shards.
        ranks: This process among all.

    Attributes:
        facts: Which data these are, for the run's folder and the card; no paths.
        num_classes: Of the labelled images; None without co-training.
        images_per_step: Frames and labelled images a step, over all ranks.

    Raises:
        OptionError: A batch cannot be divided over the ranks, or labelled images are missing.
        DataError: The data are damaged, or too few for one step.
    """

    def __init__(self, settings: PretrainSettings, data: Path, ranks: Ranks) -> None:
        self._settings, self._ranks = settings, ranks
        self.facts: dict[str, Any] = {}
        self.num_classes: int | None = None
        self.images_per_step = 0
        self._shards: ShardSet | None = None
        if settings.needs_videos:
            self._open_shards(data)
        if settings.labelled_weight > 0:
            self._open_labelled()

    def _open_shards(self, data: Path) -> None:
        settings = self._settings
        share = self._ranks.share("videos", settings.videos)
        if share % settings.accumulate:
            raise OptionError(f"accumulate={settings.accumulate} does not divide the {share} videos of a rank.")
        if share // settings.accumulate * self._ranks.size < 2:
            raise OptionError("A loss needs two videos to tell apart.", "Raise videos, or lower accumulate.")
        self._shards = ShardSet(data)
        with self._shot_loader(0) as loader:
            usable = loader.eligibility
        self.facts |= {
            "shards_sha256": self._shards.fingerprint,
            "videos": usable.videos,
            "videos_used": usable.eligible,
            "shots": usable.shots,
            "frames": self._shards.num_frames,
        }
        self.images_per_step += settings.videos * settings.shots * settings.frames

    def _open_labelled(self) -> None:
        settings = self._settings
        if not settings.labelled:
            raise OptionError(
                "Co-training needs labelled images.", "Give --set labelled=FOLDER, with a folder for each class."
            )
        share = self._ranks.share("labelled_batch", settings.labelled_batch)
        if share % settings.accumulate:
            raise OptionError(f"accumulate={settings.accumulate} does not divide the {share} images of a rank.")
        found = find_labelled_images(Path(settings.labelled))
        self._images = found.subset(settings.labelled_fraction, seed=settings.seed)
        self.num_classes = len(self._images.classes)
        self.facts |= {
            "labelled_images": len(found),
            "labelled_images_used": len(self._images),
            "labelled_sha256": _names_fingerprint(self._images),
            "classes": self.num_classes,
        }
        self.images_per_step += settings.labelled_batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shards is not None:
            self._shards.close()

    @contextmanager
    def batches(self, first_step: int) -> Iterator[Iterator[StepBatch]]:
        """Reads ahead from a step on, without end, as long as the context lasts."""
        with ExitStack() as stack:
            shots = labelled = None
            if self._shards is not None:
                shots = stack.enter_context(self._shot_loader(first_step))
            if self.num_classes is not None:
                labelled = stack.enter_context(self._labelled_loader(first_step))
            yield _together(first_step, shots, labelled)

    def _shot_loader(self, first_step: int) -> ShotLoader:
        assert self._shards is not None
        settings, ranks = self._settings, self._ranks
        return ShotLoader(
            self._shards,
            ShotLoaderSettings(
                settings.videos,
                settings.shots,
                settings.frames,
                repeat_shots=settings.repeat_shots,
                repeat_frames=settings.repeat_frames,
                copies=settings.copies,
                workers=settings.workers,
                gpu_decode=settings.gpu_decode,
            ),
            seed=settings.seed,
            rank=ranks.rank,
            world_size=ranks.size,
            first_step=first_step,
            device=ranks.device,
        )

    def _labelled_loader(self, first_step: int) -> LabelledLoader:
        settings, ranks = self._settings, self._ranks
        return LabelledLoader(
            self._images,
            LabelledLoaderSettings(settings.labelled_batch, round(settings.size * ROOM), workers=settings.workers),
            seed=settings.seed,
            rank=ranks.rank,
            world_size=ranks.size,
            first_step=first_step,
            device=ranks.device,
        )


def _together(first_step: int, shots: ShotLoader | None, labelled: LabelledLoader | None) -> Iterator[StepBatch]:
    step = first_step
    while True:
        of_videos = None if shots is None else next(shots)
        images = None if labelled is None else next(labelled)
        waited = sum(batch.waited for batch in (of_videos, images) if batch is not None)
        yield StepBatch(step, of_videos, images, waited)
        step += 1


def _names_fingerprint(images: LabelledImages) -> str:
    """Returns the sha256 (hex) over names and classes; reading every image would take too long."""
    digest = hashlib.sha256()
    for place, label in zip(images.places, images.labels.tolist(), strict=True):
        digest.update(f"{place.path.name} {place.member} {label}\n".encode())
    return digest.hexdigest()
