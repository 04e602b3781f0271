"""What is claimed, recorded and judged. Nothing here imports torch, so tables, figures and reports start at once."""
