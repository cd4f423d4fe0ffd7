"""Backbones that are modules in the memory of this process: ``memory:NAME``, while an evaluation holds them."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

from torch import nn

from vtab_harness.api.backbones import Backbone, BackboneSpec, Transform
from vtab_harness.api.errors import OptionError, PluginError, UnknownNameError
from vtab_harness.backbones.imports import FOUNDATIONS
from vtab_harness.backbones.modules import backbone_of, brought_transform
from vtab_harness.backbones.objects import object_digest
from vtab_harness.backbones.spec import build

PREFIX = "memory"
HOW_TO = "Transform(input_size=(224, 224), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))"


@dataclass(frozen=True, slots=True)
class Held:
    """A module and how images are brought to it.

    Attributes:
        module: On any device, in any mode; it is never changed.
        transform: None where the module brings its own.
    """

    module: nn.Module
    transform: object = None


class MemorySource:
    """Implements `vtab_harness.api.backbones.BackboneSource`.

    What runs is a copy, on the CPU and in eval mode. Its identity covers weights, code and transform, as that of a
    backbone from a file does, and the versions of the installed packages that its layers come from; its name is none of
    it.
    """

    summary = "modules in memory, which vtab_harness.evaluate is given"

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def names(self) -> Iterable[str]:
        """Returns the names of the modules that are held now."""
        return list(self._held)

    @contextmanager
    def holding(self, models: Mapping[str, Held]) -> Iterator[None]:
        """Inside, modules are known by their names.

        Raises:
            PluginError: A name is taken by another call that is under way.
        """
        taken = self._held.keys() & models.keys()
        if taken:
            raise PluginError(
                f"The name {min(taken)!r} is that of a module in another evaluation.", "Give another name."
            )
        self._held |= models
        try:
            yield
        finally:
            for name in models:
                del self._held[name]

    def load(self, spec: BackboneSpec) -> Backbone:
        """Copies a module.

        Raises:
            UnknownNameError: It is not held in this process.
            OptionError: It cannot be copied, has no transform, or does not give features (N, D).
            CheckpointError: Weights or features are not finite.
        """
        if spec.name not in self._held:
            raise UnknownNameError(
                f"There is no module {spec.name!r} in the memory of this process.",
                "Modules in memory are evaluated by vtab_harness.evaluate(module); what is to be named elsewhere is"
                " python:MODULE:CALLABLE or a file of weights.",
            )
        held = self._held[spec.name]
        module = _copied(_unwrapped(held.module), spec.name)
        transform = _transform(held, module, spec.name)
        architecture = {
            "source": PREFIX,
            "name": type(module).__qualname__,
            # Taken before it runs: some modules keep things in their attributes then.
            "code": object_digest(module),
            "packages": _packages(module),
        }
        pretrained = bool(getattr(module, "pretrained", True))
        classifier = _classifier(module)
        try:
            made = backbone_of(
                module,
                transform,
                spec=spec.text,
                name=f"The module {spec.name!r}",
                architecture=architecture,
                pretrained=pretrained,
            )
        except OptionError as error:
            if error.hint is None or "input_size=" not in error.hint:
                raise
            raise OptionError(error.message, f"Give the size of images that it takes: transform={HOW_TO}.") from error
        if classifier is not None and classifier[1] == made.feature_size and made.module is module:
            warnings.warn(
                f"The features of the module {spec.name!r} are the {made.feature_size} outputs of its layer"
                f" {classifier[0]!r}. If these are scores of classes, take it off:"
                f" module.{classifier[0]} = torch.nn.Identity()",
                stacklevel=2,
            )
        return made


def name_of(module: nn.Module) -> str:
    """Returns what a module is called where nobody gives it a name: its class."""
    return type(_unwrapped(module)).__name__


def spec_of(name: str) -> str:
    """Returns the spec of a module that is held."""
    return build(PREFIX, name)


def _unwrapped(module: nn.Module) -> nn.Module:
    """Takes off what spreads a module over devices, or compiles it."""
    while True:
        if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = module.module
        else:
            inner = getattr(module, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _copied(module: nn.Module, name: str) -> nn.Module:
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise OptionError(f"The module {name!r} has tensors without contents (device meta).", "Load its weights first.")
    try:
        copied: nn.Module = copy.deepcopy(module).to("cpu")
    # Anybody's objects may refuse in any way.
    except Exception as error:
        raise OptionError(
            f"The module {name!r} cannot be copied: {type(error).__name__}: {error}",
            "Give a module whose attributes can be copied, or a spec python:MODULE:CALLABLE of what makes it.",
        ) from error
    return copied


def _transform(held: Held, module: nn.Module, name: str) -> Transform:
    given = held.transform
    if given is not None and not isinstance(given, Transform):
        what = getattr(given, "__qualname__", type(given).__qualname__)
        raise OptionError(
            f"The transform of {name!r} is {what}, of which nobody can tell what it does to images.",
            f"Say it in numbers, so that it is part of the result: {HOW_TO}.",
        )
    found = given or brought_transform(module)
    if found is None:
        raise OptionError(f"It is not known what images the module {name!r} takes.", f"Say it with transform={HOW_TO}.")
    return found


def _classifier(module: nn.Module) -> tuple[str, int] | None:
    """Returns the name and the size of a module's last layer, where that is what classifiers are called."""
    layers = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    name, layer = layers[-1] if layers else ("", None)
    usual = name.partition(".")[0] in ("fc", "head", "heads", "classifier")
    return (name, layer.out_features) if layer is not None and usual else None


def _packages(module: nn.Module) -> dict[str, str]:
    """Returns the installed packages that the classes of a module come from, and their versions; PyTorch apart."""
    tops = {type(part).__module__.partition(".")[0] for part in module.modules()}
    found = {}
    for top in sorted(tops - {"torch", "__main__", "vtab_harness"}):
        version = getattr(sys.modules.get(top), "__version__", None)
        if top in FOUNDATIONS or top in metadata.packages_distributions():
            found[top] = str(version)
    return found


MEMORY = MemorySource()
