"""Long-term recurrent convolutional networks (Donahue et al. 2015): what a network that reads frames in order adds to an average over them."""
