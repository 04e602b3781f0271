"""Interactive exhibits of this paper: functions from results to data. Free of torch."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from replications.papers.show_and_tell.figures import NAMES, SETS
from replications.papers.show_and_tell.grammar import KIND_OF
from replications.papers.show_and_tell.settings import Settings
from replications.presentation.exhibits import Exhibit
from replications.results.reader import NotMeasured, Results


def caption_explorer(results: Results) -> Exhibit:
    """Look through test images with the captions of every seed: what attention saw before each word, which words name objects that
    are not there, the next-best captions of a beam search and which of them are new, and what people wrote.

    Images are the gallery's (drawn by a fixed seed, none left out), those with the lowest CIDEr, and, for rendered scenes, some in
    which the usual company is missing. Arrow keys change the image; Tab reaches every control and every word.
    """
    runs = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if settings.samples and results.finished(run.name):
            variant = NAMES[str(run.labels["variant"])]
            runs.append({"name": f"{variant}, {SETS[settings.dataset]}"} | _arrays(results, run.name))
    if not runs:
        raise NotMeasured("needs a run that keeps samples")
    names = "; ".join(str(run["name"]) for run in runs)
    return Exhibit("Captions, word by word", f"Test images with generated and reference captions, for {names}.", runs)


def _arrays(results: Results, run: str) -> dict[str, Any]:
    """Images as base64 bytes (red, green, blue by row), captions as words, attention in per cent: below 1.5 MB a run."""
    stored = results.artifacts(run)
    seeds = stored["seeds"].tolist()
    attention = stored.get("gallery_attention")
    groups: list[dict[str, Any]] = [
        {"name": "drawn at random", "items": []},
        {"name": "lowest CIDEr", "items": []},
        {"name": "company missing", "items": []},
    ]
    for row in range(len(stored["gallery_rows"])):
        item = _item(stored["gallery_images"][row], stored["gallery_kinds"][row], stored["gallery_references"][row])
        for index, seed in enumerate(seeds):
            caption = _caption(seed, stored["gallery_captions"][index, row], item["kinds"], stored["gallery_cider"][index, row])
            if attention is not None:
                maps = attention[index, row][: len(caption["words"])].astype(float)
                caption["maps"] = np.round(100 * maps).astype(int).tolist()
            if "gallery_lists" in stored:
                caption["list"] = stored["gallery_lists"][index, row].tolist()
                caption["novel"] = stored["gallery_novel"][index, row].tolist()
            item["captions"].append(caption)
        groups[0]["items"].append(item)
    for row in range(stored["worst_captions"].shape[1]):
        item = _item(stored["worst_images"][0, row], stored["worst_kinds"][0, row], stored["worst_references"][0, row])
        item["captions"].append(_caption(seeds[0], stored["worst_captions"][0, row], item["kinds"], stored["worst_cider"][0, row]))
        groups[1]["items"].append(item)
    for row in range(stored["broken_captions"].shape[1] if "broken_captions" in stored else 0):
        item = _item(stored["broken_images"][0, row], stored["broken_kinds"][0, row], [])
        item["captions"].append(_caption(seeds[0], stored["broken_captions"][0, row], item["kinds"], None))
        groups[2]["items"].append(item)
    return {"side": int(stored["gallery_images"].shape[-1]), "groups": [group for group in groups if group["items"]]}


def _item(pixels: np.ndarray, kinds: str, references: Any) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(pixels.transpose(1, 2, 0)).tobytes()).decode()
    return {"pixels": data, "kinds": str(kinds).split(), "references": [str(text) for text in references if text], "captions": []}


def _caption(seed: int, text: Any, kinds: list[str], cider: float | None) -> dict[str, Any]:
    words = str(text).split()
    absent = [bool(kinds) and word in KIND_OF and KIND_OF[word] not in kinds for word in words]
    return {"seed": seed, "words": words, "absent": absent, "cider": None if cider is None else round(float(cider))}
