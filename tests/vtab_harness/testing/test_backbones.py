"""`check_backbone_source` lets good sources through, and finds each way in which one can be wrong."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vtab_harness import registry
from vtab_harness.api.backbones import Backbone, BackboneSpec, Transform
from vtab_harness.api.errors import CheckpointError, OptionError, unknown_name
from vtab_harness.backbones.weights import fingerprint
from vtab_harness.testing import ContractError, check_backbone_source

RANDOM = "timm:test_resnet?pretrained=false&input_size=32"
PYTHON = "python:vtab_plugin_example.backbones:SmallNetwork?input_size=32"


def test_timm_passes() -> None:
    others = [f"{RANDOM}&seed=1", f"{RANDOM}8", "timm:test_vit?pretrained=false&input_size=32", f"{RANDOM}&std=0.5"]
    check_backbone_source(registry.backbones.get("timm"), RANDOM, others=others)


def test_local_dir_passes(tmp_path: Path) -> None:
    specs = []
    for seed in range(2):
        torch.manual_seed(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), folder / "model.safetensors")
        config = {"architecture": "test_resnet", "num_classes": 0, "pretrained_cfg": {"input_size": [3, 32, 32]}}
        (folder / "config.json").write_text(json.dumps(config))
        specs.append(f"local-dir:{folder}")
    check_backbone_source(registry.backbones.get("local-dir"), specs[0], others=specs[1:])


def test_python_passes() -> None:
    source = registry.backbones.get("python")
    check_backbone_source(source, PYTHON, others=[f"{PYTHON}&width=4", f"{PYTHON}&seed=3"], unknown_name="no.such:Net")


class Network(nn.Module):
    """Two colours' means, weighted; a function changes what comes out, or what is kept."""

    def __init__(self, weight: float = 1.0, change: Callable[[Tensor], Any] = lambda features: features) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([weight, 2.0]))
        self.change = change

    def forward(self, images: Tensor) -> Any:
        return self.change(images.mean((2, 3))[:, :2] * self.weight)


class Source:
    """Keeps the contract; each case below breaks one clause."""

    summary = "a source"

    def __init__(self, make: Callable[[], nn.Module] = Network, **changes: Any) -> None:
        self.make, self.changes = make, changes

    def names(self) -> Iterable[str]:
        return ["a", "b"]

    def load(self, spec: BackboneSpec) -> Backbone:
        if spec.name not in ("a", "b"):
            raise unknown_name("network", spec.name, ["a", "b"])
        if spec.options:
            raise OptionError(f"{spec.text} has options.")
        module = self.make().eval()
        own = Backbone(spec.text, module, Transform((32, 32)), 2, 2, None, fingerprint(module), {"n": "x"}, False)
        return replace(own, **self.changes)


def test_the_plain_one_passes() -> None:
    check_backbone_source(Source(), "source:a")


class Renaming(Source):
    calls = 0

    def names(self) -> Iterable[str]:
        self.calls += 1
        return [str(self.calls)]


class Numbers(Source):
    def names(self) -> Iterable[Any]:
        return [1]


class TakesAnyName(Source):
    def load(self, spec: BackboneSpec) -> Backbone:
        return super().load(replace(spec, name="a"))


class MissingFile(Source):
    def load(self, spec: BackboneSpec) -> Backbone:
        if spec.name != "a":
            raise CheckpointError(f"{spec.name} is no file")
        return super().load(spec)


class TakesAnyOption(Source):
    def load(self, spec: BackboneSpec) -> Backbone:
        return super().load(replace(spec, options={}))


class ReturnsModule(Source):
    def load(self, spec: BackboneSpec) -> Any:
        return super().load(spec).module


class Training(Source):
    def load(self, spec: BackboneSpec) -> Backbone:
        backbone = super().load(spec)
        backbone.module.train()
        return backbone


class Restless(Network):
    """Gives other features each time."""

    calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        features: Tensor = super().forward(images) * self.calls
        return features


class InPlace(Network):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images.sub_(0.5))


class Hidden(Network):
    """Its weight is a plain tensor."""

    def __init__(self) -> None:
        super().__init__()
        del self.weight
        self.weight = torch.tensor([1.0, 2.0])  # type: ignore[assignment]


class Uncopied(Network):
    def __deepcopy__(self, memo: Any) -> "Network":
        return Network(3.0)


drawn = torch.Generator().manual_seed(7)


def unseeded() -> Network:
    return Network(float(torch.rand((), generator=drawn)))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Renaming(), r"names\(\) gives another list each time"),
        (Numbers(), "lists something that is no text"),
        (TakesAnyName(), "loading source:nobody-calls-it-this raised nothing"),
        (MissingFile(), "source:nobody-calls-it-this raised CheckpointError"),
        (TakesAnyOption(), r"loading source:a\?no_such_option=1 raised nothing"),
        (ReturnsModule(), "gives a Network"),
        (Training(), "in training mode: the module"),
        (Source(feature_size=3), r"gives torch.float32 \(4, 2\) for 4 images"),
        (Source(feature_size=0), "feature_size=0"),
        (Source(parameters=-1), "parameters=-1"),
        (Source(macs=1.5), r"macs=1\.5"),
        (Source(pretrained="no"), "pretrained='no'"),
        (Source(fingerprint="0" * 64), "another fingerprint than its weights"),
        (Source(architecture={"size": (1, 2)}), r"gave \{'size': \[1, 2\]\}"),
        (Source(architecture={"network": Network}), "raised TypeError"),
        (Source(transform=Transform((32, 32), resize="nearest")), "resize is one of"),
        (Source(transform=Transform((32, 32), std=(0.0, 1.0, 1.0))), "std are positive"),
        (Source(transform=Transform((32, 0))), "are positive"),
        (Source(lambda: Network(float("nan"))), "not finite"),
        (Source(lambda: Network(change=lambda f: f.argmax(1))), r"gives torch.int64 \(4,\)"),
        (Source(lambda: Network(change=lambda f: f.long())), r"gives torch.int64 \(4, 2\)"),
        (Source(lambda: Network(change=lambda f: [f])), "gives list"),
        (Source(lambda: Network(change=lambda f: f[5])), "its module raised IndexError"),
        (Source(lambda: Network(change=lambda f: f - f.mean(0))), "other features in another batch"),
        (Source(lambda: Network(change=lambda f: f.sort(0).values)), "other features in another batch"),
        (Source(lambda: Network(change=lambda f: f + torch.rand(2, generator=drawn))), "the second time"),
        (Source(Restless), "the second time"),
        (Source(InPlace), "changes the images"),
        (Source(Hidden), "depend on the tensor weight, which is no parameter"),
        (Source(Uncopied), "other features as a copy"),
        (Source(unseeded), "another identity when it is loaded again"),
        (
            Source(lambda: Network(change=partial(torch.mul, unseeded().weight))),
            "other features when it is loaded again",
        ),
    ],
)
def test_a_wrong_source_is_found(source: Source, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_backbone_source(source, "source:a")


def test_one_identity_for_two_backbones_is_found() -> None:
    class Alike(Source):
        """What `b` does to the features stands nowhere."""

        def load(self, spec: BackboneSpec) -> Backbone:
            self.make = lambda: Network(change=(lambda f: f) if spec.name == "a" else (lambda f: 2 * f))
            return super().load(spec)

    with pytest.raises(ContractError, match="'source:a' and 'source:b' have one identity and other features"):
        check_backbone_source(Alike(), "source:a", others=["source:b"])


def test_a_fingerprint_that_is_no_longer_that_of_the_weights_is_found() -> None:
    class Late(Source):
        """Loads weights after it has taken the fingerprint."""

        def load(self, spec: BackboneSpec) -> Backbone:
            backbone = super().load(spec)
            with torch.no_grad():
                next(backbone.module.parameters())[0] += 1
            return backbone

    with pytest.raises(ContractError, match="another fingerprint than its weights"):
        check_backbone_source(Late(), "source:a")
