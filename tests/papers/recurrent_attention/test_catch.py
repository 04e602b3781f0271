"""The game of Catch, compared with a game written in the plainest way: one game, one pixel, one frame at a time."""

import numpy as np
import pytest
import torch

from replications.errors import InputError
from replications.papers.recurrent_attention.catch import Games, ball_columns, caught, frame, glimpses, move_paddle, new_games
from replications.papers.recurrent_attention.catch_loop import play_one_by_one
from replications.papers.recurrent_attention.catch_players import at_random, chaser, play_scripted, stand_still
from replications.papers.recurrent_attention.catch_settings import CatchSettings
from replications.papers.recurrent_attention.model import GlimpseSensor
from replications.papers.recurrent_attention.settings import Settings
from replications.registry.yaml_models import validate


class SlowGame:
    """One game of Catch: a ball that turns round at the outermost columns, a paddle that stops at the sides."""

    def __init__(self, board: int, paddle_width: int, start: float, speed: float, paddle: int) -> None:
        self.board, self.width, self.x, self.speed, self.row, self.paddle = board, paddle_width, start, speed, 0, paddle

    def advance(self, move: int) -> None:
        self.paddle = min(max(self.paddle + move, 0), self.board - self.width)
        self.row += 1
        self.x += self.speed
        while not 0 <= self.x <= self.board - 1:
            self.x = -self.x if self.x < 0 else 2 * (self.board - 1) - self.x
            self.speed = -self.speed

    @property
    def column(self) -> int:
        return int(np.floor(self.x + 0.5))

    def screen(self) -> np.ndarray:
        pixels = np.zeros((self.board, self.board))
        pixels[self.row, self.column] = 1
        for offset in range(self.width):
            pixels[self.board - 1, self.paddle + offset] = 1
        return pixels


@pytest.mark.parametrize("speed", ["continuous", "integer"])
@pytest.mark.parametrize("board", [5, 8, 24])
def test_many_games_at_once_are_the_games_played_one_by_one(board: int, speed: str) -> None:
    settings = CatchSettings(board=board, glimpse_side=4, scales=1, speed=speed)
    generator = torch.Generator().manual_seed(1)
    uniforms = torch.rand(60, 3, generator=generator, dtype=torch.float64)
    moves = torch.randint(-1, 2, (settings.decisions, 60), generator=generator)
    games = new_games(uniforms, settings)
    slow = []
    for start, pace, place in uniforms.tolist():
        velocity = int(3 * pace) - 1 if speed == "integer" else 2 * pace - 1
        slow.append(SlowGame(board, 2, int(start * board), velocity, int(place * (board - 1))))
    paddle = games.paddle
    for t in range(board):
        np.testing.assert_array_equal(frame(games.ball[:, t], t, paddle, settings).numpy(), [game.screen() for game in slow])
        if t < settings.decisions:
            paddle = move_paddle(paddle, moves[t] + 1, settings)
            for game, move in zip(slow, moves[t].tolist(), strict=True):
                game.advance(move)
    won = [game.paddle <= game.column < game.paddle + 2 for game in slow]
    assert caught(games, paddle, settings).tolist() == [float(win) for win in won]
    assert 0 < sum(won) < len(won)


def test_a_ball_bounces_off_both_sides() -> None:
    # Worked by hand: 3 columns of a board of 5 from the right side, then back from the left.
    columns = ball_columns(torch.tensor([3.0]), torch.tensor([2.0]), 5)
    assert columns.tolist() == [[3, 3, 1, 1, 3]]


@pytest.mark.parametrize(("speed", "max_speed", "chased"), [("continuous", 1.0, 52), ("continuous", 0.5, 78), ("integer", 1.0, 36)])
def test_the_rule_for_speed_decides_what_a_chaser_catches(speed: str, max_speed: float, chased: float) -> None:
    """On the published screen, a player that sees everything and moves to where the ball is now; one that waits, one that moves at random."""
    settings = CatchSettings(speed=speed, max_speed=max_speed)
    games = new_games(torch.rand(40_000, 3, generator=torch.Generator().manual_seed(2)), settings)
    catches = {
        "chaser": 100 * play_scripted(chaser(settings), games, settings).mean().item(),
        "still": 100 * play_scripted(stand_still, games, settings).mean().item(),
        "random": 100 * play_scripted(at_random(torch.Generator().manual_seed(3)), games, settings).mean().item(),
    }
    # Five standard errors of 40,000 games are 1.25 points at most, and 0.7 at 8.5 %.
    assert catches["chaser"] == pytest.approx(chased, abs=1.3)
    assert catches["still"] == pytest.approx(8.5, abs=0.7)
    assert catches["random"] == pytest.approx(8.5, abs=0.7)


def test_the_baseline_of_the_speed_comparison_plays_the_same_game() -> None:
    settings = CatchSettings(board=8, glimpse_side=4, scales=2)
    games = new_games(torch.rand(40_000, 3, generator=torch.Generator().manual_seed(2)), settings)
    ours = play_scripted(at_random(torch.Generator().manual_seed(3)), games, settings).mean().item()
    # Five standard errors of 1,500 games.
    assert play_one_by_one(1500, settings, np.random.default_rng(0)) == pytest.approx(ours, abs=0.057)


def test_who_looks_one_frame_ahead_wins_every_game() -> None:
    settings = CatchSettings()
    games = new_games(torch.rand(2000, 3, generator=torch.Generator().manual_seed(4)), settings)
    ahead = Games(games.ball[:, 1:], games.paddle)
    paddle = games.paddle
    for t in range(settings.decisions):
        paddle = move_paddle(paddle, chaser(settings)(ahead, t, paddle), settings)
    assert caught(games, paddle, settings).min() == 1


@pytest.mark.parametrize(("board", "side", "scales"), [(8, 4, 2), (9, 3, 3), (24, 6, 3)])
def test_the_retina_sees_what_the_classifier_s_retina_sees_of_drawn_frames(board: int, side: int, scales: int) -> None:
    settings = CatchSettings(board=board, glimpse_side=side, scales=scales)
    generator = torch.Generator().manual_seed(5)
    games = new_games(torch.rand(50, 3, generator=generator), settings)
    location = 2 * torch.rand(50, 2, generator=generator) - 1
    area = 4.0 ** torch.arange(scales).repeat_interleave(side**2)
    for t in range(settings.decisions):
        drawn = 255 * frame(games.ball[:, t], t, games.paddle, settings)
        expected = GlimpseSensor(side, scales)(drawn[None], location[None])[0] * area
        seen = glimpses(games.ball[:, t], t, games.paddle, location, settings)
        torch.testing.assert_close(seen, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"board": 5}, "glimpse_side 6 is larger than board 5; the finest patch must fit on the screen"),
        ({"board": 8}, "the coarsest patch of 24 pixels is more than twice board 8"),
        ({"paddle": 24}, "paddle 24 is as wide as board 24, so that every game is won"),
        ({"max_speed": 25}, "max_speed 25 is larger than board 24"),
        ({"speed": "integer", "max_speed": 0.5}, "max_speed 0.5 must be a whole number with speed 'integer'"),
        ({"core": "gru"}, "lstm"),
        ({"hidden_sizes": 8}, "Did you mean 'hidden_size'"),
    ],
)
def test_rules_that_make_no_game_are_refused_with_what_to_change(update: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(Settings, {"experiment": "catch", "catch": update}, "runs.yaml")


def test_the_game_and_its_settings_come_together() -> None:
    for content in ({"experiment": "catch"}, {"catch": {}}):
        with pytest.raises(InputError, match="belong together: give both or neither"):
            validate(Settings, content, "runs.yaml")


def test_runs_without_a_game_do_not_mention_it() -> None:
    """Their digest is that of results from before the game came in."""
    assert "catch" not in Settings().model_dump(mode="json")
    assert Settings.model_validate(Settings().model_dump(mode="json")) == Settings()
