"""The code of a ``python:`` backbone: what identifies it, and imports that run exactly what was identified."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType

from vtab_harness.api.errors import OptionError
from vtab_harness.backbones.imports import ModuleFile, digest, installed_digest, own_modules


def _digest(name: str, files: Mapping[str, ModuleFile]) -> str | None:
    if name == "__main__":
        return None
    return digest({file.relative: file.sha256 for file in files.values()}) if files else installed_digest(name)


@contextmanager
def exact_imports(name: str) -> Iterator[str | None]:
    """Inside, imports of a module and of all its own modules run the bytes that its digest was made of.

    They are imported anew where one of them has changed since, or where something else imported them before: nobody
    knows then which bytes they were made from. What something else imported is back in ``sys.modules`` afterwards.

    Args:
        name: Dotted name of the module.

    Yields:
        The sha256 (hex) over the module and all that it imports from its own folder: relative names and bytes of the
        files alone decide, compiled extensions included; of an installed package, all its modules count.
        `vtab_harness.backbones.imports` says what is found. None where the module has no file: it was made in a running
        interpreter, or is part of it.

    Raises:
        OptionError: A compiled extension has changed, which a running interpreter cannot load again.
    """
    files = {} if name == "__main__" else own_modules(name)
    _check_compiled(files)
    if not _kept.holds():
        _kept.clear()
    sources = {key: file for key, file in files.items() if file.source is not None}
    others = {key: module for key in sorted(sources) if (module := _take_out(key)) is not None}
    _put_in({key: module for key, module in _kept.modules.items() if key in sources})
    finder = _Finder(sources)
    sys.meta_path.insert(0, finder)
    try:
        yield _digest(name, files)
    finally:
        sys.meta_path.remove(finder)
        made = {key: sys.modules[key] for key in sources if key in sys.modules}
        if name in made:
            _kept.closures[name] = files
            _kept.modules.update(made)
        else:
            # Its import failed halfway.
            for key in sorted(made):
                _take_out(key)
        _put_in({key: module for key, module in others.items() if not _is_exact(module)})


def _take_out(name: str) -> ModuleType | None:
    """Takes a module out of ``sys.modules`` and off the package that it lies in, if that stays, and returns it.

    ``from package import module`` looks on the package first.
    """
    parent, _, leaf = name.rpartition(".")
    above = sys.modules.get(parent)
    if above is not None and isinstance(vars(above).get(leaf), ModuleType):
        delattr(above, leaf)
    return sys.modules.pop(name, None)


def _put_in(modules: Mapping[str, ModuleType]) -> None:
    for name in sorted(modules):  # packages before what lies in them
        sys.modules[name] = modules[name]
        parent, _, leaf = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], leaf, modules[name])


@dataclass(slots=True)
class _Kept:
    """Modules that were imported exactly, used again as long as nothing that any of them reaches has changed.

    Attributes:
        closures: The files that each module asked for was imported from.
        modules: By name.
    """

    closures: dict[str, dict[str, ModuleFile]] = field(default_factory=dict)
    modules: dict[str, ModuleType] = field(default_factory=dict)

    def holds(self) -> bool:
        try:
            # One that was reloaded since has another loader.
            return all(map(_is_exact, self.modules.values())) and all(
                own_modules(name) == files for name, files in self.closures.items()
            )
        except OSError:
            return False

    def clear(self) -> None:
        for files in self.closures.values():
            for file in files.values():
                # TorchScript compiles the lines that are found here.
                linecache.cache.pop(str(file.path), None)
        for name, module in sorted(self.modules.items()):
            if sys.modules.get(name) is module and _is_exact(module):
                _take_out(name)
        self.closures.clear()
        self.modules.clear()


_kept = _Kept()
_compiled: dict[str, tuple[str, str]] = {}


def _check_compiled(files: Mapping[str, ModuleFile]) -> None:
    for file in files.values():
        if file.source is None:
            loaded = _compiled.get(file.name) if file.name in sys.modules else None
            if loaded is not None and loaded != (str(file.path), file.sha256):
                raise OptionError(
                    f"The compiled module {file.path} has changed since it was loaded into this process, and cannot be "
                    "loaded again.",
                    "Restart the interpreter.",
                )
            _compiled[file.name] = (str(file.path), file.sha256)


def _is_exact(module: ModuleType | None) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _Loader)


class _Loader(SourceFileLoader):
    """Runs the bytes that were hashed: not a file that has changed since, nor what was compiled from an older one."""

    def __init__(self, file: ModuleFile) -> None:
        super().__init__(file.name, str(file.path))
        self._source = file.source or b""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._source, self.path)
        return code

    def get_data(self, path: str) -> bytes:
        return self._source if path == self.path else super().get_data(path)

    def exec_module(self, module: ModuleType) -> None:
        # Submodules that stay loaded (compiled ones do) would not be set on the new package by their import.
        for name, child in list(sys.modules.items()):
            parent, _, leaf = name.rpartition(".")
            if parent == module.__name__:
                setattr(module, leaf, child)
        super().exec_module(module)


class _Finder:
    """Finds modules whose bytes are known before anything else does.

    Args:
        files: By dotted name.
    """

    def __init__(self, files: Mapping[str, ModuleFile]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        # With a target it is a reload, whose caller wants the file as it is now.
        if file is None or target is not None:
            return None
        return spec_from_file_location(fullname, file.path, loader=_Loader(file))
