"""Karpathy, Johnson and Fei-Fei (2015): what recurrent networks that read characters learn, and which of their cells can be read."""
