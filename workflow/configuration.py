"""Reading of the configuration that a command or a Snakefile passes."""

from __future__ import annotations

from typing import Any

from replications.registry.configuration import Configuration
from replications.registry.yaml_models import validate
from replications.results.reference import reference_tier


def read_configuration(content: dict[str, Any], where: str = "config/config.yaml") -> Configuration:
    """Validate a configuration. With `source: reference` its tier is replaced by the largest tier of the reference.

    Args:
        content: keys and values as Snakemake merged them from file and command line; `papers` may be one name.
        where: origin of the content, for error messages.

    Returns:
        The configuration with all defaults filled in.

    Raises:
        InputError: a key or value is wrong (the message names it and the nearest valid one), or there is no reference to read.
    """
    papers = content.get("papers")
    listed = {"papers": [papers]} if isinstance(papers, str) else {}
    config = validate(Configuration, content | listed, where)
    if config.source == "runs":
        return config
    tier, _ = reference_tier(config.runs_folder)
    return config.model_copy(update={"tier": tier})
