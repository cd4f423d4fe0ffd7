"""Backbones from a person's own Python code: ``python:MODULE:CALLABLE[?key=value]``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import nn

from vtab_harness.api.backbones import Backbone, BackboneSpec, Transform
from vtab_harness.api.errors import OptionError, UnknownNameError, VtabError, near_names, unknown_name
from vtab_harness.backbones import options, timm_build, weights
from vtab_harness.backbones.checkpoint_file import read_checkpoint
from vtab_harness.backbones.code import exact_imports
from vtab_harness.backbones.modules import backbone_of, brought_transform
from vtab_harness.backbones.objects import object_digest


class PythonSource:
    """Calls a person's function or class and takes the module that it returns.

    It returns an ``nn.Module`` that maps images to features (N, D), or a model of timm's interface, or a pair of one
    and its ``Transform``. Without a transform, the module's ``transform`` or ``pretrained_cfg`` counts, and without
    these images come as 224 x 224 pixels on the 0..1 scale. Options: ``checkpoint=FILE``, ``seed=N`` of the random
    numbers, ``input_size``, ``mean``, ``std``; every other one is handed to the callable, read as a Python literal.

    Its identity covers the code that it reaches: see `vtab_harness.backbones.code`, and for what no file tells about,
    `vtab_harness.backbones.objects`.

    A backbone counts as pretrained unless the module says otherwise with an attribute ``pretrained``, or the option
    ``pretrained=false`` was given.
    """

    summary = "your own code, as python:MODULE:CALLABLE"

    def names(self) -> Iterable[str]:
        """Returns nothing: code cannot be listed."""
        return ()

    def load(self, spec: BackboneSpec) -> Backbone:
        """Loads a backbone on the CPU, in eval mode.

        Raises:
            UnknownNameError: There is no such module or attribute.
            OptionError: An option cannot be used, or the code does not give a module with features (N, D).
            CheckpointError: The checkpoint cannot be used, or features are not finite.
        """
        overrides, rest = options.split_transform(spec.options)
        checkpoint = rest.pop("checkpoint", None)
        module_name, _, attribute = spec.name.partition(":")
        if not module_name or not attribute:
            raise OptionError(f"The backbone {spec.text!r} names no callable.", "Write python:MODULE:CALLABLE")
        # All of it, because modules may be imported as late as in the first forward pass.
        with _whatever_it_raises(f"{spec.prefix}:{spec.name} failed"), _own_code(module_name) as code:
            found = _attribute(_import(module_name), attribute, spec)
            code = code or object_digest(found)
            # A module is callable, but on images.
            make = (lambda: found) if isinstance(found, nn.Module) else found
            takes_seed = "seed" in rest and "seed" in _parameters(make)
            seed = options.seed(dict(rest) if takes_seed else rest)
            arguments = {key: options.literal(value) for key, value in rest.items()}
            with timm_build.own_random_numbers(seed):
                made = _call(make, arguments, spec)
            module, brought = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
            if not isinstance(module, nn.Module) or not (brought is None or isinstance(brought, Transform)):
                raise OptionError(
                    f"{spec.prefix}:{spec.name} returned {type(made).__name__}.",
                    "Return an nn.Module, or a pair (nn.Module, Transform).",
                )
            transform = overrides.apply(brought or brought_transform(module) or Transform())
            if checkpoint is not None:
                path = Path(checkpoint).expanduser()
                weights.load_into(module, read_checkpoint(path), timm_build.classifier_names(module), path)
            pretrained = getattr(module, "pretrained", arguments.get("pretrained", True))
            return backbone_of(
                module,
                transform,
                spec=spec.text,
                name=f"{spec.prefix}:{spec.name}",
                architecture={
                    "source": "python",
                    "name": f"{module_name}:{attribute}",
                    "arguments": options.plain(arguments),
                    "code": code,
                },
                pretrained=checkpoint is not None or bool(pretrained),
            )


@contextmanager
def _whatever_it_raises(what: str) -> Iterator[None]:
    """Names a person's code in what it raises; SystemExit would end the harness without a word."""
    try:
        yield
    except (VtabError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise OptionError(f"{what}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


@contextmanager
def _own_code(name: str) -> Iterator[str | None]:
    """Looks for a module in the working folder too, and runs exactly what its digest is of."""
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        # For good and in front, as `python -m` has it: the module may import its neighbours later.
        sys.path.insert(0, folder)
    with exact_imports(name) as digest:
        yield digest


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name is not None
        if missing and (name + ".").startswith(f"{cast('ModuleNotFoundError', error).name}."):
            raise UnknownNameError(
                f"There is no Python module {name!r}.",
                f"It is looked for in {Path.cwd()} and among installed packages.",
            ) from error
        raise OptionError(
            f"The Python module {name!r} cannot be imported: {_said(error)}", "Mend the module."
        ) from error


def _attribute(module: ModuleType, path: str, spec: BackboneSpec) -> Callable[..., Any]:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            public = [name for name in vars(found) if not name.startswith("_")]
            raise unknown_name("callable", part, public, f" in {spec.name.partition(':')[0]}")
        found = getattr(found, part)
    if not callable(found):
        raise OptionError(
            f"{spec.prefix}:{spec.name} is {type(found).__name__}, which cannot be called.",
            "Name a function or class that returns an nn.Module.",
        )
    return cast("Callable[..., Any]", found)


def _parameters(make: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(make).parameters)
    except (TypeError, ValueError):
        return []


def _call(make: Callable[..., Any], arguments: dict[str, Any], spec: BackboneSpec) -> Any:
    try:
        inspect.signature(make).bind(**arguments)
    except ValueError:
        pass  # some built-in callables have no signature to check against
    except TypeError as error:
        known = _parameters(make)
        close = [near for key in arguments if key not in known for near in near_names(key, known)]
        hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"It takes: {', '.join(known) or 'none'}."
        raise OptionError(f"{spec.prefix}:{spec.name} does not take these arguments: {error}.", hint) from error
    try:
        return make(**arguments)
    except KeyboardInterrupt:
        raise
    # The callable is the person's own code: whatever it raises is shown with its name, our own errors as well.
    except BaseException as error:
        raise OptionError(f"{spec.prefix}:{spec.name} failed: {_said(error)}") from error


PYTHON = PythonSource()
