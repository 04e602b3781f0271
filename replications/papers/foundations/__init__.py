"""Foundations: what a first lecture on recurrence and attention states, each statement beside a short function that checks it."""
