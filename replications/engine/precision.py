"""Precision of matrix products, by setting, device and kind of network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from replications.engine.devices import native_bf16
from replications.registry.settings import Precision

WITHOUT_BF16_ON_CPU = ("gru", "rnn")
"""Recurrent cells whose CPU kernels are slower in bf16 than in fp32."""


def uses_bf16(precision: Precision, device: torch.device, *, cell: str = "") -> bool:
    """Return True when matrix products are computed in bf16.

    A CPU without bf16 units computes in fp32 whatever is set: bf16 is emulated there, and oneDNN has no bf16 LSTM.

    Args:
        precision: as set.
        device: on which the network runs.
        cell: recurrent cell of the network (`lstm`, `gru`, `rnn`); empty for other networks.

    Returns:
        False: products are in fp32, or in TF32 where that is allowed.
    """
    if precision not in ("bf16", "auto"):
        return False
    if device.type == "cpu":
        return cell not in WITHOUT_BF16_ON_CPU and native_bf16(device)
    return precision == "bf16" or native_bf16(device)


def precision_in_use(settings: Mapping[str, Any], device: torch.device) -> dict[str, str]:
    """Return the precision that each setting named `precision` comes to on a device, for the provenance.

    >>> precision_in_use({"n_steps": 3, "training": {"precision": "tf32"}}, torch.device("cpu"))
    {'training.precision': 'fp32'}

    Args:
        settings: of a run, as JSON holds them.
        device: on which its networks run.

    Returns:
        Name of the setting, with the block that it is in -> precision, and why where it is not the one that is set.
    """
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": text for inner, text in precision_in_use(value, device).items()}
        elif name == "precision":
            found[name] = _in_use(value, device)
    return found


def _in_use(precision: Precision, device: torch.device) -> str:
    if precision not in ("bf16", "auto"):
        return "tf32" if precision == "tf32" and device.type == "cuda" else "fp32"
    if uses_bf16(precision, device):
        return f"bf16 ({', '.join(WITHOUT_BF16_ON_CPU)} in fp32)" if device.type == "cpu" else "bf16"
    return f"{'fp32' if device.type == 'cpu' else 'tf32'}: the device has no bf16 units"


@contextmanager
def matmul_precision(precision: Precision, device: torch.device, *, cell: str = "") -> Iterator[None]:
    """Compute matrix products of the block in the precision that is set; restore the earlier one afterwards.

    Args:
        precision: as set. On a GPU, products that stay in fp32 use TF32 unless fp32 is set.
        device: on which the network runs.
        cell: see `uses_bf16`.

    Yields:
        Nothing.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    try:
        # A captured graph must not reuse the casts of another call, so the cache of casts is off.
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(precision, device, cell=cell), cache_enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
