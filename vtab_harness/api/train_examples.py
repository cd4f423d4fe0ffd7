"""Which labelled examples a protocol learns from: VTAB-1k's 1000, another number, some of each class, or all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from vtab_harness.api.data import ImageSet
from vtab_harness.api.errors import OptionError

WHOLE = ("train", "val")
"""The splits that are learned from, training first; all of them are the full-data protocol of VTAB."""
_HINT = "Give all, a number of labels such as 2000, or a number for each class such as 5-shot."


@dataclass(frozen=True, slots=True)
class TrainExamples:
    """How many labels a protocol may learn from, those that its choice is made on included.

    Without arguments VTAB-1k's 1000; with ``number=None`` all there are.

    Attributes:
        number: Labels in all; None where that follows from the data.
        shots: Labels a class; None where classes do not matter.
    """

    number: int | None = 1000
    shots: int | None = None

    @classmethod
    def parse(cls, value: object) -> Self:
        """Reads what a person gave: ``all``, ``2000`` or ``5-shot``.

        Raises:
            OptionError: It is none of these, or fewer than 2, one to train on and one to choose on.
        """
        text = str(value).strip().lower()
        if text == "all":
            return cls(None)
        # A number with more digits than this is a slip, and Python would refuse to read one with thousands.
        found = re.fullmatch(r"([0-9]{1,12})(-shot)?", text)
        if found is None or isinstance(value, bool):
            raise OptionError(f"--train-examples {value}: not a number of examples.", _HINT)
        count = int(found[1])
        if count < 2:
            what = "labels a class" if found[2] else "labels"
            raise OptionError(
                f"--train-examples {value}: at least 2 {what} are needed, one to train on and one to choose on.", _HINT
            )
        return cls(None, count) if found[2] else cls(count)

    def __str__(self) -> str:
        """Returns it as a person gives it."""
        if self.shots is not None:
            return f"{self.shots}-shot"
        return "all" if self.number is None else str(self.number)

    @property
    def official(self) -> bool:
        """Whether these are the 1000 of VTAB-1k."""
        return self == TrainExamples()

    def in_words(self) -> str:
        """Returns it for titles, for instance ``5 labels a class``."""
        if self.shots is not None:
            return f"{self.shots} labels a class"
        return "all training labels" if self.number is None else f"{self.number} labels"

    def check(self, image_set: ImageSet) -> None:
        """Finds out from the declaration alone whether an image set has that many.

        Raises:
            OptionError: It has not, or it declares no whole training and validation split; names what it has.
        """
        if self.official:
            return
        if not set(WHOLE) <= set(image_set.splits):
            raise OptionError(
                f"--train-examples {self}: {image_set.name} declares no whole train and val split,"
                f" only {', '.join(image_set.splits)}.",
                "Leave --train-examples out, or choose tasks that have both.",
            )
        if self.number is not None:
            train, validation = image_set.size("train"), image_set.size("val")
            wanted = shares(self.number)
            if wanted[0] > train or wanted[1] > validation:
                raise OptionError(
                    f"--train-examples {self}: {image_set.name} has {train} training and {validation} validation"
                    f" examples, and {wanted[0]} and {wanted[1]} are wanted.",
                    f"It allows {most(train, validation)} at most; all takes everything.",
                )

    def sizes(self, image_set: ImageSet, num_classes: int) -> tuple[int, int]:
        """Returns how many examples are trained and chosen on; of a number for each class, the most it can be."""
        if self.official:
            return image_set.size("train800"), image_set.size("val200")
        train, validation = (image_set.size(split) for split in WHOLE)
        if self.shots is not None:
            each = shares(self.shots)
            return min(each[0] * num_classes, train), min(each[1] * num_classes, validation)
        return (train, validation) if self.number is None else shares(self.number)


def shares(total: int) -> tuple[int, int]:
    """Splits a number of labels, 2 or more, as VTAB-1k does: four fifths to train on, the rest, at least 1, to choose.

    Four fifths of a whole number never end in one half, so that rounding needs no rule for it.

    Examples:
        >>> shares(1000), shares(2)
        ((800, 200), (1, 1))
    """
    train = min(max((8 * total + 5) // 10, 1), total - 1)
    return train, total - train


def most(train: int, validation: int) -> int:
    """Returns the largest number whose `shares` are within both.

    Examples:
        >>> most(train=4_000, validation=500)
        2502
    """
    # Both shares grow with the number.
    low, high = 1, train + validation
    while low < high:
        middle = (low + high + 1) // 2
        wanted = shares(middle)
        fits = wanted[0] <= train and wanted[1] <= validation
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
