"""Time, memory and counted operations of a call."""

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

    On a GPU this is the time between two device events; on a CPU the processor time of this process, which other jobs on the machine
    disturb least. Consecutive calls take different inputs, so that no call finds its own in the cache.

    Args:
        calls: the same work on different inputs, taken in turn.
        device: on which the calls compute.
        repetitions: number of timed samples.
        least_seconds: shortest duration of a sample; shorter calls are repeated, so that the clock's resolution does not matter.
        slow_seconds: a call that takes longer is timed once, because disturbances hardly change it.

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
    """Counter of the bytes of tensors created inside it that are alive at once; `peak` is their largest sum.

    The count is exact and reproducible: sizes of storages as operations create them, freed with the last reference. Scratch memory
    inside a kernel is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage._cdata not in inputs and storage._cdata not in self._known:
                    self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def peak_bytes(call: Call, device: torch.device) -> float:
    """Return the largest memory of tensors alive at once during a call, beyond what was allocated before.

    Args:
        call: the work.
        device: on a GPU the allocator's peak is read; elsewhere bytes are counted.

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
    """Return True when an error says that memory ran out, on a GPU or a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def matrix_flops(call: Call) -> float:
    """Return the FLOPs of the matrix products that a call makes, counted as it makes them (two per multiply-add)."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def training_call(module: nn.Module, x: Tensor) -> Call:
    """Return a call that runs forward and backward through a module.

    Args:
        module: maps x to a tensor; gradients of its weights are dropped afterwards.
        x: inputs, which get gradients too.
    """

    def call() -> None:
        inputs = x.detach().requires_grad_()
        module(inputs).sum().backward()
        module.zero_grad(set_to_none=True)

    return call


def forward_call(module: nn.Module, x: Tensor) -> Call:
    """Return a call that applies a module to x without keeping anything for a gradient."""

    def call() -> Tensor:
        with torch.no_grad():
            return module(x)

    return call
