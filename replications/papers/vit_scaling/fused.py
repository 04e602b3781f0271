"""Fast forms of self-attention, with the parameters and the results of `model.MultiHeadSelfAttention`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.vit_scaling.model import MultiHeadSelfAttention


class FusedAttention(MultiHeadSelfAttention):
    """Attention by torch's `scaled_dot_product_attention`, which does not store A."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return A v (equations 6 and 7): three tensors (B, k, T, D_h) to one."""
        return functional.scaled_dot_product_attention(q, k, v)


class ExplicitAttention(MultiHeadSelfAttention):
    """Two batched products and a softmax, which in bf16 on a CPU stays in bf16."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return A v (equations 6 and 7): three tensors (B, k, T, D_h) to one."""
        return explicit(q, k, v)


class AutoAttention(MultiHeadSelfAttention):
    """SDPA, but explicit products in bf16 on a CPU.

    There SDPA's backward pass takes half of a training step (measured on ViT-Ti/4: 476 of 948 ms).
    """

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return A v (equations 6 and 7): three tensors (B, k, T, D_h) to one."""
        return explicit(q, k, v) if _bf16_on_cpu(q) else functional.scaled_dot_product_attention(q, k, v)


ATTENTION: dict[str, type[MultiHeadSelfAttention]] = {"fused": FusedAttention, "explicit": ExplicitAttention, "auto": AutoAttention}
"""Class of the attention layers, by the setting `attention`."""


def explicit(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(D_h)) v by two batched products.

    Args:
        q: queries (B, k, T, D_h); `k` and `v` are keys and values of the same shape.
        k: keys.
        v: values.

    Returns:
        (B, k, T, D_h).
    """
    # Autocast would compute the softmax in fp32, and copy its (B, k, T, T) twice.
    with torch.autocast("cpu", enabled=torch.is_autocast_enabled("cpu") and not _bf16_on_cpu(q)):
        return ((q * q.shape[-1] ** -0.5) @ k.mT).softmax(-1) @ v  # scaling q touches T D_h numbers, scaling q k^T T^2


def _bf16_on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.bfloat16
