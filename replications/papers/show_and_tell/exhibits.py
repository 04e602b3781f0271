"""Interactive exhibits of this paper: their data, from results. Free of torch."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from replications.papers.show_and_tell.grammar import KIND_OF
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.variants import DATASETS, VARIANTS
from replications.presentation.exhibits import Exhibit
from replications.results.mosaics import SIDE
from replications.results.reader import NotMeasured, Results


def caption_explorer(results: Results) -> Exhibit:
    """Browse test images with the captions of every seed: attention before each word, nouns of absent objects, the n-best list of a beam
    search with its novel captions, and the reference captions.

    The images are those of the gallery (drawn by a fixed seed, none left out), those with the lowest CIDEr, and, for rendered scenes, some
    without the usual companion. Arrow keys change the image; Tab reaches every control and every word.
    """
    runs = []
    for run in results.runs():
        settings = run.settings_as(Settings)
        if settings.samples and results.finished(run.name):
            variant = VARIANTS[str(run.labels["variant"])]
            runs.append({"name": f"{variant}, {DATASETS[settings.dataset]}"} | _arrays(results, run.name))
    if not runs:
        raise NotMeasured("needs a run that stores samples: set `samples` in its settings")
    names = "; ".join(str(run["name"]) for run in runs)
    coarse = (
        " In committed results photographs are mosaics, whose licences allow no copies." if any(run["side"] <= SIDE for run in runs) else ""
    )
    alt = f"Test images with generated and reference captions, for {names}.{coarse}"
    return Exhibit("Captions, word by word", alt, runs, figure="gallery")


def _arrays(results: Results, run: str) -> dict[str, Any]:
    """Return images as base64 bytes (red, green, blue by row), captions as words, and attention in per cent: less than 1.5 MB per run."""
    arrays = results.artifacts(run)
    seeds = arrays["seeds"].tolist()
    attention = arrays.get("gallery_attention")
    groups: list[dict[str, Any]] = [
        {"name": "drawn at random", "items": []},
        {"name": "lowest CIDEr", "items": []},
        {"name": "companion missing", "items": []},
    ]
    for row in range(len(arrays["gallery_rows"])):
        item = _item(arrays["gallery_images"][row], arrays["gallery_kinds"][row], arrays["gallery_references"][row])
        for index, seed in enumerate(seeds):
            caption = _caption(seed, arrays["gallery_captions"][index, row], item["kinds"], arrays["gallery_cider"][index, row])
            if attention is not None:
                maps = attention[index, row][: len(caption["words"])].astype(float)
                caption["maps"] = np.round(100 * maps).astype(int).tolist()
            if "gallery_lists" in arrays:
                caption["list"] = arrays["gallery_lists"][index, row].tolist()
                caption["novel"] = arrays["gallery_novel"][index, row].tolist()
            item["captions"].append(caption)
        groups[0]["items"].append(item)
    for row in range(arrays["worst_captions"].shape[1]):
        item = _item(arrays["worst_images"][0, row], arrays["worst_kinds"][0, row], arrays["worst_references"][0, row])
        item["captions"].append(_caption(seeds[0], arrays["worst_captions"][0, row], item["kinds"], arrays["worst_cider"][0, row]))
        groups[1]["items"].append(item)
    for row in range(arrays["broken_captions"].shape[1] if "broken_captions" in arrays else 0):
        item = _item(arrays["broken_images"][0, row], arrays["broken_kinds"][0, row], [])
        item["captions"].append(_caption(seeds[0], arrays["broken_captions"][0, row], item["kinds"], None))
        groups[2]["items"].append(item)
    return {"side": int(arrays["gallery_images"].shape[-1]), "groups": [group for group in groups if group["items"]]}


def _item(pixels: np.ndarray, kinds: str, references: Any) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(pixels.transpose(1, 2, 0)).tobytes()).decode()
    return {"pixels": data, "kinds": str(kinds).split(), "references": [str(text) for text in references if text], "captions": []}


def _caption(seed: int, text: Any, kinds: list[str], cider: float | None) -> dict[str, Any]:
    words = str(text).split()
    absent = [bool(kinds) and word in KIND_OF and KIND_OF[word] not in kinds for word in words]
    return {"seed": seed, "words": words, "absent": absent, "cider": None if cider is None else round(float(cider))}
