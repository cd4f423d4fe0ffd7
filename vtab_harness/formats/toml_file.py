"""TOML files that a person writes: study files, settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import OptionError
from vtab_harness.formats.json_file import read_bounded

_MAX_BYTES = 1 << 20


def read_toml(path: Path, option: str) -> dict[str, Any]:
    """Reads a TOML file.

    Args:
        path: The file.
        option: That named it, for messages: ``--study``.

    Raises:
        OptionError: It is missing, not TOML, larger than a megabyte, or holds a number of more than 64 bits.
    """
    try:
        values = tomllib.loads(read_bounded(path, _MAX_BYTES).decode())
        _check_numbers(values)
    except OSError as error:
        raise OptionError(f"{option} {path}: {error.strerror}.") from error
    # Which UnicodeDecodeError and TOMLDecodeError are; a number of too many digits gives one as well.
    except ValueError as error:
        raise OptionError(f"{option} {path}: not a TOML file: {error}.") from error
    except RecursionError as error:
        raise OptionError(f"{option} {path}: nested too deeply.") from error
    return values


def _check_numbers(value: Any) -> None:
    """Refuses whole numbers that TOML itself does not allow for, and that Python would not even print."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_numbers(inner)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("it holds a number of more than 64 bits")
