"""Jobs on a machine without a scheduler share its GPUs by quarters, and a killed job's quarters are free at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from replications.engine import device_slots
from replications.engine.device_slots import DeviceSlots, scheduled, usable_devices
from replications.engine.locks import FileLock, held, holder
from replications.errors import InputError, ReplicationError
from replications.paths import ROOT

HOLD = """
import sys, time
from pathlib import Path
from replications.engine.device_slots import DeviceSlots
print(*DeviceSlots(sys.argv[2].split(","), Path(sys.argv[1]), lambda text: None).acquire(int(sys.argv[3]), int(sys.argv[4])), flush=True)
time.sleep(60)
"""


class Job:
    """Another process that holds quarters until it is killed."""

    def __init__(self, folder: Path, gpus: int, slots: int, devices: str = "0,1") -> None:
        command = [sys.executable, "-c", HOLD, str(folder), devices, str(gpus), str(slots)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.devices = self.process.stdout.readline().split()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def slots(folder: Path, devices: str = "0,1") -> tuple[DeviceSlots, list[str]]:
    said: list[str] = []
    return DeviceSlots(devices.split(","), folder, said.append), said


def test_small_jobs_share_a_gpu_and_large_ones_take_it_whole(tmp_path: Path) -> None:
    jobs = [Job(tmp_path, 1, 1), Job(tmp_path, 1, 2)]
    try:
        assert jobs[0].devices == jobs[1].devices, "the fuller device first, so that the other stays whole"
        jobs.append(Job(tmp_path, 1, 4))
        assert jobs[2].devices != jobs[0].devices
        mine, said = slots(tmp_path)
        assert mine.acquire(1, 1) == jobs[0].devices
        mine.release()
        with pytest.raises(InputError, match=r"No GPU had 2 of 4 slots free for 0 s"):
            mine.acquire(1, 2, patience=0.2, every=0.05)
        assert said == ["waiting for 1 GPU(s) with 2 of 4 slots free"]
        with pytest.raises(InputError, match="No GPU had 4 of 4"):
            mine.acquire(2, 4, patience=0)
    finally:
        for job in jobs:
            job.kill()


def test_a_killed_job_frees_its_gpu_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path, 2, 4)
    mine, _ = slots(tmp_path)
    with pytest.raises(InputError):
        mine.acquire(1, 1, patience=0)
    job.kill()
    assert list(tmp_path.glob("0.*")), "the stale files are still there"
    assert mine.acquire(2, 4, patience=0) == ["0", "1"], "no patience: it waits for nothing"
    mine.release()


def test_asking_for_more_gpus_than_there_are_says_so(tmp_path: Path) -> None:
    mine, _ = slots(tmp_path)
    with pytest.raises(InputError, match=r"asks for 3 GPUs; this machine shows 2: 0, 1"):
        mine.acquire(3, 4)


def test_a_lock_says_who_holds_it_and_asking_does_not_take_it(tmp_path: Path) -> None:
    job = Job(tmp_path, 1, 1, devices="0")
    locked = [path for path in sorted(tmp_path.glob("0.*")) if held(path)]
    assert len(locked) == 1
    assert holder(locked[0])["process"] == job.process.pid
    job.kill()
    assert not held(locked[0])
    assert not held(tmp_path / "missing")


def test_a_lock_needs_a_folder_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReplicationError, match=r"Cannot write .*check its mount"):
        FileLock(tmp_path / "file" / "x.lock", print).acquire()


@pytest.mark.parametrize(
    ("variables", "devices"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, ["2", "3"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1a, GPU-2b"}, ["GPU-1a", "GPU-2b"]),
    ],
)
def test_devices_that_the_user_listed_are_the_ones_to_share(variables: dict[str, str], devices: list[str]) -> None:
    assert usable_devices(variables) == devices


def test_a_scheduler_has_chosen_already() -> None:
    assert scheduled({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0"})
    assert not scheduled({"CUDA_VISIBLE_DEVICES": "0"})


def test_the_lock_files_are_this_users_and_this_machines() -> None:
    assert str(os.getuid()) in device_slots.default_folder().name
