"""What ``vtab publish`` is told."""

from __future__ import annotations

from dataclasses import dataclass

from leaderboards.leaderboard import LeaderboardSettings
from vtab_harness.api.errors import OptionError
from vtab_harness.api.settings import option


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSettings(LeaderboardSettings):
    """What ``vtab publish`` is told: the leaderboard, which it writes as ``vtab leaderboard`` does, and where to."""

    board: str | None = option(
        None, "Dataset repository that gets tables, page, eval.yaml and records.", metavar="ORG/NAME"
    )
    records: bool = option(True, "Send the records of the table, with their predictions, to the dataset repository.")
    backbone: str | None = option(
        None, "Backbone of the table whose results its model repository gets.", metavar="SPEC"
    )
    repository: str | None = option(
        None, "Model repository of --backbone; that of hf-hub:ORG/NAME need not be given.", metavar="ORG/NAME"
    )
    push: bool = option(False, "Send it; otherwise it is only shown.", "--push")
    create_pr: bool = option(False, "With --push, open a pull request.", "--create-pr")

    def __post_init__(self) -> None:
        """Checks what can be checked before anything is read.

        Raises:
            OptionError: There is nothing to publish, or an option has no use without another.
        """
        LeaderboardSettings.__post_init__(self)
        if self.board is None and self.backbone is None:
            raise OptionError(
                "Nothing to publish is named.", "Give --board ORG/NAME, --backbone SPEC for a model's page, or both."
            )
        if self.repository is not None and self.backbone is None:
            raise OptionError("--repository is where the results of --backbone go.", "Give --backbone as well.")
        if self.create_pr and not self.push:
            raise OptionError("--create-pr is a way to push.", "Give --push as well.")
