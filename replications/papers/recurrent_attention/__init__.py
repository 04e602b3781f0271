"""Recurrent Models of Visual Attention (Mnih, Heess, Graves, Kavukcuoglu 2014): a network that looks at an image glimpse by glimpse."""
