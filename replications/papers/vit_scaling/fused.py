"""Fast forms of self-attention, with the same parameters and outputs as `model.MultiHeadSelfAttention`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.vit_scaling.model import MultiHeadSelfAttention


class FusedAttention(MultiHeadSelfAttention):
    """Attention by PyTorch's `scaled_dot_product_attention` (SDPA), which does not store A; arguments as for its base class."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return A v (equations 6 and 7).

        Args:
            q: queries, (B, k, T, D_h).
            k: keys, (B, k, T, D_h).
            v: values, (B, k, T, D_h).

        Returns:
            (B, k, T, D_h).
        """
        return _explicit(q, k, v) if self._stores_weights(q) else functional.scaled_dot_product_attention(q, k, v)

    def _stores_weights(self, _: Tensor) -> bool:
        """Return True where A is to be computed and stored for these queries."""
        return False


class ExplicitAttention(FusedAttention):
    """Attention by two batched products and a softmax, computed in bf16 for bf16 inputs on a CPU; arguments as for its base class."""

    def _stores_weights(self, _: Tensor) -> bool:
        return True


class AutoAttention(FusedAttention):
    """SDPA, or explicit products for bf16 inputs on a CPU; arguments as for its base class.

    In that case the backward pass of SDPA takes half of a training step (measured on ViT-Ti/4: 476 of 948 ms).
    """

    def _stores_weights(self, q: Tensor) -> bool:
        return _bf16_on_cpu(q)


ATTENTION: dict[str, type[MultiHeadSelfAttention]] = {"fused": FusedAttention, "explicit": ExplicitAttention, "auto": AutoAttention}
"""Class of the attention layers, by the setting `attention`."""


def _explicit(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(q k^T / sqrt(D_h)) v by two batched products."""
    # Autocast would compute the softmax in fp32, which copies its (B, k, T, T) inputs and outputs.
    with torch.autocast("cpu", enabled=torch.is_autocast_enabled("cpu") and not _bf16_on_cpu(q)):
        return ((q * q.shape[-1] ** -0.5) @ k.mT).softmax(-1) @ v  # scaling q costs T D_h operations, scaling q k^T costs T^2


def _bf16_on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.bfloat16
