"""Exact statements on attention, sets and positions. Each function makes a random case and returns how far its two sides are apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from replications.papers.foundations.model import Projections, attention, self_attention
from replications.papers.foundations.recurrent_statements import apart, normal

TOKENS, WIDTH = 7, 6
WORKED_QUERY = torch.tensor([[1.0, 0]], dtype=torch.float64)
WORKED_KEYS = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
"""Query, and keys that are also the values, of a lecture's worked example."""


def worked_example() -> tuple[Tensor, Tensor]:
    """Return output (2,) and weights (3,) of the worked example: scores 1, 0, 1 over sqrt(2), softmax, weighted sum."""
    output, weights = attention(WORKED_QUERY, WORKED_KEYS, WORKED_KEYS)
    return output[0], weights[0]


def _projections(generator: torch.Generator) -> Projections:
    return Projections(*normal(3, WIDTH, WIDTH, generator=generator))


def _permutation(n: int, generator: torch.Generator) -> Tensor:
    """Return a random order in which no element keeps its place, so that something always moves."""
    order = torch.randperm(n, generator=generator)
    return torch.empty(n, dtype=torch.int64).scatter_(0, order, order.roll(1))


def embedding_is_one_hot_product(generator: torch.Generator) -> float:
    """Looking up a row of an embedding is the product of a one-hot vector with the matrix, bit by bit.

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    table = normal(50, WIDTH, generator=generator)
    words = torch.randint(50, (TOKENS,), generator=generator)
    return apart(table[words], functional.one_hot(words, 50).double() @ table)


def _moved(generator: torch.Generator, *, positions: bool = False, causal: bool = False) -> float:
    """Return how far attention of permuted tokens is from the permuted attention of the tokens."""
    x, projections, order = normal(TOKENS, WIDTH, generator=generator), _projections(generator), _permutation(TOKENS, generator)
    place = normal(TOKENS, WIDTH, generator=generator) if positions else torch.zeros(TOKENS, WIDTH, dtype=torch.float64)
    mask = torch.ones(TOKENS, TOKENS).tril().bool() if causal else None
    return apart(self_attention(x[order] + place, projections, mask), self_attention(x + place, projections, mask)[order])


def attention_is_equivariant(generator: torch.Generator) -> float:
    """Self-attention without positions gives permuted outputs for permuted tokens.

    Args:
        generator: source of the case.

    Returns:
        Largest difference of SA(P X) from P SA(X).
    """
    return _moved(generator)


def positions_break_equivariance(generator: torch.Generator) -> float:
    """With a position embedding added, self-attention is no longer equivariant to permutations.

    Args:
        generator: source of the case.

    Returns:
        Largest difference of the two.
    """
    return _moved(generator, positions=True)


def causal_mask_breaks_equivariance(generator: torch.Generator) -> float:
    """With a causal mask self-attention is no longer equivariant to permutations, though nothing is added to the tokens.

    Args:
        generator: source of the case.

    Returns:
        Largest difference of the two.
    """
    return _moved(generator, causal=True)


def pooled_output_is_invariant(generator: torch.Generator) -> float:
    """The output at a class token, and the mean over tokens, do not depend on the order of the other tokens.

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    x, projections = normal(TOKENS + 1, WIDTH, generator=generator), _projections(generator)
    order = torch.cat([torch.zeros(1, dtype=torch.int64), 1 + _permutation(TOKENS, generator)])
    before, after = self_attention(x, projections), self_attention(x[order], projections)
    return max(apart(before[0], after[0]), apart(before.mean(dim=0), after.mean(dim=0)))


def causal_outputs_equal_prefixes(generator: torch.Generator) -> float:
    """A causal mask computes at once what attention over every prefix gives at its last token: GPT trains all positions together.

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    x, projections = normal(TOKENS, WIDTH, generator=generator), _projections(generator)
    together = self_attention(x, projections, torch.ones(TOKENS, TOKENS).tril().bool())
    return apart(together, torch.stack([self_attention(x[: t + 1], projections)[-1] for t in range(TOKENS)]))


def tokenwise_layer_is_convolution(generator: torch.Generator) -> float:
    """One linear layer applied to every token of an image is a convolution with 1x1 kernels (Lin et al. 2014).

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    image, weights = normal(1, WIDTH, 5, 5, generator=generator), normal(4, WIDTH, generator=generator)
    tokens = image.flatten(2).mT  # (1, 25, width)
    by_token = (tokens @ weights.T).mT.unflatten(2, (5, 5))
    return apart(by_token, functional.conv2d(image, weights[:, :, None, None]))


def convolution_is_fixed_attention(generator: torch.Generator) -> float:
    """A convolution of three taps is attention of three heads whose weights depend on relative positions only (Cordonnier et al. 2020).

    Args:
        generator: source of the case.

    Returns:
        Largest difference away from the border.
    """
    x, kernel = normal(TOKENS, WIDTH, generator=generator), normal(3, WIDTH, WIDTH, generator=generator)
    place = torch.arange(TOKENS, dtype=torch.float64)
    outputs = torch.zeros_like(x)
    for head, shift in enumerate((-1, 0, 1)):
        logits = -50 * (place.unsqueeze(0) - place.unsqueeze(1) - shift).square()  # sharp: the next place gets exp(-50)
        outputs += torch.softmax(logits, dim=1) @ x @ kernel[head]
    convolved = functional.conv1d(x.T.unsqueeze(0), kernel.permute(2, 1, 0), padding=1)[0].T
    return apart(outputs[1:-1], convolved[1:-1])


def set_network_is_invariant(generator: torch.Generator) -> float:
    """A network rho(sum of phi) does not depend on the order of its set (Zaheer et al. 2017).

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    x, phi, rho = (normal(n, WIDTH, generator=generator) for n in (TOKENS, WIDTH, WIDTH))
    network = lambda elements: torch.tanh(rho @ torch.tanh(elements @ phi).sum(dim=0))  # noqa: E731 (one formula)
    return apart(network(x), network(x[_permutation(TOKENS, generator)]))


def attention_is_message_passing(generator: torch.Generator) -> float:
    """Self-attention is a graph network on the complete graph: every node sums its neighbours' messages, weighted.

    Args:
        generator: source of the case.

    Returns:
        Largest difference from sums over edges, one edge at a time.
    """
    x, projections = normal(TOKENS, WIDTH, generator=generator), _projections(generator)
    nodes = []
    for receiver in x:
        edges = [math.exp(float((receiver @ projections.w_q) @ (sender @ projections.w_k)) / math.sqrt(WIDTH)) for sender in x]
        nodes.append(sum(edge * (sender @ projections.w_v) for edge, sender in zip(edges, x, strict=True)) / sum(edges))
    return apart(torch.stack(nodes), self_attention(x, projections))


def uniform_attention_is_set_network(generator: torch.Generator) -> float:
    """Where all queries are zero the weights are uniform, and attention is the mean of phi(x) = W_v x, as in a set network.

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    x, projections = normal(TOKENS, WIDTH, generator=generator), _projections(generator)
    uniform = self_attention(x, projections._replace(w_q=torch.zeros(WIDTH, WIDTH, dtype=torch.float64)))
    return apart(uniform, (x @ projections.w_v).mean(dim=0).expand(TOKENS, WIDTH))


def fourier_code(positions: Tensor, frequencies: Tensor) -> Tensor:
    """Return cosines and sines of positions (Vaswani et al. 2017, section 3.5, with pairs side by side).

    Args:
        positions: shape (n,).
        frequencies: shape (pairs,), radians per unit of position.

    Returns:
        Shape (n, pairs, 2), last axis cosine and sine.
    """
    angles = positions.unsqueeze(1) * frequencies
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def _positions(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return positions within +/- 10, one shift and the frequencies."""
    positions, shift = 10 * (2 * torch.rand(2, TOKENS, generator=generator, dtype=torch.float64) - 1)
    return positions, shift[0], 10.0 ** -torch.linspace(0, 2, 5, dtype=torch.float64)


def fourier_shift_is_rotation(generator: torch.Generator) -> float:
    """Moving a position turns every pair of its code by one angle, the same at every position.

    Args:
        generator: source of the case.

    Returns:
        Largest difference from the rotated code.
    """
    positions, shift, frequencies = _positions(generator)
    cosine, sine = (shift * frequencies).cos(), (shift * frequencies).sin()
    turn = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)
    turned = torch.einsum("pij,npj->npi", turn, fourier_code(positions, frequencies))
    return apart(turned, fourier_code(positions + shift, frequencies))


def fourier_product_depends_on_offset(generator: torch.Generator) -> float:
    """The inner product of two codes is the sum of cos(frequency x offset): only the offset counts.

    Args:
        generator: source of the case.

    Returns:
        Largest difference.
    """
    positions, shift, frequencies = _positions(generator)
    product = (fourier_code(positions, frequencies) * fourier_code(positions + shift, frequencies)).sum(dim=(1, 2))
    return apart(product, (shift * frequencies).cos().sum().expand(TOKENS))


def dot_product_deviation(d_k: int, n_vectors: int, generator: torch.Generator) -> float:
    """Dot products of vectors with unit variance have a standard deviation of sqrt(d_k) (Vaswani et al. 2017, section 3.2.1).

    Args:
        d_k: length of the vectors.
        n_vectors: number of pairs.
        generator: source of the vectors.

    Returns:
        Standard deviation over the pairs.
    """
    return float((normal(n_vectors, d_k, generator=generator) * normal(n_vectors, d_k, generator=generator)).sum(dim=1).std())


def softmax_entropy(d_k: int, generator: torch.Generator, *, scaled: bool, keys: int = 16, queries: int = 100) -> float:
    """Without the factor 1 / sqrt(d_k) the softmax of long vectors puts nearly all weight on one key.

    Args:
        d_k: length of queries and keys.
        generator: source of the vectors.
        scaled: divide the scores by sqrt(d_k).
        keys: number of keys.
        queries: number of queries, each with keys of its own.

    Returns:
        Mean entropy of the weights in nats; log(keys) where they are uniform.
    """
    scores = (normal(queries, 1, d_k, generator=generator) * normal(queries, keys, d_k, generator=generator)).sum(dim=-1)
    logarithms = torch.log_softmax(scores / math.sqrt(d_k) if scaled else scores, dim=-1)
    return float(-(logarithms.exp() * logarithms).sum(dim=-1).mean())
