"""Speed comparisons of this paper, for `replications bench char_rnn`."""

from __future__ import annotations

import torch
from torch.nn import functional

from replications.engine.bench import Comparison
from replications.engine.devices import native_bf16
from replications.engine.text import Vocabulary
from replications.papers.char_rnn.baseline import StepwiseLSTM
from replications.papers.char_rnn.fused import FusedCharacterModel
from replications.papers.char_rnn.sampling import sample

BASELINE = "per-step char-RNN, as in public code"
VOCABULARY, BATCH, SEQ_LEN = 65, 100, 100
SAMPLED = 200
CHARACTERS = "".join(map(chr, range(32, 32 + VOCABULARY)))


def training_2x128() -> Comparison:
    """Return the comparison of one training update: 2 layers of 128 units, batch 100, 100 characters, float32."""
    return _training("train, 2x128, fp32", layers=2, hidden=128, bf16=False, at_least=1.7)


def training_2x128_bf16() -> Comparison:
    """Return the comparison of one training update with our side in bf16: 2 layers of 128 units, batch 100, 100 characters.

    A ratio of four is required only where the processor has matrix units for bf16 (AMX).
    """
    return _training("train, 2x128, bf16", layers=2, hidden=128, bf16=True, at_least=4.0 if _matrix_units() else None)


def training_3x512() -> Comparison:
    """Return the comparison of one training update: 3 layers of 512 units, batch 100, 100 characters, float32."""
    return _training("train, 3x512, fp32", layers=3, hidden=512, bf16=False, at_least=1.5)


def sampling_2x128() -> Comparison:
    """Return the comparison of sampling one stream of 200 characters: 2 layers of 128 units."""
    return _sampling("sample, 2x128", layers=2, hidden=128, at_least=3.0)


def _matrix_units() -> bool:
    return native_bf16(torch.device("cpu")) and torch.cpu._is_amx_tile_supported()


def _networks(layers: int, hidden: int) -> tuple[FusedCharacterModel, StepwiseLSTM, torch.Generator]:
    generator = torch.Generator().manual_seed(0)
    ours = FusedCharacterModel("lstm", layers, hidden, VOCABULARY, generator=generator, init="scaled")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        baseline = StepwiseLSTM(VOCABULARY, hidden, layers)
    return ours, baseline, generator


def _training(name: str, *, layers: int, hidden: int, bf16: bool, at_least: float | None) -> Comparison:
    ours, baseline, generator = _networks(layers, hidden)
    text = torch.randint(VOCABULARY, (2, SEQ_LEN, BATCH), generator=generator)
    our_adam = torch.optim.Adam(ours.parameters(), lr=2e-3, fused=True)
    baseline_adam = torch.optim.Adam(baseline.parameters(), lr=2e-3)

    def our_step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits, _ = ours(text[0], ours.zero_state(BATCH))
        loss = functional.cross_entropy(logits.float().flatten(0, 1), text[1].flatten())
        our_adam.zero_grad()
        loss.backward()
        our_adam.step()

    def baseline_step() -> None:
        baseline_adam.zero_grad()
        baseline.loss(text[0], text[1]).backward()
        baseline_adam.step()

    return Comparison(name, our_step, baseline_step, "characters", BATCH * SEQ_LEN, BASELINE, at_least)


def _sampling(name: str, *, layers: int, hidden: int, at_least: float) -> Comparison:
    ours, baseline, generator = _networks(layers, hidden)
    vocabulary = Vocabulary(CHARACTERS)
    return Comparison(
        name,
        lambda: sample(ours, vocabulary, SAMPLED, prompt=" ", generator=generator),
        lambda: baseline.sample(SAMPLED, 0),
        "characters",
        SAMPLED,
        BASELINE,
        at_least,
    )
