"""What the harness finds through the entry-point group ``vtab_harness.pretrainers``: one pretrainer for each preset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from vivi_pretrain.presets.paper import PRESETS, Preset
from vivi_pretrain.settings import MAY_CHANGE, PretrainSettings
from vtab_harness.api.pretrainers import Estimate


@dataclass(frozen=True, slots=True)
class ViviPretrainer:
    """A preset as a pretrainer of the harness; see `vtab_harness.api.pretrainers.Pretrainer`.

    Attributes:
        preset: Name and settings.
        family: Prefix of its checkpoints, those of the baselines too.
        may_change: Settings that leave what comes out as it is.
    """

    preset: Preset
    family: str = "vivi"
    may_change: frozenset[str] = MAY_CHANGE

    @property
    def summary(self) -> str:
        """One line for `vtab list pretrainers`."""
        return self.preset.summary

    @property
    def settings(self) -> PretrainSettings:
        """The preset's settings."""
        return self.preset.settings()

    def estimate(self, settings: PretrainSettings) -> Estimate:
        """Says what a run will take; see `vivi_pretrain.training.estimate.estimate`."""
        from vivi_pretrain.training.estimate import estimate

        return estimate(settings)

    def pretrain(self, settings: PretrainSettings, data: Path, out: Path) -> Path:
        """Trains on a folder of shards (see ``vivi shard``), or goes on where the run in `out` stopped.

        Raises:
            VtabError: Data, settings or the folder cannot be used.
            Preempted: The run was told to stop and saved its state.
            DivergedError: A loss became non-finite.
        """
        from vivi_pretrain.training.trainer import pretrain

        return pretrain(settings, data, out, preset=self.preset.name)


# As an entry point names them: vivi_pretrain.plugin:presets.vivi_ex4
presets = SimpleNamespace(**{name.replace("-", "_"): ViviPretrainer(preset) for name, preset in PRESETS.items()})
