"""The networks of `model.py`, of several seeds at once and without repeated work; a test holds that both agree.

Every parameter has a leading axis of networks. What does not depend on the state is computed for all words in one product: the inputs of
the gated units, the keys U_a h_j, and the deep output, which reads the previous state and therefore never stands in the way of the
recurrence. Padding takes no part in the largest product, that with the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from replications.engine.randomness import seeded_dropout
from replications.papers.align_and_translate.batches import Batch
from replications.papers.align_and_translate.model import Translator
from replications.papers.align_and_translate.scans import AttentiveScan, GatedScan, alignment_scores

_GATES = ("_z", "_r", "")


class DropoutMasks(NamedTuple):
    """What is dropped of each sentence, the same for all of its words (Gal and Ghahramani 2016): masks do not depend on padding.

    Attributes:
        source, target: factors of embeddings, (networks, batch, m).
        output: factors of maxout units, (networks, batch, l).
    """

    source: Tensor
    target: Tensor
    output: Tensor


class Encoded(NamedTuple):
    """Sentences as the decoder reads them.

    Attributes:
        annotations: (networks, batch, n_source, k).
        keys: U_a h_j, (networks, batch, n_source, n'); empty for RNNencdec.
        hidden: -inf at padding, else 0, (networks, batch, n_source).
        start: s_0, (networks, batch, n).
        last: last state of the forward encoder, (networks, batch, n).
    """

    annotations: Tensor
    keys: Tensor
    hidden: Tensor
    start: Tensor
    last: Tensor


class TranslatorGroup(nn.Module):
    """Networks of one kind and size that are trained together.

    Args:
        members: networks whose weights are copied.
    """

    def __init__(self, members: Sequence[Translator]) -> None:
        super().__init__()
        self.attends = members[0].attends
        self.bidirectional = members[0].encoder.backwards is not None
        states = [member.state_dict() for member in members]
        self.weights = nn.ParameterDict(
            {name.replace(".", "/"): nn.Parameter(torch.stack([state[name] for state in states])) for name in states[0]}
        )

    @property
    def n_networks(self) -> int:
        """Number of networks."""
        return len(self.weights["E"])

    @property
    def n_words(self) -> int:
        """Size of the target vocabulary."""
        return self.weights["E"].shape[1]

    def copy_to(self, index: int, translator: Translator) -> None:
        """Copy the weights of one network to a plain one.

        Args:
            index: of the network.
            translator: of the same kind and size.
        """
        translator.load_state_dict({name.replace("/", "."): weight.detach()[index] for name, weight in self.weights.items()})

    def only(self, index: int) -> TranslatorGroup:
        """Return a group of one network that shares no weights with this one.

        Args:
            index: of the network.
        """
        group = TranslatorGroup.__new__(TranslatorGroup)
        nn.Module.__init__(group)
        group.attends, group.bidirectional = self.attends, self.bidirectional
        group.weights = nn.ParameterDict(
            {name: nn.Parameter(weight.detach()[index : index + 1].clone()) for name, weight in self.weights.items()}
        )
        return group

    def _joined(self, unit: str, letter: str, gates: Sequence[str] = _GATES) -> Tensor:
        """Return matrices of a gated unit side by side, or its biases."""
        return torch.cat([self.weights[f"{unit}/{letter}{gate}"] for gate in gates], -1)

    def _embedded(self, name: str, words: Tensor) -> Tensor:
        """Return embeddings of every network's own words: (networks, ...) -> (networks, ..., m)."""
        table = self.weights[name]
        first = torch.arange(len(table), device=words.device).view(-1, *[1] * (words.ndim - 1)) * table.shape[1]
        return nn.functional.embedding(words + first, table.flatten(0, 1))

    def _inputs(self, unit: str, embedded: Tensor) -> Tensor:
        """Return W x + b of all gates and steps: (networks, n_steps, batch, m) -> (n_steps, networks, batch, 3n)."""
        bias = self._joined(unit, "b").unsqueeze(1)
        inputs = torch.baddbmm(bias, embedded.flatten(1, 2), self._joined(unit, "W"))
        return inputs.view(*embedded.shape[:3], -1).transpose(0, 1)

    def draw_dropout(self, batch_size: int, rate: float, generators: Sequence[torch.Generator]) -> DropoutMasks | None:
        """Draw the dropout of one update.

        Args:
            batch_size: sentences per network.
            rate: share that is dropped.
            generators: one per network.

        Returns:
            Factors 0 or 1 / (1 - rate); None at rate 0.
        """
        if not rate:
            return None
        embedding, output = self.weights["E"], self.weights["output/W"]
        widths = (embedding.shape[2], embedding.shape[2], output.shape[1])
        ones = [torch.ones(len(embedding), batch_size, width, dtype=embedding.dtype, device=embedding.device) for width in widths]
        return DropoutMasks(*(seeded_dropout(one, rate, generators) for one in ones))

    def encode(self, words: Tensor, mask: Tensor, kept: Tensor | None = None) -> Encoded:
        """Read source sentences.

        Args:
            words: int64 (networks, batch, n_source).
            mask: True where there is a word, (networks, batch, n_source).
            kept: factors of the embeddings, (networks, batch, m).

        Returns:
            What the decoder reads.
        """
        w = self.weights
        embedded = _dropped(self._embedded("encoder/E", words.transpose(1, 2)), kept)
        keep = mask.permute(2, 0, 1).unsqueeze(-1).to(embedded.dtype)
        units = ("encoder/forwards", "encoder/backwards") if self.bidirectional else ("encoder/forwards",)
        # Both directions are one scan over twice as many networks; the backward one reads flipped sentences, padding first.
        inputs = [self._inputs(unit, embedded) for unit in units]
        x = torch.cat([inputs[0], *(flipped.flip(0) for flipped in inputs[1:])], 1)
        keeps = torch.cat([keep, keep.flip(0)], 1) if self.bidirectional else keep
        u_gates = torch.cat([self._joined(unit, "U", _GATES[:2]) for unit in units])
        u = torch.cat([w[f"{unit}/U"] for unit in units])
        first = x.new_zeros(x.shape[1], x.shape[2], u.shape[-1])
        states = GatedScan.apply(x, keeps, first, u_gates, u).split(len(words), 1)
        last = states[0][-1]
        to_start = states[-1][-1]
        annotations = torch.cat([states[0], *(backwards.flip(0) for backwards in states[1:])], -1).permute(1, 2, 0, 3).contiguous()
        start = torch.tanh(torch.baddbmm(w["b_s"].unsqueeze(1), to_start, w["W_s"]))
        keys = annotations[..., :0]
        if self.attends:
            keys = torch.bmm(annotations.flatten(1, 2), w["alignment/U"]).view(*annotations.shape[:3], -1)
        hidden = torch.zeros_like(mask, dtype=embedded.dtype).masked_fill_(~mask, -torch.inf)
        return Encoded(annotations, keys, hidden, start, last)

    def decode(self, encoded: Encoded, embedded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the decoder over the true words.

        Args:
            encoded: what `encode` returned.
            embedded: E y_{i-1}, (networks, n_target, batch, m).

        Returns:
            s_{i-1} (n_target, networks, batch, n), c_i (n_target, networks, batch, k), and the weights (n_target, networks, batch,
            n_source), which are empty for RNNencdec.
        """
        w, x = self.weights, self._inputs("decoder", embedded)
        u_gates, u, c_all = self._joined("decoder", "U", _GATES[:2]), w["decoder/U"], self._joined("decoder", "C")
        if self.attends:
            both = torch.cat([u_gates, w["alignment/W"]], -1)
            return AttentiveScan.apply(
                x, encoded.start, encoded.annotations, encoded.keys, encoded.hidden, both, u, c_all, w["alignment/v"]
            )
        x = x + torch.bmm(encoded.last, c_all)
        states = GatedScan.apply(x, x.new_ones(len(x), 1, 1, 1), encoded.start, u_gates, u)
        before = torch.cat([encoded.start.unsqueeze(0), states[:-1]])
        return before, encoded.last.expand(len(x), *encoded.last.shape), before[..., :0]

    def logits(self, s: Tensor, y: Tensor, c: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return the logits of the next word from previous state, previous word and context, all (networks, rows, width).

        Args:
            s: s_{i-1}.
            y: E y_{i-1}.
            c: c_i.
            kept: factors of the maxout units, (networks, rows, l).

        Returns:
            (networks, rows, n_words).
        """
        w = self.weights
        joined = torch.cat([s, y, c], -1)
        matrix = torch.cat([w["output/U"], w["output/V"], w["output/C"]], 1)
        pieces = torch.baddbmm(w["output/b"].unsqueeze(1), joined, matrix)
        t = pieces.unflatten(-1, (-1, 2)).amax(-1)
        return torch.baddbmm(w["output/b_word"].unsqueeze(1), t if kept is None else t * kept, w["output/W"])

    def losses(self, batch: Batch, masks: DropoutMasks | None = None) -> Tensor:
        """Return the negative log-likelihood of every target sentence, summed over its words.

        Args:
            batch: sentences of every network.
            masks: dropout of this update.

        Returns:
            Nats, (networks, batch).
        """
        encoded = self.encode(batch.source, batch.source_mask, masks.source if masks else None)
        embedded = _dropped(self._embedded("E", batch.previous.transpose(1, 2)), masks.target if masks else None)
        s, c, _ = self.decode(encoded, embedded)
        of_sentence = batch.positions % batch.source.shape[1]
        kept = _rows(masks.output, of_sentence) if masks else None
        before, word, context = (_rows(part.flatten(1, 2), batch.positions) for part in (s.transpose(0, 1), embedded, c.transpose(0, 1)))
        logits = self.logits(before, word, context, kept)
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none").view_as(batch.targets)
        of_network = torch.zeros(batch.source.shape[:2], dtype=losses.dtype, device=losses.device)
        return of_network.scatter_add(1, of_sentence, losses * batch.counts)

    @torch.no_grad()
    def alignments(self, batch: Batch) -> Tensor:
        """Return the weights alpha_ij of given target sentences.

        Args:
            batch: sentences of every network.

        Returns:
            (networks, batch, n_target, n_source).
        """
        encoded = self.encode(batch.source, batch.source_mask)
        return self.decode(encoded, self._embedded("E", batch.previous.transpose(1, 2)))[2].permute(1, 2, 0, 3)

    def step(self, words: Tensor, s: Tensor, encoded: Encoded) -> tuple[Tensor, Tensor]:
        """Generate one word of every row.

        Args:
            words: previous word, int64 (networks, rows).
            s: s_{i-1}, (networks, rows, n).
            encoded: of each row.

        Returns:
            Logits (networks, rows, n_words) and s_i.
        """
        w, y = self.weights, self._embedded("E", words)
        n = s.shape[-1]
        projected = torch.bmm(s, torch.cat([self._joined("decoder", "U", _GATES[:2]), *([w["alignment/W"]] if self.attends else [])], -1))
        c = encoded.last
        if self.attends:
            scores, _ = alignment_scores(projected[..., 2 * n :], encoded.keys, w["alignment/v"])
            alpha = (scores + encoded.hidden).softmax(-1)
            c = torch.matmul(alpha.unsqueeze(-2), encoded.annotations).squeeze(-2)
        inputs = torch.baddbmm(self._joined("decoder", "b").unsqueeze(1), y, self._joined("decoder", "W"))
        inputs = torch.baddbmm(inputs, c, self._joined("decoder", "C"))
        zr = (inputs[..., : 2 * n] + projected[..., : 2 * n]).sigmoid()
        candidate = torch.baddbmm(inputs[..., 2 * n :], zr[..., n:] * s, w["decoder/U"]).tanh()
        return self.logits(s, y, c), torch.addcmul(s, zr[..., :n], candidate - s)


def _dropped(embedded: Tensor, kept: Tensor | None) -> Tensor:
    """Return embeddings (networks, n_steps, batch, m) times the factors of their sentence, (networks, batch, m)."""
    return embedded if kept is None else embedded * kept.unsqueeze(1)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Return chosen rows of every network: (networks, n, d) at int64 (networks, rows) -> (networks, rows, d)."""
    first = torch.arange(len(values), device=index.device).unsqueeze(1) * values.shape[1]
    return values.flatten(0, 1).index_select(0, (index + first).flatten()).view(*index.shape, -1)
