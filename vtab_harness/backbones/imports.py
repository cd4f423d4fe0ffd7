"""Which modules a module imports from its own folder, read from their files: nothing is run.

A module's own folder is the entry of ``sys.path`` that it is found under. Python's own finders say where a name leads;
the imports of a file are those in its syntax tree, wherever they stand in it. Of an import whose name is computed
(``import_module(f"models.{name}")``) every module that it could mean is taken.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path

from vtab_harness.backbones.import_statements import Imports, read_imports

# The harness and what it stands on, which may lie in a person's folder as checkouts; records name their versions.
FOUNDATIONS = frozenset({"vtab_harness", "vivi_pretrain", "leaderboards", "torch", "torchvision", "timm", "numpy"})
_LIBRARY = [Path(os.path.realpath(sysconfig.get_path(key))) for key in ("stdlib", "platstdlib")]
_LOADERS: list[tuple[type, list[str]]] = [
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
]


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A module as it lies on disk.

    Attributes:
        name: Dotted.
        path: Absolute.
        relative: Path from the own folder on, with slashes.
        sha256: Of its bytes.
        source: Its bytes, or None where it is compiled.
    """

    name: str
    path: Path
    relative: str
    sha256: str
    source: bytes | None


def installed(path: Path) -> bool:
    """Says whether a file or folder belongs to an installed package or to Python itself."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts) or any(map(path.is_relative_to, _LIBRARY))


def own_modules(name: str) -> dict[str, ModuleFile]:
    """Returns a module and all that it reaches by imports within its own folder, by name.

    Installed packages, the harness and Python's own modules are never among them. A file with an error in its syntax
    is, but what it would import is not.

    Args:
        name: Dotted name of the module.

    Returns:
        Empty where the module is installed, has no file, or does not exist.
    """
    importlib.invalidate_caches()
    return _Reach(name).files


def installed_digest(name: str) -> str | None:
    """Returns the sha256 (hex) over all modules of an installed top-level package, as they were when first asked for.

    Args:
        name: Dotted name of a module in it.

    Returns:
        None where it is not installed or has no files.
    """
    top = name.partition(".")[0]
    spec = _top_level(top)
    if spec is None or spec.origin is None:
        return None
    places = tuple(spec.submodule_search_locations or [spec.origin])
    if top not in FOUNDATIONS and not all(installed(Path(place)) for place in places):
        return None
    return _package_digest(top, places)


@lru_cache
def _package_digest(name: str, places: tuple[str, ...]) -> str | None:
    # Without libraries, which are gigabytes and change with the version that a source file names.
    found = [(n, path) for place in places for n, path in _modules_in(place, name) if path.suffix == ".py"]
    found += [(name, Path(place)) for place in places if Path(place).is_file()]
    return digest({name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found}) if found else None


def digest(files: dict[str, str]) -> str:
    """Returns one sha256 (hex) for several files, given as relative name -> sha256, in any order."""
    return hashlib.sha256("".join(f"{name}\n{files[name]}\n" for name in sorted(files)).encode()).hexdigest()


class _Reach:
    """Follows imports from one module on.

    Args:
        root: Dotted name.

    Attributes:
        files: What was found, by dotted name.
    """

    def __init__(self, root: str) -> None:
        self.files: dict[str, ModuleFile] = {}
        self._specs: dict[str, ModuleSpec | None] = {}
        self._top = root.partition(".")[0]
        spec = self._spec(root)
        path = None if spec is None else _file(spec)
        if spec is None or path is None:
            return
        self._own = _folder(spec, path)
        if self._top in FOUNDATIONS or installed(self._own):
            return
        seen: set[str] = set()
        waiting = [root]
        while waiting:
            # Importing a module runs the packages that it lies in first.
            parts = waiting.pop().split(".")
            for name in (".".join(parts[: count + 1]) for count in range(len(parts))):
                if name not in seen:
                    seen.add(name)
                    waiting += self._take(name)

    def _spec(self, name: str) -> ModuleSpec | None:
        if name not in self._specs:
            parent = name.rpartition(".")[0]
            if not parent:
                self._specs[name] = _top_level(name)
            else:
                above = self._spec(parent)
                folders = None if above is None else above.submodule_search_locations
                self._specs[name] = None if folders is None else _below(name, list(folders))
        return self._specs[name]

    def _take(self, name: str) -> Iterator[str]:
        """Keeps a module if it is the person's own, and yields the names that it imports."""
        top = name.partition(".")[0]
        if top in FOUNDATIONS or (top != self._top and _taken_by_library(top)):
            return
        spec = self._spec(name)
        path = None if spec is None else _file(spec)
        if spec is None or path is None:
            return
        folder = _folder(spec, path)
        if installed(folder) or (folder != self._own and top != self._top):
            return
        content = path.read_bytes()
        source = content if path.name.endswith(tuple(SOURCE_SUFFIXES)) else None
        is_package = spec.submodule_search_locations is not None
        parts = name.split(".")
        relative = "/".join([*(parts if is_package else parts[:-1]), path.name])
        self.files[name] = ModuleFile(name, path, relative, hashlib.sha256(content).hexdigest(), source)
        if source is not None:
            yield from self._imported(name if is_package else name.rpartition(".")[0], read_imports(source))

    def _imported(self, package: str, found: Imports) -> Iterator[str]:
        for level, module, names in found.statements:
            parts = package.split(".") if level and package else []
            base = ".".join([*parts[: len(parts) - level + 1], *filter(None, [module])])
            if level > len(parts) or not all(base.split(".")) or "\0" in base:
                continue  # Python refuses it as well
            yield base
            for name in names if names != ("*",) else self._exported(base):
                yield f"{base}.{name}"
        for prefix in found.computed:
            yield from self._everything(prefix or self._top)

    def _exported(self, name: str) -> tuple[str, ...]:
        """Returns what ``from name import *`` takes; submodules among it are imported."""
        spec = self._spec(name)
        path = None if spec is None else _file(spec)
        if path is None or not path.name.endswith(tuple(SOURCE_SUFFIXES)) or name.partition(".")[0] in FOUNDATIONS:
            return ()
        return read_imports(path.read_bytes()).exported

    def _everything(self, package: str) -> Iterator[str]:
        """Yields all modules of a package; of the root where it lies in none, all beside it."""
        spec = self._spec(package)
        if spec is None or package.partition(".")[0] in FOUNDATIONS:
            return
        if spec.submodule_search_locations is not None:
            for folder in spec.submodule_search_locations:
                if not installed(Path(folder)):
                    yield from (name for name, _ in _modules_in(folder, package))
            return
        for path in sorted(self._own.iterdir()):
            if path.name.isidentifier() and (path / "__init__.py").is_file():
                yield from (name for name, _ in _modules_in(path, path.name))
            elif (name := _module_name(path.name)) is not None:
                yield name


def _top_level(name: str) -> ModuleSpec | None:
    # Not importlib.util.find_spec, which answers with the module that happens to be imported already.
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = None if find is None else find(name, None)
        if spec is not None:
            return spec
    return None


def _below(name: str, folders: list[str]) -> ModuleSpec | None:
    """Finds a submodule; Python's own search would have to import the packages above it."""
    portions: list[str] = []
    for folder in folders:
        spec = FileFinder(folder, *_LOADERS).find_spec(name)
        if spec is not None and spec.loader is not None:
            return spec
        portions += [] if spec is None else list(spec.submodule_search_locations or ())
    if not portions:
        return None
    namespace = ModuleSpec(name, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace


def _file(spec: ModuleSpec) -> Path | None:
    path = Path(spec.origin).absolute() if spec.origin and spec.has_location else None
    return path if path is not None and path.is_file() else None


def _folder(spec: ModuleSpec, path: Path) -> Path:
    """Returns the folder that the first part of a module's name lies in."""
    depth = spec.name.count(".") + (spec.submodule_search_locations is not None)
    return Path(os.path.realpath(path.parents[min(depth, len(path.parents) - 1)]))


def _taken_by_library(name: str) -> bool:
    """Says whether a name is already imported from Python's library: a file of this name beside has no say then."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return name in sys.stdlib_module_names and name in sys.modules and (file is None or installed(Path(file)))


def _module_name(filename: str) -> str | None:
    suffixes = [suffix for suffix in SOURCE_SUFFIXES + EXTENSION_SUFFIXES if filename.endswith(suffix)]
    stem = filename[: -max(map(len, suffixes))] if suffixes else ""
    return stem if stem.isidentifier() else None


def _modules_in(folder: str | Path, package: str) -> Iterator[tuple[str, Path]]:
    """Yields dotted name and path of all modules under a package's folder."""
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name.isidentifier() and name != "__pycache__")
        parts = [package, *Path(place).relative_to(folder).parts]
        for file in sorted(files):
            name = _module_name(file)
            if name is not None:
                yield ".".join(parts if name == "__init__" else [*parts, name]), Path(place) / file
