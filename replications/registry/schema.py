"""The base of every declared model, and the words that several of them share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Tier = Literal["smoke", "cpu", "gpu", "paper"]

TIERS: tuple[Tier, ...] = ("smoke", "cpu", "gpu", "paper")
"""Names of all tiers, from the smallest to the largest."""


EvidenceMark = Literal["paper", "author", "secondary", "derived", "recalled", "ours"]
"""How the transcription of a published value was checked: in the paper's own text, in an author's artefact, in a
third party's transcription, by arithmetic from checked values, or not at all. Recalled values decide nothing.
`ours` marks a statement that the paper does not make; it is counted apart."""


Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*$")]


class Strict(BaseModel):
    """Immutable, and no key that was not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
