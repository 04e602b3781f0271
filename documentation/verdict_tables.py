"""Tables of the page about verdicts: the words, and how often each rule decides, rightly or wrongly, where the truth is known."""

from __future__ import annotations

from documentation.markdown import code, table, text
from replications.presentation.characteristics_csv import read_characteristics
from replications.registry.claims import claim_kinds
from replications.verdicts.words import WORDS


def words() -> str:
    """Return the table of verdicts.

    Returns:
        Markdown with symbol, word and meaning.
    """
    return table(["", "verdict", "meaning"], [[entry.symbol, f"*{word}*", text(entry.meaning)] for word, entry in WORDS.items()])


def kinds() -> str:
    """Return the table of kinds of claims.

    Returns:
        Markdown with the first sentence of each class.
    """
    rows = [[code(name), text((kind.__doc__ or "").strip().split("\n\n")[0])] for name, kind in sorted(claim_kinds().items())]
    return table(["kind", "what it states"], rows)


def rates() -> str:
    """Return the simulated rates of every rule.

    Returns:
        Markdown, one row per situation; the wrong decision is in bold.
    """
    rows = []
    for row in read_characteristics():
        shares = {name: f"{100 * getattr(row, name):.1f} %" for name in ("holds", "contradicted", "open")}
        marked = {name: f"**{share}**" if name in row.error.split(" or ") else share for name, share in shares.items()}
        limit = f"{100 * row.limit:g} %" if row.limit is not None else ""
        rows.append([code(row.rule), text(row.situation), str(row.seeds), marked["holds"], marked["contradicted"], marked["open"], limit])
    return table(["rule", "situation", "seeds", "holds", "contradicted", "open", "limit of the error"], rows)
