"""One chunk of one run, from a validated `Run` to its three files: records, artifacts, provenance."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from replications.engine import datasets
from replications.engine.checkpoints import CheckpointStore
from replications.engine.chunk import Chunk
from replications.engine.context import Context
from replications.engine.control import Control, StopRequest, Trial
from replications.engine.datasets import DataSource
from replications.engine.devices import Meter, device_name, peak_flops
from replications.engine.distributed import Team
from replications.engine.events import EventFiles
from replications.engine.precision import precision_in_use
from replications.engine.progress import Progress
from replications.errors import DataError, InputError, Preempted
from replications.registry.papers import load_paper
from replications.registry.run_grid import Run, load_runs, run_folder, seeds_label
from replications.registry.scale import claim_digests, scales
from replications.results import provenance, version_control
from replications.results.store import CHUNK_FILES, PROVENANCE, write_chunk
from replications.source_code import code_digest


def run_key(run: Run, seeds: tuple[int, ...], device: torch.device, trial: Trial | None = None) -> str:
    """Return the identity of a chunk's state; a checkpoint of another identity is not continued.

    Args:
        run: its settings and the code of its paper count.
        seeds: seeds of the chunk.
        device: its kind counts, not its number.
        trial: limit of a trial; its number of steps counts.

    Returns:
        32 hexadecimal digits.
    """
    parts = f"{run.digest} {seeds_label(seeds)} {code_digest(run.paper)} {device.type}"
    parts += f" trial of {trial.steps}" if trial else ""
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def execute(
    run: Run,
    seeds: tuple[int, ...],
    results: Path,
    *,
    progress: Progress,
    stop: StopRequest,
    command: str,
    team: Team,
    checkpoint_seconds: float = 30.0,
    state_root: Path | None = None,
    trial: Trial | None = None,
) -> Path:
    """Train and measure one chunk, or put back what an identical finished run left.

    Args:
        run: the run.
        seeds: seeds of the chunk.
        results: folder of the tier; the chunk goes to `<paper>/<run>/seeds-<first>-<last>/` below it.
        progress: where progress is printed.
        stop: set when a signal asks to stop.
        command: the command line, for the provenance.
        team: the processes that train it together; its main one alone writes.
        checkpoint_seconds: seconds between two checkpoints.
        state_root: where unfinished runs are kept instead of beside the results, in equally named folders.
        trial: train only the first steps; what is written is not a result, and its provenance says so.

    Returns:
        The chunk's folder.

    Raises:
        Preempted: a signal asked to stop; the state is saved beside the chunk.
        ReplicationError: whatever the experiment or the disk refuses, and when another job is writing the same chunk.
    """
    folder = run_folder(results, run, seeds)
    state = run_folder(state_root or results, run, seeds).parent / ".state" / folder.name
    key = run_key(run, seeds, team.device, trial)
    with contextlib.ExitStack() as held:
        with team.main_first():
            alone = CheckpointStore.alone(state, key, progress.say) if team.main else None
            store = held.enter_context(alone) if alone else CheckpointStore(state, key, progress.say, discard=False)
        if team.any_rank(team.main and not _sees_other_data(run, store, progress) and store.restore_finished(folder)):
            progress.say("finished before with the same settings, code and seeds; kept")
            return folder
        progress.state = state / "progress.json"
        events = EventFiles(folder.parent / "tensorboard" / folder.name) if team.main else None
        control = Control(store, progress, stop, checkpoint_seconds, events, trial)
        context = Context(chunk=Chunk(run.paper, run.name, run.tier, seeds), device=team.device, control=control, team=team)
        with noted_failure(state / "failure.json"):
            _measure(run, context, folder, command)
        team.any_rank(False)  # the others wait until everything is written
    return folder


def _sees_other_data(run: Run, store: CheckpointStore, progress: Progress) -> bool:
    """Return whether a finished run saw data that has changed since; says which."""
    try:
        noted = provenance.read_provenance(store.folder / "done" / PROVENANCE).get("data")
    except InputError:
        return False
    needs = importlib.import_module(f"replications.papers.{run.paper}.data").needs(run.settings)
    changed = changed_data(needs, noted if isinstance(noted, dict) else {})
    if changed:
        progress.say(f"finished before with other data of {', '.join(changed)}; training afresh")
    return bool(changed)


def changed_data(needs: Sequence[tuple[DataSource, str]], noted: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what a run loads whose content is not what an earlier run noted.

    Embedded data and data with a declared fingerprint are not loaded for this: code decides the one, and nothing else than the
    declared is accepted of the other. Data that is not at hand does not count: a finished run needs it no more.

    Args:
        needs: sources and splits that the run loads.
        noted: '<source>/<split>' -> note of the earlier run.

    Returns:
        Names of the form '<source>/<split>'.
    """
    changed = []
    for source, split in needs:
        name = f"{source.name}/{split}"
        if name not in noted or source.build or source.fingerprints.get(split):
            continue
        with contextlib.suppress(DataError):
            if datasets.load(source, split)[1]["fingerprint"] != noted[name].get("fingerprint"):
                changed.append(name)
    return changed


@contextlib.contextmanager
def noted_failure(path: Path) -> Iterator[None]:
    """Write a note beside the state when the block fails; `replications status` shows it until the next attempt.

    Args:
        path: file of the note; an earlier one is removed first.

    Yields:
        Nothing.

    Raises:
        Exception: whatever the block raised, unchanged.
    """
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:  # of any kind: it is noted and raised again
        if not isinstance(error, Preempted):
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"error": str(error) or type(error).__name__}), encoding="utf-8")
        raise


def _measure(run: Run, context: Context, folder: Path, command: str) -> None:
    """Run the experiment; of a team, process 0 writes what it recorded."""
    control = context.control
    started, code = provenance.now(), version_control.code_state()
    if code.unknown:
        control.progress.say(code.unknown)
    paper = load_paper(run.paper)
    # Of the code that is loaded now: it may be edited or committed while the run trains.
    registered = {
        "code_digest": code_digest(run.paper),
        "commit": code.commit,
        "dirty": code.dirty,
        "claims": claim_digests(paper, run.tier, run.name, scales(load_runs(run.paper, run.tier))),
        "tables": {name: table.digest for name, table in paper.tables.items() if any(row.run == run.name for row in table.rows)},
    }
    experiment = importlib.import_module(f"replications.papers.{run.paper}.experiment")
    with Meter(context.device) as meter:
        experiment.run(run.settings, context)
    cost = _cost(context, meter)
    if not context.team.main:
        return
    write_chunk(folder, context.rows, context.arrays, _provenance(run, context, cost, started, command) | registered)
    control.checkpoints.finish([folder / name for name in CHUNK_FILES])
    speed = f"{cost['examples_per_second']:,.0f} examples/s" if "examples_per_second" in cost else ""
    if control.events:
        control.events.write(context.rows)
    control.progress.say(f"done in {cost['seconds']:.0f} s  {speed}")


def _cost(context: Context, meter: Meter) -> dict[str, float]:
    """Counted and measured cost, with the rates that follow from it. Seconds are of the last attempt; counts of all."""
    cost = context.cost | meter.cost | {"resumes": float(context.resumes)}
    cost |= {amount: context.team.sum(cost[amount]) for amount in ("gpu_seconds", "energy") if amount in cost}
    seconds = cost.get("train_seconds", 0.0)
    for amount in ("examples", "tokens", "flops"):
        if cost.get(amount) and seconds:
            cost[f"{amount}_per_second"] = cost[amount] / seconds
    peak = peak_flops(context.device)
    if peak and "flops_per_second" in cost:
        cost["utilisation"] = cost["flops_per_second"] / (peak * context.team.size)
    return cost


def _provenance(run: Run, context: Context, cost: dict[str, float], started: str, command: str) -> dict[str, object]:
    device, trial = context.device, context.control.trial
    return {
        "paper": run.paper,
        "run": run.name,
        "tier": run.tier,
        "seeds": list(context.seeds),
        "labels": run.labels,
        "settings": run.settings.model_dump(mode="json"),
        "settings_digest": run.digest,
        "lock": provenance.lock_digest(),
        "packages": provenance.package_versions(),
        "hardware": provenance.hardware() | {"device": device_name(device), "kind": device.type, "threads": torch.get_num_threads()},
        "precision": precision_in_use(run.settings.model_dump(mode="json"), device),
        "data": context.data,
        "started": started,
        "ended": provenance.now(),
        "processes": context.team.size,
        "resumes": context.resumes,
        "command": command,
        "cost": cost,
    } | ({"trial": dataclasses.asdict(trial)} if trial else {})


def seed_everything() -> None:
    """Fix the global generators, so that a library that draws from them cannot make two runs differ."""
    random.seed(0)
    torch.manual_seed(0)
