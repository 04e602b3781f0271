"""Unified attention (Chen 2021): a region chosen by Q-learning on a coarse image guides the glimpses of the recurrent attention model."""
