"""Where glimpses go, on paths made by hand."""

from __future__ import annotations

import torch

from replications.papers.multiple_objects.glimpse_statistics import NOWHERE, all_visited, looked_at, returns


def test_a_glimpse_is_on_the_digit_whose_square_holds_its_centre() -> None:
    corners = torch.tensor([[[0, 4], [10, 10]]])  # on a canvas of 20 pixels, digits of 8
    present = torch.tensor([[True, True]])
    pixels = torch.tensor([(0.1, 4.1), (7.9, 11.9), (8.0, 5.0), (17.0, 17.5), (19.0, 1.0)])
    found = looked_at((pixels / 10 - 1)[None, :, None], corners, present, canvas=20, digit=8)
    assert found[0, :, 0].tolist() == [0, 0, NOWHERE, 1, NOWHERE]
    gone = looked_at((pixels / 10 - 1)[None, :, None], corners, torch.tensor([[True, False]]), canvas=20, digit=8)
    assert gone[0, :, 0].tolist() == [0, 0, NOWHERE, NOWHERE, NOWHERE]


def test_returns_and_visits_of_paths() -> None:
    paths = {
        (0, 1, 0, 1): (True, True),
        (0, -1, 1, 0): (True, True),
        (0, -1, 0, 0): (False, False),
        (0, 0, 1, 1): (False, True),
        (-1, 1, 1, -1): (False, False),
        (-1, -1, -1, -1): (False, False),
    }
    visits = torch.tensor(list(paths)).T[None]
    present = torch.ones(len(paths), 2, dtype=torch.bool)
    assert returns(visits)[0].tolist() == [returned for returned, _ in paths.values()]
    assert all_visited(visits, present)[0].tolist() == [visited for _, visited in paths.values()]
    only_first = torch.tensor([[True, False]]).expand(len(paths), -1)
    assert all_visited(visits, only_first)[0].tolist() == [0 in path for path in paths]
