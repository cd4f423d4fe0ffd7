"""Leases of a sweep: where those of a results folder lie, and who holds them."""

from __future__ import annotations

from pathlib import Path

from vtab_harness.api.identity import Identity
from vtab_harness.leases import LEASES, acquire, holders, lives, this_process

DRIVERS, WORKERS = ".drivers", ".workers"
"""Folders among the leases in which drivers and jobs show that they live; nothing depends on who holds these."""


def cell_leases(results: Path, identity: Identity) -> Path:
    """Returns the folder below which the leases of a cell lie: all seeds of one task, backbone and search.

    Args:
        results: Results folder.
        identity: Of any seed.
    """
    row, task, protocol, _ = identity.place
    return results / LEASES / row / task / protocol / identity.search[:12]


def driver_lease(results: Path, sweep: str) -> Path:
    """Returns the lease by which the driver of a sweep shows that it lives."""
    return results / LEASES / DRIVERS / sweep


def worker_lease(results: Path, sweep: str, name: str) -> Path:
    """Returns the lease by which a job of a sweep shows that it lives, and how far it is."""
    return results / LEASES / WORKERS / sweep / name


def forget_dead(results: Path) -> None:
    """Takes away what drivers and jobs have left that died on this machine, as nobody else will want their leases."""
    for lease, holder in holders(results):
        if {DRIVERS, WORKERS} & {*lease.relative_to(results).parts} and lives(holder) is False:
            taken = acquire(lease, this_process())
            if taken is not None:
                taken.release()
