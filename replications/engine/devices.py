"""Devices: choice, precision, CUDA graphs, peaks, energy, memory."""

from __future__ import annotations

import contextlib
import resource
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from replications.errors import InputError

PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "V100": 125e12}
"""Dense bf16 (V100: fp16) FLOP/s from the makers' data sheets, by a part of the device's name."""


def choose_device(name: str | None) -> torch.device:
    """Return a device that is there.

    Args:
        name: 'cpu', 'cuda' or 'cuda:N'; None: the first GPU, or the CPU where there is none.

    Returns:
        The device; a GPU always with its index.

    Raises:
        InputError: the name is unknown, or that GPU is not there.
    """
    if name is None:
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"Device '{name}' is unknown. Use cpu, cuda or cuda:N.") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            seen = f"{count} CUDA device(s), numbered from 0" if count else "no CUDA device"
            raise InputError(f"Device '{name}' is not there: this machine shows {seen}. Use --device cpu, or check nvidia-smi.")
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise InputError(f"Device '{name}' is not supported. Use cpu, cuda or cuda:N.")
    return device


def device_name(device: torch.device) -> str:
    """Return the model name of a processor or GPU.

    Args:
        device: a device of this machine.

    Returns:
        As the driver or the operating system gives it.
    """
    from replications.results.provenance import cpu_name

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def peak_flops(device: torch.device) -> float | None:
    """Return the peak of a GPU in dense bf16 FLOP/s.

    Args:
        device: a device of this machine.

    Returns:
        FLOP/s; None for CPUs and unknown GPUs, whose utilisation is not reported.
    """
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK_BF16.items() if part in name), None)


def native_bf16(device: torch.device) -> bool:
    """Return True when the device multiplies bf16 in hardware; elsewhere it is emulated, and slower than fp32.

    Args:
        device: a device of this machine.

    Returns:
        Of a CPU: True with AVX-512 bf16 instructions.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.backends.cpu.get_cpu_capability() if hasattr(torch.backends, "cpu") else ""
    return "AVX512" in capabilities and bool(torch.cpu._is_avx512_bf16_supported())


class NotCaptured(UserWarning):
    """A step runs slower than it could."""


class GraphedStep:
    """A step that launches once: on CUDA the first calls run eagerly, one is captured, all later ones are replays.

    A step that cannot be captured goes on as it began, kernel by kernel, with a warning.

    Args:
        function: no arguments; reads static tensors, returns static tensors; shapes never change.
        device: on the CPU `function` is simply called.
        generators: every generator that `function` draws from, so that replays advance them.
        warmup: eager calls before the capture; they are real steps.
    """

    def __init__(
        self,
        function: Callable[[], Mapping[str, Tensor]],
        device: torch.device,
        generators: Sequence[torch.Generator] = (),
        *,
        warmup: int = 3,
    ) -> None:
        self.function, self.device, self.generators, self.warmup = function, device, generators, warmup
        self._graph: torch.cuda.CUDAGraph | None = None
        self._outputs: Mapping[str, Tensor] = {}

    def __call__(self) -> Mapping[str, Tensor]:
        """Make one step and return its outputs; on CUDA the same tensors are overwritten by every replay.

        Raises:
            torch.OutOfMemoryError: the step does not fit into the memory of the GPU.
        """
        if self.device.type != "cuda":
            return self.function()
        if self.warmup > 0:
            self.warmup -= 1
            return self._eagerly()
        if self._graph is None:
            try:
                self._graph = self._capture()
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                warnings.warn(
                    f"An update could not be captured as one graph and is launched in its parts, slower: {reason}", NotCaptured, 2
                )
                self.warmup = sys.maxsize
                return self._eagerly()
        self._graph.replay()
        return self._outputs

    def _eagerly(self) -> Mapping[str, Tensor]:
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
            outputs = self.function()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        return outputs

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            self._outputs = self.function()
        return graph


class Meter:
    """Context manager that measures wall time, peak memory and, where the driver counts them, energy and busy time of a block.

    Energy and busy time are those of the whole device: of jobs that share it, each records all.

    Args:
        device: on which the block runs.

    Attributes:
        cost: after the block: seconds, peak_memory (bytes), and on a GPU gpu_seconds, energy (joules), gpu_busy (share of time).

    >>> with Meter(torch.device("cpu")) as meter: pass
    >>> sorted(meter.cost) == ["peak_memory", "seconds"]
    True
    """

    SAMPLED = 0.5
    """Seconds between two looks at whether the device is busy."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cost: dict[str, float] = {}
        self._handle = _driver_handle(device)
        self._over = threading.Event()
        self._busy: list[int] = []
        self._watch = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Meter:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        if self._handle is not None:
            self._watch.start()
        self._joules = self._energy()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._began
        self.cost["seconds"] = seconds
        if self.device.type == "cuda":
            self.cost["gpu_seconds"] = seconds
            self.cost["peak_memory"] = float(torch.cuda.max_memory_allocated(self.device))
        else:
            unit = 1.0 if sys.platform == "darwin" else 1024.0  # bytes on macOS, KiB elsewhere
            self.cost["peak_memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        joules = self._energy()
        if joules is not None and self._joules is not None:
            self.cost["energy"] = joules - self._joules
        if self._watch.ident is not None:
            self._over.set()
            self._watch.join()
        if self._busy:
            self.cost["gpu_busy"] = sum(self._busy) / len(self._busy) / 100

    def _energy(self) -> float | None:
        """Joules since the driver was loaded, or None where the device has no counter."""
        if self._handle is not None:
            import pynvml

            with contextlib.suppress(pynvml.NVMLError):
                return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000
        return None

    def _sample(self) -> None:
        """Note how busy the device is, in per cent of the driver's last period, until the block is over or it cannot be told."""
        import pynvml

        with contextlib.suppress(pynvml.NVMLError):
            while not self._over.wait(self.SAMPLED):
                self._busy.append(pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)


def _driver_handle(device: torch.device) -> Any:
    """The driver's handle of a GPU; None for a CPU, and where the driver's library cannot be reached."""
    if device.type != "cuda":
        return None
    import pynvml

    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        return pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
    return None
