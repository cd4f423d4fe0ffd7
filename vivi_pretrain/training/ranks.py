"""The processes of one run: a single one, or those that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from vivi_pretrain.training.errors import RankFailedError
from vtab_harness.api.errors import OptionError
from vtab_harness.engine.device import resolve_device

# A rank that waits longer than this for another takes it for dead.
TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all.

    Attributes:
        rank: From 0.
        size: How many there are.
        device: Where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def share(self, name: str, total: int) -> int:
        """Returns this rank's part of a number of things per step.

        Raises:
            OptionError: It cannot be divided evenly.
        """
        if total % self.size:
            message = f"{name}={total} cannot be divided over {self.size} ranks."
            raise OptionError(message, f"Choose a multiple of {self.size}.")
        return total // self.size

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set on any rank; every rank must ask."""
        if self.size == 1:
            return flag
        # A tensor on the CPU goes through gloo: nobody waits for what the devices still have to do.
        value = torch.tensor([int(flag)])
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return bool(value.item())

    def agree(self, number: int) -> bool:
        """Returns whether the number is the same on all ranks; every rank must ask."""
        if self.size == 1:
            return True
        ends = torch.tensor([number, -number])
        dist.all_reduce(ends, op=dist.ReduceOp.MAX)
        return bool(ends[0] == -ends[1])


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Joins the processes that torchrun started; a process on its own is rank 0 of 1.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``; with several ranks each takes the GPU of its local rank.

    Raises:
        RankFailedError: Another process died while this one waited for it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Ranks(0, 1, resolve_device(device))
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    name = f"cuda:{local}" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else device
    where = resolve_device("cpu" if name == "auto" else name)
    if where.type == "cuda":
        torch.cuda.set_device(where)
    dist.init_process_group("cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Ranks(rank, size, where)
    except (dist.DistBackendError, dist.DistNetworkError, RuntimeError) as error:
        if _lost_a_rank(error):
            raise RankFailedError(
                f"Rank {rank} stopped because another rank did: {str(error).splitlines()[0]}",
                "Look for the first error among the ranks; the same command goes on from the last checkpoint.",
            ) from error
        raise
    finally:
        dist.destroy_process_group()


def _lost_a_rank(error: Exception) -> bool:
    signs = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Timed out", "gloo")
    return isinstance(error, dist.DistError) or any(sign in str(error) for sign in signs)
