"""The backbone that was loaded last, served again as long as nothing that it came from has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vtab_harness.api.backbones import Backbone
from vtab_harness.backbones.spec import load


def contents(paths: Iterable[Path]) -> dict[Path, str]:
    """Returns what some files hold: absolute path -> sha256 (hex) of the bytes.

    A folder stands for the names in it, because a file that appears may be one that would be preferred. What cannot be
    read counts as absent.
    """
    return {path.absolute(): _content(path) for path in paths}


def _content(path: Path) -> str:
    try:
        if path.is_dir():
            # Names may hold bytes that are no text.
            names = b"\0".join(sorted(os.fsencode(child.name) for child in path.iterdir()))
            return hashlib.sha256(names).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    # ValueError: a path with a null character.
    except (OSError, ValueError):
        return "absent"


@dataclass(slots=True)
class _Kept:
    """What is held: one backbone, because a large one fills a device.

    Attributes:
        spec: As it was asked for.
        folder: Where relative paths began.
        backbone: As it was loaded; its module may have been moved to a device since.
        sweep: Number of the sweep that it was loaded in; 0 outside of any.
    """

    spec: str
    folder: Path
    backbone: Backbone
    sweep: int


_kept: _Kept | None = None
_sweeps = 0  # begun so far
_sweep = 0  # the present one


@contextmanager
def one_sweep() -> Iterator[None]:
    """Inside, a backbone whose source cannot name its files is loaded once, and not for every job."""
    global _sweep, _sweeps
    before = _sweep
    _sweeps += 1
    _sweep = _sweeps
    try:
        yield
    finally:
        _sweep = before


def load_backbone(spec: str) -> Backbone:
    """Loads a backbone, or returns the one that was loaded last if loading would give the same again.

    It would where the spec, the folder that relative paths begin in, and the bytes of all its files are the same. One
    whose source cannot name its files is loaded anew, except within `one_sweep`.

    Raises:
        VtabError: It cannot be loaded.
    """
    global _kept
    folder = Path.cwd()
    kept, _kept = _kept, None
    if kept is not None and (kept.spec, kept.folder) == (spec, folder) and _is_current(kept):
        _kept = kept
        return kept.backbone
    # Two large ones may not fit into memory.
    del kept
    backbone = load(spec)
    # A file that changed while it was read may have been read as it was or as it is.
    if backbone.files is None or _unchanged(backbone.files):
        _kept = _Kept(spec, folder, backbone, _sweep)
    return backbone


def _is_current(kept: _Kept) -> bool:
    files = kept.backbone.files
    return 0 < kept.sweep == _sweep if files is None else _unchanged(files)


def _unchanged(files: Mapping[Path, str]) -> bool:
    return contents(files) == dict(files)
