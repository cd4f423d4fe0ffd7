"""Study files: options in TOML, to be kept beside the results."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

from vtab_harness.api.errors import OptionError, near_names
from vtab_harness.api.settings import options_of
from vtab_harness.api.values import read_value
from vtab_harness.formats.toml_file import read_toml


def read_study(path: Path, settings: type[Any]) -> dict[str, Any]:
    """Reads a study file; relative folders in it count from the folder that it lies in.

    Args:
        path: The file.
        settings: The dataclass whose options it may hold.

    Returns:
        Name of an option -> its value; what is not given is not there.

    Raises:
        OptionError: It is missing, not TOML, has an unknown key (the nearest are named) or a wrong type.
    """
    content = read_toml(path, "--study")
    known = [f.name for f in options_of(settings)]
    hints = typing.get_type_hints(settings)
    base = path.resolve().parent
    for key, value in content.items():
        if key not in known:
            close = near_names(key, known)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"It may have: {', '.join(known)}."
            raise OptionError(f"--study {path}: unknown key {key!r}.", hint)
        # These have readers of their own.
        read = value if key in ("seeds", "train_examples") else read_value(f"--study {path}: {key}", value, hints[key])
        if isinstance(read, Path):
            read = base / read
        elif isinstance(read, tuple):
            read = tuple(base / part if isinstance(part, Path) else part for part in read)
        content[key] = read
    return content
