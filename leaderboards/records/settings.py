"""How results are read: what a person calls backbones, and which of several of one spec is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vtab_harness.api.settings import Settings, option
from vtab_harness.api.values import check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings(Settings):
    """How results are read."""

    names: Mapping[str, str] = option(
        {}, "What to call a backbone, NAME=SPEC; may be repeated.", "--name", "--names", metavar="NAME=SPEC"
    )
    newest: bool = option(False, "Of several results of one spec, as its weights changed, the newest.", "--newest")

    def __post_init__(self) -> None:
        """Reads every value as the type of its field, and checks the names."""
        Settings.__post_init__(self)
        for name in self.names:
            check_name(name)
