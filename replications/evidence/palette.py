"""The colours of figures and pages, apart from `plots` so that a page needs no drawing library."""

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933"]
"""Okabe and Ito's colour-blind safe colours, in the order in which series take them."""
