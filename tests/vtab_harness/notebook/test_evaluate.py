"""Modules and tasks in memory: evaluated as they are, known again, left alone, and refused in words that help."""

import copy
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

import vtab_harness
from vtab_harness import ImageFolder, Transform, registry
from vtab_harness.api.errors import CheckpointError, OptionError, PluginError, UnknownNameError, VtabError
from vtab_harness.api.labels import Column
from vtab_harness.api.tasks import Suite, Task
from vtab_harness.backbones.loaded import load_backbone
from vtab_harness.executors.local import Local
from vtab_harness.protocols.knn import NearestNeighbours
from vtab_harness.sweep.store import Store
from vtab_plugin_example.backbones import SmallNetwork

SMALL = Transform(input_size=(32, 32))
Evaluate = Callable[..., vtab_harness.Results]


class Colours(nn.Module):
    """Nine mean colours, scaled."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.pool = nn.AdaptiveAvgPool2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * self.pool(images).flatten(1)


@pytest.fixture
def evaluate(tmp_path: Path, cache: Path) -> Evaluate:
    places: dict[str, Any] = {"results": tmp_path / "results", "cache": cache}

    def run(*given: Any, **more: Any) -> vtab_harness.Results:
        options = {"tasks": "mini_tissue"} if len(given) < 2 and "suite" not in more else {}
        return vtab_harness.evaluate(*given, **{"protocol": "knn", "device": "cpu", **places, **options, **more})

    return run


def test_a_module_gives_what_its_spec_gives(evaluate: Evaluate, small_backbone: str) -> None:
    torch.manual_seed(0)
    named = load_backbone(small_backbone)
    by_spec = evaluate(small_backbone)
    in_memory = evaluate(copy.deepcopy(named.module), transform=named.transform)
    (one,), (other,) = by_spec.records, in_memory.records
    assert one.accuracy == other.accuracy
    assert one.identity.backbone.weights == other.identity.backbone.weights
    assert one.identity.data == other.identity.data


def test_it_is_left_as_it_was(evaluate: Evaluate) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    module.train()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    evaluate(module, transform=SMALL, protocol="finetune", set={"steps": [2], "lr": [0.1]}, seeds=1)
    assert module.training
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_it_is_known_again_by_weights_code_and_transform(evaluate: Evaluate, tmp_path: Path) -> None:
    def records() -> int:
        return len(list(Store(tmp_path / "results")))

    first = evaluate({"a": Colours()}, transform=SMALL)
    # Another name, a pair, wrapped for several devices: the same network.
    assert evaluate({"b": (Colours(), SMALL)}).records == first.records
    assert evaluate(nn.DataParallel(Colours()), transform=SMALL).records == first.records
    assert records() == 1
    evaluate(Colours(scale=2.0), transform=SMALL)
    evaluate(Colours(), transform=Transform(input_size=(16, 16)))
    other = Colours()
    other.pool = nn.AdaptiveMaxPool2d(3)
    evaluate(other, transform=SMALL)
    assert records() == 4


def test_a_module_that_went_on_training_is_another(evaluate: Evaluate) -> None:
    module = Colours()
    first = evaluate(module, transform=SMALL)
    with torch.no_grad():
        module.scale += 1
    assert evaluate(module, transform=SMALL).records[0].identity.digest != first.records[0].identity.digest


def test_a_model_of_timm_brings_its_transform(evaluate: Evaluate) -> None:
    model = timm.create_model("test_resnet.r160_in1k")
    (record,) = evaluate(model).records
    assert record.identity.backbone.transform.input_size == model.pretrained_cfg["input_size"][1:]
    assert record.backbone.feature_size == model.num_features
    assert record.identity.backbone.architecture["packages"] == {"timm": timm.__version__}


def test_a_classifier_that_was_left_on_is_said(evaluate: Evaluate) -> None:
    model = torchvision.models.shufflenet_v2_x0_5()
    with pytest.warns(UserWarning, match=r"the 1000 outputs of its layer 'fc'.*module\.fc = torch\.nn\.Identity\(\)"):
        evaluate(model, transform=SMALL)
    model.fc = nn.Identity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (record,) = evaluate(model, transform=SMALL).records
    assert record.backbone.feature_size == 1024


def test_lists_and_dicts_of_specs_and_modules(evaluate: Evaluate, small_backbone: str) -> None:
    both = evaluate({"mine": Colours(), "theirs": small_backbone}, ["mini_digits", "mini_tissue"], transform=SMALL)
    assert list(both.table().index) == ["mine", "theirs"]
    assert list(both.table().columns) == ["mini_digits", "mini_tissue"]
    assert not both.table().isna().any(axis=None)
    listed = evaluate([Colours(), small_backbone], transform=SMALL)
    assert list(listed.table().index) == ["Colours", "SmallNetwork"]
    sequence = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    assert list(evaluate(sequence, transform=SMALL).table().index) == ["Sequential"]
    assert list(evaluate([Colours(), sequence], transform=SMALL).table().index) == ["Colours", "Sequential"]


class Pair(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.flatten(1), images


class NotANumber(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) * torch.nan


class Fussy(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != 48:
            raise ValueError("48 pixels, please")
        return images.flatten(1)


class Uncopied(nn.Module):
    def __deepcopy__(self, memo: object) -> object:
        raise TypeError("not me")

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


@pytest.mark.parametrize(
    ("module", "transform", "error", "message", "remedy"),
    [
        (Colours(), None, OptionError, "not known what images the module 'Colours' takes", "transform=Transform("),
        (Colours(), lambda x: x, OptionError, "transform of 'Colours' is .*lambda", "Say it in numbers"),
        (Colours(), partial(int), OptionError, "transform of 'Colours' is partial", "Say it in numbers"),
        (Pair(), SMALL, OptionError, r"gives tuple for 2 images", "Pool over positions"),
        (nn.Identity(), SMALL, OptionError, r"gives shape \(2, 3, 32, 32\)", "Pool over positions"),
        (NotANumber(), SMALL, CheckpointError, "features that are not finite", "damaged or not trained"),
        (Colours(float("nan")), SMALL, CheckpointError, "'scale' holds NaN", "diverged"),
        (Fussy(), SMALL, OptionError, "fails on images of 32x32 pixels: ValueError: 48", "transform=Transform("),
        (nn.Linear(3, 3, device="meta"), SMALL, OptionError, "tensors without contents", "Load its weights"),
        (Uncopied(), SMALL, OptionError, "cannot be copied: TypeError: not me", "python:MODULE:CALLABLE"),
        (
            lambda images: images,
            SMALL,
            OptionError,
            "The backbone is function, no spec and no nn.Module",
            "Give a spec",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_runs(
    evaluate: Evaluate, module: Any, transform: Any, error: type[VtabError], message: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as raised:
        evaluate(module, transform=transform)
    assert remedy in (raised.value.hint or "")
    assert "input_size=HEIGHT" not in str(raised.value)
    assert not list((tmp_path / "results").rglob("*.json"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([Colours(), Colours()], "Two modules would be called 'Colours'"),
        ({"": Colours()}, "cannot be the name of a backbone"),
        ({"a\n": Colours()}, "cannot be the name of a backbone"),
        ({"a": "timm:x", "b": "timm:x"}, "'b' and 'a' are the same backbone"),
        ("timm:x", "transform is for modules in memory"),
        ([], "transform is for modules in memory"),
    ],
)
def test_names_are_those_of_one_backbone(evaluate: Evaluate, given: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        evaluate(given, transform=SMALL)


def test_a_module_cannot_go_to_another_process(evaluate: Evaluate) -> None:
    with pytest.raises(OptionError, match="^executor=devices: it works in other processes") as raised:
        evaluate(Colours(), transform=SMALL, executor="devices")
    assert "python:MODULE:CALLABLE" in str(raised.value)


def test_afterwards_it_is_not_held(evaluate: Evaluate) -> None:
    evaluate(Colours(), transform=SMALL)
    with pytest.raises(UnknownNameError, match="no module 'Colours' in the memory"):
        load_backbone("memory:Colours")


def test_tasks_are_objects_too(evaluate: Evaluate, tmp_path: Path) -> None:
    for i in range(30):
        path = tmp_path / "photos" / f"{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (200 * (i % 2), 200 - 200 * (i % 2), i)).save(path)
    declared = registry.tasks.get("mini_tissue")
    own = Task("tissue_again", "Again", "own", declared.image_set, declared.label, declared.num_classes)
    found = evaluate(Colours(), [own, "mini_tissue", ImageFolder(tmp_path / "photos")], transform=SMALL)
    assert [record.identity.task.name for record in found] == ["tissue_again", "mini_tissue", "own-photos"]
    assert found.records[0].accuracy == found.records[1].accuracy
    assert found.table().loc["Colours", "own-photos"] == 1.0
    assert "tissue_again" not in registry.tasks.names()
    same = Task("mini_tissue", "Other", "own", declared.image_set, Column("x"), 2)
    with pytest.raises(PluginError, match="owns that name"):
        evaluate(Colours(), same, transform=SMALL)
    with pytest.raises(OptionError, match="is no task"):
        evaluate(Colours(), [3], transform=SMALL)


def test_register_makes_every_kind_known_to_an_evaluation(evaluate: Evaluate) -> None:
    class Counting(Local):
        jobs = 0

        def run(self, jobs: Any, work: Any) -> Any:
            Counting.jobs += len(jobs)
            return super().run(jobs, work)

    class Nearest(NearestNeighbours):
        name = "nearest"

    declared = registry.tasks.get("mini_tissue")
    registered = {
        "tasks": ("again", Task("again", "Again", "own", declared.image_set, declared.label, declared.num_classes)),
        "suites": ("pair", Suite("pair", "1", ("again", "mini_tissue"), "Two that are one.")),
        "protocols": ("nearest", Nearest),
        "executors": ("counting", Counting),
        "backbones": ("mine", registry.backbones.get("python")),
    }
    for kind, (name, found) in registered.items():
        vtab_harness.register(kind, name, found)
        with pytest.raises(PluginError, match="this process owns that name"):
            vtab_harness.register(kind, name, found)
    try:
        spec = f"mine:{SmallNetwork.__module__}:SmallNetwork?input_size=32"
        found = evaluate(spec, suite="pair", protocol="nearest", executor="counting")
    finally:
        for kind, (name, _) in registered.items():
            vtab_harness.unregister(kind, name)
    assert repr(found) == "Results(SmallNetwork on pair, nearest-v1: 2 finished)"
    assert Counting.jobs == 1
    assert list(found.table().columns) == ["again", "mini_tissue", "mean of specialized", "mean of own", "mean"]


def test_what_failed_raises_unless_it_is_asked_not_to(evaluate: Evaluate, tmp_path: Path) -> None:
    asked = {"tasks": ["caltech101", "mini_tissue", "dtd"], "transform": SMALL, "data": tmp_path}
    with pytest.raises(vtab_harness.EvaluationError, match="Colours failed on caltech101: .*not found") as raised:
        evaluate(Colours(), **asked)
    assert "So did 1 more" in str(raised.value)
    assert len(raised.value.results) == 1
    found = evaluate(Colours(), **asked, raise_error=False)
    assert found.records == raised.value.results.records
    assert [(failure.backbone, failure.tasks) for failure in found.failures] == [
        ("Colours", ("caltech101",)),
        ("Colours", ("dtd",)),
    ]
    assert "--" not in found.failures[0].error


def test_an_unknown_argument_is_named_with_the_nearest(evaluate: Evaluate) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'batchsize'\. Did you mean 'batch_size'"):
        evaluate(Colours(), transform=SMALL, batchsize=3)


def test_a_bar_is_shown_where_it_was_asked_for(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(Colours(), transform=SMALL, progress=True)
    assert "1/1" in capsys.readouterr().err
    evaluate(Colours(2.0), transform=SMALL)
    assert capsys.readouterr().err == ""
    # Nothing is left to do.
    evaluate(Colours(), transform=SMALL, progress=True)
    assert capsys.readouterr().err == ""


def test_in_a_notebook_the_bar_is_shown(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    evaluate(Colours(), transform=SMALL)
    assert "1/1" in capsys.readouterr().err


@pytest.mark.gpu
def test_a_module_on_a_gpu_stays_there(evaluate: Evaluate) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    module = Colours().cuda()
    on_cpu = evaluate(Colours(), transform=SMALL)
    assert evaluate(module, transform=SMALL).records == on_cpu.records
    assert module.scale.device.type == "cuda"
