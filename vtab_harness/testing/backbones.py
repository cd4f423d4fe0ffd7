"""`check_backbone_source`: a prefix, and the backbones that it loads."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from itertools import combinations

import msgspec
import torch
from torch import Tensor, nn

from vtab_harness.api.backbones import Backbone, BackboneSource, Transform
from vtab_harness.api.data import Pixels
from vtab_harness.api.errors import CheckpointError, OptionError, UnknownNameError
from vtab_harness.backbones.spec import build, parse
from vtab_harness.backbones.weights import fingerprint
from vtab_harness.engine.resize import RULES
from vtab_harness.engine.stream import to_inputs
from vtab_harness.testing.clauses import expect, expect_members, expect_plain, refusing, time_limit, working

_IMAGES = 4


def check_backbone_source(
    source: BackboneSource,
    spec: str,
    *,
    others: Sequence[str] = (),
    unknown_name: str = "nobody-calls-it-this",
    unknown_option: str | None = "no_such_option",
    timeout: float | None = None,
) -> None:
    """Checks a backbone source with one spec, and that it tells some others from it.

    - It has a `summary`; `names()` lists texts, the same each time.
    - `load` gives a `Backbone` whose module is on the CPU, in eval mode, and wants no more than images.
    - Its transform can be applied: a known resize rule, positive sizes and deviations, finite numbers.
    - Features are floating point (N, feature_size), finite, the same each time, and leave their input as it was. Those
      of an image do not depend on the other images of a batch, beyond rounding.
    - The module can be copied (fine-tuning trains a copy), and the copy gives the same features.
    - Loaded twice, the backbone has the same identity and the same features. The identity is plain JSON; of two specs
      that give other features it differs.
    - `fingerprint` is `vtab_harness.backbones.weights.fingerprint` of the module, and nothing that the features depend
      on escapes it: a tensor that is neither parameter nor buffer would.
    - A name that does not exist gives an `UnknownNameError` (of a source of places, which lists no names, a
      `CheckpointError` may say so too), an unknown option an `OptionError`.

    Args:
        source: The source, as it is registered.
        spec: A spec string that it can load.
        others: Further ones, which differ in anything: name, weights, arguments, transform.
        unknown_name: A name, without the prefix, that the source does not know.
        unknown_option: An option that the source does not know; None where it takes any.
        timeout: Seconds after which the check gives up; see `vtab_harness.testing.clauses.time_limit`.

    Raises:
        ContractError: A clause does not hold.

    Examples:
        >>> from vtab_harness import registry
        >>> from vtab_harness.testing import check_backbone_source
        >>> check_backbone_source(registry.backbones.get("timm"), "timm:test_resnet?pretrained=false")
    """
    what = f"The backbone source of {spec!r}"
    with time_limit(timeout, f"The check of {what}"):
        expect_members(source, BackboneSource, what)
        listed = _names(source, what)
        backbone = _loaded(source, spec)
        _check_backbone(backbone, f"The backbone {spec!r}")
        _check_again(backbone, _loaded(source, spec), f"The backbone {spec!r}")
        _check_apart([backbone, *(_loaded(source, other) for other in others)])
        # A source that lists nothing looks at places, such as folders, where what is missing may be weights as well.
        kinds = (UnknownNameError,) if listed else (UnknownNameError, CheckpointError)
        known = parse(spec)
        text = f"{known.prefix}:{unknown_name}"
        with refusing(kinds, f"{what}: loading {text}", "vtab_harness.registry.unknown_name makes one."):
            source.load(parse(text))
        if unknown_option is not None:
            text = build(known.prefix, known.name, {**known.options, unknown_option: "1"})
            with refusing((OptionError,), f"{what}: loading {text}", "A slip of the pen must not be passed over."):
                source.load(parse(text))


def _names(source: BackboneSource, what: str) -> list[str]:
    mend = "Return an iterable of names, an empty one where they cannot be listed."
    with working(f"{what}: names()", mend):
        names, again = list(source.names()), list(source.names())
    expect(all(isinstance(name, str) for name in names), f"{what}: names() lists something that is no text.", mend)
    expect(names == again, f"{what}: names() gives another list each time.", mend)
    return names


def _loaded(source: BackboneSource, spec: str) -> Backbone:
    with working(f"Loading the backbone {spec!r}", "Give check_backbone_source specs that can be loaded here."):
        backbone = source.load(parse(spec))
    expect(isinstance(backbone, Backbone), f"Loading {spec!r} gives a {type(backbone).__name__}.", "Return a Backbone.")
    return backbone


def _check_backbone(backbone: Backbone, what: str) -> None:
    module, transform = backbone.module, backbone.transform
    expect(isinstance(module, nn.Module), f"{what} has a {type(module).__name__} as its module.", "Give an nn.Module.")
    expect(backbone.spec, f"{what} has no spec.", "Give spec.text, by which records name it.")
    training = [name or "the module" for name, part in module.named_modules() if part.training]
    expect(not training, f"{what} is in training mode: {', '.join(training[:3])}.", "Call eval() before returning it.")
    tensors = [*module.named_parameters(), *module.named_buffers()]
    away = [name for name, tensor in tensors if tensor.device.type != "cpu"]
    expect(not away, f"{what} has {', '.join(away[:3])} on another device.", "Load on the CPU; the harness moves it.")
    for name, wrong in (
        ("feature_size", not isinstance(backbone.feature_size, int) or backbone.feature_size < 1),
        ("parameters", not isinstance(backbone.parameters, int) or backbone.parameters < 0),
        ("macs", backbone.macs is not None and (not isinstance(backbone.macs, int) or backbone.macs < 0)),
        ("pretrained", not isinstance(backbone.pretrained, bool)),
    ):
        expect(not wrong, f"{what} has {name}={getattr(backbone, name)!r}.", "See vtab_harness.api.backbones.Backbone.")
    _check_transform(transform, what)
    expect_plain(dict(backbone.architecture), f"{what}: writing its architecture as JSON")
    expect(
        backbone.fingerprint == fingerprint(module),
        f"{what} has another fingerprint than its weights.",
        "Compute it with vtab_harness.backbones.weights.fingerprint(module), after all weights are in place.",
    )
    _check_features(backbone, what)
    _check_hidden(backbone, what)


def _check_transform(transform: Transform, what: str) -> None:
    numbers = (*transform.mean, *transform.std)
    fine = (
        isinstance(transform, Transform)
        and transform.resize in RULES
        and len(transform.input_size) == 2
        and all(isinstance(side, int) and side > 0 for side in transform.input_size)
        and (len(transform.mean), len(transform.std)) == (3, 3)
        and all(math.isfinite(number) for number in numbers)
        and min(transform.std) > 0
    )
    rules = ", ".join(RULES)
    expect(fine, f"{what} has {transform}.", f"(height, width) and std are positive, resize is one of {rules}.")


def _pixels() -> Tensor:
    """Draws native images, uint8 (N, H, W, 3)."""
    drawn = torch.randint(0, 256, (_IMAGES, 40, 56, 3), generator=torch.Generator().manual_seed(0))
    # Of different brightness, so that no two are alike to any network, and in no order.
    return (drawn // 2 + torch.tensor([80, 0, 120, 40]).view(-1, 1, 1, 1)).clamp(max=255).to(torch.uint8)


def _inputs(transform: Transform) -> Tensor:
    drawn = _pixels()
    pixels = Pixels(drawn.numpy().reshape(-1), torch.tensor([drawn.shape[1:]] * _IMAGES).numpy())
    return to_inputs(drawn.reshape(-1), pixels, transform)


@torch.no_grad()
def _features(module: nn.Module, inputs: Tensor, what: str) -> Tensor:
    with working(f"{what}: its module", "It is called with float32 images (N, 3, height, width)."):
        features: Tensor = module(inputs)
    return features


def _check_features(backbone: Backbone, what: str) -> None:
    module, inputs = backbone.module, _inputs(backbone.transform)
    before = inputs.clone()
    features = _features(module, inputs, what)
    shape = (_IMAGES, backbone.feature_size)
    found = f"{features.dtype} {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
    fine = isinstance(features, Tensor) and features.is_floating_point() and tuple(features.shape) == shape
    expect(fine, f"{what} gives {found} for {_IMAGES} images.", f"Give floating point {shape}: pooled, no classifier.")
    expect(bool(features.isfinite().all()), f"{what} gives features that are not finite.", "Look at its weights.")
    expect(torch.equal(inputs, before), f"{what} changes the images that it is given.", "Do not work in place on them.")
    again = _features(module, inputs, what)
    expect(_close(features, again), f"{what} gives other features the second time.", "Draw nothing, keep no state.")
    alone = torch.cat([_features(module, inputs[i : i + 1], what) for i in reversed(range(_IMAGES))]).flip(0)
    expect(
        _close(features, alone),
        f"{what} gives an image other features in another batch.",
        "Take nothing from the batch: no batch statistics, no sorting, no normalisation over images.",
    )
    with working(f"{what}: copying its module", "Fine-tuning trains copy.deepcopy(module)."):
        copied = copy.deepcopy(module)
    expect(
        _close(features, _features(copied, inputs, what)), f"{what} gives other features as a copy.", "Mend copying."
    )


def _close(a: Tensor, b: Tensor) -> bool:
    """Whether features are equal up to rounding."""
    scale = float(a.abs().max())
    return a.shape == b.shape and bool((a - b).abs().max() <= 1e-4 * scale + 1e-7)


def _check_hidden(backbone: Backbone, what: str) -> None:
    """Finds tensors that the features depend on and that the fingerprint does not see."""
    inputs = _inputs(backbone.transform)
    features = _features(backbone.module, inputs, what)
    for name, part in backbone.module.named_modules():
        for attribute, value in vars(part).items():
            if not isinstance(value, Tensor) or not value.is_floating_point():
                continue
            changed = copy.deepcopy(backbone.module)
            setattr(changed.get_submodule(name), attribute, value + 1)
            expect(
                _close(features, _features(changed, inputs, what)),
                f"{what}: its features depend on the tensor {f'{name}.{attribute}'.lstrip('.')}, which is no parameter"
                " and no buffer, so that its fingerprint does not say which weights these are.",
                "Register it with register_buffer.",
            )


def _identity(backbone: Backbone) -> str:
    return json.dumps(msgspec.to_builtins(backbone.identity()), sort_keys=True)


def _check_again(first: Backbone, second: Backbone, what: str) -> None:
    same = _identity(first) == _identity(second)
    expect(same, f"{what} has another identity when it is loaded again.", "Draw weights from a seed; leave dates out.")
    inputs = _inputs(first.transform)
    again = _close(_features(first.module, inputs, what), _features(second.module, inputs, what))
    expect(again, f"{what} gives other features when it is loaded again.", "Draw weights from a seed of the spec.")


def _check_apart(backbones: Sequence[Backbone]) -> None:
    """Expects of backbones with other features another identity."""
    features = [_features(each.module, _inputs(each.transform), f"The backbone {each.spec!r}") for each in backbones]
    for (first, a), (second, b) in combinations(zip(backbones, features, strict=True), 2):
        expect(
            _identity(first) != _identity(second) or _close(a, b),
            f"The backbones {first.spec!r} and {second.spec!r} have one identity and other features.",
            "Put what tells them apart (name, arguments, version of the code) into `architecture`.",
        )
