"""What was recorded: records, artifacts and provenance, and the committed reference."""
