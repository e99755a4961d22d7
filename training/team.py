"""The processes that train one network, and the memory by which they share gradients and updates."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier

import torch
from torch import Tensor

MOST_NUMBERS = 16
"""Numbers that a process may share beside its gradients."""


class Team:
    """One process's part in the team. All processes call the same methods in the same order.

    Args:
        rank: the number of this process; 0 is the first.
        gradients: [processes, parameters + MOST_NUMBERS] float32 in memory that all see; a process writes its own row.
        updates: [parameters] float32 in such a memory; processes write different parts of it.
        barrier: where each waits until all are there.
    """

    def __init__(self, rank: int, gradients: Tensor, updates: Tensor, barrier: Barrier) -> None:
        self.rank = rank
        self.size = len(gradients)
        self._gradients, self._updates, self._barrier = gradients, updates, barrier

    @classmethod
    def of(cls, context: SpawnContext, size: int, n_parameters: int) -> list[Team]:
        """The parts of `size` processes that train a network with so many parameters."""
        gradients = torch.zeros(size, n_parameters + MOST_NUMBERS).share_memory_()
        updates = torch.zeros(n_parameters).share_memory_()
        barrier = context.Barrier(size)
        return [cls(rank, gradients, updates, barrier) for rank in range(size)]

    def wait(self) -> None:
        """Wait until all processes are here.

        Raises:
            SystemExit: one of them has ended.
        """
        if self.size > 1:
            try:
                self._barrier.wait()
            except threading.BrokenBarrierError:
                raise SystemExit("Another training process has ended; its message is above.") from None

    def leave(self) -> None:
        """Let `wait` fail in all processes: this one has failed."""
        self._barrier.abort()

    def watch(self, others: list[BaseProcess]) -> None:
        """In the first process: let `wait` fail as soon as one of the others has failed."""

        def watch(process: BaseProcess) -> None:
            process.join()
            if process.exitcode:
                self.leave()

        for process in others:
            threading.Thread(target=watch, args=[process], daemon=True).start()

    def end_with_first(self) -> None:
        """In the others: end as soon as the first process has ended, however that ended."""
        first = mp.parent_process()
        if first is not None:
            threading.Thread(target=lambda: (first.join(), os._exit(1)), daemon=True).start()

    def average(self, tensors: list[Tensor], numbers: list[float]) -> list[float]:
        """Replace each tensor by its mean over the processes, and return the mean of each of the numbers."""
        if self.size == 1:
            return numbers
        own = self._gradients[self.rank]
        at = 0
        for tensor in tensors:
            own[at : at + tensor.numel()].view_as(tensor).copy_(tensor)
            at += tensor.numel()
        own[at : at + len(numbers)] = torch.tensor(numbers)
        self.wait()
        mean = self._gradients[:, : at + len(numbers)].mean(0)
        at = 0
        for tensor in tensors:
            tensor.copy_(mean[at : at + tensor.numel()].view_as(tensor))
            at += tensor.numel()
        self.wait()  # nobody writes its next gradients while others still read these
        return mean[at:].tolist()

    def complete(self, tensors: list[Tensor | None], shapes: list[torch.Size]) -> list[Tensor]:
        """All tensors, of which each process has computed some; the others are None.

        Args:
            shapes: of the tensors. What is returned stays as it is until the next call of `average`.
        """
        if self.size == 1:
            return [tensor for tensor in tensors if tensor is not None]
        places = []
        at = 0
        for tensor, shape in zip(tensors, shapes, strict=True):
            places.append(self._updates[at : at + shape.numel()].view(shape))
            at += shape.numel()
            if tensor is not None:
                places[-1].copy_(tensor)
        self.wait()
        return places
