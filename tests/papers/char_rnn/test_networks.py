"""The networks: one-hot input, carried state, equal parameters, gates recomputed, texts read in stretches, one stream sampled."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from replications.engine.text import Vocabulary
from replications.errors import InputError
from replications.papers.char_rnn.baseline import StepwiseLSTM
from replications.papers.char_rnn.clamping import clamp
from replications.papers.char_rnn.fused import FusedCharacterModel, forward_with_gates
from replications.papers.char_rnn.inference import SEGMENT, activations, log_probabilities
from replications.papers.char_rnn.model import CharacterModel, matched_hidden, n_parameters
from replications.papers.char_rnn.sampling import Sampler, sample

VOCABULARY = 11
CELLS = ("rnn", "gru", "lstm")


def network(cell: str, layers: int = 2, hidden: int = 8, seed: int = 0, init: str = "scaled") -> FusedCharacterModel:
    generator = torch.Generator().manual_seed(seed)
    return FusedCharacterModel(cell, layers, hidden, VOCABULARY, generator=generator, init=init)


def text(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(VOCABULARY, (n,), generator=torch.Generator().manual_seed(seed))


def read_slowly(model: FusedCharacterModel, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probability of every character but the first, in one go from the zero state."""
    with torch.no_grad():
        logits, _ = model(tokens[:-1, None], model.zero_state(1))
    return logits[:, 0].log_softmax(1).gather(1, tokens[1:, None])[:, 0]


@pytest.mark.parametrize("cell", CELLS)
def test_the_embedded_input_equals_the_one_hot_product(cell: str) -> None:
    model, tokens = network(cell), text(30)
    one_hot = functional.one_hot(tokens, VOCABULARY).float()
    weight = model.layer_weights(0)[0]
    assert torch.equal(functional.embedding(tokens, model.identity), one_hot)
    assert torch.allclose(functional.linear(one_hot, weight), weight.T[tokens])


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_with_carried_state_equal_the_whole(cell: str) -> None:
    model, tokens = network(cell), text(40)[:, None]
    with torch.no_grad():
        whole, _ = model(tokens, model.zero_state(1))
        state, parts = model.zero_state(1), []
        for chunk in tokens.split(13):
            logits, state = model(chunk, state)
            parts.append(logits)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_parameters_are_counted_as_the_library_has_them(cell: str, layers: int) -> None:
    model = network(cell, layers, 12)
    assert n_parameters(cell, layers, 12, VOCABULARY) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("vocabulary", [87, 101])
@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_a_row_has_equal_parameters(size: int, vocabulary: int) -> None:
    target = n_parameters("lstm", 1, size, vocabulary)
    for cell in CELLS:
        for layers in (1, 2, 3):
            parameters = n_parameters(cell, layers, matched_hidden(cell, layers, size, vocabulary), vocabulary)
            assert abs(parameters / target - 1) < 0.03, (cell, layers)
    assert matched_hidden("lstm", 1, size, vocabulary) == size


def test_initial_weights_are_those_of_the_authors_trainer() -> None:
    model = network("lstm", init="uniform")
    for name, parameter in model.named_parameters():
        if "bias" in name and "recurrent" in name:
            gates = parameter.detach().chunk(4)
            assert bool((gates[1] == (1.0 if "ih" in name else 0.0)).all()), "forget gates start with a bias of 1"
        else:
            assert float(parameter.detach().abs().max()) <= 0.08


@pytest.mark.parametrize("cell", CELLS)
def test_recomputed_states_equal_those_of_the_library(cell: str) -> None:
    model, tokens = network(cell), text(60).view(20, 3)
    start = tuple(torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(i)) for i in range(2 if cell == "lstm" else 1))
    layers = forward_with_gates(model, tokens, start)
    one_hot = functional.embedding(tokens, model.identity)
    with torch.no_grad():
        outputs, after = model.recurrent(one_hot, start if cell == "lstm" else start[0])
    assert torch.allclose(layers[-1]["h"], outputs, atol=1e-6)
    last_h = after[0] if cell == "lstm" else after
    for layer, values in enumerate(layers):
        assert torch.allclose(values["h"][-1], last_h[layer], atol=1e-6)
        if cell == "lstm":
            assert torch.allclose(values["c"][-1], after[1][layer], atol=1e-5)
            assert torch.allclose(values["output"] * values["c"].tanh(), values["h"], atol=1e-5)


def test_recomputed_gates_of_a_gru_make_its_states() -> None:
    model, tokens = network("gru", layers=1), text(20)[:, None]
    values = forward_with_gates(model, tokens)[0]
    w_ih, w_hh, b_ih, b_hh = model.layer_weights(0)
    h = torch.zeros(1, 8)
    with torch.no_grad():
        for t, token in enumerate(tokens):
            into, hidden = w_ih.T[token] + b_ih, h @ w_hh.T + b_hh
            candidate = (into[:, 16:] + values["reset"][t] * hidden[:, 16:]).tanh()
            h = (1 - values["update"][t]) * candidate + values["update"][t] * h
            assert torch.allclose(h, values["h"][t], atol=1e-5)


@pytest.mark.parametrize("n", [2, 999, SEGMENT, 2 * SEGMENT + 357])
def test_a_text_read_in_segments_gets_the_probabilities_of_one_pass(n: int) -> None:
    model, tokens = network("lstm"), text(n)
    computed, expected = log_probabilities(model, tokens), read_slowly(model, tokens)
    assert computed.shape == (n,)
    assert float(computed[0]) == pytest.approx(-np.log(VOCABULARY), rel=1e-6)
    assert torch.allclose(computed[1:], expected, atol=1e-4), "200 characters of warming up make the zero state forgotten"


def test_activations_are_in_the_order_of_the_text() -> None:
    model, tokens = network("lstm"), text(2 * SEGMENT + 100)
    by_quantity = activations(model, tokens, ("c", "forget"))
    expected = forward_with_gates(model, tokens[:, None])
    for key, values in by_quantity.items():
        assert values.shape == (2, len(tokens), 8)
        for layer in range(2):
            assert torch.allclose(values[layer], expected[layer][key][:, 0], atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_the_sampler_steps_like_the_library(cell: str) -> None:
    model, tokens = network(cell), text(25)
    sampler = Sampler(model)
    stepped = np.stack([sampler.step(int(token)) for token in tokens])
    with torch.no_grad():
        whole, _ = model(tokens[:, None], model.zero_state(1))
    assert np.allclose(stepped, whole[:, 0].numpy(), atol=1e-5)
    sampler.reset()
    assert np.allclose(sampler.step(int(tokens[0])), stepped[0], atol=1e-6)


def test_samples_follow_the_softmax_and_greedy_takes_its_top() -> None:
    model, vocabulary = network("gru", layers=1), Vocabulary("abcdefghijk")
    with torch.no_grad():
        logits, _ = model(torch.tensor([[3]]), model.zero_state(1))
    expected = logits[0, 0].softmax(0).numpy()
    generator = torch.Generator().manual_seed(1)
    first = [sample(model, vocabulary, 1, prompt="d", generator=generator) for _ in range(2000)]
    frequencies = np.array([first.count(character) / 2000 for character in vocabulary.characters])
    assert np.abs(frequencies - expected).max() < 0.04
    greedy = sample(model, vocabulary, 1, prompt="d", temperature=0, generator=generator)
    assert greedy == vocabulary.characters[int(expected.argmax())]


def test_wrong_sampling_is_refused_in_words() -> None:
    model, vocabulary, generator = network("rnn"), Vocabulary("abcdefghijk"), torch.Generator()
    with pytest.raises(InputError, match=r"Character 'z' at position 2 is not among the 11 characters"):
        sample(model, vocabulary, 1, prompt="abz", generator=generator)
    with pytest.raises(InputError, match="temperature is -1"):
        sample(model, vocabulary, 1, prompt="a", temperature=-1, generator=generator)
    with pytest.raises(InputError, match="temperature is nan"):
        sample(model, vocabulary, 1, prompt="a", temperature=float("nan"), generator=generator)
    with pytest.raises(InputError, match="prompt is empty"):
        sample(model, vocabulary, 1, prompt="", generator=generator)


def test_clamping_nothing_changes_nothing_and_clamping_changes_what_follows() -> None:
    model, tokens = network("lstm"), text(SEGMENT + 300)
    inside = torch.zeros(len(tokens), dtype=torch.bool)
    inside[700:720] = True
    held = clamp(model, tokens, inside, [None, (0, 3, 4.0)], closing=5)
    plain = log_probabilities(model, tokens).numpy()
    assert np.allclose(held.log_probability[0, 1:], plain[1:], atol=1e-4)
    difference = np.abs(held.log_probability[1] - held.log_probability[0])
    assert np.nanmax(difference[:701]) < 1e-4, "nothing before the first clamped character changes"
    assert np.nanmax(difference[701:721]) > 1e-3
    with torch.no_grad():
        logits, _ = model(tokens[:, None], model.zero_state(1))
    assert np.allclose(held.closing[0], logits[:, 0].softmax(1)[:, 5].numpy(), atol=1e-4)


def test_the_baseline_computes_the_same_loss_as_a_whole_sequence() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        baseline = StepwiseLSTM(VOCABULARY, 8, 2)
    inputs, targets = text(24).view(12, 2), text(24, seed=1).view(12, 2)
    outputs, _ = baseline.recurrent(baseline.embedding(inputs))
    expected = functional.cross_entropy(baseline.decoder(outputs).flatten(0, 1), targets.flatten())
    assert float(baseline.loss(inputs, targets).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("init", ["uniform", "scaled"])
def test_the_fused_form_equals_the_papers_steps_in_outputs_states_and_gradients(cell: str, layers: int, init: str) -> None:
    fused = network(cell, layers, init=init)
    plain = CharacterModel(cell, layers, 8, VOCABULARY, generator=torch.Generator().manual_seed(0), init=init)  # type: ignore[arg-type]
    assert [name for name, _ in plain.named_parameters()] == [name for name, _ in fused.named_parameters()]
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        assert torch.equal(one, other), "both draw the same initial weights"
    plain, fused = plain.double(), fused.double()
    tokens, targets = text(36).view(12, 3), text(36, seed=1).view(12, 3)
    start = tuple(torch.randn_like(part) for part in plain.zero_state(3))
    gradients, logits, states = [], [], []
    for model in (plain, fused):
        out, after = model(tokens, start)
        functional.cross_entropy(out.flatten(0, 1), targets.flatten()).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
        logits.append(out)
        states.append(after)
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-10)
    for one, other in zip([*states[0], *gradients[0]], [*states[1], *gradients[1]], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
