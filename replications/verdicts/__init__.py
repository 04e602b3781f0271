"""Statistics and the rule of each kind of claim."""
