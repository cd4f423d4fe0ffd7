"""`check_pretrainer`: whatever makes checkpoints."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vtab_harness.api.errors import VtabError
from vtab_harness.api.pretrainers import CHECKPOINTS, FINISHED, Pretrainer
from vtab_harness.backbones.folders import find_weights
from vtab_harness.backbones.spec import load
from vtab_harness.testing.clauses import expect, expect_members, expect_settings, refusing, time_limit, working

_LAYOUT = "See vtab_harness.api.pretrainers for the layout, and timm.models.save_for_hf for the two files."
_SAME = "Follow from settings, data and step alone, and save all that is needed to go on."


def check_pretrainer(
    pretrainer: Pretrainer, settings: Any, data: Path, out: Path, *, other_settings: Any, timeout: float | None = None
) -> None:
    """Checks a pretrainer with three short runs.

    - All members are there and of use. `settings` is a frozen dataclass, and ``--set key=value`` can give every field.
      `family` can be the prefix of a spec.
    - Where there are no training data, `pretrain` raises a `VtabError` and leaves no finished checkpoint.
    - `pretrain` makes its folder and returns it; ``local-dir:`` loads it, and every folder below ``checkpoints``.
      ``config.json`` is written after the weights.
    - Called again, a finished run is left as it is. With other settings it is refused with a `VtabError`.
    - A run that lost its end (the finished checkpoint, and the last one on the way) goes on and ends with the weights
      of a run that was never stopped; so does another run of the same settings.

    It kills no process: whether a run survives that at any moment is for the pretrainer's own tests.

    Args:
        pretrainer: As it is registered.
        settings: Of its settings' class, for a run as short as can be.
        data: Training data for it.
        out: A folder to work in, which is made if it is not there.
        other_settings: With which a run that was begun with `settings` must not go on.
        timeout: Seconds after which the check gives up; see `vtab_harness.testing.clauses.time_limit`.

    Raises:
        ContractError: A clause does not hold.

    Examples:
        >>> from vtab_harness.testing import check_pretrainer
        >>> from vtab_plugin_example.pretrainers import NO_TRAINING, NoTrainingSettings
        >>> one, other = NoTrainingSettings(seed=1), NoTrainingSettings(seed=2)
        >>> check_pretrainer(NO_TRAINING, one, Path("data"), Path("runs"), other_settings=other)
    """
    what = f"The pretrainer {type(pretrainer).__name__}"
    with time_limit(timeout, f"The check of {what}"):
        _check_declaration(pretrainer, settings, other_settings, what)
        _check_no_data(pretrainer, settings, out, what)
        whole = _run(pretrainer, settings, data, out / "whole", what)
        weights = _weights(whole, what)
        before = (whole / "model.safetensors").read_bytes()
        _run(pretrainer, settings, data, whole, what)
        same = (whole / "model.safetensors").read_bytes() == before
        expect(same, f"{what} trains a finished run again.", f"Return at once where there is a {FINISHED}.")
        mend = "Compare the settings that the folder was begun with, and raise an OptionError that names what differs."
        with refusing((VtabError,), f"{what}, asked to go on with other settings,", mend):
            pretrainer.pretrain(other_settings, data, whole)
        expect(_equal(weights, _weights(whole, what)), f"{what} changes a run that it refuses to go on with.", mend)
        again = _weights(_run(pretrainer, settings, data, out / "again", what), what)
        expect(_equal(weights, again), f"{what} makes other weights from the same settings and data.", _SAME)
        torn = _weights(_run(pretrainer, settings, data, _torn(whole, out / "torn"), what), what)
        expect(_equal(weights, torn), f"{what} ends with other weights when it goes on after an interruption.", _SAME)


def _check_declaration(pretrainer: Pretrainer, settings: Any, other: Any, what: str) -> None:
    expect_members(pretrainer, Pretrainer, what)
    expect_settings(pretrainer.settings, what)
    family = pretrainer.family
    usable = isinstance(family, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", family)
    expect(usable, f"{what} has the family {family!r}.", "Give the registered name up to its first hyphen.")
    for given in (settings, other):
        fine = type(given) is type(pretrainer.settings)
        expect(fine, f"{given!r} is not of the class of {what}'s settings.", "Use dataclasses.replace on them.")
        expect_settings(given, what)
    expect(settings != other, "The other settings are the same.", "Change one that a run must not change on its way.")


def _check_no_data(pretrainer: Pretrainer, settings: Any, out: Path, what: str) -> None:
    mend = "Look at the data first, and say which folder is wanted and how it is made."
    with refusing((VtabError,), f"{what}, without training data,", mend):
        pretrainer.pretrain(settings, out / "no-data", out / "without-data")
    finished = (out / "without-data" / FINISHED).exists()
    expect(not finished, f"{what} leaves a finished checkpoint although there were no training data.", mend)


def _run(pretrainer: Pretrainer, settings: Any, data: Path, out: Path, what: str) -> Path:
    with working(f"{what}: pretrain()", "It is called with settings, a folder of data, and one that may not exist."):
        folder = pretrainer.pretrain(settings, data, out)
    fine = isinstance(folder, Path) and out.is_dir() and folder.resolve() == out.resolve()
    expect(fine, f"{what} returns {folder!r} for {str(out)!r}.", "Make the folder `out`, and return it as a Path.")
    for file in (FINISHED, "model.safetensors"):
        expect((folder / file).is_file(), f"{what} leaves no {file} in {folder}.", _LAYOUT)
    below = sorted(path for path in (folder / CHECKPOINTS).glob("[!.]*") if path.is_dir())
    for checkpoint in (folder, *below):
        _weights(checkpoint, what)
        written, last = find_weights(checkpoint).stat(), (checkpoint / FINISHED).stat()
        expect(
            written.st_mtime_ns <= last.st_mtime_ns,
            f"{what} writes {FINISHED} of {checkpoint.name} before the weights.",
            f"Write {FINISHED} last: a folder that has one is whole.",
        )
    return folder


def _weights(folder: Path, what: str) -> dict[str, Tensor]:
    with working(f"{what}: loading its checkpoint local-dir:{folder}", _LAYOUT):
        module = load(f"local-dir:{folder}").module
    return {name: value.clone() for name, value in module.state_dict().items()}


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether weights are equal up to rounding, which some devices do in another order each time."""
    same = one.keys() == other.keys()
    return same and all(torch.allclose(one[name].double(), other[name].double(), 1e-3, 1e-6) for name in one)


def _torn(whole: Path, torn: Path) -> Path:
    """Copies a run and takes its end away: the finished checkpoint, and the last one on the way."""
    shutil.copytree(whole, torn)
    (torn / FINISHED).unlink()
    (torn / "model.safetensors").unlink()
    for checkpoint in sorted((torn / CHECKPOINTS).glob("[!.]*"))[-1:]:
        shutil.rmtree(checkpoint)
    return torn
