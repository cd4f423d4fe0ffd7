"""A pretrainer: a network with random weights, which takes the place of a trained one."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import timm
import torch
from safetensors.torch import save

from vtab_harness.api.errors import DataError, OptionError
from vtab_harness.api.pretrainers import CHECKPOINTS, FINISHED
from vtab_harness.sweep.store import write_atomically

CONFIG = {"architecture": "test_resnet", "num_classes": 0, "pretrained_cfg": {"input_size": [3, 32, 32]}}


@dataclass(frozen=True)
class NoTrainingSettings:
    """Seed of the weights."""

    seed: int = 0


class NoTraining:
    """Goes on where it stopped: here that is at the start, or at the end."""

    summary = "a network with random weights"
    family = "no"
    settings = NoTrainingSettings()

    def pretrain(self, settings: NoTrainingSettings, data: Path, out: Path) -> Path:
        if not data.is_dir():
            raise DataError(f"{data} is no folder with training data.", "Give one with --data.")
        out.mkdir(parents=True, exist_ok=True)
        run, wanted = out / "run.json", json.dumps(asdict(settings))
        if run.exists() and run.read_text() != wanted:
            raise OptionError(f"{out} holds a run with other settings: {run.read_text()}.", "Choose another --out.")
        write_atomically(run, wanted.encode())
        if not (out / FINISHED).exists():
            with torch.random.fork_rng():
                torch.manual_seed(settings.seed)
                weights = save(timm.create_model("test_resnet", num_classes=0).state_dict())
            # On the way: a folder under a hidden name, which appears by one rename.
            partial, step = out / CHECKPOINTS / ".partial", out / CHECKPOINTS / "step-00000001"
            self._write(partial, weights)
            if not step.exists():
                partial.rename(step)
            self._write(out, weights)
        return out

    def _write(self, folder: Path, weights: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "model.safetensors", weights)
        # Last: a folder that has one is whole.
        write_atomically(folder / "config.json", json.dumps(CONFIG).encode())


NO_TRAINING = NoTraining()
