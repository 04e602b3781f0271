"""The coin's sides."""

import datasets

from replications.engine.datasets import DataSource
from replications.papers.coin_toss.settings import Settings

SIDES = DataSource(
    name="sides",
    splits={"all": 2},
    licence="CC0",
    citation="Every coin.",
    build=lambda _: datasets.Dataset.from_dict({"text": ["heads", "tails"]}),
)
SOURCES = [SIDES]


def needs(settings: Settings) -> list[tuple[DataSource, str]]:
    """Every run looks at both sides."""
    return [(SIDES, "all")]
