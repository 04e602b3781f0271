"""Kinds of claims, one file each: the keys of its comparison and the rule that judges it."""
