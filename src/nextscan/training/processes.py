"""The processes that train one network together under ``torchrun``, and how they agree."""

from __future__ import annotations

import atexit
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from nextscan.errors import NextscanError, SettingError, TrainingError

T = TypeVar("T")

# A process that ends takes the others with it (torchrun sees to that, and so do closed connections);
# this is for one that stands still, and must be longer than any validation.
_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Processes:
    """Which process this is of those that train together; alone, everything here does nothing.

    Attributes
    ----------
    rank : int
        0 for the first, which alone writes files and reports progress.
    size : int
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def device(self) -> torch.device:
        """Return where this process computes: its own GPU, or the CPU."""
        if not torch.cuda.is_available():
            return torch.device("cpu")
        if self.size == 1:
            return torch.device("cuda", torch.cuda.current_device())
        place, devices = _number("LOCAL_RANK", 0), torch.cuda.device_count()
        if place >= devices:
            raise SettingError(f"torchrun started more processes here than there are GPUs ({devices}): start fewer")
        return torch.device("cuda", place)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return a network whose gradients are means over processes, with the parameters of the first."""
        if self.size == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        wrapped = DistributedDataParallel(network, gradient_as_bucket_view=True)
        # Buffers are equal from here on: there are no running statistics. Sent in every forward pass, they would
        # meet the messages of a process that failed before it. (As an argument this has two names in torch's life.)
        wrapped.broadcast_buffers = False
        return wrapped

    def apart(self, network: nn.Module) -> AbstractContextManager[Any]:
        """Keep gradients to this process within the block: those of all but the last batch of a step."""
        return nullcontext() if self.size == 1 else network.no_sync()  # type: ignore[operator]

    def first(self, make: Callable[[], T]) -> T:
        """Return to every process what `make` returns to the first; the others do not call it.

        Raises
        ------
        TrainingError
            On the others, if it failed on the first.
        """
        if self.size == 1:
            return make()
        made: list[Any] = [None]
        with self.agreed():
            if self.is_first:
                made = [make()]
        distributed.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        value: T = made[0]
        return value

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Go on after the block only if no process failed in it; none is left waiting for another.

        Raises
        ------
        TrainingError
            On the others, with the message of the one that failed.
        """
        if self.size == 1:
            yield
            return
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        culprit = torch.tensor([0 if failure is None else self.rank + 1])
        distributed.all_reduce(culprit, distributed.ReduceOp.MAX)
        if not culprit:
            return
        rank = int(culprit) - 1
        said = [str(failure) if isinstance(failure, NextscanError) else f"{type(failure).__name__}: {failure}"]
        distributed.broadcast_object_list(said, src=rank, device=torch.device("cpu"))
        if failure is not None:
            raise failure
        raise TrainingError(f"process {rank} of {self.size} stopped: {said[0]}")

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up over processes, in place."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def as_first(self, tensor: Tensor) -> Tensor:
        """Take the values of the first process, in place."""
        if self.size > 1:
            distributed.broadcast(tensor, src=0)
        return tensor


@contextmanager
def together() -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, and part from them at the end of the block.

    Inside another such block, or where a group was formed already, that one is used and left as it is.
    Without ``torchrun`` this process is alone and nothing happens.

    Raises
    ------
    SettingError
        If there are to be several processes, but not all that `torchrun` tells them is known.

    >>> with together() as here:
    ...     here.size, here.is_first
    (1, True)
    """
    if distributed.is_available() and distributed.is_initialized():
        yield Processes(distributed.get_rank(), distributed.get_world_size())
        return
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        yield Processes()
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise SettingError(
            f"WORLD_SIZE is {size}, but {' and '.join(missing)} is not set: start several processes with torchrun, "
            "or unset WORLD_SIZE"
        )
    here = Processes(_number("RANK", 0), size)
    if torch.cuda.is_available():
        torch.cuda.set_device(here.device())
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    # Imported later, when a network is wrapped, its functions would have the group for a default, and keep it for good.
    import_module("torch.distributed.nn")
    distributed.init_process_group(backend, timeout=_PATIENCE, rank=here.rank, world_size=size)
    try:
        yield here
    finally:
        distributed.destroy_process_group()
        # The group's threads end with it, and one that still lets go of a tensor while Python ends aborts the process.
        # A wrapped network holds the group, and is held in a circle; after an error, by the traceback until later.
        gc.collect()
        atexit.register(gc.collect)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit():
        raise SettingError(f"the environment variable {name} must be a whole number, got {text!r}")
    return int(text)
