"""Errors a person can mend: each says what is wrong, names the file or option, and says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VtabError(Exception):
    """Base of every error that the command line prints as a message instead of a traceback.

    Attributes:
        message: What is wrong, naming the file, option or name.
        hint: What to do about it, or None where the message says it.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\n{hint}")
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[VtabError], tuple[str, str | None]]:
        """Survives the trip between processes with both its parts."""
        return type(self), (self.message, self.hint)


class UnknownNameError(VtabError):
    """A name that no built-in and no installed plugin owns."""


class PluginError(VtabError):
    """A plugin that cannot be imported, breaks the contract of its kind, or claims a name that another one owns."""


class OptionError(VtabError):
    """An option, setting or study key with a value that cannot be used."""


class CheckpointError(VtabError):
    """Weights that are missing, damaged, unsafe, non-finite, or of another architecture."""


class OfflineError(VtabError):
    """Something would have to be downloaded and cannot be."""


class DataError(VtabError):
    """A data set that is missing, incomplete or damaged; names the file."""


class NotFoundError(DataError):
    """Data that is in none of the places searched, or that needs a package which is not there: other data may serve."""


class StorageError(VtabError):
    """A results or cache folder that cannot be written, or holds something unexpected."""


class DeviceError(VtabError):
    """A device that does not exist or cannot do what was asked."""


def near_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Returns the known names closest to a mistyped one, best first.

    Examples:
        >>> near_names("caltech", ["caltech101", "cifar100", "svhn"])
        ['caltech101']
    """
    pool = list(known)
    close = difflib.get_close_matches(name, pool, n=limit, cutoff=0.55)
    return close or [k for k in pool if name and name.lower() in k.lower()][:limit]


def unknown_name(kind: str, name: str, known: list[str], where: str = "") -> UnknownNameError:
    """Builds the error for a name nobody owns, with the nearest names.

    Examples:
        >>> print(unknown_name("task", "caltech", ["caltech101", "svhn"]))
        Unknown task 'caltech'.
        Did you mean 'caltech101'?
    """
    close = near_names(name, known)
    if close:
        hint = "Did you mean " + " or ".join(repr(c) for c in close) + "?"
    else:
        hint = f"Known: {', '.join(known[:30]) or 'none'}."
    return UnknownNameError(f"Unknown {kind} {name!r}{where}.", hint)
