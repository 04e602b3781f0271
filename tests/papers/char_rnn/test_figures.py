"""What figures say about texts that committed results hold as outlines alone."""

import numpy as np

from replications.papers.char_rnn.figure_data import outline_notes
from replications.results.mosaics import outline


def test_a_drawing_of_an_outline_says_why_its_letters_are_hidden() -> None:
    text = "if (cup == 2) {"
    hidden = bytes(outline(np.frombuffer(text.encode("latin-1"), dtype=np.uint8))).decode("latin-1")
    assert outline_notes(text) == ()
    assert "licence" in " ".join(outline_notes(hidden))
