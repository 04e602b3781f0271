"""Made-up sequences against slow, obvious checkers."""

import pytest
import torch

from replications.papers.rnn_vs_transformer import tasks


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_recall_asks_for_every_key_s_value() -> None:
    tokens, targets = tasks.recall(50, 6, 24, 32, generator())
    for row, target in zip(tokens.tolist(), targets.tolist(), strict=True):
        memory = dict(zip(row[0:12:2], row[1:12:2], strict=True))
        assert len(memory) == 6
        assert set(memory) <= set(range(1, 17))
        assert set(memory.values()) <= set(range(17, 33))
        assert sorted(row[12:18]) == sorted(memory)
        assert target == [-1] * 12 + [memory[key] for key in row[12:18]] + [-1] * 6
        assert row[18:] == [0] * 6


def test_copying_repeats_the_string() -> None:
    tokens, targets = tasks.copying(60, 2, 7, 5, generator(1))
    lengths = set()
    for row, target in zip(tokens.tolist(), targets.tolist(), strict=True):
        n = row.index(6) - 1
        lengths.add(n)
        string = row[1 : n + 1]
        assert row[0] == 5
        assert max(string) < 5
        assert row == ([5, *string, 6, *string] + [7] * 15)[:15]
        assert target == [-1] * (n + 1) + string + [-1] * (14 - 2 * n)
    assert lengths == {2, 3, 4, 5, 6, 7}


def test_temporal_order_names_the_two_marks() -> None:
    tokens, classes = tasks.temporal_order(200, 30, generator(2))
    for row, label in zip(tokens.tolist(), classes.tolist(), strict=True):
        marks = [(place, symbol) for place, symbol in enumerate(row) if symbol < 2]
        assert [3 <= marks[0][0] < 6, 12 <= marks[1][0] < 15, len(marks)] == [True, True, 2]
        assert label == 2 * marks[0][1] + marks[1][1]
    assert set(classes.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(("language", "modulus"), [("parity", 2), ("counting", 5)])
def test_counts_are_those_of_the_ones(language: str, modulus: int) -> None:
    tokens, targets = tasks.regular(language, 20, 33, generator(3))
    for row, target in zip(tokens.tolist(), targets.tolist(), strict=True):
        assert target == [sum(row[: t + 1]) % modulus for t in range(33)]


def test_dyck_is_well_nested_and_names_the_innermost_bracket() -> None:
    tokens, targets = tasks.regular("dyck", 60, 40, generator(4))
    deepest = 0
    for row, target in zip(tokens.tolist(), targets.tolist(), strict=True):
        stack: list[int] = []
        for symbol, top in zip(row, target, strict=True):
            if symbol < 2:
                stack.append(symbol)
            else:
                assert stack.pop() == symbol - 2
            deepest = max(deepest, len(stack))
            assert top == (stack[-1] + 1 if stack else 0)
    assert deepest == 4


def test_selective_copying_asks_for_the_letters_in_order_and_hides_them_anywhere() -> None:
    tokens, targets = tasks.selective_copying(200, 20, 4, 8, generator())
    assert tokens.shape == targets.shape == (200, 24)
    for row, wanted in zip(tokens.tolist(), targets.tolist(), strict=True):
        assert [letter for letter in row[:20] if letter] == wanted[20:]
        assert row[20:] == [9] * 4, "queries"
        assert set(wanted[:20]) == {tasks.IGNORED}
        assert all(1 <= letter <= 8 for letter in wanted[20:])
    places = (tokens[:, :20] > 0).float().mean(0)
    assert float((places - 4 / 20).abs().max()) < 5 * (0.2 * 0.8 / 200) ** 0.5, "every place holds a letter equally often"
