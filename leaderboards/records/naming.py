"""What a person calls backbones, and which of several results of one spec is meant.

A name is a label, and no part of what makes a result that result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from leaderboards.records.frame import check_frame, with_names
from leaderboards.records.lookup import short_forms
from vtab_harness.api.errors import OptionError
from vtab_harness.api.values import check_name


def name_backbones(frame: pd.DataFrame, names: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """Calls backbones what a person calls them.

    Several rows of one spec are told apart by their weights behind the name.

    Args:
        frame: Of `leaderboards.load`.
        names: Name -> spec, folder in the results, or the name within a spec where only one has it.

    Returns:
        The frame with other `name` and `backbone`, and a sentence for each name of what is not there.

    Raises:
        OptionError: It is no frame of records, a name cannot be used, or a backbone is given two of them.
    """
    check_frame(frame)
    if not names:
        return frame, []
    rows = frame[["folder", "spec"]].drop_duplicates().astype(object)
    folders, specs = rows["folder"].tolist(), rows["spec"].tolist()
    given: dict[str, str] = {}
    unknown = []
    for name, backbone in names.items():
        check_name(name)
        meant = _meant(folders, specs, backbone, f"--name {name}={backbone}")
        if not meant:
            unknown.append(f"--name {name}={backbone}: there is no such backbone in these results.")
        for folder in meant:
            if folder in given:
                raise OptionError(f"{given[folder]!r} and {name!r} are names of one backbone, {backbone}.", "Give one.")
            given[folder] = name
    called = frame["folder"].astype(object).map(given)
    column = called.where(called.notna(), frame["name"].astype(object)).astype("category")
    return with_names(frame.assign(name=column)), unknown


def _meant(folders: Sequence[str], specs: Sequence[str], backbone: str, what: str) -> list[str]:
    """Returns the folders of the backbone that is meant: several where its weights or its number format differ."""
    if backbone in folders:
        return [backbone]
    found = {folder for folder, spec in zip(folders, specs, strict=True) if spec == backbone}
    if not found:
        pairs = [(f, s) for f, s in zip(folders, specs, strict=True) if backbone in short_forms(s)]
        if len({spec for _, spec in pairs}) > 1:
            several = ", ".join(sorted({spec for _, spec in pairs}))
            raise OptionError(f"{what}: it may be any of {several}.", "Give the whole spec.")
        found = {folder for folder, _ in pairs}
    return sorted(found)


def is_newest_of_spec(frame: pd.DataFrame) -> pd.Series:
    """Returns which records are of the newest backbone that a spec stands for, protocol by protocol.

    A spec such as ``local-dir:runs/mine`` stands for other weights once these have changed, and the same weights in
    two number formats are two backbones as well. The newest is the one with the newest record; a backbone is of the
    spec of its own newest record.
    """
    ordered = (
        frame.reset_index(drop=True)
        .sort_values("finished", kind="stable", na_position="first")
        .astype({"folder": object, "spec": object, "protocol": object})
    )
    spec_of = ordered.drop_duplicates("folder", keep="last").set_index("folder")["spec"]
    ordered = ordered.assign(of=ordered["folder"].map(spec_of))
    newest = ordered.drop_duplicates(["protocol", "of"], keep="last").set_index(["protocol", "of"])["folder"]
    keys = pd.MultiIndex.from_frame(ordered[["protocol", "of"]])
    chosen = pd.Series(newest.reindex(keys).to_numpy() == ordered["folder"].to_numpy(), ordered.index)
    return pd.Series(chosen.sort_index().to_numpy(), frame.index)
