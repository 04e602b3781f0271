"""A GPU that is not there: tensors that say they are on it, computed on the CPU, so that device code runs without one.

Run as a program it tries runs on that device: `python -m tests.engine.pretended_gpu PAPER TIER FOLDER RUN...`, where `RUN+key=value`
changes a setting. It shows what a machine without a GPU otherwise hides and a GPU refuses:

- tensors of both kinds of memory that meet in one operation;
- inside a captured graph: waiting for a value, copies from or to the host, random numbers of a generator that the graph does not
  know, and optimisers that were not told that they are captured.

It shows nothing of kernels, speed, or races between streams.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch._dynamo  # before anything is replaced, for it takes stock of torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default, aten._foreach_copy_.default)
INDEXED = ("aten.index", "aten._index_put_impl_")
"""Indices may lie in host memory."""


class GpuError(RuntimeError):
    """What a GPU would have refused."""


class Capture:
    """The graph that is being captured, if any, and the generators that it knows."""

    active = False
    seeds: tuple[int, ...] = ()


class OnGpu(Tensor):
    """A tensor that says it is on the GPU, around one in host memory."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda _: torch.device("cuda", 0))
    is_cuda = property(lambda _: True)
    is_cpu = property(lambda _: False)

    @staticmethod
    def __new__(cls: type, inner: Tensor) -> OnGpu:
        options = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype, "layout": inner.layout}
        made: OnGpu = Tensor._make_wrapper_subclass(cls, inner.size(), device="cpu", **options)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:
        return f"OnGpu({self.inner!r})"

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        torch.utils.swap_tensors(self, torch.nn.Parameter(value, requires_grad=self.requires_grad))

    def cpu(self, *_: Any) -> Tensor:
        return aten._to_copy.default(self, device="cpu")

    def cuda(self, *_: Any) -> Tensor:
        return self

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        device, dtype, _, _ = torch._C._nn._parse_to(*(a for a in args if not isinstance(a, Tensor)), **kwargs)
        if device is not None and device.type == "cpu":
            return aten._to_copy.default(self, device="cpu", dtype=dtype or self.dtype)
        return self if dtype in (None, self.dtype) else aten._to_copy.default(self, dtype=dtype)

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert a tensor on the GPU to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def get_device(self) -> int:
        return 0


def compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation: check what a GPU checks, compute in host memory, say where the result is."""
    name, tensors = str(function), [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
    wanted = kwargs.get("device")
    # On the way back autograd asks C++ where values are (casts), and makes zeros for gradients that nobody sent.
    going_back = torch._C._current_graph_task_id() != -1
    result_there = bool(there) if wanted is None or going_back else torch.device(wanted).type == "cuda"
    if wanted is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    if there and function not in COPIES and not name.startswith(INDEXED) and not going_back:
        strangers = [tensor for tensor in tensors if not isinstance(tensor, OnGpu) and tensor.dim()]
        if strangers:
            raise GpuError(f"{name}: a tensor of shape {tuple(strangers[0].shape)} in host memory meets one on the GPU")
    if Capture.active and (there or result_there):
        _check_captured(function, name, args, kwargs, result_there)

    def unwrap(leaf: Any) -> Any:
        return leaf.inner if isinstance(leaf, OnGpu) else leaf

    def wrap(leaf: Any) -> Any:
        return OnGpu(leaf) if isinstance(leaf, Tensor) and result_there else leaf

    found = tree_map(wrap, function(*tree_map(unwrap, args), **tree_map(unwrap, kwargs)))
    return return_and_correct_aliasing(function, args, kwargs, found) if there and result_there else found


def _check_captured(function: Any, name: str, args: Any, kwargs: dict[str, Any], result_there: bool) -> None:
    if function in (aten._local_scalar_dense.default, aten.equal.default, aten.nonzero.default, aten.masked_select.default):
        raise GpuError(f"{name} waits for the GPU inside a captured graph")
    sides = {isinstance(leaf, OnGpu) for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.dim()}
    if function in COPIES and (len(sides) > 1 or (sides and sides != {result_there})):
        raise GpuError(f"{name} copies between host and GPU inside a captured graph")
    generator = kwargs.get("generator")
    if generator is not None and generator.initial_seed() not in Capture.seeds:  # the object is another each time it comes through
        raise GpuError(f"{name} draws inside a captured graph from a generator that was not registered")


class Gpu(TorchDispatchMode):
    """Makes what is asked for on `cuda`."""

    def __torch_dispatch__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


class Graph:
    """A captured graph. Its capture computes the step; a replay of it does nothing, so a trial ends right after the capture."""

    def __init__(self) -> None:
        self.generators: list[torch.Generator] = []
        self.replays = 0

    def register_generator_state(self, generator: torch.Generator) -> None:
        self.generators.append(generator)

    def replay(self) -> None:
        self.replays += 1
        if self.replays > 1:
            raise GpuError("a second replay: this graph computes its capture only")


@contextlib.contextmanager
def capturing(graph: Graph) -> Iterator[None]:
    Capture.active, Capture.seeds = True, tuple(generator.initial_seed() for generator in graph.generators)
    try:
        yield
    finally:
        Capture.active, Capture.seeds = False, ()


class Stream:
    """In order, like everything here."""

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def wait_stream(self, _: Any) -> None: ...
    def synchronize(self) -> None: ...
    def is_capturing(self) -> bool:
        return Capture.active


class Event:
    def __init__(self, **_: Any) -> None: ...
    def record(self, *_: Any) -> None: ...
    def elapsed_time(self, _: Event) -> float:
        return 1.0


def one_hot(values: Tensor, classes: int) -> Tensor:
    """As `torch.nn.functional.one_hot`."""
    empty = torch.zeros(*values.shape, classes, dtype=torch.int64, device=values.device)
    return empty.scatter_(-1, values[..., None], 1)


def moved(apply: Callable[..., torch.nn.Module]) -> Callable[..., torch.nn.Module]:
    """As `torch.nn.Module._apply`, which moves parameters: their Python objects are exchanged, not only what C++ sees of them.

    A parameter with a gradient cannot be exchanged, so a network that is moved once more loses its gradients of the last update.
    """

    def exchanged(module: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.nn.Module:
        before = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        module.zero_grad(set_to_none=True)
        try:
            return apply(module, *args, **kwargs)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)

    return exchanged


def install() -> None:
    """Put the device in place, for the rest of this process."""
    torch._C._set_only_lift_cpu_tensors(True)
    torch._C._ensureCUDADeviceGuardSet()
    torch._C._set_mkldnn_enabled(False)  # its recurrent layers look at what a tensor is in C++

    def nothing(*_: Any, **__: Any) -> None: ...

    class Generator(torch.Generator):
        def __new__(cls, device: Any = "cpu") -> Generator:
            made = super().__new__(cls)
            made.place = torch.device(device)
            return made

        device = property(lambda self: self.place)

    class Autocast(torch.autocast):
        def __init__(self, _: str, *args: Any, **kwargs: Any) -> None:
            super().__init__("cpu", *args, **kwargs)  # what computes is the CPU

    answers: dict[str, Any] = {
        "_lazy_init": nothing,
        "is_available": lambda: True,
        "is_bf16_supported": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": nothing,
        "synchronize": nothing,
        "empty_cache": nothing,
        "current_stream": Stream,
        "stream": lambda _: contextlib.nullcontext(),
        "Stream": Stream,
        "Event": Event,
        "CUDAGraph": Graph,
        "graph": capturing,
        "get_device_name": lambda *_: "a GPU that is not there",
        "get_device_properties": lambda *_: SimpleNamespace(uuid="none", major=9, minor=0, total_memory=1 << 37, multi_processor_count=1),
        "reset_peak_memory_stats": nothing,
        "max_memory_allocated": lambda *_: 0,
        "memory_allocated": lambda *_: 0,
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    torch.compile = lambda function, **_: function
    torch.nn.Module._apply = moved(torch.nn.Module._apply)
    torch.nn.functional.one_hot = one_hot  # the library's own asks C++ where the tensor is
    torch.accelerator.current_accelerator = lambda **_: torch.device("cuda")
    torch.accelerator.current_stream = Stream
    torch.Generator = Generator
    torch.autocast = Autocast


STEPS = 4
"""Three before the capture, and it."""


def faults() -> None:
    """Print what a GPU would have said to a handful of mistakes, and what a step that cannot be captured comes to."""
    from replications.engine.devices import GraphedStep, NotCaptured

    install()
    device = torch.device("cuda", 0)
    stranger = torch.Generator("cuda")

    with Gpu():
        parameter = torch.nn.Parameter(torch.zeros(3, device=device))
        optimiser = torch.optim.Adam([parameter], lr=torch.tensor(0.1, device=device), fused=True)

    def untold() -> None:
        parameter.grad = torch.ones_like(parameter)
        optimiser.step()

    mistakes: dict[str, Callable[[], object]] = {
        "none": lambda: torch.ones(2, device=device) + 1,
        "mixed": lambda: torch.ones(2, device=device) + torch.ones(2),
        "waiting": lambda: torch.ones(2, device=device).sum().item(),
        "copied": lambda: torch.tensor([1, 2], device=device),
        "fetched": lambda: torch.ones(2, device=device).cpu(),
        "stranger": lambda: torch.rand(2, generator=stranger, device=device),
        "optimiser": untold,
        "numpy": lambda: torch.ones(2, device=device).numpy(),
    }
    with Gpu(), warnings.catch_warnings():
        warnings.simplefilter("error", NotCaptured)
        for name, mistake in mistakes.items():
            step = GraphedStep(lambda mistake=mistake: {"made": mistake()}, device, warmup=0)
            try:
                step()
                print(f"{name}: nothing")
            except (RuntimeError, TypeError, NotCaptured) as error:
                print(f"{name}: {error}")
        warnings.simplefilter("always", NotCaptured)
        calls = torch.zeros((), device=device)

        def counted() -> dict[str, Tensor]:
            if Capture.active:
                calls.item()
            return {"calls": calls.add_(1)}

        step = GraphedStep(counted, device)
        print("eager:", [float(step()["calls"]) for _ in range(6)])


def main(paper: str, tier: str, folder: str, *names: str) -> None:
    """Try these runs on the device."""
    from replications.engine.control import StopRequest, Trial
    from replications.engine.devices import NotCaptured
    from replications.engine.distributed import Team
    from replications.engine.progress import Progress
    from replications.engine.runner import execute, seed_everything
    from replications.registry.run_grid import load_runs

    install()
    known = {run.name: run for run in load_runs(paper, tier)}
    runs = []
    for name in names:
        run, *changes = name.split("+")
        settings = known[run].settings
        changed = settings.model_dump() | dict(change.split("=") for change in changes)
        runs.append(dataclasses.replace(known[run], name=name, settings=type(settings).model_validate(changed)))
    with Gpu(), warnings.catch_warnings():
        warnings.simplefilter("error", NotCaptured)
        for run in runs:
            seed_everything()
            brief = dataclasses.replace(run, settings=run.settings.for_trial().in_fp32())
            said = {"progress": Progress(run.name), "stop": StopRequest(), "command": ""}
            team = Team(device=torch.device("cuda", 0))
            execute(brief, run.seeds[:2], Path(folder), **said, team=team, trial=Trial(STEPS))


if __name__ == "__main__":
    faults() if sys.argv[1:] == ["faults"] else main(*sys.argv[1:])
