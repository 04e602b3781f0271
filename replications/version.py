"""The suite's version. It stands apart from what experiments import, so that a release retrains nothing."""

__version__ = "0.2.0"
