"""The batched search equals a slow one image by image, and the usual public one; wrong beams are refused."""

from __future__ import annotations

import pytest
import torch

from replications.errors import InputError
from replications.papers.show_and_tell.baseline import BaselineDecoder, baseline_search
from replications.papers.show_and_tell.fused import CaptionerGroup, NicGroup
from replications.papers.show_and_tell.fused_attention import AttentiveGroup
from replications.papers.show_and_tell.model import ImageFeatures, State
from replications.papers.show_and_tell.search import Captions, beam_search
from replications.papers.show_and_tell.settings import Decoder
from replications.papers.show_and_tell.vocabulary import END, START, UNKNOWN

N_WORDS, N_IMAGES, LENGTH = 13, 9, 7


def _model(slots: int = 1, seed: int = 0, sharpness: float = 6.0, end: float = 1.0, **options: object) -> CaptionerGroup:
    """Untrained weights, made sharp enough that beams have something to choose and sentences end at different lengths."""
    settings = Decoder.model_validate({"embed_size": 8, "hidden_size": 10, "attention_size": 6} | options)
    generators = [torch.Generator().manual_seed(seed + slot) for slot in range(slots)]
    model = (AttentiveGroup if settings.attention else NicGroup)(settings, 5, N_WORDS, dropout=0.0, generators=generators)
    with torch.no_grad():
        model.word_embedding.weight.mul_(2)
        model.output.weight.mul_(sharpness)
        assert model.output.bias is not None
        model.output.bias[..., END] += end
    return model.requires_grad_(False)


@torch.no_grad()
def slow_beam_search(model: CaptionerGroup, images: ImageFeatures, beam_size: int, max_length: int, n_best: int = 1) -> Captions:
    """The captions of `beam_search`, image by image with lists, with every word of the vocabulary as a candidate."""
    n_images = images.vector.shape[1]
    words = torch.full((n_images, n_best, max_length), END, dtype=torch.long)
    scores = torch.zeros(n_images, n_best)
    for image in range(n_images):
        one_image = images.rows(torch.tensor([image], device=images.vector.device))
        beams: list[tuple[float, list[int], State | None]] = [(0.0, [], model.start(one_image))]
        for _ in range(max_length):
            candidates: list[tuple[float, list[int], State | None]] = []
            for score, sentence, state in beams:
                if state is None:
                    candidates.append((score, sentence, None))
                    continue
                last = torch.tensor([sentence[-1] if sentence else START], device=images.vector.device)
                logits, next_state = model.step(last.expand(model.n_slots, -1), state)
                probabilities = logits[:, 0].double().softmax(-1).mean(0)
                for word, value in enumerate(probabilities.log().tolist()):
                    if word not in (START, UNKNOWN):
                        candidates.append((score + value, [*sentence, word], None if word == END else next_state))
            beams = sorted(candidates, key=lambda beam: -beam[0])[:beam_size]
            if all(state is None for _, _, state in beams[:n_best]):
                break
        for rank, (score, sentence, _) in enumerate(beams[:n_best]):
            scores[image, rank] = score
            without_end = [word for word in sentence if word != END]
            words[image, rank, : len(without_end)] = torch.tensor(without_end, dtype=torch.long)
    return Captions(words, scores)


def _images(slots: int = 1) -> ImageFeatures:
    generator = torch.Generator().manual_seed(1)
    vector, grid = torch.randn(1, N_IMAGES, 5, generator=generator) * 2, torch.randn(1, N_IMAGES, 4, 5, generator=generator)
    return ImageFeatures(vector.expand(slots, -1, -1), grid.expand(slots, -1, -1, -1))


def _equal(fast: Captions, slow: Captions) -> None:
    assert torch.equal(fast.words, slow.words)
    torch.testing.assert_close(fast.scores, slow.scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"image": "every_step"}, {"cell": "library"}, {"cell": "tanh", "image": "every_step"}, {"attention": True}]
)
@pytest.mark.parametrize(("beam", "n_best"), [(1, 1), (3, 1), (5, 5), (11, 4)])
def test_sequences_and_scores_equal_the_slow_search(options: dict[str, object], beam: int, n_best: int) -> None:
    for seed in range(3):
        model = _model(seed=seed, **options)
        found = beam_search(model, _images(), beam, LENGTH, n_best)
        _equal(found, slow_beam_search(model, _images(), beam, LENGTH, n_best))
        assert not torch.isin(found.words, torch.tensor([START, UNKNOWN])).any()


def test_sentences_of_the_test_end_early_late_and_not_at_all() -> None:
    lengths = {
        int((beam_search(_model(seed=s), _images(), 3, LENGTH).words != END).sum(-1)[i, 0]) for s in range(3) for i in range(N_IMAGES)
    }
    assert {0, LENGTH} & lengths
    assert len(lengths) >= 4


def test_an_ensemble_averages_probabilities() -> None:
    model = _model(slots=3)
    _equal(beam_search(model, _images(3), 4, LENGTH, 2), slow_beam_search(model, _images(3), 4, LENGTH, 2))


def test_a_beam_of_one_is_greedy() -> None:
    model, images = _model(), _images()
    found = beam_search(model, images, 1, LENGTH)
    for image in range(N_IMAGES):
        state, word, written = model.start(images.rows(torch.tensor([image]))), START, []
        for _ in range(LENGTH):
            logits, state = model.step(torch.tensor([[word]]), state)
            logits[..., [START, UNKNOWN]] = -torch.inf
            word = int(logits.argmax())
            if word == END:
                break
            written.append(word)
        assert [w for w in found.words[image, 0].tolist() if w != END] == written


def test_scores_are_the_likelihood_of_the_sentence() -> None:
    model, images = _model(end=2.0), _images()
    found = beam_search(model, images, 4, 12, 2)
    for image in range(N_IMAGES):
        for rank in range(2):
            words = found.words[image, rank].tolist()
            target = [*[w for w in words if w != END], END][:12]
            logits = model(images.rows(torch.tensor([image])), torch.tensor([[[START, *target[:-1]]]])).logits[0, 0]
            wanted = logits.log_softmax(-1).gather(1, torch.tensor(target)[:, None]).sum()
            torch.testing.assert_close(found.scores[image, rank], wanted, rtol=1e-4, atol=1e-4)


def test_a_larger_beam_never_finds_a_worse_list_when_it_holds_everything() -> None:
    model = _model()
    best = beam_search(model, _images(), N_WORDS - 2, 2).scores
    assert (best >= beam_search(model, _images(), 1, 2).scores - 1e-5).all()


@pytest.mark.parametrize("beam", [1, 3])
def test_the_usual_search_finds_the_same_captions(beam: int) -> None:
    model = _model(cell="library", end=2.0)
    found = beam_search(model, _images(), beam, 12).words[:, 0].tolist()
    usual = baseline_search(BaselineDecoder(model), _images().vector[0], beam, 12)
    same = [[w for w in ours if w != END] == theirs for ours, theirs in zip(found, usual, strict=True)]
    # Its beam shrinks for good once a sentence ended, which now and then loses a better one.
    assert sum(same) >= N_IMAGES - 1


def test_the_results_of_a_image_do_not_depend_on_its_company() -> None:
    model = _model()
    whole = beam_search(model, _images(), 5, LENGTH, 3)
    for image in range(N_IMAGES):
        one = beam_search(model, _images().rows(torch.tensor([image])), 5, LENGTH, 3)
        assert torch.equal(one.words[0], whole.words[image])


@pytest.mark.parametrize(
    ("beam", "n_best", "message"),
    [(12, 1, "beam_size 12 is not possible: the vocabulary has 11 words"), (0, 1, "beam_size 0"), (3, 4, "n_best 4 is not possible")],
)
def test_a_beam_that_cannot_be_filled_is_refused(beam: int, n_best: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        beam_search(_model(), _images(), beam, LENGTH, n_best)
