"""The Vision Transformer (Dosovitskiy et al. 2021, arXiv 2010.11929, section 3.1 and appendix A), to be read beside the paper.

Letters of the shapes: B images, N patches, T tokens (N, or N + 1 with the class token), D width, k heads, D_h = D / k.
Attention is written as in equations 5-8; its fast forms are in `fused`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from replications.engine.randomness import SeededDropout
from replications.papers.vit_scaling.classifier import Classifier


@dataclass(frozen=True)
class ViTShape:
    """Sizes and variants of a Vision Transformer (the columns of Table 1).

    Attributes:
        grid: rows and columns of patches.
        width: D.
        depth: number of layers L.
        n_heads: k; divides D.
        mlp_width: hidden size of an MLP block.
        n_classes: number of outputs.
        positions: kind of position embedding, see `PositionEmbedding`.
        pooling: 'token', the class token's state (equation 4), or 'average' of all tokens.
        head: 'linear', or 'mlp' with one tanh layer of width D, as in the paper's pre-training.
        dropout: dropout rate after every dense layer and the embedding (appendix B.1), in [0, 1).
    """

    grid: tuple[int, int]
    width: int
    depth: int
    n_heads: int
    mlp_width: int
    n_classes: int
    positions: str = "learned-1d"
    pooling: str = "token"
    head: str = "linear"
    dropout: float = 0.0


class PatchEmbedding(nn.Module):
    """Linear projection E of flattened patches (equation 1), computed as a convolution with kernel size and stride P.

    Args:
        patch_size: P, in pixels.
        width: D.
    """

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, width, patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Return the projection of every patch.

        Args:
            images: (B, 3, H, W).

        Returns:
            Feature maps (B, D, H / P, W / P).
        """
        return self.projection(images)


class ConvolutionalStem(nn.Module):
    """Alternative to the patch embedding (Xiao et al. 2021): 3x3 convolutions of stride 2, one per halving of P, then a 1x1 projection.

    Args:
        patch_size: P in pixels, a power of two.
        width: D.
    """

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        n_halvings = int(math.log2(patch_size))
        layers: list[nn.Module] = []
        inputs = 3
        for i in range(n_halvings):
            outputs = max(8, width // 2 ** (n_halvings - 1 - i))
            convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
            # Group normalisation, because it computes the same function in training and evaluation.
            layers += [convolution, nn.GroupNorm(math.gcd(8, outputs), outputs), nn.ReLU()]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, width, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of every patch.

        Args:
            images: (B, 3, H, W).

        Returns:
            Feature maps (B, D, H / P, W / P).
        """
        return self.layers(images)


class PositionEmbedding(nn.Module):
    """Position embedding E_pos of equation 1; appendix D.4 compares the kinds.

    Args:
        kind: 'none'; 'learned-1d', one vector per patch in raster order; 'learned-2d', one half from the column and one
            from the row; 'sincos-2d', fixed sines and cosines of both (Beyer et al. 2022).
        grid: rows and columns of patches.
        width: D; a multiple of 4 for the two-dimensional kinds.
        class_token: give the class token its own position vector (kinds 'learned-1d' and 'learned-2d').
    """

    fixed: Tensor

    def __init__(self, kind: str, grid: tuple[int, int], width: int, *, class_token: bool) -> None:
        super().__init__()
        self.kind, self.grid = kind, grid
        rows, columns = grid
        learned = kind in ("learned-1d", "learned-2d")
        self.first = nn.Parameter(torch.zeros(1, 1, width)) if learned and class_token else None
        if kind == "learned-1d":
            self.patches = nn.Parameter(torch.zeros(1, rows * columns, width))
        elif kind == "learned-2d":
            self.rows, self.columns = nn.Parameter(torch.zeros(rows, width // 2)), nn.Parameter(torch.zeros(columns, width // 2))
        elif kind == "sincos-2d":
            self.register_buffer("fixed", sincos(rows, columns, width)[None], persistent=False)

    def table(self) -> Tensor | None:
        """Return one vector per patch.

        Returns:
            (1, N, D), or None for kind 'none'.
        """
        if self.kind == "none":
            return None
        if self.kind == "learned-1d":
            return self.patches
        if self.kind == "sincos-2d":
            return self.fixed
        rows, columns = self.grid
        by_column = self.columns[None].expand(rows, -1, -1)
        by_row = self.rows[:, None].expand(-1, columns, -1)
        return torch.cat([by_column, by_row], dim=-1).flatten(0, 1)[None]

    def forward(self, patches: Tensor) -> Tensor:
        """Return patch tokens with their position embedding added.

        Args:
            patches: (B, N, D).

        Returns:
            (B, N, D).
        """
        table = self.table()
        return patches if table is None else patches + table


def sincos(rows: int, columns: int, width: int) -> Tensor:
    """Return sines and cosines of column and row at D / 4 frequencies from 1 to 1/10,000 (Beyer et al. 2022).

    Args:
        rows: rows of patches.
        columns: columns of patches.
        width: D, a multiple of 4.

    Returns:
        (rows * columns, D) float32.
    """
    frequencies = 10_000 ** -(torch.arange(width // 4) / max(1, width // 4 - 1))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    x, y = column.flatten()[:, None] * frequencies, row.flatten()[:, None] * frequencies
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=1)


class MultiHeadSelfAttention(nn.Module):
    """MSA of appendix A: k heads of scaled dot-product self-attention and a joint output projection U_msa.

    Args:
        width: D.
        n_heads: k; D_h = D / k.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width)  # U_qkv of all heads
        self.out = nn.Linear(width, width)  # U_msa

    def project(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k and v of equation 5, [q, k, v] = z U_qkv.

        Args:
            z: (B, T, D).

        Returns:
            Three tensors (B, k, T, D_h).
        """
        B, T, D = z.shape
        q, k, v = self.qkv(z).view(B, T, 3, self.n_heads, D // self.n_heads).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def weights(self, z: Tensor) -> Tensor:
        """Return A = softmax(q k^T / sqrt(D_h)) of equation 6.

        Args:
            z: (B, T, D).

        Returns:
            (B, k, T, T); rows sum to 1.
        """
        q, k, _ = self.project(z)
        return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return SA(z) = A v of equation 7 for every head.

        Args:
            q: queries, (B, k, T, D_h).
            k: keys, (B, k, T, D_h).
            v: values, (B, k, T, D_h).

        Returns:
            (B, k, T, D_h).
        """
        A = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        return A @ v

    def forward(self, z: Tensor) -> Tensor:
        """Return MSA(z) = [SA_1(z); ...; SA_k(z)] U_msa of equation 8.

        Args:
            z: (B, T, D).

        Returns:
            (B, T, D).
        """
        heads = self.mix(*self.project(z))
        return self.out(heads.transpose(1, 2).flatten(2))


class MLP(nn.Sequential):
    """Two dense layers with a GELU between them (section 3.1), (B, T, D) to (B, T, D).

    Args:
        width: D.
        hidden: hidden size.
        dropout: dropout rate after the GELU, in [0, 1).
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), SeededDropout(dropout), nn.Linear(hidden, width))


class EncoderBlock(nn.Module):
    """One encoder layer (equations 2 and 3; Figure 1, right): pre-normalised attention and MLP with residual connections.

    Args:
        shape: sizes and variants.
        attention: class of the attention layer.
    """

    def __init__(self, shape: ViTShape, attention: type[MultiHeadSelfAttention] = MultiHeadSelfAttention) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(shape.width, eps=1e-6), nn.LayerNorm(shape.width, eps=1e-6)
        self.attention = attention(shape.width, shape.n_heads)
        self.mlp = MLP(shape.width, shape.mlp_width, shape.dropout)
        self.dropout = SeededDropout(shape.dropout)

    def forward(self, z: Tensor) -> Tensor:
        """Return z_l, given z_(l-1).

        Args:
            z: (B, T, D).

        Returns:
            (B, T, D).
        """
        z = self.dropout(self.attention(self.norm_1(z))) + z  # equation 2: z'_l = MSA(LN(z_(l-1))) + z_(l-1)
        return self.dropout(self.mlp(self.norm_2(z))) + z  # equation 3: z_l = MLP(LN(z'_l)) + z'_l


class VisionTransformer(Classifier):
    """The Vision Transformer: patches, class token and positions (equation 1), encoder (2, 3), final normalisation (4), head.

    Args:
        shape: sizes and variants.
        patches: maps images (B, 3, H, W) to feature maps (B, D, rows, columns): `PatchEmbedding`, `ConvolutionalStem`, or
            a ResNet's `Trunk` for a hybrid.
        attention: class of the attention layers: the plain one, or a fast form from `fused`.
    """

    def __init__(self, shape: ViTShape, patches: nn.Module, attention: type[MultiHeadSelfAttention] = MultiHeadSelfAttention) -> None:
        super().__init__()
        width, with_token = shape.width, shape.pooling == "token"
        self.shape, self.patches, self.n_features = shape, patches, width
        self.class_token = nn.Parameter(torch.zeros(1, 1, width)) if with_token else None
        self.positions = PositionEmbedding(shape.positions, shape.grid, width, class_token=with_token)
        self.dropout = SeededDropout(shape.dropout)
        self.blocks = cast("Sequence[EncoderBlock]", nn.ModuleList(EncoderBlock(shape, attention) for _ in range(shape.depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.Tanh()) if shape.head == "mlp" else nn.Identity()
        self.head = nn.Linear(width, shape.n_classes)

    def embed(self, images: Tensor) -> Tensor:
        """Return z_0 = [x_class; x_1 E; ...; x_N E] + E_pos of equation 1.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, T, D).
        """
        z = self.positions(self.patches(images).flatten(2).mT)
        if self.class_token is not None:
            first = self.class_token if self.positions.first is None else self.class_token + self.positions.first
            z = torch.cat([first.expand(len(z), -1, -1).to(z.dtype), z], dim=1)
        return self.dropout(z)

    def features(self, images: Tensor) -> Tensor:
        """Return the image representation y of equation 4.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, D).
        """
        z = self.embed(images)
        for block in self.blocks:
            z = block(z)
        z = self.norm(z)
        return z[:, 0] if self.shape.pooling == "token" else z.mean(1)

    @torch.no_grad()
    def attention_maps(self, images: Tensor) -> Tensor:
        """Return the attention weights A of every layer.

        Args:
            images: (B, 3, H, W).

        Returns:
            (L, B, k, T, T).
        """
        z, maps = self.embed(images), []
        for block in self.blocks:
            maps.append(block.attention.weights(block.norm_1(z)))
            z = block(z)
        return torch.stack(maps)

    @torch.no_grad()
    def class_attention(self, images: Tensor) -> Tensor:
        """Return how the class token attends to the patches in the last layer.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, k, N); rows sum to less than 1, because the class token attends to itself as well.
        """
        z = self.embed(images)
        for block in self.blocks[:-1]:
            z = block(z)
        last = self.blocks[-1]
        n_patches = self.positions.grid[0] * self.positions.grid[1]
        return last.attention.weights(last.norm_1(z))[:, :, 0, -n_patches:]
