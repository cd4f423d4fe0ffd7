"""Building timm models: on the meta device to see what they take, then with weights; mistakes become clear errors."""

from __future__ import annotations

import inspect
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm.data.config import resolve_data_config
from torch import Tensor, nn

from vtab_harness.api.backbones import Transform
from vtab_harness.api.errors import CheckpointError, OptionError, VtabError, near_names
from vtab_harness.backbones import size_limits, weights
from vtab_harness.backbones.checkpoint_file import outline, read_checkpoint

_REFUSED = {
    "num_classes": "The classifier is never used.",
    "in_chans": "Images always have 3 channels.",
    "features_only": "Features are always pooled pre-logits.",
    "out_indices": "Features are always pooled pre-logits.",
    "checkpoint_path": "Write checkpoint=FILE.",
    "pretrained_cfg": "Write input_size=, mean= and std=, or checkpoint=FILE.",
    "pretrained_cfg_overlay": "Write input_size=, mean= and std=, or checkpoint=FILE.",
    "pretrained_strict": "Weights always have to fit.",
    "cache_dir": "Set HF_HOME or TORCH_HOME.",
    "device": "The command chooses the device.",
    "dtype": "The command chooses the precision.",
}
_UNEXPECTED = re.compile(r"unexpected keyword argument(?:\(s\): \[)?\s*'(\w+)'")
_FILTERS = ("checkpoint_filter_fn", "_filter_fn", "pretrained_filter_fn")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build.

    Attributes:
        architecture: Name of a timm architecture, without a tag.
        cfg: timm's description of weights and input; None for the architecture's own default.
        arguments: Model arguments, saved ones and the person's.
        given: Names of the arguments that the person gave.
    """

    architecture: str
    cfg: Mapping[str, Any] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuses model arguments that would undo what the harness relies on, or take absurd amounts of memory.

    Raises:
        OptionError: Names the argument and says what to do instead.
    """
    for key, value in arguments.items():
        if key in _REFUSED:
            raise OptionError(f"The model argument {key!r} cannot be set here.", _REFUSED[key])
        size_limits.check_argument(key, value)


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Seeds the CPU generator inside the block and puts the old state back after it; other devices are left alone."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the accelerators, whose state nobody restores.
        torch.default_generator.manual_seed(seed)
        yield


def sketch(plan: Plan) -> nn.Module:
    """Builds a model without memory for its weights, to learn its configuration and parameters.

    Raises:
        OptionError: A model argument is unknown or makes the architecture impossible, or larger than any network or
            than the memory of this machine.
    """
    try:
        with torch.device("meta"), size_limits.counting():
            model = _create(plan)
    except (NotImplementedError, RuntimeError):
        # A few releases of timm read numbers off tensors while they build, which the meta device has none of.
        return random_model(plan, seed=0)
    except Exception as error:
        raise _explain(error, plan) from error
    size_limits.check_room(model, f"The architecture {plan.architecture!r} with {_shown(plan)}")
    return model


def random_model(plan: Plan, seed: int) -> nn.Module:
    """Builds a model with a random initialisation that depends on nothing but the seed."""
    try:
        with own_random_numbers(seed), size_limits.counting():
            return _create(plan)
    except Exception as error:
        raise _explain(error, plan) from error


def filled_model(plan: Plan, path: Path, seed: int = 0) -> nn.Module:
    """Builds a model and copies a checkpoint into it, in timm's layout or in another that timm can convert.

    No memory is taken for a model that the checkpoint cannot be of.

    Args:
        plan: What to build.
        path: The checkpoint.
        seed: Of what the checkpoint does not hold.

    Raises:
        CheckpointError: The file cannot be read or does not fit.
    """
    model = sketch(plan)
    ignore = classifier_names(model)
    # Of a safetensors file the header says enough; any other has to be read for it, which takes no more than its size.
    state = outline(path) or read_checkpoint(path)
    weights.check_sizes(model, state, ignore, path)
    if any(value.is_meta for value in state.values()):
        state = read_checkpoint(path)
    model = random_model(plan, seed)
    if weights.mismatches(model, state, ignore):
        state = dict(_converted(model, plan, state, ignore))
    weights.load_into(model, state, ignore, path)
    return model


def published_model(plan: Plan, path: Path) -> nn.Module:
    """Builds a model and lets timm load the published weights in a local file, key by key.

    Raises:
        CheckpointError: The file is damaged or does not fit.
    """
    cfg = {**(plan.cfg or {}), "file": str(path), "source": None}
    try:
        # With its own number of classes a model takes all keys or none; a model without classifier is not so strict.
        with own_random_numbers(0), _weights_only():
            model = _timm(plan, pretrained=True, pretrained_cfg=cfg)
    except Exception as error:
        if path.suffix != ".npz":
            read_checkpoint(path)  # says more where the file itself is at fault
        raise CheckpointError(
            f"timm cannot load {path} into {plan.architecture}: {str(error)[:600]}",
            "Delete the file from the cache so that it is fetched again, and check the model arguments.",
        ) from error
    weights.check_finite(model.state_dict(), path)
    return model


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Returns the names of a timm model's classifier modules."""
    names = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or ("fc", "classifier", "head.fc", "head")
    return (names,) if isinstance(names, str) else tuple(names)


def _converted(model: nn.Module, plan: Plan, state: dict[str, Tensor], ignore: tuple[str, ...]) -> Mapping[str, Tensor]:
    """Applies the filter with which timm reads foreign layouts and resizes position embeddings, if that helps."""
    module = sys.modules.get(timm.models.model_entrypoint(plan.architecture).__module__)
    for name in _FILTERS:
        convert = getattr(module, name, None)
        if convert is None:
            continue
        try:
            converted = convert(dict(state), model)
        # Filters assume a layout and fail in any way on others; the checkpoint as it is then gives the better message.
        except Exception:
            continue
        if isinstance(converted, dict) and not weights.mismatches(model, converted, ignore):
            return cast("dict[str, Tensor]", converted)
    return state


def transform_of(cfg: Mapping[str, Any]) -> Transform:
    """Returns the transform that timm's description of a model asks for.

    Crop and interpolation of timm's evaluation are left aside: VTAB resizes whole images, without a crop, by one rule
    for every backbone.
    """
    data: dict[str, Any] = resolve_data_config({}, pretrained_cfg=dict(cfg))  # type: ignore[no-untyped-call]
    mean, std = ([float(v) for v in data[key]] * (3 if len(data[key]) == 1 else 1) for key in ("mean", "std"))
    return Transform(
        input_size=(int(data["input_size"][1]), int(data["input_size"][2])),
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


def takes(plan: Plan, **arguments: Any) -> bool:
    """Says whether the architecture can be built with these arguments as well."""
    try:
        sketch(Plan(plan.architecture, plan.cfg, {**plan.arguments, **arguments}, plan.given))
    except VtabError:
        return False
    return True


def _create(plan: Plan) -> nn.Module:
    try:
        return _timm(plan, num_classes=0)
    except Exception as error:
        if isinstance(error, size_limits.TooLargeError) or _UNEXPECTED.search(str(error)):
            raise
        # Not every architecture can be built without a classifier; it is then taken off later.
        return _timm(plan)


def _timm(plan: Plan, **more: Any) -> nn.Module:
    cfg = None if plan.cfg is None else dict(plan.cfg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = timm.create_model(plan.architecture, **{"pretrained_cfg": cfg, **plan.arguments, **more})
    return model


@contextmanager
def _weights_only() -> Iterator[None]:
    """Has torch refuse pickled code whatever a release of timm asks of it."""
    key = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.pop(name, None) for name in (key, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")}
    os.environ[key] = "1"
    try:
        yield
    finally:
        del os.environ[key]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _explain(error: Exception, plan: Plan) -> OptionError:
    found = _UNEXPECTED.search(str(error))
    if found:
        name = found.group(1)
        known = _known_arguments(plan)
        close = near_names(name, known)
        hint = "Did you mean " + " or ".join(map(repr, close)) + "?" if close else f"It takes {', '.join(known[:30])}."
        return OptionError(f"The architecture {plan.architecture!r} does not take the model argument {name!r}.", hint)
    said = str(error) if isinstance(error, size_limits.TooLargeError) else f"{type(error).__name__}: {error}"
    return OptionError(f"The architecture {plan.architecture!r} cannot be built with {_shown(plan)}: {said}")


def _shown(plan: Plan) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in plan.arguments.items()) or "its defaults"


def _known_arguments(plan: Plan) -> list[str]:
    try:
        with torch.device("meta"):
            model = _create(Plan(plan.architecture))
    except Exception:
        return []
    known: dict[str, None] = {}
    for kind in type(model).__mro__:
        if kind is not nn.Module and "__init__" in vars(kind):
            known.update(dict.fromkeys(inspect.signature(vars(kind)["__init__"]).parameters))
    return [key for key in known if key not in {"self", "args", "kwargs", "input", *_REFUSED}]
