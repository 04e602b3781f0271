"""The base of a paper's run settings."""

from __future__ import annotations

from typing import Self

from replications.registry.schema import Strict


class RunSettings(Strict):
    """What a paper's `settings.Settings` is made of: every field with a default or a description of what to give."""

    def rehearsed(self) -> Self:
        """For a rehearsal: the same networks, batches and recipe, and little to evaluate on. Default: as they are."""
        return self

    def in_fp32(self) -> Self:
        """For a rehearsal on a machine that does not multiply bf16 itself: products in fp32. Default: as they are."""
        return self
