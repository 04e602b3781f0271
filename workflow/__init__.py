"""Snakemake rules, and the Python that turns the registry into jobs."""
