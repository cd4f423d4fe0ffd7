"""Options, each declared once.

A field of a frozen dataclass is an option: its type, its default, and one sentence. From that are made the option of
the command line, the key of a study file, the argument in Python, the block of a record, and the table in
docs/options.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar

from vtab_harness.api.errors import OptionError
from vtab_harness.api.identity import plain_json
from vtab_harness.api.train_examples import TrainExamples
from vtab_harness.api.values import LEAST, MOST, read_fields

HELP, FLAGS, METAVAR, POSITIONAL, HIDDEN = "help", "flags", "metavar", "positional", "hidden"
"""Keys of the metadata of a field that is an option; with `LEAST` and `MOST`."""
REQUIRED: Any = MISSING
"""In place of a default."""
Part = TypeVar("Part")


def option(
    default: Any,
    sentence: str,
    *flags: str,
    least: float | None = None,
    most: float | None = None,
    metavar: str | None = None,
    positional: bool = False,
    hidden: bool = False,
) -> Any:
    """Declares an option.

    Args:
        default: Its value where it is not given; `REQUIRED` where it has to be.
        sentence: What it is, for people; the default is added where it is shown.
        *flags: Of the command line, where they are not ``--`` and the name, or ``--x/--no-x`` of a bool.
        least: Smallest value of a number.
        most: Largest.
        metavar: What help shows in the place of a value.
        positional: Whether the command line takes it without a flag.
        hidden: Whether help leaves it out, because programs give it and people do not.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Trees(Settings):
        ...     count: int = option(10, "How many trees.", "--trees", least=1)
        >>> Trees(count="20")
        Trees(count=20)
    """
    metadata: dict[str, Any] = {HELP: sentence, FLAGS: flags, LEAST: least, MOST: most}
    metadata |= {METAVAR: metavar, POSITIONAL: positional, HIDDEN: hidden}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def argument(sentence: str, metavar: str | None = None, default: Any = REQUIRED) -> Any:
    """Declares an option that the command line takes without a flag.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Plant(Settings):
        ...     kind: str = argument("Of tree.")
        >>> Plant("oak")
        Plant(kind='oak')
    """
    return option(default, sentence, metavar=metavar, positional=True)


def required(f: Field[Any]) -> bool:
    """Returns whether an option has to be given.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Plant(Settings):
        ...     kind: str = argument("Of tree.")
        >>> [required(field) for field in options_of(Plant)]
        [True]
    """
    return f.default is MISSING and f.default_factory is MISSING


def options_of(settings: type[Any]) -> list[Field[Any]]:
    """Returns the fields of a dataclass that are options: its own in order, then those that it inherits.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Plant(Settings):
        ...     kind: str = argument("Of tree.")
        ...     count: int = option(1, "How many.")
        >>> [field.name for field in options_of(Plant)]
        ['kind', 'count']
    """
    own = inspect.get_annotations(settings)
    return sorted((f for f in fields(settings) if HELP in f.metadata), key=lambda f: f.name not in own)


def part_of(settings: Any, smaller: type[Part]) -> Part:
    """Returns the options that a class shares with settings of a larger one.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Plant(Settings):
        ...     kind: str = argument("Of tree.")
        >>> @dataclass(frozen=True)
        ... class Garden(Plant):
        ...     fence: bool = option(False, "Whether there is one.")
        >>> part_of(Garden("oak", fence=True), Plant)
        Plant(kind='oak')
    """
    return smaller(**{f.name: getattr(settings, f.name) for f in options_of(smaller)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command is told.

    Raises:
        OptionError: A value cannot be used; names the option.
    """

    def __post_init__(self) -> None:
        read_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSettings:
    """What a result is asked for with, whichever backbone, task and seed it is of."""

    protocol: str = option("linear", "Registered protocol; vtab list protocols has them.", "--protocol", "-p")
    set: Mapping[str, Any] = option({}, "Protocol settings that differ from its own: key=value; may be repeated.")
    train_examples: str = option(
        "1000", "Labels to learn from, those of the choice included: a number, 5-shot (a class), or all."
    )
    variant: str | None = option(None, "Data variant, where several are prepared; see vtab data status.")
    device: str = option("auto", "auto, cpu, cuda:0.")
    precision: str = option("auto", "Number format of the network: auto (bf16 on CUDA), fp32, bf16.")
    tf32: bool = option(False, "Let CUDA round fp32 products to TF32.")
    deterministic: bool = option(False, "Make an operator that is not repeatable on this device an error.")
    compile: bool | None = option(None, "Send trained networks through torch.compile; by default on CUDA.")
    batch_size: int = option(64, "Images a forward pass in extraction and prediction.")
    micro_batch: int | None = option(
        None, "Images at once in training, the gradients of a step added up; by default a whole step's."
    )

    def __post_init__(self) -> None:
        """Reads every value as the type of its field, and checks what can be checked without loading anything.

        Raises:
            OptionError: A value cannot be used; names the option.
        """
        object.__setattr__(self, "train_examples", str(TrainExamples.parse(self.train_examples)))
        read_fields(self)
        try:
            object.__setattr__(self, "set", plain_json(self.set))
        except (TypeError, ValueError) as error:
            raise OptionError(f"--set: {error}.", "Give numbers, text, true or false, and lists of these.") from error
        for name in ("batch_size", "micro_batch"):
            value = getattr(self, name)
            if value is not None and not 1 <= value < 2**31:
                raise OptionError(f"--{name.replace('_', '-')} {value}: must be 1 or more.")
