"""Which labelled examples a protocol learns from: VTAB-1k's 1000, another number, some of each class, or all.

Of a number there are several draws that have no example in common. Draw 0 is the official one, the first of each split
in example order. What follows is our rule, as VTAB has none: draw d trains on the d-th 800 of the training examples and
chooses on the d-th 200 of the validation examples, counted from 0, in example order; where one of the two splits runs
out, it goes on from the end of the other, backwards. Of a number for each class, draw d takes the d-th of these of that
class in either split. Example order is that of the md5 of the keys, so that each is a random sample that all find.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
        draw: Which of the draws; 0 is the official one.
    """

    number: int | None = 1000
    shots: int | None = None
    draw: int = 0

    @classmethod
    def parse(cls, value: object) -> Self:
        """Reads what a person gave: ``all``, ``2000`` or ``5-shot``, with ``-draw2`` after it for another draw.

        Raises:
            OptionError: It is none of these, or fewer than 2, one to train on and one to choose on.
        """
        text = str(value).strip().lower()
        if text == "all":
            return cls(None)
        # A number with more digits than this is a slip, and Python would refuse to read one with thousands.
        found = re.fullmatch(r"([0-9]{1,12})(-shot)?(?:-draw([0-9]{1,3}))?", text)
        if found is None or isinstance(value, bool):
            raise OptionError(f"--train-examples {value}: not a number of examples.", _HINT)
        count = int(found[1])
        if count < 2:
            what = "labels a class" if found[2] else "labels"
            raise OptionError(
                f"--train-examples {value}: at least 2 {what} are needed, one to train on and one to choose on.", _HINT
            )
        draw = int(found[3] or 0)
        return cls(None, count, draw) if found[2] else cls(count, draw=draw)

    def __str__(self) -> str:
        """Returns it as a person gives it."""
        number = "all" if self.number is None else str(self.number)
        if self.shots is not None:
            number = f"{self.shots}-shot"
        return f"{number}-draw{self.draw}" if self.draw else number

    @property
    def official(self) -> bool:
        """Whether these are the 1000 of VTAB-1k."""
        return self == TrainExamples()

    def in_words(self) -> str:
        """Returns it for titles, for instance ``5 labels a class``."""
        draw = f", draw {self.draw}" if self.draw else ""
        if self.shots is not None:
            return f"{self.shots} labels a class{draw}"
        return "all training labels" if self.number is None else f"{self.number} labels{draw}"

    def draws(self, count: int) -> list[Self]:
        """Returns the first draws, this one first.

        Raises:
            OptionError: There is only one, as all labels are learned from, or this is one of several already.
        """
        if count > 1 and (self.draw or (self.number is None and self.shots is None)):
            raise OptionError(
                f"--draws {count}: --train-examples {self} is one draw.", "Leave one of the two options out."
            )
        return [replace(self, draw=self.draw + i) for i in range(count)]

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
            wanted = self.shares_of(image_set)
            if wanted[0] > train or wanted[1] > validation:
                raise OptionError(
                    f"--train-examples {self}: {image_set.name} has {train} training and {validation} validation"
                    f" examples, and {wanted[0]} and {wanted[1]} are wanted.",
                    f"It allows {most(train, validation)} at most; all takes everything.",
                )
            there = (train + validation) // sum(wanted)
            if self.draw >= there:
                draws = "1 draw" if there == 1 else f"{there} draws"
                raise OptionError(
                    f"--train-examples {self}: {image_set.name} has {train + validation} examples to learn from, which"
                    f" is {draws} of {sum(wanted)}.",
                    "Leave the task out, or give fewer --draws." if there > 1 else "Leave the task out, or --draws.",
                )

    def shares_of(self, image_set: ImageSet) -> tuple[int, int]:
        """Returns how many examples of a number are trained and chosen on; of 1000 as many as there are."""
        if self.number == TrainExamples().number:
            return image_set.size("train800"), image_set.size("val200")
        return shares(self.number or 0)

    def sizes(self, image_set: ImageSet, num_classes: int) -> tuple[int, int]:
        """Returns how many examples are trained and chosen on; of a number for each class, the most it can be."""
        if self.official:
            return image_set.size("train800"), image_set.size("val200")
        train, validation = (image_set.size(split) for split in WHOLE)
        if self.shots is not None:
            each = shares(self.shots)
            return min(each[0] * num_classes, train), min(each[1] * num_classes, validation)
        return (train, validation) if self.number is None else self.shares_of(image_set)


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
