"""Choice of a GPU where no scheduler has made it: every GPU is four quarters, and small jobs share one.

Snakemake counts GPUs but assigns no device ids. Here a job locks one file per quarter that it fills and sees, through
CUDA_VISIBLE_DEVICES, only the devices of its quarters. The kernel frees the locks of a job that is killed.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from replications.engine.locks import FileLock
from replications.errors import InputError

QUARTERS = 4
SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "KUBERNETES_SERVICE_HOST")
"""Variables that only jobs of a scheduler have. What such a job sees of the GPUs is its own already; other jobs of its user may run in it."""


def usable_devices(environment: Mapping[str, str]) -> list[str]:
    """Return the ids of the GPUs that jobs of this user may be given.

    Needs no torch, whose import takes seconds and fixes the visible devices.

    Args:
        environment: of the process.

    Returns:
        The ids in CUDA_VISIBLE_DEVICES, else those of all GPUs that NVML finds; empty where there is none.
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    import pynvml

    try:
        pynvml.nvmlInit()
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def scheduled(environment: Mapping[str, str]) -> bool:
    """Return True when a scheduler started this process and has chosen its GPUs.

    Args:
        environment: of the process.

    Returns:
        False on a machine without a scheduler, and outside its jobs.
    """
    return any(name in environment for name in SCHEDULERS)


def default_folder() -> Path:
    """Return the folder of this user's lock files, on this machine: on a shared file system machines would block each other."""
    return Path(tempfile.gettempdir()) / f"replications-gpu-slots-{os.getuid()}"


class DeviceSlots:
    """The quarters of a machine's GPUs.

    Args:
        devices: ids as CUDA_VISIBLE_DEVICES takes them.
        folder: where the lock files lie; on this machine.
        say: called with a sentence when a job has to wait.
    """

    def __init__(self, devices: list[str], folder: Path, say: Callable[[str], None]) -> None:
        self.devices, self.folder, self.say = devices, folder, say
        self.locks: list[FileLock] = []

    def acquire(self, gpus: int, slots: int, *, patience: float = float("inf"), every: float = 0.5) -> list[str]:
        """Lock quarters of devices, waiting until they are free; the locks end with this process.

        Args:
            gpus: number of devices.
            slots: quarters of each device, 1 to `QUARTERS`.
            patience: longest wait, in seconds.
            every: time between two attempts, in seconds.

        Returns:
            Ids of the devices.

        Raises:
            InputError: the machine has fewer GPUs, or they were not free within `patience` seconds.
        """
        if gpus > len(self.devices):
            raise InputError(f"The run asks for {gpus} GPUs; this machine shows {len(self.devices)}: {', '.join(self.devices) or 'none'}.")
        began, said = time.monotonic(), False
        while True:
            found = self._try(gpus, slots)
            if found:
                return found
            if time.monotonic() - began > patience:
                raise InputError(
                    f"No GPU had {slots} of {QUARTERS} slots free for {patience:.0f} s. Another job holds them; see {self.folder}."
                )
            if not said:
                said = True
                self.say(f"waiting for {gpus} GPU(s) with {slots} of {QUARTERS} slots free")
            time.sleep(every)

    def _try(self, gpus: int, slots: int) -> list[str]:
        """Take what is asked for, or nothing: one job at a time chooses, so that two never wait for each other's half."""
        choosing = FileLock(self.folder / "choosing", self.say)
        choosing.acquire(wait=True)
        try:
            free = {device: [lock for lock in self._quarters(device) if lock.acquire()] for device in self.devices}
            # The fullest device that still has room: whole ones stay free for the jobs that need them whole.
            fitting = sorted((device for device in self.devices if len(free[device]) >= slots), key=lambda device: len(free[device]))
            chosen = fitting[:gpus] if len(fitting) >= gpus else []
            for device in self.devices:
                kept = free[device][:slots] if device in chosen else []
                for lock in free[device][len(kept) :]:
                    lock.release()
                for lock in kept:
                    lock.sign(slots=slots)
                    lock.keep_over_exec()
                self.locks += kept
            return chosen
        finally:
            choosing.release()

    def _quarters(self, device: str) -> list[FileLock]:
        return [FileLock(self.folder / f"{device.replace('/', '_')}.{quarter}", self.say) for quarter in range(QUARTERS)]

    def release(self) -> None:
        """Give everything back before the process ends."""
        for lock in self.locks:
            lock.release()
        self.locks = []
