"""Interactive exhibit of this paper: the two worked examples of a first lecture."""

from __future__ import annotations

from replications.presentation.exhibits import Exhibit
from replications.results.reader import Results


def first_lecture(results: Results) -> Exhibit:
    """Step through the hand-made detector of repeated ones on any string, and turn a query over three keys to see its softmax."""
    results.need("statements")
    arrays = results.artifacts("statements")
    data = {
        "string": [int(value) for value in arrays["string"]],
        "w_xh": arrays["w_xh"].tolist(),
        "w_hh": arrays["w_hh"].tolist(),
        "w_hy": arrays["w_hy"].tolist(),
        "keys": arrays["keys"].tolist(),
        "query": arrays["query"][0].tolist(),
    }
    alt = (
        "A detector of repeated ones to step through, and attention over three keys; two figures of this section show both without scripts."
    )
    return Exhibit("First lecture: a hand-made network, and attention on three keys", alt, data, figure="detector_on_a_string")
