"""Declarations: papers, published tables, claims, runs, tiers, configuration. Reads YAML and nothing else."""
