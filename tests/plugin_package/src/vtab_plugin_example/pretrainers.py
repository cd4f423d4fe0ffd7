from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class NoSettings:
    note: str = ""


class NoTraining:
    summary = "writes an empty folder"
    family = "no"
    settings = NoSettings()

    def pretrain(self, settings: Any, data: Path, out: Path) -> Path:
        out.mkdir(parents=True)
        return out


NO_TRAINING = NoTraining()
