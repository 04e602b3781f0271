"""A team of processes computes what one process computes, and ends when one of them does."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from replications.engine.distributed import Team
from replications.errors import InputError
from replications.paths import ROOT


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every case of the driver left."""
    folder = tmp_path_factory.mktemp("teams")
    variables = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    driver = Path(__file__).with_name("team_driver.py")
    done = subprocess.run([sys.executable, driver, folder], env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr + "".join(path.read_text() for path in folder.glob("*.err"))
    return folder


def of(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_the_number_of_processes_changes_losses_by_rounding_only(played: Path, size: int) -> None:
    alone = of(played, "fit-1-0.json")
    for rank in range(size):
        shared = of(played, f"fit-{size}-{rank}.json")
        np.testing.assert_allclose(shared["losses"], alone["losses"], rtol=2e-5)
        np.testing.assert_allclose(shared["weights"], alone["weights"], rtol=2e-4)
        assert shared["keys"] == alone["keys"], "a checkpoint of one process must fit several"
    assert alone["losses"][-1] != alone["losses"][0]


@pytest.mark.slow
def test_one_process_computes_what_plain_pytorch_computes(played: Path) -> None:
    generator = torch.Generator().manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(6):
        x, y = torch.randn(24, 5, generator=generator), torch.randn(24, 1, generator=generator)
        optimiser.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    np.testing.assert_allclose(of(played, "fit-4-3.json")["losses"], losses, rtol=2e-5)


@pytest.mark.slow
def test_no_piece_is_larger_than_asked_for(played: Path) -> None:
    assert [of(played, f"fit-{size}-0.json")["largest"] for size in (1, 2, 4)] == [5, 4, 3]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 4])
def test_shares_are_gathered_in_order_by_everyone(played: Path, size: int) -> None:
    for rank in range(size):
        result = of(played, f"fit-{size}-{rank}.json")
        assert result["gathered"] == [2.0 * i for i in range(11)]
        assert result["any"] is True
        assert result["sum"] == sum(range(size))


@pytest.mark.slow
def test_a_killed_process_ends_the_others_with_an_error(played: Path) -> None:
    exits = of(played, "kill-3.exits")
    assert exits["1"][0] == -signal.SIGKILL
    for rank in ("0", "2"):
        assert exits[rank][0] == 1
        assert exits[rank][1] - exits["1"][1] < 10, "seconds after the death"
        assert "another process of this job is gone" in (played / f"kill-3-{rank}.err").read_text()


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_others_after_their_patience(played: Path) -> None:
    code, seconds = of(played, "hang-2.exits")["0"]
    assert code == 1
    assert seconds < 20
    assert "another process of this job is gone" in (played / "hang-2-0.err").read_text()


@pytest.mark.slow
def test_an_error_in_all_is_one_sentence_each_and_keeps_its_exit_code(played: Path) -> None:
    assert [code for code, _ in of(played, "refuse-2.exits").values()] == [2, 2]
    assert (played / "refuse-2-0.err").read_text() == "error: every process refuses this\n"
    assert (played / "refuse-2-1.err").read_text() == "error in process 1: every process refuses this\n"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("at_most", [None, 1, 5, 24, 100])
def test_the_pieces_of_all_processes_are_the_global_batch(size: int, at_most: int | None) -> None:
    pieces = [piece for rank in range(size) for piece in Team(rank, size).pieces(24, at_most)]
    assert [row for piece in pieces for row in range(piece.start, piece.stop)] == list(range(24))
    assert max(piece.stop - piece.start for piece in pieces) <= (at_most or 24)
    lengths = {piece.stop - piece.start for piece in pieces}
    assert max(lengths) - min(lengths) <= 1


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    parameter = torch.zeros(1, requires_grad=True)
    with pytest.raises(InputError, match="batch of 25 cannot be shared equally by 4"):
        Team(0, 4).accumulate(torch.nn.Identity(), lambda x: (x * parameter).mean(), torch.ones(25))


def test_alone_everything_is_trivial() -> None:
    alone = Team()
    model = torch.nn.Linear(2, 1)
    assert alone.setup(model) == (model,)
    assert alone.main
    assert torch.equal(alone.gather(torch.ones(3), 3), torch.ones(3))
    assert alone.any_rank(True)
    assert not alone.any_rank(False)
    alone.check_equal(3, "steps")
    with alone.main_first():
        pass
