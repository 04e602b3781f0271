"""Forks teams of processes as torchrun would start them, so that torch is imported once for all of them.

Called as `team_driver.py FOLDER`; leaves one JSON file per process, and `<case>.exits` with exit codes and seconds.
"""

import json
import os
import signal
import socket
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
from lightning_fabric.strategies.ddp import DDPStrategy

from replications.engine.distributed import Team, team
from replications.errors import InputError

assert DDPStrategy  # imported here, before the forks


def fit(ours: Team, *, at_most: int | None, n_steps: int = 6, last_words: int | None = None) -> dict[str, object]:
    """A small regression whose global batch of 24 is drawn alike in every process."""
    generator = torch.Generator().manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    model, optimiser = ours.setup(model, torch.optim.Adam(model.parameters(), lr=0.02))
    losses, largest = [], 0

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        largest = max(largest, len(x))
        return (model(x) - y).square().mean()

    for index in range(n_steps):
        if index == last_words and ours.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        x, y = torch.randn(24, 5, generator=generator), torch.randn(24, 1, generator=generator)
        optimiser.zero_grad()
        losses.append(float(ours.accumulate(model, loss_of, x, y, at_most=at_most)))
        optimiser.step()
    rows = torch.arange(11.0)
    return {
        "losses": losses,
        "weights": [float(value) for value in model.state_dict()["0.weight"].flatten()[:5]],
        "keys": sorted(model.state_dict()),
        "largest": largest,
        "gathered": ours.gather(ours.shard(rows) * 2, len(rows)).tolist(),
        "any": ours.any_rank(ours.rank == ours.size - 1),
        "sum": ours.sum(float(ours.rank)),
    }


def member(case: str, size: int, folder: Path) -> None:
    patience = timedelta(seconds=3 if case == "hang" else 60)
    with team("cpu", timeout=patience) as ours:
        if case == "refuse":
            ours.any_rank(False)  # all are there,
            time.sleep(1 - ours.rank)  # and the one that the others were started by does not leave first
            raise InputError("every process refuses this")
        if case == "hang" and ours.rank == 1:
            time.sleep(60)
        result = fit(ours, at_most=5, last_words=2 if case == "kill" else None)
        (folder / f"{case}-{size}-{ours.rank}.json").write_text(json.dumps(result))
    sys.stderr.flush()
    os._exit(0)


def run(case: str, size: int, folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began, children = time.monotonic(), {}
    for rank in range(size):
        child = os.fork()
        if child == 0:
            shared = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            os.environ |= {name: str(value) for name, value in (shared | {"RANK": rank, "LOCAL_RANK": rank}).items()}
            os.environ["TORCHELASTIC_RUN_ID"] = "test"
            with (folder / f"{case}-{size}-{rank}.err").open("w") as said:
                os.dup2(said.fileno(), 2)
            member(case, size, folder)
        children[child] = rank
    exits: dict[int, list[float]] = {}
    while len(exits) < size:
        child, status = os.wait()
        exits[children[child]] = [os.waitstatus_to_exitcode(status), time.monotonic() - began]
        if case == "hang" and len(exits) == size - 1:
            os.kill(next(pid for pid, rank in children.items() if rank not in exits), signal.SIGKILL)
    (folder / f"{case}-{size}.exits").write_text(json.dumps(exits))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, count in (("fit", 1), ("fit", 2), ("fit", 4), ("kill", 3), ("hang", 2), ("refuse", 2)):
        run(name, count, Path(sys.argv[1]))
