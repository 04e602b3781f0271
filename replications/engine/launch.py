"""Launch of a run: on which GPUs, in how many processes, on how many machines. Free of torch."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from replications.engine.device_slots import QUARTERS, DeviceSlots, default_folder, scheduled, usable_devices
from replications.errors import InputError
from replications.registry.run_grid import Run
from replications.registry.runs_yaml import Resources
from replications.startup import module_search

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1"
"""Signals that torchrun forwards. By default SIGUSR1 kills torchrun and orphans its workers."""
GRACE_SECONDS = 60
"""How long torchrun lets its processes save their state before it kills them."""

_slots: list[DeviceSlots] = []
"""The locks of this process live as long as it does."""


def prepare(
    runs: Sequence[Run], *, device: str | None, processes: int | None, threads: int | None, arguments: Sequence[str], show: bool
) -> int:
    """Choose GPUs and number of processes for runs that are executed one after the other; call before torch is imported.

    Where several processes are needed, this one becomes torchrun, which starts them with the same `arguments`.

    Args:
        runs: runs that the process is to make.
        device: as given on the command line; with one named, or none to choose from, a single process trains.
        processes: how many on this machine; None: one for each GPU that the runs ask for.
        threads: of all processes of this machine together; None: what OMP_NUM_THREADS says of each process, else what the runs plan.
        arguments: arguments of the command line, for a launched copy of it.
        show: print the command instead of becoming it.

    Returns:
        Threads of each process. Small networks plan one: a second one costs more than it computes, most of all beside other jobs.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _threads(threads, int(os.environ["LOCAL_WORLD_SIZE"]), 1)
    need = Resources(
        threads=max(run.resources.threads for run in runs),
        gpus=max(run.resources.gpus for run in runs),
        gpu_slots=max(run.resources.gpu_slots for run in runs),
        nodes=max(run.resources.nodes for run in runs),
    )
    devices = usable_devices(os.environ) if device is None else []
    count = processes or (take_devices(need, devices, lambda text: print(text, file=sys.stderr, flush=True)) if devices else 1)
    nodes = need.nodes if devices or processes else 1
    each = _threads(threads, count, need.threads)
    os.environ["OMP_NUM_THREADS"] = str(each)
    if show or count > 1 or nodes > 1:
        _start(arguments, processes=count, nodes=nodes, show=show)
    return each


def _threads(together: int | None, processes: int, planned: int) -> int:
    """Return the threads of each process."""
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # a list is for nested regions
    if together:
        return max(1, together // processes)
    return int(named) if named.isdecimal() and int(named) else planned


def granted(environment: Mapping[str, str]) -> bool:
    """Return True when a scheduler or torchrun, which were asked for the memory before, started this process.

    Args:
        environment: of the process.

    Returns:
        False for a process that a user or the workflow started on this machine.
    """
    return scheduled(environment) or "TORCHELASTIC_RUN_ID" in environment


def check_memory(runs: Sequence[Run], available: float | None) -> None:
    """Refuse runs that state more memory than there is, before they train for hours and are killed.

    Args:
        runs: runs that the process is to make, one after the other.
        available: GB; None where the system does not tell it, and nothing is refused.

    Raises:
        InputError: a run needs more; the message names it, both amounts and what to do.
    """
    run = max(runs, key=lambda run: run.resources.memory_gb)
    if available is not None and run.resources.memory_gb > available:
        raise InputError(
            f"{run.paper} {run.name} needs {run.resources.memory_gb:g} GB of memory (resources.memory_gb in runs.yaml), and this machine"
            f" has {available:.1f} GB available. Close other programs or use a larger machine, then start it again;"
            " `replications run ... --ignore-memory` starts it nevertheless."
        )


def take_devices(need: Resources, devices: list[str], say: Callable[[str], None]) -> int:
    """Choose this process's GPUs, and let it see no others, unless a scheduler has done so.

    A scheduler gives a submitted job the GPUs that it asks for. Where the process sees more, it is one of several in an
    interactive allocation, or on a node that is given whole, and would share the first GPU with all others.

    Fewer GPUs than requested change how long the run takes; its global batch stays. A run that requests none, in a tier
    made for the CPU, shares one with others.

    Args:
        need: resources of the run.
        devices: ids of the usable GPUs.
        say: called with a sentence when there are fewer GPUs, or when the process has to wait.

    Returns:
        How many processes should train on this machine: one per GPU.
    """
    wanted = max(1, need.gpus // need.nodes)
    count = min(wanted, len(devices))
    if count < wanted:
        say(f"The run asks for {wanted} GPUs and this machine shows {len(devices)}: using {count}, with the same global batch.")
    if not scheduled(os.environ) or count < len(devices):
        slots = 1 if not need.gpus else need.gpu_slots if need.gpus == 1 else QUARTERS
        _slots.append(DeviceSlots(devices, default_folder(), say))
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(_slots[-1].acquire(count, slots))
    return count


def first_host(nodelist: str) -> str:
    """Return the name of the first machine of a Slurm node list.

    Args:
        nodelist: as in SLURM_JOB_NODELIST.

    Returns:
        A host name.

    Raises:
        InputError: it names no machine.

    >>> first_host("gpu[007-009,012],login1"), first_host("n1")
    ('gpu007', 'n1')
    """
    match = re.match(r"([^\[,]+)(?:\[([^\],-]+)[^\]]*\]([^,]*))?", nodelist)
    if not match:
        raise InputError(f"SLURM_JOB_NODELIST '{nodelist}' names no machine.")
    return "".join(part or "" for part in match.groups())


def _address(host: str) -> str:
    """The host itself where its name resolves, else the address that Slurm reaches it by."""
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ["scontrol", "show", "node", "--oneliner", host]
            described = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
            match = re.search(r"NodeAddr=(\S+)", described)
            return match[1] if match else host
    return host


def torchrun(arguments: Sequence[str], *, processes: int) -> list[str]:
    """Return the command that runs `python -m replications <arguments>` in several processes of this machine.

    Args:
        arguments: of the command line.
        processes: number of processes.

    Returns:
        Program and arguments.
    """
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [*start, *_common(), "-m", "--", "replications", *arguments]


def torchrun_nodes(arguments: Sequence[str], *, processes: int, nodes: int, environment: Mapping[str, str]) -> list[str]:
    """Return the command that runs `python -m replications <arguments>` on every machine of this Slurm job: `srun` starts one torchrun on each.

    Args:
        arguments: arguments of the command line.
        processes: on each machine.
        nodes: number of machines.
        environment: of the job; SLURM_JOB_ID and SLURM_JOB_NODELIST say who meets where.

    Returns:
        Program and arguments.

    Raises:
        InputError: outside a Slurm job.
    """
    job, nodelist = environment.get("SLURM_JOB_ID"), environment.get("SLURM_JOB_NODELIST")
    if not job or not nodelist:
        raise InputError(
            f"The run asks for {nodes} machines, which only a Slurm job has. Start it through sbatch or the workflow's Slurm profile."
        )
    port = 20_000 + int(job) % 10_000  # jobs that share a machine meet at different ports
    # Within a step, srun takes the step's one machine for the whole job, unless these variables are gone.
    inherited = sorted(name for name in environment if name.startswith("SLURM_") and name not in ("SLURM_JOB_ID", "SLURM_CONF"))
    srun = ["env", *(f"--unset={name}" for name in inherited), "srun", f"--jobid={job}", "--overlap", "--kill-on-bad-exit=1"]
    srun += [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    srun += [f"--cpus-per-task={environment['SLURM_CPUS_PER_TASK']}"] if "SLURM_CPUS_PER_TASK" in environment else []
    start = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", f"--nproc-per-node={processes}"]
    meeting = ["--rdzv-backend=c10d", f"--rdzv-id={job}", f"--rdzv-endpoint={_address(first_host(nodelist))}:{port}"]
    return [*srun, *start, *meeting, *_common(), "-m", "--", "replications", *arguments]


def _common() -> list[str]:
    """Options of every torchrun; `--` must follow, since it would read our `--log` as one of its own."""
    return ["--max-restarts=0", f"--signals-to-handle={SIGNALS}", f"--shutdown-timeout={GRACE_SECONDS}"]


def _start(arguments: Sequence[str], *, processes: int, nodes: int, show: bool) -> None:
    """Become torchrun; with `show` print the command instead."""
    if nodes > 1:
        command = torchrun_nodes(arguments, processes=processes, nodes=nodes, environment=os.environ)
    elif processes > 1:
        command = torchrun(arguments, processes=processes)
    else:
        command = [sys.executable, "-m", "replications", *arguments]
    if show:
        print(shlex.join(part for part in command if part != "--show-launch"))
        return
    os.environ.update(module_search(os.environ))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(command[0], command)  # noqa: S606 - a list, no shell; in place, so that signals reach torchrun and locks stay
