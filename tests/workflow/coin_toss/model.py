"""The estimate of the coin."""

import torch


class Estimate(torch.nn.Module):
    """One number per seed."""

    def __init__(self, n_seeds: int) -> None:
        super().__init__()
        self.heads = torch.nn.Parameter(torch.full((n_seeds,), 0.3))
