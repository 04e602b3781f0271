"""What happens to a workflow on the cluster: one function each, from fresh copies of the suite to its finished head process."""

import subprocess
import time
from collections.abc import Callable

from tests.cluster.conftest import LAB, Head, fate, slurm, wait_for
from tests.workflow.conftest import TOY

Heads = Callable[..., Head]

SLOW = f"results/smoke/{TOY}/slow/seeds-0-2/records.parquet"


def extra(options: str) -> str:
    """Other sbatch options for the slow run than the profile's."""
    return f"train_{TOY}_slow:slurm_extra='{options}'"


def whole_tier(heads: Heads) -> Head:
    """Everything, to the report."""
    head = heads()
    head.start()
    return head.finish()


def cancelled(heads: Heads) -> Head:
    """Its job is cancelled in the middle; it would last two minutes more, so that it cannot end first on a busy machine."""
    head = heads()
    runs = head.suite / "replications" / "papers" / TOY / "runs.yaml"
    runs.write_text(runs.read_text().replace("pause: 0.1", "pause: 0.25"))
    head.start("--", SLOW)
    job = head.job()
    wait_for(lambda: head.steps("slow") >= 50, "some steps")
    slurm("scancel", job)
    return head.finish()


def out_of_time(heads: Heads) -> Head:
    """Once it trains, its job's time limit is set to one or two minutes from then; it needs more."""
    head = heads()
    runs = head.suite / "replications" / "papers" / TOY / "runs.yaml"
    runs.write_text(runs.read_text().replace("pause: 0.1", "pause: 0.25"))
    head.start("--set-resources", extra("--signal=TERM@10 --exclude=node4"), "--", SLOW)
    job = head.job()
    wait_for(lambda: head.steps("slow") >= 20, "some steps")
    elapsed = int(slurm("squeue", "-h", "-j", job, "-O", "TimeUsed").strip().split(":")[-2])
    slurm("scontrol", "update", f"JobId={job}", f"TimeLimit={elapsed + 2}")
    return head.finish()


def crashed(heads: Heads) -> Head:
    """Its node dies after a checkpoint: daemon, step and training, by SIGKILL. The node is back at once."""
    head = heads()
    runs = head.suite / "replications" / "papers" / TOY / "runs.yaml"
    runs.write_text(runs.read_text().replace("pause: 0.1", "pause: 0.2"))
    head.start("--set-resources", extra("--signal=TERM@120 --nodelist=node4"), "--", SLOW)
    job = head.job()
    wait_for((head.state("slow") / "train.checkpoint").exists, "a checkpoint")
    subprocess.run(["bash", LAB / "node.sh", "crash", "node4"], check=True, capture_output=True, timeout=60)
    time.sleep(2)
    subprocess.run(["bash", LAB / "node.sh", "start", "node4"], check=True, capture_output=True, timeout=120)
    # At once, unless Slurm saw the job alive within the last 20 s: then when the node registers next, every 20 pings or 133 s.
    wait_for(lambda: "PENDING" in slurm("squeue", "-h", "-j", job, "-o", "%T"), "Slurm to queue the job again", tell=lambda: fate(job))
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # else two minutes later
    return head.finish()


def several_gpus(heads: Heads) -> Head:
    """Two GPUs of one machine, and four of two machines."""
    head = heads()
    head.start("--", *(f"results/gpu/{TOY}/{run}/seeds-0-1/records.parquet" for run in ("two", "machines")), tier="gpu")
    return head.finish()


def too_many_gpus(heads: Heads) -> Head:
    """Three GPUs of machines that have two."""
    head = heads()
    head.start("--retries", "0", "--", f"results/gpu/{TOY}/three/seeds-0-1/records.parquet", tier="gpu")
    return head.finish()


def two_users(heads: Heads) -> Head:
    """The same workflow twice at the same time; the first head is stopped, which takes its own job away and no other."""
    first, second = heads("-first"), heads("-second")
    for head in (first, second):
        head.start("--", SLOW)
    wait_for(lambda: min(first.steps("slow"), second.steps("slow")) >= 50, "both to train")
    assert first.process
    first.process.send_signal(2)
    first.finish()
    return second.finish()


def two_hundred_runs(heads: Heads) -> Head:
    """Two hundred tiny runs, in five groups."""
    head = heads()
    head.start("--", *(f"results/gpu/{TOY}/tiny-{bias}-1/seeds-0-1/records.parquet" for bias in (0.1, 0.2, 0.3, 0.4, 0.5)), tier="gpu")
    return head.finish()


SCENARIOS: dict[str, Callable[[Heads], Head]] = {
    scenario.__name__: scenario
    for scenario in (crashed, out_of_time, two_hundred_runs, whole_tier, several_gpus, cancelled, two_users, too_many_gpus)
}
