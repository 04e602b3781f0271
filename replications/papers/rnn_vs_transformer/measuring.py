"""Time, memory and counted work of a call: warm-up, rotated inputs, many repetitions, the median."""

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
    """Median seconds of one call after a warm-up.

    On a GPU time between two device events; on a CPU the processor time of this process, which other jobs on the machine disturb
    least. Consecutive calls take different inputs, so that no call finds its own in the cache.

    Args:
        calls: the same work on different inputs, taken in turn.
        repetitions: timed samples.
        least_seconds: a sample repeats the call until it should last so long, so that the clock's grain does not matter.
        slow_seconds: a call that takes longer is timed once, for what disturbs a short one hardly shows.
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
    """Counts the bytes of tensors made inside it that are alive at once; `peak` is their largest sum.

    What it counts is exact and the same in every run: the sizes of storages as operations make them, freed when the last reference
    goes. Scratch memory inside a kernel is not seen.
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
    """Largest memory of tensors alive at once during a call, beyond what was there before: the allocator's on a GPU, else counted.

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
    """Whether an error says that memory ran out, on either kind of device."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def matrix_flops(call: Call) -> float:
    """FLOPs of the matrix products that a call makes, counted as it makes them (two a multiply-add)."""
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def graph_depth(output: Tensor) -> int:
    """Longest chain of dependent operations behind a tensor, views left out: its autograd graph's longest path."""
    depth: dict[Any, int] = {}
    stack = [output.grad_fn]
    while stack:
        node = stack[-1]
        if node is None or node in depth:
            stack.pop()
            continue
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        waiting = [parent for parent in parents if parent not in depth]
        if waiting:
            stack += waiting
            continue
        view = any(word in node.name() for word in ("View", "Select", "Transpose", "Unbind", "Stack", "Slice", "Permute", "AccumulateGrad"))
        depth[node] = max((depth[parent] for parent in parents), default=0) + (not view)
        stack.pop()
    return depth.get(output.grad_fn, 0)


def training_call(module: nn.Module, x: Tensor) -> Call:
    """Forward and backward through a module, to inputs and weights; gradients are dropped afterwards."""

    def call() -> None:
        inputs = x.detach().requires_grad_()
        module(inputs).sum().backward()
        module.zero_grad(set_to_none=True)

    return call


def forward_call(module: nn.Module, x: Tensor) -> Call:
    """Forward without anything kept for a gradient."""

    def call() -> Tensor:
        with torch.no_grad():
            return module(x)

    return call
