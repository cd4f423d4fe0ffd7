"""The files that ship with an image set and say which examples and labels VTAB-1k's splits have.

``certificate.json`` holds the sha256 of the newline-joined keys, of the labels by task (as decimals) and, where known,
of the decoded pixels, in example order, each with where it comes from. ``order.txt``
lists the keys of train800 and val200.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from vtab_harness.api.data import ImageSet


def certificate_of(image_set: ImageSet) -> Mapping[str, Any]:
    """Returns the content of ``certificate.json``; nothing where there is none."""
    return _loaded(image_set.certificate) if image_set.certificate else {}


def certified_labels(image_set: ImageSet, task: str | None, split: str) -> str | None:
    """Returns the sha256 (hex) of the labels that a task has in a split; None where it is not known."""
    found = certificate_of(image_set).get("labels", {}).get(task, {}).get(split)
    return None if found is None else str(found["sha256"])


def certified_order(image_set: ImageSet) -> Mapping[str, Sequence[str]]:
    """Returns the keys of train800 and val200 in order, as they are published; nothing where they are not."""
    return _order(image_set.certificate) if image_set.certificate else {}


@cache
def _order(package: str) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for line in resources.files(package).joinpath("order.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            keys = found.setdefault(line.removeprefix("# "), [])
        else:
            keys.append(line)
    return found


@cache
def _loaded(package: str) -> Mapping[str, Any]:
    text = resources.files(package).joinpath("certificate.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded
