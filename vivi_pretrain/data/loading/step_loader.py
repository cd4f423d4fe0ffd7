"""What both loaders are: an endless iterator over the batches of steps, made ahead in threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch

from vivi_pretrain.data.loading.prefetch import Making, Prefetcher, worker_count
from vivi_pretrain.data.loading.transfer import Transfer

Made = TypeVar("Made")
Batch = TypeVar("Batch")


class StepLoader(ABC, Generic[Made, Batch]):
    """Endless iterator over batches, beginning at any step; close it, or use it in a with-statement.

    Attributes:
        step: Of the next batch.
        waited: Seconds that the consumer has waited so far.
    """

    def __init__(self, *, workers: int, prefetch: int, first_step: int, device: torch.device | str) -> None:
        """Reading begins with the first batch that is asked for."""
        self._transfer = Transfer(device)
        self._workers = worker_count(workers)
        self._prefetcher = Prefetcher(self._make, first_step=first_step, workers=self._workers, prefetch=prefetch)
        self.step = first_step
        self.waited = 0.0

    @abstractmethod
    def _make(self, step: int) -> Making[Made]:
        """Makes what a step needs, in the loader's threads."""

    @abstractmethod
    def _finish(self, made: Made, waited: float) -> Batch:
        """Turns what was made into the batch of the step `step`, in the consumer's thread."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """Returns the batch of the next step.

        Raises:
            DataError: Something cannot be read or decoded; names it.
        """
        made, waited = self._prefetcher.next()
        batch = self._finish(made, waited)
        self.step += 1
        self.waited += waited
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads; what they have made is dropped."""
        self._prefetcher.close()
