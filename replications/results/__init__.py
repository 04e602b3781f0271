"""Records, artifacts and provenance of finished runs, and the committed reference."""
