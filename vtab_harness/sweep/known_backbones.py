"""What a plan has to know of a backbone, kept in the cache folder so that no network is loaded for it again.

Layout: ``<cache>/backbones/<hash of the key>.json``. An entry is served only where loading would give the same again:

* The key is the same: the spec, the folder that relative paths begin in, the bytes of timm's and our own code, the
  version of torch, the processor (random weights are drawn with its instructions), and where published weights lie.
* Every file that the backbone came from has the bytes that it had: see `_File`.

Only the harness' own sources are remembered, and only backbones whose source names its files. A ``python:`` backbone,
and one of a plugin, is loaded whenever it is asked for. An entry that is damaged or of anything else counts as none;
one that is wrong all the same is found out and replaced when the backbone is next loaded for work.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from contextlib import suppress
from functools import cache as once
from importlib import metadata
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct

from vtab_harness import registry
from vtab_harness.api.backbones import Backbone, BackboneIdentity
from vtab_harness.api.errors import VtabError
from vtab_harness.backbones.imports import installed_digest
from vtab_harness.backbones.loaded import contents, load_backbone
from vtab_harness.backbones.spec import parse, source_name
from vtab_harness.formats.json_file import read_json
from vtab_harness.sweep.environment import processor
from vtab_harness.sweep.store import write_atomically

_SCHEMA = "vtab-harness/backbone/1"
_MOST = 1 << 20
"""Bytes of an entry."""
_PLACES = ("HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TORCH_HOME")
"""Environment variables that decide where published weights lie."""
_SETTLED = 2 * 10**9
"""Nanoseconds. Within a tick of the file system's clock a file may change twice and show one time."""


class KnownBackbone(Struct, frozen=True):
    """A backbone without its network.

    Attributes:
        identity: What makes its features what they are.
        parameters: Without a classifier.
        macs: Multiply-adds of one image, or None.
        depends_on_batch: Whether training it depends on how many images it sees at once.
    """

    identity: BackboneIdentity
    parameters: Annotated[int, Meta(ge=0)]
    macs: Annotated[int, Meta(ge=0)] | None
    depends_on_batch: bool

    @classmethod
    def of(cls, backbone: Backbone) -> Self:
        """Returns what is to be known of a loaded backbone."""
        from vtab_harness.engine.workbench import depends_on_batch

        return cls(backbone.identity(), backbone.parameters, backbone.macs, depends_on_batch(backbone.module))

    def same_as(self, other: KnownBackbone) -> bool:
        """Says whether another one stands for the same features and the same trained networks."""
        mine, theirs = (json.dumps(msgspec.to_builtins(known), sort_keys=True) for known in (self, other))
        return mine == theirs


class _File(Struct, frozen=True):
    """A file or folder that a backbone came from.

    The stamp (size, time of the last write and of the last change of any kind, inode) saves reading gigabytes again,
    and is a hint only: where it is another, or there is none, the bytes are compared. A file that was replaced by one
    with the same size and time of writing has another time of change, which nobody can set. Younger stamps than
    `_SETTLED` are not kept. What remains is a server whose clock is behind this machine's by more than that, while a
    file is replaced in the very moment that it is loaded.

    Attributes:
        path: Absolute.
        sha256: As `vtab_harness.backbones.loaded.contents` has it.
        stamp: When it was last compared, or None.
    """

    path: str
    sha256: str
    stamp: tuple[int, int, int, int] | None = None

    def checked(self) -> _File | None:
        """Returns this file with its present stamp if its bytes are the same, else None."""
        path, began = Path(self.path), time.time_ns()
        now = _stamp(path, began)
        if now is not None and now == self.stamp:
            return self
        return _File(self.path, self.sha256, now) if contents([path])[path] == self.sha256 else None


class _Entry(Struct, frozen=True):
    """One file of the cache."""

    key: dict[str, str]
    files: tuple[_File, ...]
    known: KnownBackbone
    schema: str = _SCHEMA


def know(spec: str, cache: Path) -> KnownBackbone:
    """Returns what is known of a backbone; loads it, and remembers it, where nothing is.

    Raises:
        VtabError: It cannot be loaded.
    """
    found = recall(spec, cache)
    return found if found is not None else load_and_remember(spec, cache)[1]


def load_and_remember(spec: str, cache: Path) -> tuple[Backbone, KnownBackbone]:
    """Loads a backbone, and puts what is known of it in the place of what was remembered.

    Raises:
        VtabError: It cannot be loaded.
    """
    began = time.time_ns()
    backbone = load_backbone(spec)
    known = KnownBackbone.of(backbone)
    key = _key(spec)
    if key is not None and backbone.files is not None and not _overridden(known.identity):
        files = (_File(str(path), sha256, _stamp(path, began)) for path, sha256 in backbone.files.items())
        _write(cache, _Entry(key, tuple(files), known))
    return backbone, known


def recall(spec: str, cache: Path) -> KnownBackbone | None:
    """Returns what is remembered of a backbone if loading it would give the same again, else None; loads nothing."""
    key = _key(spec)
    if key is None:
        return None
    try:
        entry: _Entry = read_json(_path(cache, key), _MOST, _Entry)
    except (OSError, ValueError):
        return None
    if entry.schema != _SCHEMA or entry.key != key or _overridden(entry.known.identity):
        return None
    files = []
    for file in entry.files:
        checked = file.checked()
        if checked is None:
            return None
        files.append(checked)
    if files != list(entry.files):
        _write(cache, msgspec.structs.replace(entry, files=tuple(files)))
    return entry.known


def _key(text: str) -> dict[str, str] | None:
    """Returns all that the backbone of a spec depends on beside its files; None where nobody can say."""
    try:
        source = source_name(parse(text))
        if source not in registry.backbones.names() or registry.backbones.owner(source) != registry.HARNESS:
            return None
    except VtabError:
        return None
    return {
        "spec": text,
        "folder": str(Path.cwd()),
        "source": source,
        "code": _code(),
        "processor": processor(),
        **{name: os.environ.get(name, "") for name in _PLACES},
    }


@once
def _code() -> str:
    return f"{installed_digest('vtab_harness')} {installed_digest('timm')} {metadata.version('torch')}"


def _path(cache: Path, key: dict[str, str]) -> Path:
    named = f"{key['spec']}\n{key['folder']}\n{key['processor']}".encode(errors="surrogateescape")
    return cache / "backbones" / f"{hashlib.sha256(named).hexdigest()[:32]}.json"


def _stamp(path: Path, began: int) -> tuple[int, int, int, int] | None:
    """Returns size, times and inode of a file that has not changed lately.

    Args:
        path: The file; folders and what is absent have no stamp.
        began: Time in nanoseconds before which it must have been as it is.
    """
    try:
        # Opened, because network file systems answer questions about closed files from memory.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    # ValueError: a path with a null character.
    except (OSError, ValueError):
        return None
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    if not stat.S_ISREG(status.st_mode) or changed > began - _SETTLED:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _overridden(identity: BackboneIdentity) -> bool:
    """Says whether this process has put an architecture of its own in the place of timm's."""
    timm, name = sys.modules.get("timm"), str(identity.architecture.get("name"))
    if timm is None or not timm.is_model(name):
        return False
    return not str(timm.models.model_entrypoint(name).__module__).startswith("timm.")


def _write(cache: Path, entry: _Entry) -> None:
    # A cache that cannot be written costs the time of loading again. UnicodeError: a path that is no text.
    with suppress(OSError, UnicodeError):
        write_atomically(_path(cache, entry.key), msgspec.json.encode(entry))
