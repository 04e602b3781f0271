"""The configuration as a command or a Snakefile gives it, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from replications.registry.configuration import Configuration
from replications.registry.yaml_models import validate
from replications.results.reference import reference_tier


def read_configuration(content: dict[str, Any], where: str = "config/config.yaml") -> Configuration:
    """Validate a configuration; of the reference the largest tier is read, whatever is asked for.

    Raises:
        InputError: naming file, key and the nearest valid key; or there are no reference results to draw from.
    """
    papers = content.get("papers")
    listed = {"papers": [papers]} if isinstance(papers, str) else {}
    config = validate(Configuration, content | listed, where)
    if config.source == "runs":
        return config
    tier, _ = reference_tier(Path(config.results) / "reference")
    return config.model_copy(update={"tier": tier})
