"""Measured time, peak memory and counted FLOPs of a call."""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

Call = Callable[[], Any]


def median_seconds(
    calls: Sequence[Call], device: torch.device, *, repetitions: int, least_seconds: float, slow_seconds: float = 0.2
) -> float:
    """Return the median seconds of one call after a warm-up.

    On a GPU this is the time between two CUDA events; on a CPU the processor time of this process, which other jobs on the machine
    affect least. Consecutive calls take different inputs, so that no call finds its own input in the cache.

    Args:
        calls: the same work on different inputs, called in turn.
        device: device on which the calls compute.
        repetitions: number of timed samples.
        least_seconds: shortest duration of a sample, in seconds; shorter calls are repeated, because the clock's resolution is limited.
        slow_seconds: a call that takes longer is timed only once, because disturbances hardly change it.

    Returns:
        Seconds per call.
    """
    calls[-1]()
    once = _sample(calls, 1, device)
    if once > slow_seconds:
        return once
    n = max(1, min(200, round(least_seconds / max(once, 1e-7))))
    return statistics.median(_sample(calls, n, device, first=1 + i * n) for i in range(repetitions))


def _sample(calls: Sequence[Call], n: int, device: torch.device, first: int = 0) -> float:
    """Return the mean seconds per call of n consecutive calls.

    Args:
        calls: the same work on different inputs.
        n: number of calls.
        device: device on which the calls compute.
        first: index of the first call.
    """
    if device.type == "cuda":
        began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(device)
        began.record()
        for i in range(n):
            calls[(first + i) % len(calls)]()
        ended.record()
        torch.cuda.synchronize(device)
        return float(began.elapsed_time(ended)) / 1000 / n
    started = time.process_time()
    for i in range(n):
        calls[(first + i) % len(calls)]()
    return (time.process_time() - started) / n


class LiveBytes(TorchDispatchMode):
    """Counter of the bytes of all tensors, created inside it, that exist at the same time; `peak` is the maximum.

    The count is exact and reproducible: storage sizes are added when operations create them and subtracted with the last reference.
    Workspace inside a kernel is not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._counted: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in inputs and storage._cdata not in self._counted:
                    self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._counted.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._counted.discard(key)
        self.live -= size


def peak_bytes(call: Call, device: torch.device) -> float:
    """Return the peak memory of a call, beyond what was allocated before.

    Args:
        call: the work.
        device: on a GPU the allocator's peak is read; elsewhere `LiveBytes` counts.

    Returns:
        Bytes.

    Raises:
        torch.OutOfMemoryError: on a GPU, when it does not fit.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before)
    with LiveBytes() as counter:
        result = call()
        del result
    return float(counter.peak)


def out_of_memory(error: RuntimeError) -> bool:
    """Return True if an error reports insufficient memory, on a GPU or a CPU.

    Args:
        error: raised by torch.

    Returns:
        True or False.
    """
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def matrix_flops(call: Call) -> float:
    """Return the FLOPs of the matrix products in a call (two per multiply-add), counted while it runs.

    Args:
        call: the work.

    Returns:
        FLOPs.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def training_call(module: nn.Module, x: Tensor) -> Call:
    """Return a call that runs forward and backward through a module.

    Args:
        module: maps x to a tensor; the gradients of its weights are deleted afterwards.
        x: inputs; their gradients are computed, too.

    Returns:
        A function without arguments.
    """

    def call() -> None:
        inputs = x.detach().requires_grad_()
        module(inputs).sum().backward()
        module.zero_grad(set_to_none=True)

    return call


def forward_call(module: nn.Module, x: Tensor) -> Call:
    """Return a call that applies a module without storing anything for a gradient.

    Args:
        module: maps x to a tensor.
        x: inputs.

    Returns:
        A function without arguments, which returns the outputs.
    """

    def call() -> Tensor:
        with torch.no_grad():
            return module(x)

    return call
