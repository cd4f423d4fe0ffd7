"""What rows are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

_STEP = re.compile(r"(?:^|[/_-])step[-_]?(\d{1,12})(?=$|[/.])", re.IGNORECASE)


def pretraining_step(spec: str) -> int | None:
    """Returns the step that a spec names, as in ``local-dir:runs/vivi/step-00005000``, else None."""
    found = _STEP.findall(spec)
    return int(found[-1]) if found else None


def row_names(backbones: Sequence[tuple[str, str, str]]) -> list[str]:
    """Returns a name for each backbone, as short as tells them apart.

    Tried in turn, for those that are still alike: the last part of the name, without and with its module, the last two
    parts, the spec without its options, the whole spec, the spec with the weights, and at last with the folder.

    Args:
        backbones: (folder name, spec, sha256 of the weights); the folder names differ.
    """
    forms: list[Callable[[str, str, str], str]] = [
        lambda key, spec, weights: _last_parts(spec, 1).rpartition(":")[2],
        lambda key, spec, weights: _last_parts(spec, 1),
        lambda key, spec, weights: _last_parts(spec, 2),
        lambda key, spec, weights: spec.partition("?")[0],
        lambda key, spec, weights: spec,
        lambda key, spec, weights: f"{spec} ({weights[:8]})",
        lambda key, spec, weights: f"{spec} ({key})",
    ]
    names = [""] * len(backbones)
    open_ = list(range(len(backbones)))
    for form in forms:
        tried = {i: form(*backbones[i]) for i in open_}
        counts = Counter([*tried.values(), *filter(None, names)])
        for i in open_:
            if tried[i].strip() and counts[tried[i]] == 1:
                names[i] = tried[i]
        open_ = [i for i in open_ if not names[i]]
    for i in open_:
        names[i] = backbones[i][0]
    return names


def _last_parts(spec: str, parts: int) -> str:
    name = spec.partition("?")[0].partition(":")[2] or spec.partition("?")[0]
    return "/".join(part for part in name.rstrip("/").split("/")[-parts:])
