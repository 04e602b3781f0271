"""The committed reference results: records, artifacts and provenance by tier, from which everything else is redrawn."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from replications.errors import InputError, nearest
from replications.files import replacing
from replications.registry.schema import TIERS, Strict, Tier
from replications.registry.yaml_models import read_yaml, validate
from replications.results.store import PROVENANCE, file_digest

DESCRIPTION = "reference.json"
"""File that describes the reference, beside the folders of its tiers."""

LOG = "verdicts.log"
"""File of the reference with one row per claim and promotion (`presentation.verdict_log`)."""


class PromotedTier(Strict):
    """One tier of the reference.

    Attributes:
        promoted: the day on which its chunks were last added.
        commits: the commits that made them.
        reservations: what is missing or in doubt, one sentence each; empty when the tier is whole.
        chunks: SHA-256 of the provenance of each chunk that was promoted, by `<paper>/<run>/seeds-<first>-<last>`; with the hashes
            in the provenance it binds every file of the tier. None in references made before it was kept.
    """

    promoted: str
    commits: list[str]
    reservations: list[str] = Field(default_factory=list)
    chunks: dict[str, str] | None = None


class Reference(Strict):
    """`reference.json`: the committed results, by tier; the chunks of a tier are in the folder of its name.

    Attributes:
        tiers: description of each tier.
        log: SHA-256 of the log of verdicts as the last promotion left it; None in references made before it was kept.
    """

    tiers: dict[Tier, PromotedTier] = Field(min_length=1)
    log: str | None = None

    @property
    def tier(self) -> Tier:
        """The largest tier that it holds."""
        return max(self.tiers, key=TIERS.index)

    @property
    def promoted(self) -> PromotedTier:
        """Description of the largest tier."""
        return self.tiers[self.tier]


def find_log(folder: Path) -> Path | None:
    """Return the log of verdicts of the reference to which a results folder belongs.

    Args:
        folder: results of one tier, either a run's (`results/<tier>`) or the reference's (`results/reference/<tier>`).

    Returns:
        Path of the log; None where there is none.
    """
    places = (folder.parent / LOG, folder.parent / "reference" / LOG)
    return next((path for path in places if path.is_file()), None)


def read_reference(folder: Path) -> Reference:
    """Return the description of the reference results in a folder.

    Args:
        folder: the reference.

    Returns:
        The content of `reference.json`.

    Raises:
        InputError: there are none, or their description is damaged.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise InputError(f"{path} is missing, so there are no reference results. `replications results promote DIR` makes them.")
    return validate(Reference, read_yaml(path), str(path))


def reference_tier(folder: Path, tier: str | None = None) -> tuple[Tier, Path]:
    """Return a tier of the reference and the folder of its chunks, laid out like a tier's own results.

    Args:
        folder: the reference.
        tier: name of the tier; None: the largest that it holds.

    Returns:
        Name of the tier, and its folder.

    Raises:
        InputError: there are no reference results, or none of this tier.
    """
    reference = read_reference(folder)
    if tier is None:
        return reference.tier, folder / reference.tier
    for name in reference.tiers:
        if name == tier:
            return name, folder / name
    raise InputError(f"{folder} has no results of tier '{tier}'. {nearest(tier, reference.tiers)}")


def tiers_of_paper(folder: Path, paper: str) -> list[tuple[Tier, Path]]:
    """Return the tiers of the reference that hold finished chunks of a paper, and their folders, the largest tier first.

    Args:
        folder: the reference.
        paper: name of the paper.

    Returns:
        At least one: the largest tier of the reference where the paper has no chunk at all.

    Raises:
        InputError: there are no reference results.
    """
    held = sorted(read_reference(folder).tiers, key=TIERS.index, reverse=True)
    return [(tier, folder / tier) for tier in held if any((folder / tier / paper).glob(f"*/seeds-*/{PROVENANCE}"))] or [
        (held[0], folder / held[0])
    ]


def promoted_chunks(folder: Path, tier: str, paper: str) -> dict[str, str] | None:
    """Return what promotions put into a folder of results: SHA-256 of provenance by `<run>/seeds-<first>-<last>`.

    Args:
        folder: results of one tier.
        tier: name of the tier.
        paper: name of the paper.

    Returns:
        None where the folder is no tier of a reference, or of one that keeps no hashes.
    """
    if not (folder.parent / DESCRIPTION).is_file():
        return None
    for name, promoted in read_reference(folder.parent).tiers.items():
        if name == tier and folder.name == tier and promoted.chunks is not None:
            return {key.partition("/")[2]: digest for key, digest in promoted.chunks.items() if key.partition("/")[0] == paper}
    return None


def log_fault(folder: Path) -> str:
    """Return what is wrong with the log of verdicts beside a reference; empty where it is as the last promotion left it.

    Args:
        folder: the reference; any other folder has no log and no fault.

    Returns:
        A sentence.
    """
    if not (folder / DESCRIPTION).is_file():
        return ""
    signed = read_reference(folder).log
    if signed is None:
        return f"{DESCRIPTION} has no SHA-256 of {LOG}, so that rows could be removed unnoticed." if (folder / LOG).is_file() else ""
    return "" if file_digest(folder / LOG) == signed else f"{LOG} is not as the last promotion left it: rows were edited or removed."


def sign_log(folder: Path) -> None:
    """Write the SHA-256 of the log of verdicts into the description of a reference, after rows were added.

    Args:
        folder: the reference.
    """
    write_description(folder, read_reference(folder).model_copy(update={"log": file_digest(folder / LOG)}))


def write_description(folder: Path, reference: Reference) -> None:
    """Write the description of the reference, whole or not at all.

    Args:
        folder: the reference.
        reference: what it holds.
    """
    with replacing(folder / DESCRIPTION) as temporary:
        temporary.write_text(reference.model_dump_json(indent=2) + "\n", encoding="utf-8")
