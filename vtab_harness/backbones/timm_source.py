"""Backbones from timm: by name, from a folder in timm's layout, from a Hugging Face repository."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import timm
from torch import nn

from vtab_harness.api.backbones import Backbone, BackboneSpec, Transform
from vtab_harness.api.errors import CheckpointError, OptionError, UnknownNameError, VtabError, unknown_name
from vtab_harness.backbones import folders, hub, options, timm_build, weights
from vtab_harness.backbones.loaded import contents
from vtab_harness.backbones.network import PooledFeatures, measure
from vtab_harness.backbones.timm_build import Plan


@dataclass(frozen=True, slots=True)
class _Found:
    """What a source knows about a name before any option: what to build and how to fill it.

    Attributes:
        plan: What to build.
        weights: Finds the weights that belong to the name, and all that their choice depends on; None where there are
            none.
        fill: Builds a model with such weights.
        config: The file that the plan was read from, or None.
        files: What was read so far, as `Backbone.files` has it.
    """

    plan: Plan
    weights: Callable[[], tuple[Path, ...]] | None
    fill: Callable[[Plan, Path], nn.Module]
    config: Path | None = None
    files: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimmSource:
    """Loads timm models as feature extractors.

    Options: ``pretrained=true|false``, ``checkpoint=FILE``, ``seed=N`` of the random initialisation, ``input_size``,
    ``mean``, ``std``; every other one is a model argument, read as a Python literal.

    Attributes:
        summary: One line for listings.
        find: Looks a name up.
        list_names: Lists the names that can be listed.
    """

    summary: str
    find: Callable[[BackboneSpec], _Found]
    list_names: Callable[[], Iterable[str]] = tuple

    def names(self) -> Iterable[str]:
        """Returns the names it can load, sorted, as far as they can be listed."""
        return self.list_names()

    def load(self, spec: BackboneSpec) -> Backbone:
        """Loads a backbone on the CPU, in eval mode.

        Raises:
            UnknownNameError: timm has no such architecture or tag, or the hub no such repository.
            OptionError: An option cannot be used or the architecture does not take a model argument.
            CheckpointError: The weights are missing, damaged, unsafe, non-finite or of another architecture.
            OfflineError: The weights would have to be downloaded and cannot be.
        """
        overrides, rest = options.split_transform(spec.options)
        seed = options.seed(rest)
        checkpoint = rest.pop("checkpoint", None)
        wants = rest.pop("pretrained", None)
        pretrained = options.switch("pretrained", wants) if wants is not None else checkpoint is None
        if pretrained and checkpoint is not None:
            raise OptionError("The options pretrained=true and checkpoint=FILE exclude each other.", "Drop one.")
        given = {key: options.literal(value) for key, value in rest.items()}
        timm_build.check_arguments(given)
        found = self.find(spec)
        plan = replace(found.plan, arguments={**found.plan.arguments, **given}, given=frozenset(given))
        try:
            cfg = _cfg(timm_build.sketch(plan))
        except OptionError as error:
            if found.config is None or given:
                raise
            message = f"{found.config} describes a model that cannot be built. {error.message}"
            raise CheckpointError(message, "Mend it, or save the model again with this timm.") from error
        plan, transform = _fit_input(plan, cfg, overrides)

        files = dict(found.files)
        if checkpoint is not None:
            path = Path(checkpoint).expanduser()
            files |= contents([path])
            model = timm_build.filled_model(plan, path, seed)
        elif pretrained:
            if found.weights is None:
                raise CheckpointError(
                    f"No weights are published for {spec.prefix}:{spec.name}.",
                    "Pass pretrained=false for random ones, or checkpoint=FILE.",
                )
            paths = found.weights()
            files |= contents(paths)
            model = found.fill(plan, paths[0])
        else:
            model = timm_build.random_model(plan, seed)
        module = PooledFeatures(model).eval()
        measures = measure(module, transform, name=f"{spec.prefix}:{spec.name}")
        return Backbone(
            spec=spec.text,
            module=module,
            transform=transform,
            feature_size=measures.feature_size,
            parameters=measures.parameters,
            macs=measures.macs,
            fingerprint=weights.fingerprint(module),
            architecture=_identity(plan, cfg),
            pretrained=pretrained or checkpoint is not None,
            files=files,
        )


def _cfg(model: nn.Module) -> dict[str, Any]:
    return dict(getattr(model, "pretrained_cfg", None) or {})


def _fit_input(plan: Plan, cfg: Mapping[str, Any], overrides: options.TransformOptions) -> tuple[Plan, Transform]:
    """Settles the input size between the weights, the options and the architecture.

    Returns:
        The plan, with ``img_size`` where the architecture has to know another size than its weights', and the
        transform.
    """
    base = timm_build.transform_of(cfg)
    fixed = plan.arguments.get("img_size")
    if fixed is not None:
        text = ",".join(map(str, fixed)) if isinstance(fixed, (list, tuple)) else str(fixed)
        base = replace(base, input_size=options.image_size("img_size", text))
    transform = overrides.apply(base)
    flexible = plan.arguments.get("dynamic_img_size")
    if transform.input_size != base.input_size and not flexible and "img_size" not in plan.given:
        height, width = transform.input_size
        sizes: list[Any] = [(height, width), height] if height == width else [(height, width)]
        for size in sizes:
            if timm_build.takes(plan, img_size=size):
                return replace(plan, arguments={**plan.arguments, "img_size": size}), transform
    return plan, transform


def _identity(plan: Plan, cfg: Mapping[str, Any]) -> dict[str, Any]:
    identity = {
        "source": "timm",
        "name": plan.architecture,
        "arguments": options.plain(plan.arguments),
        "timm": timm.__version__,
    }
    # The one argument that timm takes from the description of the weights and that changes the features.
    pool = plan.arguments.get("global_pool", cfg.get("global_pool"))
    return identity if pool is None else {**identity, "pool": options.plain(pool)}


def _find_timm(spec: BackboneSpec) -> _Found:
    architecture, _, _ = spec.name.partition(".")
    if "/" in spec.name or ":" in spec.name or not timm.is_model(architecture):
        error = unknown_name("timm architecture", spec.name, [*timm.list_models(), *timm.list_models(pretrained=True)])
        where = "local-dir" if _is_folder(spec.name) else "hf-hub"
        raise UnknownNameError(error.message, f"Write {where}:{spec.name}") if "/" in spec.name else error
    try:
        known = timm.models.get_pretrained_cfg(spec.name)
    except RuntimeError:
        tagged = [name for name in timm.list_models(pretrained=True) if name.partition(".")[0] == architecture]
        raise unknown_name("timm weights", spec.name, tagged) from None
    # A deprecated name has no description of its own; the model that it builds carries the one it stands for.
    cfg = (
        {k: v for k, v in asdict(known).items() if v is not None}
        if known is not None
        else _cfg(timm_build.sketch(Plan(spec.name)))
    )
    weighty = cfg.get("url") or cfg.get("file") or cfg.get("hf_hub_id")
    plan = Plan(architecture if known is not None else spec.name, cfg)
    needs = f"{spec.prefix}:{spec.name} needs weights"

    def find_weights() -> tuple[Path, ...]:
        with _said_for(needs):
            return _published_files(cfg)

    def fill(ready: Plan, path: Path) -> nn.Module:
        with _said_for(needs):
            return timm_build.published_model(ready, path)

    return _Found(plan, find_weights if weighty else None, fill)


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    # Longer than names can be, or with characters that they cannot have.
    except (OSError, ValueError):
        return False


@contextmanager
def _said_for(what: str) -> Iterator[None]:
    try:
        yield
    except VtabError as error:
        raise type(error)(f"{what}: {error.message}", error.hint) from error


def _published_files(cfg: Mapping[str, Any]) -> tuple[Path, ...]:
    if cfg.get("file"):
        return (Path(cfg["file"]),)
    if not cfg.get("hf_hub_id"):
        url, filename = (cfg["url"], None) if isinstance(cfg["url"], str) else cfg["url"]
        return (hub.from_url(url, filename),)
    filename = cfg.get("hf_hub_filename") or "pytorch_model.bin"
    safe = [] if cfg.get("custom_load") else [str(Path(filename).with_suffix(".safetensors"))]
    if filename == "pytorch_model.bin":
        safe = ["model.safetensors"]
    elif filename == "open_clip_pytorch_model.bin":
        safe = ["open_clip_model.safetensors", *safe]
    path = hub.from_hub(cfg["hf_hub_id"], list(dict.fromkeys([*safe, filename])))
    return path, *hub.deciding(path, cfg["hf_hub_id"])


def _from_config(path: Path, deciding: tuple[Path, ...], find_weights: Callable[[], tuple[Path, ...]]) -> _Found:
    files = contents([path, *deciding])
    config = folders.read_config(path)
    try:
        timm_build.check_arguments(config.arguments)
    except OptionError as error:
        raise CheckpointError(f"{path}: {error.message}", "Take it out of 'model_args'.") from error
    plan = Plan(config.architecture, config.cfg, config.arguments)
    return _Found(plan, find_weights, timm_build.filled_model, path, files)


def _find_folder(spec: BackboneSpec) -> _Found:
    folder = Path(spec.name).expanduser()
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file, not a folder.", f"Write timm:NAME?checkpoint={folder}")
    if not folder.is_dir():
        raise CheckpointError(f"The folder {folder} does not exist.", "Check the path.")
    return _from_config(folder / "config.json", (folder,), lambda: (folders.find_weights(folder),))


def _find_repository(spec: BackboneSpec) -> _Found:
    if spec.name.count("/") != 1:
        raise OptionError(f"The repository {spec.name!r} is not of the form ORG/NAME.", "Write hf-hub:ORG/NAME")
    config = hub.from_hub(spec.name, ["config.json"])
    names = folders.WEIGHT_FILES[:2]
    return _from_config(config, hub.deciding(config, spec.name), lambda: (hub.from_hub(spec.name, names),))


def _sorted_names() -> Iterable[str]:
    return sorted(timm.list_models())


TIMM = TimmSource("timm model by name, such as timm:resnet50.a1_in1k", _find_timm, _sorted_names)
LOCAL_DIR = TimmSource("folder in timm's layout: config.json and model.safetensors", _find_folder)
HF_HUB = TimmSource("Hugging Face repository of a timm model, as hf-hub:ORG/NAME", _find_repository)
