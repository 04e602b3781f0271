"""Vinyals et al. 2015, Show and Tell: captions from a CNN and an LSTM, decoded, scored and explained."""
