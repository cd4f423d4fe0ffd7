"""The code of objects in a running interpreter: what identifies a class or module that no file tells about."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import dis
import enum
import functools
import hashlib
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vtab_harness.api.errors import OptionError
from vtab_harness.backbones.imports import FOUNDATIONS, digest, installed, own_modules

_SIMPLE = (type(None), bool, float, complex, str, bytes, bytearray, range, type(...), type(NotImplemented))
_BY_REPR = (torch.dtype, torch.device, torch.layout, torch.memory_format, types.GenericAlias, types.UnionType)
_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
# What Python keeps with a class, and what differs though the code is the same.
_OF_CLASSES = {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__"}
_OF_MODULES = set(vars(nn.Module()))
# What the weights came from and how images are brought to them stand in a backbone's identity by themselves.
_OF_TIMM = {"pretrained_cfg", "default_cfg"}


def object_digest(thing: object) -> str:
    """Returns the sha256 (hex) over the code of a function, class or module in memory, and over all that it uses.

    Counted are code, defaults, closures, attributes, base classes, and the global names that the code mentions, through
    all that is not from installed packages, which count by name. Numbers, strings, arrays and containers of them count
    by value. Where something stands in a file or in which order it was defined does not matter.

    Of an ``nn.Module`` its parameters and buffers are left out (the fingerprint of the weights covers them), its other
    attributes are not: ask before it runs if it keeps things in them.

    Raises:
        OptionError: It is nested too deeply.
    """
    found = _Digest(thing)
    try:
        found.add(thing)
    except RecursionError as error:
        name = getattr(thing, "__qualname__", type(thing).__qualname__)
        raise OptionError(f"{name} holds objects nested too deeply to be told from others.", "Simplify it.") from error
    return found.hexdigest()


class _Digest:
    """Walks through objects in an order that depends on nothing but themselves.

    Args:
        root: Where the walk begins.
    """

    def __init__(self, root: object) -> None:
        self._hash = hashlib.sha256()
        # Held, because the identity of an object that is gone may be another's.
        self._seen: dict[int, tuple[int, object]] = {}
        self._tree = {id(module) for module in root.modules()} if isinstance(root, nn.Module) else set()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def add(self, thing: Any) -> None:
        """Counts an object."""
        kind = type(thing)
        if kind in _SIMPLE or isinstance(thing, _BY_REPR) or kind.__module__ == "typing":
            self._say(kind.__name__, repr(thing))
        elif kind is int:
            self._say("int", hex(thing))
        elif isinstance(thing, (Tensor, np.ndarray, np.generic)):
            self._array(thing)
        elif isinstance(thing, enum.Enum):
            self._say("enum", thing.name)
            self.add(kind)
        elif isinstance(thing, PurePath):
            self._say("path", str(thing))
        elif isinstance(thing, re.Pattern):
            self._say("pattern", thing.pattern, thing.flags)
        elif isinstance(thing, types.CodeType):
            self._code(thing)
        elif isinstance(thing, (tuple, frozenset)) and kind in (tuple, frozenset):
            # Python may make one object of equal ones, so that it must not matter whether they are one.
            self._container(thing)
        elif id(thing) in self._seen:
            self._say("again", self._seen[id(thing)][0])
        else:
            self._seen[id(thing)] = (len(self._seen), thing)
            self._object(thing)

    def _say(self, *parts: object) -> None:
        self._hash.update(repr(parts).encode(errors="backslashreplace") + b"\n")

    def _object(self, thing: Any) -> None:
        kind = type(thing)
        if isinstance(thing, types.FunctionType):
            self._function(thing)
        elif isinstance(thing, type):
            self._class(thing)
        elif isinstance(thing, types.ModuleType):
            self._namespace("module", thing.__name__, {} if _is_installed(thing.__name__) else _public(vars(thing)))
        elif isinstance(thing, nn.Module):
            self._network(thing)
        elif isinstance(thing, (staticmethod, classmethod)):
            self._parts(kind.__name__, thing.__func__)
        elif isinstance(thing, property):
            self._parts("property", thing.fget, thing.fset, thing.fdel)
        elif isinstance(thing, types.MethodType):
            self._parts("method", thing.__func__, thing.__self__)
        elif isinstance(thing, (functools.partial, functools.partialmethod)):
            self._parts("partial", thing.func, thing.args, thing.keywords)
        elif isinstance(thing, functools.cached_property):
            self._parts("cached", thing.func)
        elif isinstance(thing, (Mapping, Set, Sequence)):
            self.add(kind)
            self._container(thing)
        elif callable(getattr(thing, "__wrapped__", None)):
            self._parts("wrapper", thing.__wrapped__)
        elif _counts_by_contents(thing):
            self.add(kind)
            self._namespace("object", "", dict(_attributes(thing)))
        else:
            name = getattr(thing, "__qualname__", "")
            self._say("other", kind.__module__, kind.__qualname__, name if isinstance(name, str) else "")

    def _parts(self, what: str, *parts: Any) -> None:
        self._say(what, len(parts))
        for part in parts:
            self.add(part)

    def _namespace(self, what: str, name: str, contents: Mapping[str, Any]) -> None:
        self._say(what, name, len(contents))
        for key in sorted(contents):
            self._say(key)
            self.add(contents[key])

    def _container(self, thing: Any) -> None:
        self._say("container", len(thing))
        if isinstance(thing, Mapping):
            for key, value in thing.items():
                self.add(key)
                self.add(value)
        elif isinstance(thing, Set):
            # Their order changes from process to process.
            self._say(*sorted(object_digest(item) for item in thing))
        else:
            for item in thing:
                self.add(item)

    def _array(self, thing: Any) -> None:
        self._say("array", str(thing.dtype), tuple(thing.shape))
        if isinstance(thing, Tensor):
            # Some kinds of tensors have no bytes: on the meta device, sparse, quantised.
            with contextlib.suppress(RuntimeError, TypeError, NotImplementedError):
                flat = thing.detach().cpu().contiguous().reshape(-1)
                self._hash.update(flat.view(torch.uint8).numpy().tobytes())
        elif thing.dtype.hasobject:
            self.add(thing.tolist())
        else:
            self._hash.update(thing.tobytes())

    def _code(self, code: types.CodeType) -> None:
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self._say("code", code.co_name, counts, names, code.co_code, code.co_exceptiontable)
        self._container(code.co_consts)

    def _function(self, function: types.FunctionType) -> None:
        cells = []
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty one
                cells.append(cell.cell_contents)
        # Not __module__, which a decorator copies from what it wraps.
        if _is_installed(str(function.__globals__.get("__name__"))):
            self._say("installed", function.__globals__.get("__name__"), function.__code__.co_qualname)
            self._parts("around", *filter(_is_code, [getattr(function, "__wrapped__", None), *cells]))
            return
        self._parts("function", function.__code__, function.__defaults__, function.__kwdefaults__, *cells)
        self._namespace("attributes", "", vars(function))
        used = _global_names(function.__code__)
        self._namespace("globals", "", {k: v for k, v in function.__globals__.items() if k in used})
        for name in sorted(_imported_names(function.__code__)):
            files = own_modules(name)
            self._say("imports", name, digest({file.relative: file.sha256 for file in files.values()}))

    def _class(self, kind: type) -> None:
        self._say("class", kind.__qualname__)
        if _is_installed(kind.__module__):
            self._say(kind.__module__)
            # A package may derive from the person's class (torch does for parametrised weights).
            self._parts("bases", *(base for base in kind.__mro__[1:] if not _is_installed(base.__module__)))
            return
        self._parts("bases", type(kind), *kind.__bases__)
        own = {k: v for k, v in vars(kind).items() if k not in _OF_CLASSES and not k.startswith(("_abc_", "__annotat"))}
        self._namespace("attributes", "", own)

    def _network(self, module: nn.Module) -> None:
        self.add(type(module))
        self._namespace("modules", "", module._modules)
        attributes = {k: v for k, v in vars(module).items() if k not in _OF_MODULES | _OF_TIMM}
        self._namespace("attributes", "", attributes)
        # Under numbers that count up through the life of a process.
        self._parts("hooks", *module._forward_pre_hooks.values(), *module._forward_hooks.values())
        if id(module) not in self._tree:
            self._namespace("tensors", "", {**module._parameters, **module._buffers})


def _is_installed(name: str) -> bool:
    top = name.partition(".")[0]
    if top in FOUNDATIONS or name == "__main__":
        return top in FOUNDATIONS
    file = getattr(sys.modules.get(name), "__file__", None)
    return installed(Path(file)) if file else top in sys.stdlib_module_names


def _is_code(thing: object) -> bool:
    return isinstance(thing, (types.FunctionType, types.MethodType, type, functools.partial))


def _counts_by_contents(thing: object) -> bool:
    """Says whether an object is data: instances of installed classes may hold anything, a logger all other loggers."""
    plain = isinstance(thing, (argparse.Namespace, types.SimpleNamespace)) or dataclasses.is_dataclass(thing)
    return plain or not _is_installed(type(thing).__module__)


def _attributes(thing: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in {"__dict__", "__weakref__"} and hasattr(thing, name):
                yield name, getattr(thing, name)


def _public(contents: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in contents.items() if not name.startswith("__")}


def _all_code(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _all_code(constant)


def _global_names(code: types.CodeType) -> set[str]:
    return {i.argval for part in _all_code(code) for i in dis.get_instructions(part) if i.opname in _GLOBALS}


def _imported_names(code: types.CodeType) -> set[str]:
    found = {i.argval for part in _all_code(code) for i in dis.get_instructions(part) if i.opname == "IMPORT_NAME"}
    return {name for name in found if name and name.partition(".")[0] not in FOUNDATIONS}
