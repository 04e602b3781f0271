"""The colours of figures and pages, apart from `theme` so that a page needs no drawing library."""

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933"]
"""Okabe and Ito's colour-blind safe colours, in the order in which series take them."""

MUTED = ["#882255", "#AA8866", "#332288", "#44AA99", "#994F00"]
"""What follows where a figure needs more than eight; all but the last are Paul Tol's muted colours."""

FAR_APART = [colour for colour in PALETTE if colour != "#56B4E9"]
"""The colours less the second blue, for figures in which colour alone tells series apart."""

ON_DARK, ON_LIGHT = "#ffffff", "#111111"
"""Text on a ground of its own, such as a cell of a heat map. It keeps its colour where a page turns dark; black becomes light there."""
