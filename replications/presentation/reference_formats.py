"""Citations for reference managers: RIS and CSL-JSON, from the same fields as BibTeX."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from replications.presentation.citations import Cited

RIS_TYPES = {"inproceedings": "CPAPER", "article": "JOUR", "misc": "GEN", "software": "COMP", "dataset": "DATA"}
CSL_TYPES = {
    "inproceedings": "paper-conference",
    "article": "article-journal",
    "misc": "article",
    "software": "software",
    "dataset": "dataset",
}
"""Kind of a citation -> its type in the format."""

VENUES = ("booktitle", "journal", "howpublished")


def people(authors: str) -> list[dict[str, str]]:
    """Return authors as CSL names.

    Args:
        authors: joined by ' and '; written `Given Family` or `Family, Given`, an organisation in braces.

    Returns:
        One mapping each, with `family` and `given`, or `literal` for an organisation or a single name.
    """
    found = []
    for author in authors.split(" and "):
        if author.startswith("{"):
            found.append({"literal": author[1:-1]})
            continue
        family, _, given = author.partition(", ") if ", " in author else reversed(author.rpartition(" "))
        found.append({"family": family, "given": given} if given else {"literal": family})
    return found


def _once(cited: Iterable[Cited]) -> list[Cited]:
    return list({item.key: item for item in cited}.values())


def as_ris(cited: Iterable[Cited]) -> str:
    """Return citations as one RIS file, in which every key stands once.

    Args:
        cited: citations.

    Returns:
        Text with one record per citation, each closed by an ER line and an empty one.
    """
    records = []
    for item in _once(cited):
        fields = item.fields
        names = [person.get("literal") or f"{person['family']}, {person['given']}" for person in people(fields.get("author", ""))]
        lines = [("TY", RIS_TYPES[item.kind]), ("ID", item.key), *(("AU", name) for name in names), ("TI", fields.get("title", ""))]
        lines += [("T2", next((fields[name] for name in VENUES if fields.get(name)), "")), ("PY", fields.get("year", ""))]
        lines += [
            ("M1", f"arXiv:{fields['eprint']}" if fields.get("eprint") else ""),
            ("UR", fields.get("url", "")),
            ("N1", fields.get("note", "")),
        ]
        records.append("".join(f"{tag}  - {' '.join(value.split())}\n" for tag, value in lines if value) + "ER  - \n")
    return "\n".join(records)


def as_csl_json(cited: Iterable[Cited]) -> str:
    """Return citations as CSL-JSON, in which every key stands once.

    Args:
        cited: citations.

    Returns:
        A JSON list of items.
    """
    items = []
    for item in _once(cited):
        fields = item.fields
        content: dict[str, Any] = {
            "id": item.key,
            "type": CSL_TYPES[item.kind],
            "title": fields.get("title", ""),
            "author": people(fields["author"]) if fields.get("author") else [],
            "container-title": next((fields[name] for name in VENUES if fields.get(name)), ""),
            "issued": {"date-parts": [[int(fields["year"])]]} if fields.get("year") else {},
            "number": f"arXiv:{fields['eprint']}" if fields.get("eprint") else "",
            "URL": fields.get("url", ""),
            "note": fields.get("note", ""),
        }
        items.append({name: value for name, value in content.items() if value})
    return json.dumps(items, indent=2, ensure_ascii=False) + "\n"
