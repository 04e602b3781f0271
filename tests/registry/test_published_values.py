"""Claims and tables of one paper say the same: a value that both publish has one number and one mark of evidence."""

from __future__ import annotations

import pytest

from replications.registry.claims import Measure
from replications.registry.papers import Paper, load_paper, paper_names
from replications.verdicts.kinds.value import ValueClaim


def published_in_tables(paper: Paper, measure: Measure) -> set[tuple[float, str]]:
    """Return value and evidence of every published cell whose own counterpart is this measure."""
    found = set()
    for table in paper.tables.values():
        for row in table.rows:
            for name, column in table.measures.items():
                metric = row.metrics.get(name, column.metric)
                at = row.at if row.at is not None else column.at
                ours = (row.run, metric, column.split, row.model_of(column), at)
                if ours != (measure.run, measure.metric, measure.split, measure.model, measure.at):
                    continue
                for version, source in table.versions.items():
                    value = row.value(version, name)
                    if value is not None:
                        found.add((value, str(row.evidence or source.evidence)))
    return found


@pytest.mark.parametrize("name", paper_names())
def test_value_claims_agree_with_the_published_tables(name: str) -> None:
    paper = load_paper(name)
    compared = 0
    for claim in paper.claims:
        if isinstance(claim, ValueClaim) and claim.measure:
            cells = published_in_tables(paper, claim.measure)
            compared += bool(cells)
            assert not cells or (claim.published, claim.evidence) in cells, (claim.id, claim.published, claim.evidence, cells)
    published = any(row.published for table in paper.tables.values() for row in table.rows)
    assert compared or not published, "the comparison finds the cells"
