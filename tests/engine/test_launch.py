"""Which command starts a run: one process, torchrun here, or torchrun on every machine of a Slurm job."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from replications.engine import launch
from replications.engine.device_slots import SCHEDULERS
from replications.errors import InputError
from replications.registry.runs_yaml import Resources
from tests.engine.test_device_slots import Job

ARGUMENTS = ["run", "a_paper", "a-run", "--tier", "paper"]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of no scheduler, with fake GPUs and lock files of its own."""
    for name in (*SCHEDULERS, "CUDA_VISIBLE_DEVICES", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(launch, "default_folder", lambda: tmp_path / "slots")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "before")
    yield
    for slots in launch._slots:
        slots.release()
    launch._slots.clear()


def test_one_machine_is_torchruns_stand_alone_mode() -> None:
    command = launch.torchrun(ARGUMENTS, processes=4)
    assert command[1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4"]
    assert shlex.join(command).endswith("-m -- replications run a_paper a-run --tier paper")
    assert "SIGUSR1" in shlex.join(command), "Slurm's warning must reach the processes, not kill torchrun"


def test_several_machines_meet_at_the_first_one_of_the_slurm_job() -> None:
    variables = {"SLURM_JOB_ID": "1234567", "SLURM_JOB_NODELIST": "gpu[007-008]", "SLURM_NNODES": "1", "SLURM_CPUS_PER_TASK": "16"}
    command = launch.torchrun_nodes(ARGUMENTS, processes=8, nodes=2, environment=variables)
    before, after = command[: command.index("srun")], command[command.index("srun") :]
    assert before[0] == "env"
    assert "--unset=SLURM_NNODES" in before, "a step's own count of machines would hide the others"
    assert "--unset=SLURM_JOB_ID" not in before
    assert "--cpus-per-task=16" in after, "srun does not take it over from the job"
    assert {"--jobid=1234567", "--overlap", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"} <= set(command)
    assert {"--nnodes=2", "--nproc-per-node=8", "--rdzv-id=1234567", "--rdzv-endpoint=gpu007:24567"} <= set(command)


def test_several_machines_need_a_slurm_job() -> None:
    with pytest.raises(InputError, match=r"asks for 2 machines, which only a Slurm job has"):
        launch.torchrun_nodes(ARGUMENTS, processes=8, nodes=2, environment={})


@pytest.mark.parametrize(
    ("nodelist", "host"), [("n1", "n1"), ("n1,n2", "n1"), ("gpu[3,5-9],n1", "gpu3"), ("rack2-gpu[010-012]-ib", "rack2-gpu010-ib")]
)
def test_the_first_host_of_a_node_list(nodelist: str, host: str) -> None:
    assert launch.first_host(nodelist) == host


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("need", "devices", "count", "visible"),
    [
        (Resources(gpus=0), ["0", "1"], 1, "0"),
        (Resources(gpus=1, gpu_slots=2), ["0", "1"], 1, "0"),
        (Resources(gpus=2), ["0", "1", "2"], 2, "0,1"),
        (Resources(gpus=8), ["0", "1"], 2, "0,1"),
    ],
)
def test_a_job_sees_only_the_gpus_that_it_was_given(need: Resources, devices: list[str], count: int, visible: str) -> None:
    said: list[str] = []
    assert launch.take_devices(need, devices, said.append) == count
    assert launch.os.environ["CUDA_VISIBLE_DEVICES"] == visible
    assert bool(said) == (need.gpus > len(devices))
    if said:
        assert said == ["The run asks for 8 GPUs and this machine shows 2: using 2, with the same global batch."]


@pytest.mark.usefixtures("alone")
def test_what_slurm_has_chosen_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert launch.take_devices(Resources(gpus=2), ["2", "3"], print) == 2
    assert launch.os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert launch._slots == []


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_jobs_that_share_an_allocation_of_several_gpus_do_not_all_take_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheduler: str
) -> None:
    other = Job(tmp_path / "slots", gpus=1, slots=4)
    try:
        assert other.devices == ["0"]
        monkeypatch.setenv(scheduler, "1")
        assert launch.take_devices(Resources(gpus=1, gpu_slots=4), ["0", "1"], print) == 1
        assert launch.os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    finally:
        other.kill()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("given", "named", "planned", "processes", "each"),
    [
        (None, None, 1, 1, 1),  # a small network plans one thread
        (None, None, 4, 1, 4),
        (None, "3", 1, 1, 3),  # told by the environment
        (None, "2,1", 1, 1, 2),
        (None, "many", 1, 1, 1),
        (8, "3", 1, 1, 8),  # told by the command line
        (8, None, 1, 3, 2),
    ],
)
def test_a_process_takes_the_threads_that_its_run_plans_unless_told(
    monkeypatch: pytest.MonkeyPatch, given: int | None, named: str | None, planned: int, processes: int, each: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", named or "")
    run = SimpleNamespace(resources=Resources(threads=planned, gpus=0))
    started: list[int] = []
    monkeypatch.setattr(launch, "_start", lambda *_, processes, **__: started.append(processes))
    arguments = {"device": "cpu", "processes": processes, "threads": given, "arguments": ARGUMENTS, "show": False}
    assert launch.prepare([run], **arguments) == each
    assert launch.os.environ["OMP_NUM_THREADS"] == str(each)
    assert started == ([processes] if processes > 1 else [])
