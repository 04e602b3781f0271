"""Fast forms of the mixers: PyTorch's recurrent kernels, a parallel scan, chunked linear attention, and fused attention.

Each class computes the same function as its base class (in `mixers.py`, `linear_recurrences.py`, `mamba.py`, `rwkv.py`, `convolution.py`
or `attention.py`), for all positions in parallel; tests check that outputs and gradients agree.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from replications.errors import InputError
from replications.papers.rnn_vs_transformer.attention import Attention, LinearAttention
from replications.papers.rnn_vs_transformer.convolution import DilatedConvolution
from replications.papers.rnn_vs_transformer.linear_recurrences import MinimalRNN, SelectiveSSM
from replications.papers.rnn_vs_transformer.mamba import Mamba, TimeInvariantMamba
from replications.papers.rnn_vs_transformer.mixers import Recurrent, project
from replications.papers.rnn_vs_transformer.rwkv import LOWEST, ChannelMixing, TimeMixing
from replications.papers.rnn_vs_transformer.scan import scan_positions


def convolved(x: Tensor, taps: Tensor) -> Tensor:
    """Return a causal convolution of each channel by itself.

    Args:
        x: (seeds, batch, n, channels).
        taps: weights, oldest position first, (seeds, positions, channels).

    Returns:
        (seeds, batch, n, channels).
    """
    n, n_before = x.shape[2], taps.shape[1] - 1
    padded = functional.pad(x, (0, 0, n_before, 0))
    by_tap = taps.view(len(taps), 1, n_before + 1, 1, -1)
    y = padded[:, :, n_before:] * by_tap[:, :, n_before]
    for j in range(n_before):
        y = torch.addcmul(y, padded[:, :, j : j + n], by_tap[:, :, j])
    return y


def shifted(x: Tensor) -> Tensor:
    """Return the values one position earlier, and zeros at the first position.

    Args:
        x: (seeds, batch, n, features).

    Returns:
        (seeds, batch, n, features).
    """
    return functional.pad(x, (0, 0, 1, -1))


class LoopedRecurrent(Recurrent):
    """tanh-RNN, GRU or LSTM in an explicit loop, with the products of all inputs computed beforehand, as cuDNN does.

    Only the operations that depend on the previous step are in the loop.

    Args:
        cell: rnn, gru or lstm.
        width: features per position, and of the state.
        generators: one per seed, on the CPU; they draw the initial weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        W_x, W_h, b_x, b_h = self.weights()
        from_input = torch.baddbmm(b_x, x.reshape(self.n_seeds, -1, self.width), W_x).view(*x.shape[:-1], -1)
        state, outputs = self.start(x), []
        for from_input_t in from_input.unbind(2):
            state = self.advance(from_input_t, state, W_h, b_h)
            outputs.append(state[0])
        return torch.stack(outputs, 2)


class LibraryRecurrent(Recurrent):
    """tanh-RNN, GRU or LSTM in PyTorch's kernels.

    Args:
        cell: rnn, gru or lstm.
        width: features per position, and of the state.
        generators: one per seed, on the CPU; they draw the initial weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        return torch.stack([kernel(x_s)[0] for kernel, x_s in zip(self.cells, x.unbind(0), strict=True)])


class ScannedMinimalRNN(MinimalRNN):
    """minGRU or minLSTM as a parallel scan; arguments as for `MinimalRNN`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        return scan_positions(*self.coefficients(x))


class ScannedSSM(SelectiveSSM):
    """The selective state-space layer as a parallel scan; arguments as for `SelectiveSSM`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        x, z = project(self.in_proj, x).chunk(2, -1)
        x = functional.silu(convolved(x, self.conv1d))
        A_bar, B_bar_x, C = self.discretise(x)
        return self.read(scan_positions(A_bar, B_bar_x), C, x, z)


class ScannedMamba(Mamba):
    """Mamba's layer as a parallel scan; arguments as for `Mamba`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        x, z = project(self.in_proj, x).chunk(2, -1)
        x = functional.silu(convolved(x, self.conv1d) + self.per_channel(self.conv1d_bias, x))
        A_bar, B_bar_x, C = self.discretise(x)
        return self.read(scan_positions(A_bar, B_bar_x), C, x, z)


class ConvolvedTimeInvariantMamba(TimeInvariantMamba):
    """Mamba's layer without selection as one long convolution, by fast Fourier transforms; arguments as for `TimeInvariantMamba`."""

    def kernel(self, n: int) -> Tensor:
        """Return the response to an input at one position, C A_bar^j B_bar + D [j = 0] (Gu and Dao 2023, equation 3a).

        Args:
            n: number of positions.

        Returns:
            (seeds, d_inner, n), from the position of the input on.

        Raises:
            InputError: there are more positions than the layer was made for.
        """
        if 0 < self.longest < n:
            raise InputError(
                f"mamba-lti: the sequence has {n:,} positions, the kernel of the state-space layer was made for {self.longest:,}."
                " Shorten the sequence, make the layer for a longer one, or use mamba, whose scan has no longest sequence."
            )
        delta = functional.softplus(self.dt_bias).unsqueeze(-1)  # (seeds, d_inner, 1)
        steps = torch.arange(n, device=delta.device, dtype=delta.dtype)
        powers = torch.exp(-(delta * self.A_log.exp()).unsqueeze(-1) * steps)  # A_bar^j, (seeds, d_inner, D_STATE, n)
        response = ((delta * self.B * self.C).unsqueeze(2) @ powers).squeeze(2)
        return torch.cat([response[..., :1] + self.D.unsqueeze(-1), response[..., 1:]], -1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        n = x.shape[2]
        kernel = self.kernel(n)
        x, z = project(self.in_proj, x).chunk(2, -1)
        x = functional.silu(convolved(x, self.conv1d) + self.per_channel(self.conv1d_bias, x)).to(kernel.dtype)
        # Padded to twice the length, so that the circular convolution does not wrap around.
        spectrum = torch.fft.rfft(x.mT, 2 * n) * torch.fft.rfft(kernel, 2 * n).unsqueeze(1)
        y = torch.fft.irfft(spectrum, 2 * n)[..., :n].mT
        return project(self.out_proj, y * functional.silu(z))


class ScannedTimeMixing(TimeMixing):
    """Time mixing of RWKV-4 as a parallel scan over numerator and denominator; arguments as for `TimeMixing`.

    The shared exponent p_t = max(p_{t-1} - decay, k_t) is max_{i<=t}(k_i + i decay) - t decay, a running maximum. It scales numerator and
    denominator alike, so that the output does not depend on its rounding, and has no gradient.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        r, k, v = self.receive(x, shifted(x))
        decay, u = self.theta.exp()[:, None, None], self.u[:, None, None]
        with torch.no_grad():
            travelled = decay * torch.arange(k.shape[2], device=k.device, dtype=k.dtype).unsqueeze(-1)
            p = torch.cummax(k + travelled, 2).values - travelled
            p_before = torch.cat([torch.full_like(p[:, :, :1], LOWEST), p[:, :, :-1]], 2)
            q = torch.maximum(p_before, u + k)
        kept, added = torch.exp(p_before - decay - p), torch.exp(k - p)
        sums = scan_positions(torch.cat([kept, kept], -1), torch.cat([added * v, added], -1))
        numerator, denominator = shifted(sums).chunk(2, -1)
        before, present = torch.exp(p_before - q), torch.exp(u + k - q)
        wkv = (before * numerator + present * v) / (before * denominator + present)
        return project(self.W_o, r * wkv)


class ShiftedChannelMixing(ChannelMixing):
    """Channel mixing of RWKV-4 at all positions at once; arguments as for `ChannelMixing`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions t - 1 and t.
        """
        return self.mix(x, shifted(x))


class ParallelDilatedConvolution(DilatedConvolution):
    """The dilated convolution as one product over all positions; arguments as for `DilatedConvolution`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        n, before = x.shape[2], (self.KERNEL - 1) * self.dilation
        padded = functional.pad(x, (0, 0, before, 0))
        return project(self.taps, torch.cat([padded[:, :, j : j + n] for j in range(0, before + 1, self.dilation)], -1))


class ChunkedLinearAttention(LinearAttention):
    """Linear attention in O(n): quadratic within chunks of 64 positions, with a running sum of k v^T between chunks.

    Arguments as for `LinearAttention`.
    """

    CHUNK = 64

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed sequence.

        Args:
            x: (seeds, batch, n, width).

        Returns:
            (seeds, batch, n, width); position t depends on positions 0 to t.
        """
        n = x.shape[2]
        chunk = min(self.CHUNK, n)
        q, k, v = (
            functional.pad(part, (0, 0, 0, 0, 0, -n % chunk)).unflatten(2, (-1, chunk)).transpose(3, 4) for part in self.features(x)
        )  # (seeds, batch, chunks, heads, chunk, d_h)
        s, z = (k.mT @ v).cumsum(2), k.sum(-2, keepdim=True).cumsum(2)
        s = torch.cat([torch.zeros_like(s[:, :, :1]), s[:, :, :-1]], 2)  # sums over the preceding chunks
        z = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], 2)
        within = (q @ k.mT).tril()
        values = within @ v + q @ s
        weights = within.sum(-1, keepdim=True) + q @ z.mT
        values, weights = (part.transpose(3, 4).flatten(2, 3)[:, :, :n] for part in (values, weights))  # padding has weight 0
        return project(self.out_proj, (values / weights).flatten(3))


class FusedAttention(Attention):
    """Attention in PyTorch's fused kernels, which never store the matrix of scores (Dao et al. 2022).

    Arguments as for `Attention`.
    """

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Return the values, weighted by the softmax of the scores.

        Args:
            q: queries, (seeds * batch, heads, n, d_h).
            k: keys, like q.
            v: values, like q.
            mask: True where a query may attend to a key, bool (heads, n, n); None: the causal mask.

        Returns:
            (seeds * batch, heads, n, d_h).
        """
        if mask is not None:
            return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
