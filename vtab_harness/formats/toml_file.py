"""TOML files that a person writes: study files, settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import OptionError

_MAX_BYTES = 1 << 20


def read_toml(path: Path, option: str) -> dict[str, Any]:
    """Reads a TOML file.

    Args:
        path: The file.
        option: That named it, for messages: ``--study``.

    Raises:
        OptionError: It is missing, not TOML, far too large, or holds a number of more than 64 bits.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise OptionError(f"{option} {path}: larger than any such file.", "Check the path.")
        values = tomllib.loads(content.decode())
        _check_numbers(values)
    except OSError as error:
        raise OptionError(f"{option} {path}: {error.strerror}.") from error
    # ValueError is what UnicodeDecodeError and TOMLDecodeError are, and what a number of too many digits gives.
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
