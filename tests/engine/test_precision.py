"""bf16 is used where it is set and where the device has units for it; calls without streams keep their order."""

import pytest
import torch

from replications.engine.devices import native_bf16
from replications.engine.precision import matmul_precision, precision_in_use, uses_bf16
from replications.engine.streams import make_streams, run_on_streams

CPU = torch.device("cpu")


@pytest.mark.parametrize("native", [False, True])
def test_a_cpu_uses_bf16_only_with_units_and_never_for_gru_or_rnn(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replications.engine.precision.native_bf16", lambda _: native)
    for precision in ("bf16", "auto"):
        assert uses_bf16(precision, CPU, cell="lstm") == native  # type: ignore[arg-type]
        assert not any(uses_bf16(precision, CPU, cell=cell) for cell in ("gru", "rnn"))  # type: ignore[arg-type]
    assert not uses_bf16("fp32", CPU)
    assert not uses_bf16("tf32", CPU)


@pytest.mark.parametrize("capability", ["AVX2", "DEFAULT"])
def test_a_processor_without_avx512_has_no_bf16_units(capability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert not native_bf16(CPU)


@pytest.mark.parametrize("native", [False, True])
def test_products_have_the_precision_that_is_used(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replications.engine.precision.native_bf16", lambda _: native)
    before = torch.get_float32_matmul_precision()
    with matmul_precision("bf16", CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if native else torch.float32)
    assert torch.get_float32_matmul_precision() == before
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_provenance_says_which_precision_a_setting_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replications.engine.precision.native_bf16", lambda _: False)
    without = "fp32: the device has no bf16 units"
    assert precision_in_use({"precision": "auto", "training": {"precision": "bf16"}, "sweep": {"precision": "fp32"}}, CPU) == {
        "precision": without,
        "training.precision": without,
        "sweep.precision": "fp32",
    }
    monkeypatch.setattr("replications.engine.precision.native_bf16", lambda _: True)
    assert precision_in_use({"precision": "auto", "n_steps": 5}, CPU) == {"precision": "bf16 (gru, rnn in fp32)"}
    assert precision_in_use({"precision": "tf32"}, CPU) == {"precision": "fp32"}, "TF32 is a GPU's"
    assert precision_in_use({"n_steps": 5}, CPU) == {}


def test_calls_without_streams_are_made_in_order() -> None:
    order: list[int] = []
    results = run_on_streams([lambda: order.append(0) or "a", lambda: order.append(1) or "b"], make_streams(2, CPU), CPU)  # type: ignore[func-returns-value]
    assert (results, order) == (["a", "b"], [0, 1])
