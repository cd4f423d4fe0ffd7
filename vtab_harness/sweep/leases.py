"""Leases of a sweep: where those of a results folder lie, and who holds them."""

from __future__ import annotations

from pathlib import Path

from vtab_harness.api.identity import Identity
from vtab_harness.leases import LEASES, Holder, Lease, acquire, holders

__all__ = ["Holder", "Lease", "acquire", "cell_leases", "holders"]


def cell_leases(results: Path, identity: Identity) -> Path:
    """Returns the folder below which the leases of a cell lie: all seeds of one task, backbone and search.

    Args:
        results: Results folder.
        identity: Of any seed.
    """
    row, task, protocol, _ = identity.place
    return results / LEASES / row / task / protocol / identity.search[:12]
