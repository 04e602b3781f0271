"""What is measured around a run."""

import sys
import time
from types import SimpleNamespace

import pytest
import torch

from replications.engine.devices import Meter

GPU = torch.device("cuda", 0)


class NVMLError(Exception):
    """As the driver's library has it."""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A driver of one GPU that has used 5 J more at every question and is busy 100, 50, 0, 100 ... per cent of the time."""
    joules, busy = iter(range(1000, 10**6, 5)), iter([100, 50, 0] * 1000)
    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda _: 1000 * next(joules),
        nvmlDeviceGetUtilizationRates=lambda _: SimpleNamespace(gpu=next(busy)),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 2048)
    monkeypatch.setattr(Meter, "SAMPLED", 0.01)
    return library


def test_energy_memory_and_busy_time_are_the_drivers(driver: SimpleNamespace) -> None:
    with Meter(GPU) as meter:
        while len(meter._busy) < 3:
            time.sleep(0.005)
    first = meter._busy[:3]
    assert first == [100, 50, 0]
    assert meter.cost["gpu_busy"] == pytest.approx(sum(meter._busy) / len(meter._busy) / 100)
    assert (meter.cost["energy"], meter.cost["peak_memory"]) == (5.0, 2048.0)
    assert meter.cost["gpu_seconds"] == meter.cost["seconds"] > 0
    assert not meter._watch.is_alive()


def test_a_driver_that_tells_nothing_leaves_the_times(driver: SimpleNamespace) -> None:
    def refuse(*_: object) -> None:
        raise NVMLError

    driver.nvmlInit = refuse
    with Meter(GPU) as meter:
        pass
    assert set(meter.cost) == {"seconds", "gpu_seconds", "peak_memory"}


def test_a_counter_that_is_missing_leaves_the_others(driver: SimpleNamespace) -> None:
    def refuse(*_: object) -> None:
        raise NVMLError

    driver.nvmlDeviceGetUtilizationRates = refuse
    with Meter(GPU) as meter:
        time.sleep(0.03)
    assert set(meter.cost) == {"seconds", "gpu_seconds", "peak_memory", "energy"}
