"""Several processes, one GPU each, train one run together: `torchrun` starts them, Lightning Fabric joins them.

An experiment that may run on several GPUs writes its update like this, and works alone, on 8 GPUs or on 4 nodes:

    team = context.team
    model, optimiser = team.setup(model, optimiser)

    def step(index):
        images, labels = batch(index)          # the GLOBAL batch, drawn from a seeded generator: equal in every process
        optimiser.zero_grad()
        loss = team.accumulate(model, loss_of, images, labels, at_most=256)
        optimiser.step()
        return {"loss": loss}                  # already the mean over the global batch, equal in every process

    train(context, step, ...)

The global batch is an invariant: every process works through its share of it, in pieces of at most `at_most` examples
whose gradients add up. More GPUs mean fewer pieces, never another batch. Draw whatever is random per example (order,
crops, noise) for the global batch before it is shared, and the number of processes changes a loss by rounding only;
dropout inside the network differs by process, as it does with every data-parallel training.

Evaluation: `mine = team.shard(indices)`, predict, `team.gather(predictions, len(indices))` gives all in the order of
`indices` to every process. `context.record`, `artifact`, `load` and checkpoints need no care: process 0 alone writes.
Where only one process may do something (build a cache) use `with team.main_first():`.

Collectives call `torch.distributed`, not Fabric: Fabric's move every tensor to the GPU first, and its barrier uses the group
of the gradients, so that flags and checks would wait for the GPU; here they have a gloo group of their own (`control`).
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from replications.engine.devices import choose_device
from replications.errors import InputError, Preempted, ReplicationError

PATIENCE = timedelta(minutes=10)
"""A process that waits this long for another gives up. A dead one is noticed at once; this is for one that hangs."""

GONE = ("connection closed", "connection reset", "timed out", "timeout", "broken pipe", "nccl", "socket")
"""What gloo and NCCL say, in lower case, when another process of the job is gone."""


@dataclass(frozen=True)
class Team:
    """The processes that train one run together. The default is a process alone, for which every method is trivial.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        device: of this process.
        fabric: Lightning Fabric, which averages gradients; None in a process alone.
        control: gloo group of the small messages between processors, which never wait for a GPU; None in a process alone.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    fabric: Any = field(default=None, repr=False)
    control: Any = field(default=None, repr=False)

    @property
    def main(self) -> bool:
        """True in the process that writes records, checkpoints and progress."""
        return self.rank == 0

    def setup(self, model: nn.Module, *optimisers: torch.optim.Optimizer) -> tuple[Any, ...]:
        """Move a model to this process's device and let its gradients be averaged over all processes.

        Args:
            model: equal in every process.
            optimisers: of the model's parameters.

        Returns:
            The model to train (its `state_dict` has the keys of the one given), then the optimisers.
        """
        model = model.to(self.device)
        if self.fabric is None:
            return (model, *optimisers)
        prepared = self.fabric.setup(model, *optimisers, move_to_device=False)
        return prepared if isinstance(prepared, tuple) else (prepared,)

    def shard(self, batch: Tensor) -> Tensor:
        """Return this process's part of a global batch: consecutive rows, as a view. Parts differ in length by one at most.

        Args:
            batch: (n, ...), equal in every process.

        Returns:
            (n / size, ...), rounded up or down.
        """
        first, last = self._part(len(batch))
        return batch[first:last]

    def _part(self, n: int) -> tuple[int, int]:
        return n * self.rank // self.size, n * (self.rank + 1) // self.size

    def pieces(self, n: int, at_most: int | None = None) -> list[slice]:
        """Return this process's part of a global batch as near-equal slices.

        Args:
            n: rows of the global batch.
            at_most: largest number of rows of a slice; None: no limit.

        Returns:
            Slices of the global batch, in order.

        >>> Team(rank=1, size=2).pieces(16, at_most=3)
        [slice(8, 10, None), slice(10, 13, None), slice(13, 16, None)]
        """
        first, last = self._part(n)
        count = -(-(last - first) // (at_most or n))
        edges = [first + (last - first) * i // count for i in range(count + 1)]
        return [slice(a, b) for a, b in itertools.pairwise(edges)]

    def accumulate(self, model: nn.Module, loss: Callable[..., Tensor], *batch: Tensor, at_most: int | None = None) -> Tensor:
        """Add the gradient of the mean loss over a global batch to the parameters.

        Args:
            model: what `setup` returned.
            loss: called as `loss(*piece)` with slices of `batch`; returns the MEAN loss over the piece, shape ().
            batch: tensors (n, ...), equal in every process.
            at_most: rows that fit through the network at once; None: no limit.

        Returns:
            The mean loss over the global batch, detached, equal in every process, shape ().

        Raises:
            InputError: when the batch cannot be shared equally, which would change what the mean is.
        """
        n = len(batch[0])
        if n % self.size:
            raise InputError(f"A global batch of {n:,} cannot be shared equally by {self.size} processes. Ask for another number of GPUs.")
        pieces = self.pieces(n, at_most)
        total = torch.zeros((), device=self.device)
        for piece in pieces:
            later = piece is not pieces[-1]
            with self.fabric.no_backward_sync(model, enabled=later) if self.fabric else contextlib.nullcontext():
                value = loss(*(part[piece] for part in batch)) * ((piece.stop - piece.start) * self.size / n)
                if self.fabric:
                    self.fabric.backward(value)
                else:
                    value.backward()
            total += value.detach()
        return self.mean(total)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes.

        Args:
            values: of the same shape in every process, on its device.

        Returns:
            Detached, of the same shape, equal in every process; of a process alone `values` itself.
        """
        if self.size == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def gather(self, part: Tensor, n: int) -> Tensor:
        """Return the rows of all processes in the order of the global batch.

        Args:
            part: rows of this process, as many as `shard` gave it.
            n: rows of the global batch.

        Returns:
            (n, ...), equal in every process.
        """
        if self.size == 1:
            return part
        longest = -(-n // self.size)
        padded = torch.zeros((longest, *part.shape[1:]), dtype=part.dtype, device=part.device)
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        lengths = [n * (rank + 1) // self.size - n * rank // self.size for rank in range(self.size)]
        return torch.cat([rows[:length] for rows, length in zip(parts, lengths, strict=True)])

    def any_rank(self, flag: bool) -> bool:
        """Return the logical OR of a flag over all ranks. It costs 0.1-0.3 ms and does not wait for a GPU.

        Args:
            flag: of this process.

        Returns:
            The same answer in every process.
        """
        if self.size == 1:
            return flag
        answer = torch.tensor([int(flag)])
        dist.all_reduce(answer, dist.ReduceOp.MAX, group=self.control)
        return bool(answer.item())

    def sum(self, value: float) -> float:
        """Return the sum of one number over the processes, equal in each.

        Args:
            value: of this process.

        Returns:
            The sum, rounded as float64.
        """
        if self.size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(total, group=self.control)
        return float(total.item())

    def check_equal(self, value: int, what: str) -> None:
        """Check that every process has the same value: a slow shared file system shows them different files.

        Args:
            value: of this process.
            what: the things that are counted, for the message.

        Raises:
            ReplicationError: the values differ.
        """
        if self.size == 1:
            return
        values = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(values, torch.tensor([value]), group=self.control)
        seen = [int(one.item()) for one in values]
        if len(set(seen)) > 1:
            raise ReplicationError(
                f"The processes of this job see different {what}: {seen}. The shared file system is slow to show new files, or a node sees"
                " another one. Run the same command again."
            )

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Process 0 goes through the block first, then the others."""
        if self.size > 1 and not self.main:
            dist.barrier(group=self.control)
        yield
        if self.size > 1 and self.main:
            dist.barrier(group=self.control)


def launched() -> bool:
    """Return True when torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def team(device: str | None = None, *, timeout: timedelta = PATIENCE) -> Iterator[Team]:
    """Yield this process's team: alone, or with the others that torchrun started. The process ends when the block fails.

    Args:
        device: 'cpu', 'cuda', 'cuda:N' or None for a GPU where there is one; a team gives each process its own GPU.
        timeout: how long to wait for another process before giving up.

    Yields:
        The team.
    """
    if not launched():
        yield Team(device=choose_device(device))
        return
    _end_with_parent()
    rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    kind = torch.device(device).type if device else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        own = choose_device(f"cuda:{local}" if kind == "cuda" else "cpu")
        fabric = _fabric(own, timeout)
        control: Any = dist.new_group(backend="gloo", timeout=timeout)
        yield Team(rank, size, own, fabric, control)
        dist.barrier(group=control)
        dist.destroy_process_group()
    except BaseException as error:  # whatever it is: the others wait for this process, so it must end, and end now
        _explain(error, rank)
        # No destructor may run: that of a communicator waits for processes that wait for this one.
        os._exit(getattr(error, "exit_code", 1))


def _fabric(device: torch.device, timeout: timedelta) -> Any:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would greet in every process
    backend = "nccl" if device.type == "cuda" else "gloo"
    local, size = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    strategy = DDPStrategy(timeout=timeout, process_group_backend=backend, gradient_as_bucket_view=True)
    fabric = Fabric(accelerator=device.type, devices=local, num_nodes=size // local, strategy=strategy)
    fabric.launch()
    return fabric


def _explain(error: BaseException, rank: int) -> None:
    """Say once what ended the job, in a sentence where that is enough."""
    text = str(error)
    if isinstance(error, Preempted):
        said = f"error: {text}" if rank == 0 else ""
    elif isinstance(error, ReplicationError):
        said = f"error: {text}" if rank == 0 else f"error in process {rank}: {text}"
    elif isinstance(error, RuntimeError) and any(word in text.lower() for word in GONE):
        reason = text.strip().splitlines()[0]
        said = f"error in process {rank}: another process of this job is gone, so this one stops too ({reason})."
    else:
        said = f"error in process {rank}:\n{''.join(traceback.format_exception(error))}"
    if said:
        print(said, file=sys.stderr, flush=True)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when torchrun itself is killed, so that no process is left behind on a GPU."""
    if sys.platform == "linux":
        parent_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGTERM)
