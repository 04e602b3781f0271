"""Statements on training and on combining parts, each beside a loop, a library or a worked number."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch

from replications.papers.foundations import combination_statements as combination
from replications.papers.foundations import estimators
from replications.papers.foundations import training_statements as training
from replications.papers.foundations.model import Projections, self_attention
from replications.papers.foundations.same_or_different import CONVOLUTIONS, DISTANCES, GLYPHS, SIDE, Comparers, draw_pairs


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("statement", "tolerance"),
    [
        (training.masked_loss_is_stepwise_losses, 1e-12),
        (training.clipping_keeps_vanished_gradients, 0.0),
        (training.clipping_keeps_shares, 1e-12),
        (training.open_cell_is_residual_network, 1e-12),
        (combination.heads_are_a_sum, 1e-12),
        (combination.concatenation_is_addition, 1e-12),
        (combination.added_glimpses_forget_pairs, 1e-12),
        (combination.convolution_stops_at_its_reach, 0.0),
        (estimators.two_episodes_halve_variance, 1e-12),
        (estimators.entropy_does_not_move_the_mean, 1e-12),
    ],
)
def test_both_sides_agree(statement: Callable[[torch.Generator], float], tolerance: float) -> None:
    assert max(statement(generator(seed)) for seed in range(3)) <= tolerance


@pytest.mark.parametrize("statement", [combination.multiplied_glimpses_keep_pairs, combination.attention_reaches_everything])
def test_both_sides_differ(statement: Callable[[torch.Generator], float]) -> None:
    assert min(statement(generator(seed)) for seed in range(5)) > 1e-3


def test_gradients_that_are_clipped_explode_and_those_that_are_not_vanish() -> None:
    exploding, vanishing = (training.gradient_by_step(*case, generator()) for case in ((3.0, 1e-4), (0.5, 0.01)))
    assert exploding.sum(dim=0).norm() > training.CLIP_NORM
    norms = vanishing.flatten(1).norm(dim=1)
    assert vanishing.sum(dim=0).norm() < training.CLIP_NORM
    # Eleven further steps, half of the gradient each at most; the state grows from its start to what the inputs hold it at.
    assert norms[0] < norms[-1] * 0.5**8


def test_heads_side_by_side_are_those_of_the_library() -> None:
    x, width = torch.randn(5, 6, generator=generator()).double(), 6 // combination.HEADS
    w_q, w_k, w_v, w_o = (torch.randn(6, 6, generator=generator(seed)).double() for seed in range(4))
    q, k, v = ((x @ w).view(5, combination.HEADS, width).transpose(0, 1) for w in (w_q, w_k, w_v))
    theirs = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(5, 6) @ w_o
    summed = torch.zeros(5, 6).double()
    for head in range(combination.HEADS):
        part = slice(head * width, (head + 1) * width)
        summed += self_attention(x, Projections(w_q[:, part], w_k[:, part], w_v[:, part])) @ w_o[part]
    torch.testing.assert_close(summed, theirs)


def test_the_reach_of_a_stack_is_one_cell_per_layer() -> None:
    assert combination.REACH == 4
    row = torch.zeros(1, 1, 21)
    row[..., 10] = 1
    for _ in range(combination.LAYERS):
        row = torch.nn.functional.conv1d(row, torch.ones(1, 1, 3), padding=1)
    assert [i for i, value in enumerate(row.flatten().tolist()) if value] == list(range(6, 15))


def test_the_variance_of_two_episodes_is_that_of_a_plain_double_loop() -> None:
    problem = estimators.make_problem(generator())
    p, terms = estimators.probabilities(problem)[0].tolist(), estimators.reinforce_terms(problem, "none")[0].tolist()
    mean, square = [0.0] * estimators.WIDTH, 0.0
    for a, b in itertools.product(range(estimators.LOCATIONS), repeat=2):
        estimate = [(terms[a][d] + terms[b][d]) / 2 for d in range(estimators.WIDTH)]
        mean = [m + p[a] * p[b] * e for m, e in zip(mean, estimate, strict=True)]
        square += p[a] * p[b] * sum(e * e for e in estimate)
    listed = square - sum(m * m for m in mean)
    single = estimators.reinforce_variance(problem, "none")  # of the mean over images, each with one episode
    of_images = [
        estimators.reinforce_variance(problem._replace(features=problem.features[i : i + 1], targets=problem.targets[i : i + 1]), "none")
        for i in range(4)
    ]
    assert listed == pytest.approx(of_images[0] / 2, rel=1e-9)
    assert single == pytest.approx(sum(of_images) / 16, rel=1e-9)
    assert estimators.new_images_beat_new_episodes(generator()) > 0


def test_plain_layers_lose_what_skips_and_cells_carry() -> None:
    shares = {kind: training.gradient_by_depth(kind, generator()) for kind in ("plain", "residual", "cell")}
    # tanh's slope is at most one and a uniform matrix within 1 / sqrt(n) shrinks a vector by sqrt(3) on average.
    assert shares["plain"][50] < 1e-8
    assert all(shares[kind][50] > 0.01 for kind in ("residual", "cell"))


def test_pairs_have_the_distance_and_the_answer_that_are_said() -> None:
    for distance in DISTANCES:
        images, first, same = draw_pairs(50, distance, generator(distance))
        for image, cell, answer in zip(images, first.tolist(), same.tolist(), strict=True):
            glyphs, rows, columns = image.nonzero(as_tuple=True)
            places = {(int(r), int(c)): int(g) for g, r, c in zip(glyphs, rows, columns, strict=True)}
            assert len(places) == 2
            assert divmod(cell, SIDE) in places
            (r0, c0), (r1, c1) = places
            assert max(abs(r0 - r1), abs(c0 - c1)) == distance
            assert (len(set(places.values())) == 1) == bool(answer)
    _, _, same = draw_pairs(4000, None, generator())
    assert abs(float(same.mean()) - 0.5) < 0.04


def test_convolutions_read_as_far_as_they_reach_and_attention_everywhere() -> None:
    images = torch.zeros(1, 2, GLYPHS, SIDE, SIDE)
    images[:, :, 0, 0, 0] = 1
    first = torch.zeros(1, 2, dtype=torch.int64)
    for column in range(1, SIDE):
        changed = images.clone()
        changed[0, 1, 1, 0, column] = 1  # a second object in the second image only
        for mixer in ("attention", "convolution"):
            scores = Comparers(mixer, 6, [generator()])(changed, first)[0]
            assert bool(scores[0] == scores[1]) == (mixer == "convolution" and column > CONVOLUTIONS)


def test_grouped_seeds_compute_what_each_computes_alone() -> None:
    drawn = [draw_pairs(4, None, generator(seed)) for seed in (1, 2)]
    for mixer in ("attention", "convolution"):
        together = Comparers(mixer, 6, [generator(3), generator(4)])
        both = together(torch.stack([d[0] for d in drawn]), torch.stack([d[1] for d in drawn]))
        for i, (images, first, _) in enumerate(drawn):
            alone = Comparers(mixer, 6, [generator(3 + i)])
            torch.testing.assert_close(alone(images[None], first[None])[0], both[i])
