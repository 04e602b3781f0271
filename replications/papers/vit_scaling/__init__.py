"""Dosovitskiy et al. 2020, An Image is Worth 16x16 Words: ViT against ResNet by amount of data and compute."""
