"""The Vision Transformer (Dosovitskiy et al. 2020, section 3.1), to be read beside the paper.

Shapes: B pictures, N patches, T tokens (N, or N + 1 with the class token), D width, k heads.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Multi-head self-attention (appendix A, equations 5-8): [q, k, v] = z U_qkv, A = softmax(q k^T / sqrt(D_h)), A v U_msa.

    Args:
        width: D.
        n_heads: k; D_h = D / k.
        product: 'fused' (SDPA), 'explicit' (two batched products and a softmax), or 'auto': explicit in bf16 on a CPU.
            There SDPA's backward pass takes half of a training step (measured on ViT-Ti/4: 476 of 948 ms).
    """

    def __init__(self, width: int, n_heads: int, *, product: str = "auto") -> None:
        super().__init__()
        self.n_heads, self.product = n_heads, product
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def _split(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        B, T, D = tokens.shape
        q, k, v = self.qkv(tokens).view(B, T, 3, self.n_heads, D // self.n_heads).permute(2, 0, 3, 1, 4).unbind(0)  # (B, k, T, D_h)
        return q, k, v

    def weights(self, tokens: Tensor) -> Tensor:
        """A of equation 6: (B, k, T, T), rows sum to 1."""
        q, k, _ = self._split(tokens)
        shares: Tensor = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        return shares

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        q, k, v = self._split(tokens)
        slow = q.device.type == "cpu" and q.dtype == torch.bfloat16
        if self.product == "explicit" or (self.product == "auto" and slow):
            # Autocast would compute the softmax in fp32, and copy its (B, k, T, T) twice.
            with torch.autocast("cpu", enabled=not slow and torch.is_autocast_enabled("cpu")):
                mixed = ((q * q.shape[-1] ** -0.5) @ k.mT).softmax(-1) @ v
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """One encoder layer, normalised before each part: z' = MSA(LN(z)) + z (equation 2), z = MLP(LN(z')) + z' (equation 3)."""

    def __init__(self, width: int, n_heads: int, mlp_width: int, *, dropout: float = 0.0, product: str = "auto") -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, n_heads, product=product)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_width), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp_width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        tokens = tokens + self.drop(self.attention(self.norm_1(tokens)))
        out: Tensor = tokens + self.drop(self.mlp(self.norm_2(tokens)))
        return out


class Positions(nn.Module):
    """What is added to the patch tokens so that they know their place (section 3.1; appendix D.4 compares kinds).

    Args:
        kind: 'none'; 'learned-1d', one vector per place in raster order; 'learned-2d', one half from the column and one
            from the row; 'sincos-2d', fixed sines and cosines of both (Beyer et al. 2022).
        grid: rows and columns of patches.
        width: D.
        class_token: whether a first token has a learned vector of its own (kinds 'learned-1d' and 'learned-2d').
    """

    fixed: Tensor

    def __init__(self, kind: str, grid: tuple[int, int], width: int, *, class_token: bool) -> None:
        super().__init__()
        self.kind, self.grid = kind, grid
        rows, columns = grid
        learned = kind.startswith("learned")
        self.first = nn.Parameter(torch.zeros(1, 1, width)) if learned and class_token else None
        if kind == "learned-1d":
            self.places = nn.Parameter(torch.zeros(1, rows * columns, width))
        elif kind == "learned-2d":
            self.rows, self.columns = nn.Parameter(torch.zeros(rows, width // 2)), nn.Parameter(torch.zeros(columns, width // 2))
        elif kind == "sincos-2d":
            self.register_buffer("fixed", sincos(rows, columns, width)[None], persistent=False)

    def table(self) -> Tensor | None:
        """One vector per patch, (1, N, D); None for kind 'none'."""
        if self.kind == "none":
            return None
        if self.kind == "learned-1d":
            return self.places
        if self.kind == "sincos-2d":
            return self.fixed
        rows, columns = self.grid
        across = self.columns[None].expand(rows, -1, -1)
        down = self.rows[:, None].expand(-1, columns, -1)
        return torch.cat([across, down], dim=-1).flatten(0, 1)[None]

    def forward(self, patches: Tensor) -> Tensor:
        """Add to patch tokens (B, N, D)."""
        table = self.table()
        return patches if table is None else patches + table


def sincos(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of column and row at width/4 frequencies from 1 down to 1/10,000: (rows * columns, width)."""
    frequencies = 10_000 ** -(torch.arange(width // 4) / max(1, width // 4 - 1))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    x, y = column.flatten()[:, None] * frequencies, row.flatten()[:, None] * frequencies
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=1)


def convolution_stem(channels: int, width: int, patch_size: int) -> nn.Sequential:
    """3x3 convolutions of stride 2, one per halving, then a 1x1 projection (as in Xiao et al. 2021; CCT's tokeniser is alike)."""
    halvings = int(math.log2(patch_size))
    layers: list[nn.Module] = []
    for i in range(halvings):
        wide = max(8, width // 2 ** (halvings - 1 - i))
        # Normalised by channel groups and not by batch, so that the stem behaves alike in training and test.
        layers += [nn.Conv2d(channels, wide, 3, stride=2, padding=1, bias=False), nn.GroupNorm(math.gcd(8, wide), wide), nn.ReLU()]
        channels = wide
    return nn.Sequential(*layers, nn.Conv2d(channels, width, 1))


class Classifier(nn.Module, ABC):
    """Pictures to features, and a linear head on them.

    Attributes:
        n_features: width of the features.
        hidden: between features and head; nothing but in the paper's pre-training.
        head: features to logits.
    """

    n_features: int
    hidden: nn.Module
    head: nn.Module

    @abstractmethod
    def features(self, pictures: Tensor) -> Tensor:
        """A picture's representation before the head: pictures (B, 3, H, W) to (B, n_features)."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Map pictures (B, 3, H, W) to logits (B, n_classes)."""
        logits: Tensor = self.head(self.hidden(self.features(pictures)))
        return logits


class VisionTransformer(Classifier):
    """Patches, class token and positions (equation 1), encoder (2, 3), norm (4), head.

    Args:
        grid: rows and columns of patches.
        patches: maps pictures (B, 3, H, W) to feature maps (B, D, rows, columns): a strided convolution is exactly the
            linear projection E of flattened patches; a convolutional stem or a ResNet replace it.
        width, depth, n_heads, mlp_width: D, L, k and the MLP's hidden units.
        n_classes: outputs.
        pooling: 'token' (the class token's state, equation 4) or 'average' of all tokens.
        head: 'linear', or 'mlp' with one tanh layer of width D, as in the paper's pre-training.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        patches: nn.Module,
        *,
        width: int,
        depth: int,
        n_heads: int,
        mlp_width: int,
        n_classes: int,
        positions: str = "learned-1d",
        pooling: str = "token",
        head: str = "linear",
        dropout: float = 0.0,
        attention: str = "auto",
    ) -> None:
        super().__init__()
        self.patches, self.pooling, self.n_features = patches, pooling, width
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if pooling == "token" else None
        self.positions = Positions(positions, grid, width, class_token=pooling == "token")
        self.drop = nn.Dropout(dropout)
        blocks = [Block(width, n_heads, mlp_width, dropout=dropout, product=attention) for _ in range(depth)]
        self.blocks = cast("Sequence[Block]", nn.ModuleList(blocks))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.Tanh()) if head == "mlp" else nn.Identity()
        self.head = nn.Linear(width, n_classes)

    def embed(self, pictures: Tensor) -> Tensor:
        """z_0 of equation 1: (B, T, D)."""
        tokens = self.positions(self.patches(pictures).flatten(2).mT)
        if self.class_token is not None:
            first = self.class_token if self.positions.first is None else self.class_token + self.positions.first
            tokens = torch.cat([first.expand(len(tokens), -1, -1).to(tokens.dtype), tokens], dim=1)
        dropped: Tensor = self.drop(tokens)
        return dropped

    def features(self, pictures: Tensor) -> Tensor:
        """The picture's representation y before the head: (B, D)."""
        tokens = self.embed(pictures)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        features: Tensor = tokens[:, 0] if self.pooling == "token" else tokens.mean(1)
        return features

    @torch.no_grad()
    def attention_maps(self, pictures: Tensor) -> Tensor:
        """Attention weights of every layer: (L, B, k, T, T)."""
        tokens, maps = self.embed(pictures), []
        for block in self.blocks:
            maps.append(block.attention.weights(block.norm_1(tokens)))
            tokens = block(tokens)
        return torch.stack(maps)
