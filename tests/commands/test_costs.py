"""What a tier took."""

import pytest

from replications.commands.costs import summary

HOUR = "2026-01-01T10:{:02}:00+00:00"


def test_shares_are_weighted_by_the_seconds_they_are_of() -> None:
    jobs = [
        {
            "started": HOUR.format(0),
            "ended": HOUR.format(10),
            "resumes": 1,
            "cost": {"seconds": 600.0, "gpu_seconds": 600.0, "train_seconds": 300.0, "flops": 1e15, "utilisation": 0.02, "gpu_busy": 0.9},
        },
        {
            "started": HOUR.format(5),
            "ended": HOUR.format(35),
            "resumes": 0,
            "cost": {"seconds": 1800.0, "gpu_seconds": 1800.0, "train_seconds": 100.0, "flops": 3e15, "utilisation": 0.1, "gpu_busy": 0.5}
            | {"energy": 7200.0},
        },
    ]
    line = summary("some", jobs)
    assert line["job min"] == line["GPU min"] == pytest.approx(40)
    assert line["wall min"] == pytest.approx(35), "the jobs overlap"
    assert line["PFLOP"] == pytest.approx(4)
    assert line["of peak %"] == pytest.approx(4), "(300 x 2 + 100 x 10) / 400"
    assert line["busy %"] == pytest.approx(60), "(600 x 90 + 1800 x 50) / 2400"
    assert line["Wh"] == pytest.approx(2)
    assert (line["jobs"], line["resumed"]) == (2, 1)


def test_what_was_not_measured_is_left_out() -> None:
    line = summary("none", [{"cost": {"seconds": 60.0}}, {}])
    assert line["job min"] == pytest.approx(1)
    assert {line[name] for name in ("GPU min", "wall min", "PFLOP", "busy %", "of peak %", "Wh")} == {None}
