"""What `evaluate` is given as backbones: spec strings and modules, one, several or named ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from vtab_harness.api.backbones import Transform
from vtab_harness.api.errors import OptionError
from vtab_harness.api.values import check_name

if TYPE_CHECKING:
    from torch import nn

    from vtab_harness.backbones.memory import Held

Model: TypeAlias = "str | nn.Module | tuple[nn.Module, Transform]"
"""A spec such as ``timm:resnet50.a1_in1k``, a module, or a module with its transform."""
Models: TypeAlias = "Model | Iterable[Model] | Mapping[str, Model]"


@dataclass(frozen=True, slots=True)
class Named:
    """Backbones by the specs that a sweep knows them by.

    Attributes:
        specs: In the order given, each once.
        held: Name -> module, of those in memory.
        names: Spec -> what tables call it, where somebody has said so.
    """

    specs: tuple[str, ...]
    held: Mapping[str, Held]
    names: Mapping[str, str]


def named(models: Models, transform: object = None) -> Named:
    """Gives every backbone a spec.

    Args:
        models: As `evaluate` takes them.
        transform: Of the modules that are given without one.

    Raises:
        OptionError: One is neither a spec nor a module, two have one name, or there is a transform and no module.
    """
    specs: dict[str, str] = {}
    held: dict[str, Held] = {}
    names: dict[str, str] = {}
    for name, model in _pairs(models):
        if isinstance(model, str):
            spec = model
            if name is not None and spec in specs:
                raise OptionError(f"{name!r} and {specs[spec]!r} are the same backbone, {spec}.", "Give it once.")
        else:
            spec = _hold(held, name, model, transform)
        specs.setdefault(spec, name or spec)
        if name is not None or not isinstance(model, str):
            names[spec] = name or next(reversed(held))
    if transform is not None and not held:
        raise OptionError(
            "transform is for modules in memory, and there is none.",
            "Say it in the spec: timm:resnet18?input_size=64&mean=0.5&std=0.5",
        )
    return Named(tuple(specs), held, names)


def _pairs(models: Any) -> list[tuple[str | None, Any]]:
    if isinstance(models, Mapping):
        for name in models:
            check_name(name)
        return list(models.items())
    if isinstance(models, str) or not isinstance(models, Iterable) or _is_pair(models) or _is_module(models):
        return [(None, models)]
    return [(None, model) for model in models]


def _is_module(model: object) -> bool:
    # nn.Sequential and its like are iterable.
    return callable(getattr(model, "state_dict", None)) and callable(model)


def _is_pair(model: object) -> bool:
    return isinstance(model, tuple) and len(model) == 2 and _is_module(model[0]) and not _is_module(model[1])


def _hold(held: dict[str, Held], name: str | None, model: Any, transform: object) -> str:
    from torch import nn

    from vtab_harness.backbones.memory import Held, name_of, spec_of

    module, brought = model if _is_pair(model) else (model, None)
    if not isinstance(module, nn.Module):
        raise OptionError(
            f"{name or 'The backbone'!s} is {type(module).__name__}, no spec and no nn.Module.",
            "Give a spec such as 'timm:resnet50.a1_in1k', a module, or a pair (module, Transform).",
        )
    called = name or name_of(module)
    if called in held:
        raise OptionError(
            f"Two modules would be called {called!r}.", "Give them names: evaluate({'first': ..., 'second': ...})."
        )
    held[called] = Held(module, transform if brought is None else brought)
    return spec_of(called)
