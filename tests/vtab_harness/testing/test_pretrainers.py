"""`check_pretrainer` finds each way in which a pretrainer can be wrong; the example plugin and VIVI pass it."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vtab_harness.api.errors import VtabError
from vtab_harness.testing import ContractError, check_pretrainer
from vtab_plugin_example.pretrainers import NoTraining, NoTrainingSettings

SETTINGS, OTHER = NoTrainingSettings(), NoTrainingSettings(seed=1)


def check(pretrainer: Any, out: Path, settings: Any = SETTINGS, other: Any = OTHER) -> None:
    data = out / "data"
    data.mkdir()
    check_pretrainer(pretrainer, settings, data, out, other_settings=other)


class NeedsNoData(NoTraining):
    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        (out.parent / "some").mkdir(parents=True, exist_ok=True)
        return super().pretrain(settings, out.parent / "some", out)


class FailsWithoutData(NoTraining):
    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        list(os.scandir(data))
        return super().pretrain(settings, data, out)


class FinishesWithoutData(NeedsNoData):
    """Says so too late."""

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        found = super().pretrain(settings, data, out)
        if not data.is_dir():
            raise VtabError("no data")
        return found


class ReturnsText(NoTraining):
    def pretrain(self, settings: Any, data: Path, out: Path) -> Any:
        return str(super().pretrain(settings, data, out))


class Elsewhere(NoTraining):
    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        out.mkdir(exist_ok=True)
        return super().pretrain(settings, data, out / "final")


class After(NoTraining):
    """Does something to the folder of every run."""

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        folder = super().pretrain(settings, data, out)
        self.change(folder)
        return folder

    def change(self, folder: Path) -> None:
        raise NotImplementedError


class NoConfig(After):
    def change(self, folder: Path) -> None:
        (folder / "config.json").unlink()


class PickledWeights(After):
    def change(self, folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


class DamagedCheckpoint(After):
    def change(self, folder: Path) -> None:
        weights = folder / "checkpoints" / "step-00000001" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])


class UnfinishedCheckpoint(After):
    def change(self, folder: Path) -> None:
        (folder / "checkpoints" / "step-00000002").mkdir(exist_ok=True)


class ConfigFirst(After):
    def change(self, folder: Path) -> None:
        config = (folder / "config.json").stat()
        os.utime(folder / "config.json", ns=(config.st_atime_ns, config.st_mtime_ns - 10**9))


class Restarts(NoTraining):
    """Begins with a seed of its own whenever it is called."""

    calls = 0

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        if not data.is_dir():
            return super().pretrain(settings, data, out)
        self.calls += 1
        shutil.rmtree(out, ignore_errors=True)
        return super().pretrain(replace(settings, seed=settings.seed + self.calls), data, out)


class TakesOtherSettings(NoTraining):
    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        return super().pretrain(SETTINGS, data, out)


class RefusesTooLate(NoTraining):
    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        if settings != SETTINGS:
            shutil.rmtree(out)
            super().pretrain(settings, data, out)
            raise VtabError("other settings")
        return super().pretrain(settings, data, out)


class Unseeded(NoTraining):
    """Takes its seed from the name of the folder."""

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        return super().pretrain(replace(settings, seed=settings.seed + ord(out.name[0])), data, out)


class ForgetsWhereItWas(NoTraining):
    """Begins with another seed if something is there already."""

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        torn = (out / "run.json").exists() and not (out / "config.json").exists()
        if torn:
            shutil.rmtree(out)
        found = super().pretrain(replace(settings, seed=settings.seed + 7 * torn), data, out)
        return found


class CannotGoOn(NoTraining):
    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        out.mkdir(exist_ok=(out / "config.json").exists())
        return super().pretrain(settings, data, out)


@dataclass
class Unfrozen:
    seed: int = 0


@pytest.mark.parametrize(
    ("pretrainer", "message"),
    [
        (NoTraining, "is a class"),
        (type("NoSummary", (NoTraining,), {"summary": ""})(), "the summary ''"),
        (type("NoFamily", (NoTraining,), {"family": "no-training"})(), "the family 'no-training'"),
        (type("Open", (NoTraining,), {"settings": Unfrozen()})(), "frozen=True"),
        (type("Others", (NoTraining,), {"settings": type("S", (NoTrainingSettings,), {})()})(), "not of the class"),
        (NeedsNoData(), "without training data, raised nothing"),
        (FailsWithoutData(), "without training data, raised FileNotFoundError"),
        (FinishesWithoutData(), "leaves a finished checkpoint although there were no training data"),
        (ReturnsText(), "returns '.*whole' for"),
        (Elsewhere(), "Make the folder `out`, and return it"),
        (NoConfig(), "leaves no config.json"),
        (PickledWeights(), "leaves no model.safetensors"),
        (DamagedCheckpoint(), "step-00000001 raised CheckpointError"),
        (UnfinishedCheckpoint(), "step-00000002 raised CheckpointError"),
        (ConfigFirst(), "writes config.json of whole before the weights"),
        (Restarts(), "trains a finished run again"),
        (TakesOtherSettings(), "asked to go on with other settings, raised nothing"),
        (RefusesTooLate(), "changes a run that it refuses"),
        (Unseeded(), "makes other weights from the same settings and data"),
        (ForgetsWhereItWas(), "ends with other weights when it goes on"),
        (CannotGoOn(), r"pretrain\(\) raised FileExistsError"),
    ],
)
def test_a_wrong_pretrainer_is_found(tmp_path: Path, pretrainer: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check(pretrainer, tmp_path)


def test_settings_to_refuse_must_differ(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="The other settings are the same"):
        check(NoTraining(), tmp_path, other=SETTINGS)
