"""Does this paper hold? Landmark papers of sequence modelling and vision, replicated, measured and judged."""
