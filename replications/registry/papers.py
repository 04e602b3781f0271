"""Declaration of a paper, `paper.yaml` (citation, published tables, claims, deviations), and discovery of the papers.

The models are the schema: an unknown key, a wrong type or a missing value is one message that names the file, the
key, what was expected and the nearest valid key. `runs.yaml` is read by `registry.run_grid`.
"""

from __future__ import annotations

import functools
import operator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from replications import paths
from replications.errors import InputError, nearest
from replications.registry.claims import Claim, claim_kinds
from replications.registry.schema import Identifier, Strict
from replications.registry.statements import FILE, load_statements
from replications.registry.tables import Table
from replications.registry.yaml_models import read_yaml, validate

if TYPE_CHECKING:
    AnyClaim = Claim
else:  # the kinds are found when this module is loaded, so that a new one is one new file
    AnyClaim = Annotated[functools.reduce(operator.or_, claim_kinds().values()), Field(discriminator="kind")]


class Citation(Strict):
    """Citation of a published work."""

    title: str
    authors: list[str] = Field(min_length=1)
    year: int
    venue: str
    kind: Literal["inproceedings", "article", "misc"] = Field("inproceedings", description="BibTeX entry type; misc for a preprint.")
    arxiv: str | None = Field(None, description="Identifier with version, for example 1406.6247v1.")
    url: str | None = None


class Deviation(Strict):
    """One entry of the ledger of deviations: the difference from the paper, and the direction in which it should move the result."""

    what: str
    paper: str
    ours: str
    effect: Literal["better", "worse", "none", "unknown"] = Field(description="Expected effect on our score.")
    reason: str


class Paper(Strict):
    """The whole of `paper.yaml`, and where it was read."""

    name: str = Field(description="The folder's name; given by discovery, not written in the file.")
    short: str = Field(description="A few words for headings, for example 'Recurrent attention'.")
    question: str = Field(description="What the replication asks, one sentence.")
    citation: Citation
    cites: dict[Identifier, Citation] = Field(default_factory=dict, description="Other works the text cites.")
    tables: dict[Identifier, Table] = Field(default_factory=dict)
    claims: list[AnyClaim] = Field(min_length=1)
    deviations: list[Deviation] = Field(default_factory=list)
    illustrates: dict[str, list[Identifier]] = Field(
        default_factory=dict, description="Figure or exhibit -> ids in statements.yaml of the lecture statements that it shows."
    )

    @model_validator(mode="after")
    def _claim_ids_are_unique(self) -> Paper:
        ids = [claim.id for claim in self.claims]
        for claim_id in ids:
            if ids.count(claim_id) > 1:
                raise ValueError(f"claim id '{claim_id}' is used twice")
            if claim_id in self.tables:
                raise ValueError(f"'{claim_id}' names a claim and a table, so that a citation of it would be ambiguous")
        return self

    @model_validator(mode="after")
    def _required_claims_exist(self) -> Paper:
        ids = [claim.id for claim in self.claims]
        needs: dict[str, set[str]] = {}
        for claim in self.claims:
            tests = [claim, *(claim.at(tier) for tier in claim.tiers)]
            needs[claim.id] = {needed.claim for test in tests for needed in test.requires if needed.claim}
            for unknown in sorted(needs[claim.id] - set(ids)):
                raise ValueError(f"claim '{claim.id}' requires '{unknown}', which is no claim of this paper. {nearest(unknown, ids)}")
        try:
            list(TopologicalSorter(needs).static_order())
        except CycleError as error:
            raise ValueError(f"claims require each other in a circle: {' -> '.join(error.args[1])}") from None
        return self

    @property
    def folder(self) -> Path:
        """Folder of the paper."""
        return paths.PAPERS / self.name

    def claim(self, claim_id: str) -> Claim:
        """Return the claim of this id.

        Args:
            claim_id: the id without the paper's name.

        Returns:
            The claim as it is declared.

        Raises:
            InputError: there is none; the nearest is given.
        """
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        raise InputError(f"{self.name} has no claim '{claim_id}'. {nearest(claim_id, [c.id for c in self.claims])}")


def paper_names() -> list[str]:
    """Return the names of all folders that hold a `paper.yaml`, sorted."""
    return sorted(path.parent.name for path in paths.PAPERS.glob("*/paper.yaml"))


def read_paper(folder: Path) -> Paper:
    """Read and validate `paper.yaml` of one folder.

    Args:
        folder: the paper's folder; its name becomes the paper's.

    Returns:
        The validated paper.

    Raises:
        InputError: the file is missing or not valid, or names a statement that there is not; all faults are listed.
    """
    path = folder / "paper.yaml"
    paper = validate(Paper, read_yaml(path) | {"name": folder.name}, str(path))
    faults = [f"{path}: {fault}" for fault in _unknown_statements(paper)]
    if faults:
        raise InputError("\n".join(faults))
    return paper


def _unknown_statements(paper: Paper) -> list[str]:
    """Return one sentence per statement that a claim or figure names and that the list of statements lacks."""
    known = load_statements().ids
    named = [(f"claims[{claim.id}].statements", claim.statements) for claim in paper.claims]
    named += [(f"illustrates.{name}", ids) for name, ids in paper.illustrates.items()]
    return [f"{where}: no statement '{i}' in {FILE}. {nearest(i, known)}" for where, ids in named for i in ids if i not in known]


@functools.cache
def load_paper(name: str) -> Paper:
    """Return the paper of this name.

    Args:
        name: name of the paper's folder.

    Returns:
        The validated paper.

    Raises:
        InputError: no paper has the name (the nearest is given), or its file is not valid.
    """
    if name not in paper_names():
        raise InputError(f"No paper is called '{name}'. {nearest(name, paper_names())}")
    return read_paper(paths.PAPERS / name)


def load_papers(names: list[str] | None = None) -> list[Paper]:
    """Return the named papers, or all of them.

    Args:
        names: names of papers; None or empty: all.

    Returns:
        The papers, in the order named or by name.
    """
    return [load_paper(name) for name in names or paper_names()]
