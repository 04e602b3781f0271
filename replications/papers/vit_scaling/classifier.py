"""What Vision Transformers and ResNets have in common: features, and a head on them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Classifier(nn.Module, ABC):
    """Base class of networks that map images to features and features to logits.

    Attributes:
        n_features: width of the features.
        hidden: layers between features and head; the identity except in the paper's pre-training.
        head: map from features to logits.
    """

    n_features: int
    hidden: nn.Module
    head: nn.Module

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return the representation before the head.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, n_features).
        """

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits.

        Args:
            images: (B, 3, H, W).

        Returns:
            (B, n_classes).
        """
        return self.head(self.hidden(self.features(images)))
