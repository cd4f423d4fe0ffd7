"""Prepares the examples that a protocol learns from, whatever number of them was asked for.

Only what is learned from is decoded. Beside the splits that an image set declares, the cache then holds folders such as
``train-first-1600``, which the two tasks of an image set share, or ``train-4-per-class-clevr_count-v1``, whose
examples follow from the labels of a task; other draws have folders such as ``train-draw2-of-800``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vtab_harness.api.data import ImageSet, Slice
from vtab_harness.api.errors import DataError, OptionError, PluginError
from vtab_harness.api.records import LearnedFrom
from vtab_harness.api.tasks import Task
from vtab_harness.api.train_examples import WHOLE, TrainExamples, shares
from vtab_harness.formats.example_order import STAND_IN, examples_by_split
from vtab_harness.prepared.choice import Choice, choose
from vtab_harness.prepared.manifest import Manifest, damaged
from vtab_harness.prepared.prepared_set import SPLITS, PreparedSet, find, prepare, prepared_folder
from vtab_harness.prepared.split_writer import Progress, gather_annotations
from vtab_harness.prepared.subsets import draw_positions, of_each_class, slices_at, within

Declared = Mapping[str, tuple[Slice, ...]]


@dataclass(frozen=True, slots=True)
class LearningSet:
    """What one task learns from and is tested on.

    Attributes:
        prepared: Holds the two splits below and ``test``, and nothing else; of another draw also the official two, by
            which it is known which data these are.
        train: The split that is trained on.
        validation: The split that is chosen on.
        short_classes: Classes with fewer labels than were asked for; None where no number a class was.
    """

    prepared: PreparedSet
    train: str
    validation: str
    short_classes: int | None = None

    @property
    def splits(self) -> tuple[str, str]:
        """The two splits that are learned from."""
        return self.train, self.validation

    def summary(self) -> LearnedFrom:
        """Returns how many examples are learned from, for a record."""
        manifests = self.prepared.manifests
        return LearnedFrom(manifests[self.train].count, manifests[self.validation].count, self.short_classes)


def split_names(task: Task, examples: TrainExamples) -> tuple[str, str]:
    """Returns the names of the splits that a task learns from."""
    if examples.official:
        return SPLITS[0], SPLITS[1]
    drawn = f"draw{examples.draw}-of" if examples.draw else "first"
    if examples.shots is not None:
        owner = f"{task.name}-v{task.version}"
        each = (f"{drawn}-{n}" if examples.draw else f"{n}" for n in shares(examples.shots))
        train, val = (f"{whole}-{n}-per-class-{owner}" for whole, n in zip(WHOLE, each, strict=True))
        return train, val
    if examples.number is None:
        return WHOLE
    train, val = (f"{whole}-{drawn}-{n}" for whole, n in zip(WHOLE, shares(examples.number), strict=True))
    return train, val


def prepare_learning(
    tasks: Sequence[Task],
    examples: TrainExamples,
    roots: Sequence[Path],
    cache: Path | None = None,
    progress: Progress | None = None,
    variant: str | None = None,
) -> dict[str, LearningSet]:
    """Opens what tasks of one image set learn from and are tested on, and prepares in one pass what is not there yet.

    What is prepared already needs no source. The positions of a number for each class are read from annotations, and
    no image but those is decoded.

    Args:
        tasks: Tasks of one image set.
        examples: What they learn from.
        roots: Folders with the person's data.
        cache: Cache folder; the person's own if None.
        progress: Told how many images are done while preparing.
        variant: Data variant; by default what the roots give, or the only one that is prepared.

    Returns:
        By name of the task; tasks that learn from the same splits share a `PreparedSet`.

    Raises:
        OptionError: The image set does not have that many.
        DataError: The source or the prepared data is missing, incomplete or damaged.
        StorageError: The cache folder cannot be written or is full.
    """
    declared = tasks[0].image_set
    examples.check(declared)
    choice = choose(declared, roots, prepared_folder(declared, cache), variant)
    names = {task.name: split_names(task, examples) for task in tasks}
    image_set = _declared(tasks, examples, names, choice)
    everything = prepare(image_set, roots, cache, _wanted(names, examples), progress, choice=choice)
    return _opened(tasks, examples, names, image_set, everything)


def find_learning(
    tasks: Sequence[Task],
    examples: TrainExamples,
    roots: Sequence[Path],
    cache: Path | None = None,
    variant: str | None = None,
) -> dict[str, LearningSet] | None:
    """Returns what `prepare_learning` would, where all of it is prepared; None where something has to be prepared.

    Raises:
        OptionError, DataError: As of `prepare_learning`; also where the data are nowhere to be found.
    """
    declared = tasks[0].image_set
    examples.check(declared)
    choice = choose(declared, roots, prepared_folder(declared, cache), variant)
    names = {task.name: split_names(task, examples) for task in tasks}
    if not all((choice.folder / split).is_dir() for split in _wanted(names, examples)):
        return None
    image_set = _declared(tasks, examples, names, choice)
    everything = find(image_set, choice, _wanted(names, examples))
    return None if everything is None else _opened(tasks, examples, names, image_set, everything)


Names = Mapping[str, tuple[str, str]]
"""Task -> its splits of training and validation."""


def _wanted(names: Names, examples: TrainExamples) -> list[str]:
    return [*dict.fromkeys(split for pair in names.values() for split in pair), *_beside(examples)]


def _beside(examples: TrainExamples) -> tuple[str, ...]:
    """Returns the splits that are needed beside those that are learned from."""
    return ("test", *SPLITS[:2]) if examples.draw else ("test",)


def _declared(tasks: Sequence[Task], examples: TrainExamples, names: Names, choice: Choice) -> ImageSet:
    """Returns the image set with the splits that are learned from declared."""
    image_set = tasks[0].image_set
    if examples.shots is not None:
        return _declare_shots(tasks, examples.shots, examples.draw, names, choice)
    if examples.number is not None and not examples.official:
        return _declare(image_set, dict(zip(names[tasks[0].name], _drawn(image_set, examples), strict=True)))
    return image_set


def _opened(
    tasks: Sequence[Task], examples: TrainExamples, names: Names, image_set: ImageSet, everything: PreparedSet
) -> dict[str, LearningSet]:
    opened: dict[tuple[str, str], PreparedSet] = {}
    found = {}
    for task in tasks:
        pair = names[task.name]
        if pair not in opened:
            opened[pair] = PreparedSet(image_set, everything.folder, (*pair, *_beside(examples)))
        short = None if examples.shots is None else _short_classes(opened[pair], pair, task, examples.shots)
        if examples.draw:
            _check_draw(opened[pair], pair, task, examples, short)
        found[task.name] = LearningSet(opened[pair], *pair, short)
    return found


def _check_draw(
    prepared: PreparedSet, splits: tuple[str, str], task: Task, examples: TrainExamples, short_classes: int | None
) -> None:
    """Refuses a draw that is none.

    Raises:
        OptionError: A class has too few labels for it.
        DataError: Nobody can tell which examples these are.
    """
    if short_classes:
        raise OptionError(
            f"--train-examples {examples}: {short_classes} of {task.num_classes} classes of {task.name} have too few"
            " labels for another draw of as many.",
            "Give fewer --draws, or fewer labels a class.",
        )
    if any(key.startswith(STAND_IN) for split in splits for key in prepared.keys(split)[:1]):
        raise DataError(
            f"--train-examples {examples}: this source of {task.image_set.name} does not tell which its examples are;"
            " of the official draw their labels prove it, of others nothing does.",
            "Use the published archives, or a folder that TensorFlow Datasets has prepared; see vtab data status.",
        )


def selections(image_set: ImageSet, folder: Path) -> list[str]:
    """Returns the names of the splits that were prepared for other numbers of training examples.

    Args:
        image_set: The declaration.
        folder: Of a variant in the cache.
    """
    found = (path.name for whole in WHOLE if whole in image_set.splits for path in folder.glob(f"{whole}-*"))
    return sorted(name for name in found if name not in image_set.splits)


def with_selections(image_set: ImageSet, folder: Path, splits: Sequence[str]) -> ImageSet:
    """Returns the declaration with those of the splits that are `selections`, so that they can be opened and verified.

    Raises:
        DataError: The description of such a split is damaged, or names examples that are not of the whole split.
    """
    return _declare(image_set, _written_down(image_set, folder, set(splits) & set(selections(image_set, folder))))


def _declare(image_set: ImageSet, extra: Declared) -> ImageSet:
    return replace(image_set, splits={**image_set.splits, **extra})


def _drawn(image_set: ImageSet, examples: TrainExamples) -> tuple[tuple[Slice, ...], tuple[Slice, ...]]:
    """Returns what a number of labels trains and chooses on."""
    each, both = examples.shares_of(image_set), [part for name in WHOLE for part in image_set.splits[name]]
    positions = draw_positions(image_set.size("train"), image_set.size("val"), each, examples.draw)
    return slices_at(both, positions[0]), slices_at(both, positions[1])


def _declare_shots(tasks: Sequence[Task], shots: int, draw: int, names: Names, choice: Choice) -> ImageSet:
    """Adds the splits that the labels decide."""
    image_set = tasks[0].image_set
    wanted = {split for pair in names.values() for split in pair}
    chosen = dict(_written_down(image_set, choice.folder, wanted))
    if chosen.keys() == wanted:
        return _declare(image_set, chosen)
    source = choice.source()
    resolved = examples_by_split(image_set, source, WHOLE) if chosen.keys() != wanted else {}
    annotations = {whole: gather_annotations(image_set, source, found) for whole, found in resolved.items()}
    for task in tasks:
        for whole, split, count in zip(WHOLE, names[task.name], shares(shots), strict=True):
            if split in chosen:
                continue
            try:
                labels = task.label(annotations[whole])
            except KeyError as error:
                raise DataError(
                    f"{image_set.name}: the source that was found lacks the annotation {error.args[0]!r}."
                ) from error
            chosen[split] = slices_at(image_set.splits[whole], of_each_class(labels, count, draw))
    return _declare(image_set, chosen)


def _written_down(image_set: ImageSet, folder: Path, splits: set[str]) -> Declared:
    """Returns the slices of those splits that are prepared already, as their manifests have them."""
    found = {}
    for split in sorted(splits):
        if (folder / split).is_dir():
            try:
                slices = tuple(Slice(*part) for part in Manifest.load(folder / split).slices)
            except PluginError as error:
                raise damaged(folder / split, f"names examples that there cannot be: {error.message}") from error
            # Another draw may go on in the other split.
            own = WHOLE if "-draw" in split else (split.partition("-")[0],)
            if not within(slices, [part for name in own for part in image_set.splits[name]]):
                raise damaged(folder / split, f"holds other examples than {image_set.name} is declared to have")
            found[split] = slices
    return found


def _short_classes(prepared: PreparedSet, splits: tuple[str, str], task: Task, shots: int) -> int:
    """Returns how many classes have fewer labels than asked for.

    Raises:
        DataError: One has more: this was prepared under another label rule.
    """
    total = np.zeros(task.num_classes, dtype=np.int64)
    for split, allowed in zip(splits, shares(shots), strict=True):
        counts = np.bincount(prepared.labels(split, task.label), minlength=task.num_classes)
        if counts.max() > allowed or len(counts) > task.num_classes:
            raise damaged(prepared.folder / split, f"does not hold up to {allowed} examples a class of {task.name}")
        total += counts
    return int((total < shots).sum())
