"""Figures of this paper: one public function per figure, from results to a drawing. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from replications.papers.show_and_tell.images import GREY, captioned, draw_image, missing
from replications.papers.show_and_tell.settings import Settings
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import ON_DARK, ON_LIGHT, PALETTE
from replications.presentation.theme import COLUMN, PUBLISHED, canvas, dots
from replications.results.reader import NotMeasured, Results

BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK, OLIVE = PALETTE
SETS = {"coco": "MSCOCO", "flickr30k": "Flickr30k", "flickr8k": "Flickr8k", "scenes": "scenes", "sketches": "sketches"}
"""Data set -> its name in figures; the first on which NIC is trained is a tier's main one."""
NAMES = {
    "human": "people",
    "random": "random caption",
    "nearest": "nearest image",
    "nic": "NIC",
    "brief": "NIC, 3 epochs",
    "plain": "no dropout",
    "ensemble": "ensemble of five",
    "library-cell": "library cell",
    "every-step": "image at every step",
    "quarter": "quarter of the data",
    "scheduled": "scheduled sampling",
    "joint": "CNN from the start",
    "late": "CNN trained late",
    "attention": "soft attention",
    "attention-free": "attention, no penalty",
}
"""Label `variant` of a run -> its name in figures, in the order of figures."""
TABLES = {"flickr8k": "table-2-flickr8k", "flickr30k": "table-2-flickr30k", "pascal": "table-2-pascal", "sbu": "table-2-sbu"}
"""Data set -> the published table with BLEU-1 on its test images."""


def _variant_runs(results: Results, dataset: str) -> dict[str, str]:
    """Return the finished runs on a data set, variant -> name of the run, in the order of NAMES."""
    runs = {str(run.labels.get("variant")): run.name for run in results.runs() if run.settings_as(Settings).dataset == dataset}
    return {variant: runs[variant] for variant in NAMES if variant in runs and results.finished(runs[variant])}


def _run(results: Results, variant: str, datasets: Iterable[str] = tuple(SETS)) -> str:
    """Return the finished run of a variant on the first data set that has one.

    Raises:
        NotMeasured: there is none.
    """
    for dataset in datasets:
        runs = _variant_runs(results, dataset)
        if variant in runs:
            return runs[variant]
    raise NotMeasured(f"needs a finished run of variant '{variant}'")


def _main(results: Results) -> tuple[str, list[tuple[str, str]]]:
    """Return the tier's main data set, and the runs on it as (run, name) in the order of NAMES.

    Raises:
        NotMeasured: no run of NIC is finished.
    """
    for dataset in SETS:
        runs = _variant_runs(results, dataset)
        if "nic" in runs:
            return dataset, [(run, NAMES[variant]) for variant, run in runs.items()]
    raise NotMeasured("needs a finished run of NIC")


def gallery(results: Results) -> Figure:
    """Test images with NIC's caption and, in grey, the first of the reference captions. The images were drawn by a fixed seed
    before any caption was seen and none was left out. Bold orange: a word for an object that is not there (known for rendered
    scenes only). Seed 0, headline beam.
    """
    run = _run(results, "nic")
    arrays = results.artifacts(run)
    first = slice(0, 12)
    captions, kinds = arrays["gallery_captions"][0][first].tolist(), arrays["gallery_kinds"][first].tolist()
    references = arrays["gallery_references"][first, 0].tolist()
    figure = captioned(arrays["gallery_images"][first], captions, kinds, references, 4)
    data = pd.DataFrame({"image": arrays["gallery_rows"][first], "caption": captions, "reference": references, "kinds": kinds})
    data["cider"] = arrays["gallery_cider"][0][first]
    return Figure(figure, data, f"Twelve test images with captions, for example: {captions[0]}.", "Randomly drawn captions", (run,))


def worst_captions(results: Results) -> Figure:
    """The test images on which NIC scores lowest by CIDEr, with the caption and, in grey, the first reference. Bold orange: a word
    for an object that is not there. Seed 0, headline beam.
    """
    run = _run(results, "nic")
    arrays = results.artifacts(run)
    first = slice(0, 8)
    captions, kinds = arrays["worst_captions"][0][first].tolist(), arrays["worst_kinds"][0][first].tolist()
    references = arrays["worst_references"][0][first, 0].tolist()
    figure = captioned(arrays["worst_images"][0][first], captions, kinds, references, 4)
    data = pd.DataFrame({"caption": captions, "reference": references, "cider": arrays["worst_cider"][0][first]})
    return Figure(figure, data, f"Eight test images with the lowest CIDEr, for example: {captions[0]}.", "The worst captions", (run,))


def missing_company(results: Results) -> Figure:
    """Scenes in which a kind lacks the company it had in 85 % of the training scenes, with NIC's captions: bold orange is what the
    model names although it is not there; grey says what is there. The first scenes of the split, seed 0.
    """
    run = _run(results, "nic", ("scenes",))
    arrays = results.artifacts(run)
    first = slice(0, 8)
    captions, kinds = arrays["broken_captions"][0][first].tolist(), arrays["broken_kinds"][0][first].tolist()
    figure = captioned(arrays["broken_images"][0][first], captions, kinds, [f"there: {text}" for text in kinds], 4)
    data = pd.DataFrame({"caption": captions, "there": kinds, "absent": arrays["broken_absent"][0][first]})
    return Figure(
        figure, data, f"Eight scenes without the usual company, for example: {captions[0]}.", "Seeing what should be there", (run,)
    )


def scores_by_variant(results: Results) -> Figure:
    """BLEU-4 and CIDEr of every run on the tier's main data set; a dot is a seed, open diamonds are published (MSCOCO, Table 1)."""
    dataset, runs = _main(results)
    figure, axes = canvas(2 * COLUMN, 0.9 + 0.23 * len(runs), columns=2, sharey=True)
    rows = []
    published = {row.run: row for row in results.table("table-1").rows if row.run}
    for panel, (metric, label) in zip(axes[0], (("bleu_4", "BLEU-4"), ("cider", "CIDEr")), strict=True):
        for place, (run, name) in enumerate(runs):
            values = results.final(run, metric)
            dots(panel, values, np.full(len(values), place), colour=BLUE)
            rows += [{"run": run, "name": name, "metric": metric, "source": "ours", "seed": s, "value": v} for s, v in values.items()]
            value = published[run].value("v2", metric) if run in published else None
            if value is not None:
                panel.scatter([value], [place], edgecolors=BLACK, marker="D", **PUBLISHED)
                rows.append({"run": run, "name": name, "metric": metric, "source": "published", "seed": -1, "value": value})
        panel.set_xlabel(f"{label}, {SETS[dataset]}")
        panel.set_xlim(left=0)
    axes[0, 0].set_yticks(range(len(runs)), [name for _, name in runs])
    axes[0, 0].set_ylim(len(runs) - 0.5, -0.5)
    data = pd.DataFrame(rows)
    best = data[(data["metric"] == "cider") & (data["source"] == "ours")].groupby("name")["value"].mean().idxmax()
    return Figure(
        figure, data, f"Scores of {len(runs)} runs; highest mean CIDEr: {best}.", "Scores of all variants", [run for run, _ in runs]
    )


def scores_by_beam(results: Results) -> Figure:
    """BLEU-4, CIDEr, length and share of captions found word for word in training, by beam size; a dot is a seed, lines join means."""
    run = _run(results, "nic")
    if not any(plan.name == run and plan.settings_as(Settings).beam_sizes for plan in results.runs()):
        raise NotMeasured(f"needs {run} at several beam sizes")
    panels = (("bleu_4", "BLEU-4"), ("cider", "CIDEr"), ("length_mean", "words per caption"), ("memorised", "verbatim in training (%)"))
    figure, axes = canvas(2 * COLUMN, 2.0, columns=4)
    rows = []
    for panel, (metric, label) in zip(axes[0], panels, strict=True):
        records = results.select(run=run, metric=metric, split="test", model="", axis="beam_size")
        beams = records["at"].astype(int)
        dots(panel, beams, records["value"], colour=BLUE)
        means = records["value"].groupby(beams).mean()
        panel.plot(means.index, means.to_numpy(), color=BLUE)
        panel.set_xscale("log")
        panel.set_xticks(means.index.tolist(), [str(beam) for beam in means.index], fontsize=7)
        panel.minorticks_off()
        panel.set_xlabel("beam size")
        panel.set_ylabel(label)
        rows += [
            {"metric": metric, "beam": b, "seed": s, "value": v} for b, s, v in zip(beams, records["seed"], records["value"], strict=True)
        ]
    data = pd.DataFrame(rows)
    bleu = data[data["metric"] == "bleu_4"].groupby("beam")["value"].mean()
    return Figure(figure, data, f"Mean BLEU-4 is highest at a beam of {bleu.idxmax()}.", "Effect of the beam size", (run,))


def hallucination(results: Results) -> Figure:
    """Share of object mentions that are of an absent object (CHAIRi), on scenes like those of training and on scenes where the usual
    company is missing; a dot is a seed.
    """
    on_scenes = _variant_runs(results, "scenes").items()
    runs = [(run, NAMES[variant]) for variant, run in on_scenes if variant != "human" and results.recorded(run, "chair_i", "broken")]
    if not runs:
        raise NotMeasured("needs runs on rendered scenes")
    figure, axes = canvas(2 * COLUMN, 0.9 + 0.25 * len(runs))
    rows = []
    for place, (run, name) in enumerate(runs):
        for split, colour, dy in (("test", BLUE, -0.13), ("broken", ORANGE, 0.13)):
            values = results.final(run, "chair_i", split)
            dots(axes[0, 0], values, np.full(len(values), place + dy), colour=colour)
            rows += [{"run": run, "name": name, "split": split, "seed": s, "value": v} for s, v in values.items()]
    axes[0, 0].set_yticks(range(len(runs)), [name for _, name in runs])
    axes[0, 0].set_ylim(len(runs) - 0.5, -0.75)
    axes[0, 0].set_xlim(left=0)
    axes[0, 0].set_xlabel("mentions of absent objects (%)")
    first = pd.DataFrame(rows)[lambda d: d["run"] == runs[0][0]].groupby("split")["value"].mean()
    for split, text, colour in (("test", "usual company", BLUE), ("broken", "company missing", ORANGE)):
        axes[0, 0].annotate(text, (first[split], -0.45), color=colour, fontsize=7.5, ha="right" if split == "test" else "left", va="center")
    data = pd.DataFrame(rows)
    nic = {split: float(part["value"].mean()) for split, part in data[data["name"] == "NIC"].groupby("split")}
    return Figure(
        figure,
        data,
        f"Without the usual company every model names more absent objects; NIC {nic['test']:.0f} and {nic['broken']:.0f} %.",
        "Objects that are not there",
        [run for run, _ in runs],
    )


def transfer_matrix(results: Results) -> Figure:
    """BLEU-1 on the test images of one data set (columns) by a model trained on another (rows), mean over seeds; in brackets the
    published value where the paper gives it (Table 2 and section 4.3.3).
    """
    nic = {dataset: _variant_runs(results, dataset).get("nic", "") for dataset in SETS}
    trained = [dataset for dataset in SETS if nic[dataset]]
    bleu: dict[tuple[str, str], float] = {}
    for source in trained:
        for target in (*SETS, "pascal", "sbu"):
            split = "test" if target == source else target
            if results.recorded(nic[source], "bleu_1", split):
                bleu[source, target] = float(results.final(nic[source], "bleu_1", split).mean())
    tested = [target for target in (*SETS, "pascal", "sbu") if any((source, target) in bleu for source in trained)]
    if len(trained) < 2 and len(tested) < 2:
        raise NotMeasured("needs models of at least two data sets")
    figure, axes = canvas(0.9 + 0.85 * len(tested), 0.75 + 0.5 * len(trained))
    grid = np.array([[bleu.get((source, target), np.nan) for target in tested] for source in trained])
    axes[0, 0].imshow(grid, cmap="Blues", vmin=20, vmax=80, aspect="auto")
    rows = []
    for i, source in enumerate(trained):
        for j, target in enumerate(tested):
            if (source, target) not in bleu:
                continue
            value = bleu[source, target]
            stated = _published_bleu(results, nic[source], target)
            text = f"{value:.0f}" + (f"\n({stated:g})" if stated is not None else "")
            axes[0, 0].text(j, i, text, ha="center", va="center", fontsize=8, color=ON_DARK if value > 64 else ON_LIGHT)
            rows.append({"trained on": source, "tested on": target, "bleu_1": value, "published": stated})
    axes[0, 0].set_xticks(range(len(tested)), [SETS.get(name, name.upper()) for name in tested], fontsize=7.5)
    axes[0, 0].set_yticks(range(len(trained)), [SETS[name] for name in trained], fontsize=7.5)
    axes[0, 0].set_title("BLEU-1")
    axes[0, 0].set_xlabel("tested on")
    axes[0, 0].set_ylabel("trained on")
    axes[0, 0].grid(visible=False)
    alt = "; ".join(f"{row['trained on']} to {row['tested on']} {row['bleu_1']:.0f}" for row in rows)
    return Figure(figure, pd.DataFrame(rows), f"BLEU-1: {alt}.", "Transfer between data sets", [nic[name] for name in trained])


def _published_bleu(results: Results, run: str, target: str) -> float | None:
    """Return the published BLEU-1 of a run on the test images of a data set; None where the paper gives none."""
    if target not in TABLES:
        return None
    return next((row.value("v2", "bleu_1") for row in results.table(TABLES[target]).rows if row.run == run), None)


def attention_by_word(results: Results) -> Figure:
    """Weights of soft attention before each word, brighter for more weight; maps are scaled to the largest weight of their
    image. The first images of the uncurated gallery, seed 0. Bold orange: a word for an object that is not there.
    """
    run = _run(results, "attention")
    arrays = results.artifacts(run)
    if "gallery_attention" not in arrays:
        raise NotMeasured(f"needs {run} with samples")
    images, columns = 4, 12
    figure, axes = canvas(2 * COLUMN, 0.76 * images, columns=columns + 1, rows=images, layout="none")
    figure.subplots_adjust(left=0.005, right=0.995, top=0.96, bottom=0.01, wspace=0.06, hspace=0.32)
    rows = []
    for row in range(images):
        words = str(arrays["gallery_captions"][0][row]).split()
        kinds = str(arrays["gallery_kinds"][row])
        maps = arrays["gallery_attention"][0][row].astype(float)
        side = round(maps.shape[1] ** 0.5)
        for ax in axes[row]:
            ax.set_axis_off()
        draw_image(axes[row, 0], arrays["gallery_images"][row])
        top = maps[: len(words)].max() if words else 1.0
        for place, (word, bad) in enumerate(zip(words[:columns], missing(words, kinds), strict=False)):
            panel = axes[row, place + 1]
            draw_image(panel, arrays["gallery_images"][row])
            shade = 1 - maps[place].reshape(side, side) / top
            panel.imshow(
                np.zeros((side, side)), cmap="gray", alpha=0.75 * shade, extent=(0, 1, 0, 1), interpolation="bilinear", vmin=0, vmax=1
            )
            panel.set_title(
                word, fontsize=5.6, pad=1.5, loc="center", color=ORANGE if bad else "black", fontweight="bold" if bad else "normal"
            )
            rows += [{"image": row, "position": place, "word": word, "location": i, "weight": w} for i, w in enumerate(maps[place])]
    return Figure(figure, pd.DataFrame(rows), "Attention over the image before each word of four captions.", "Attention by word", (run,))


def learning_curves(results: Results) -> Figure:
    """Validation perplexity by update for the decoders on the tier's main data set: thin lines are seeds; the weights at the lowest
    point of each are the ones that are scored.
    """
    dataset, runs = _main(results)
    curves = [(run, name) for run, name in runs if results.recorded(run, "perplexity", "validation")]
    figure, axes = canvas(2 * COLUMN, 2.8)
    rows = []
    for index, (run, name) in enumerate(curves):
        colour, dash = PALETTE[index % len(PALETTE)], ("-", "--")[index // len(PALETTE) % 2]
        curve = results.select(run=run, metric="perplexity", split="validation")
        for seed, line in curve.groupby("seed"):
            axes[0, 0].plot(
                line["step"], line["value"], color=colour, linestyle=dash, linewidth=0.9, alpha=0.8, label=name if seed == 0 else None
            )
            dots(axes[0, 0], line["step"], line["value"], colour=colour)
        rows += curve[["run", "seed", "step", "value"]].to_dict("records")
    axes[0, 0].set_yscale("log")
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].yaxis.set_minor_formatter("{x:g}")
    axes[0, 0].tick_params(axis="y", which="minor", labelsize=7)
    axes[0, 0].set_xlabel("updates")
    axes[0, 0].set_ylabel(f"validation perplexity, {SETS[dataset]}")
    axes[0, 0].legend(ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))
    data = pd.DataFrame(rows)
    lowest = data.groupby("run")["value"].min().idxmin()
    return Figure(
        figure, data, f"Validation perplexity falls in all runs; lowest for {lowest}.", "Learning curves", [run for run, _ in curves]
    )


def caption_lengths(results: Results) -> Figure:
    """Words per caption: generated by NIC at the headline beam (all seeds) and written by people for the same images."""
    run = _run(results, "nic")
    arrays = results.artifacts(run)
    generated, written = arrays["lengths"].ravel(), arrays["reference_lengths"].ravel()
    edges = np.arange(0, max(generated.max(), written.max()) + 2) - 0.5
    figure, axes = canvas(COLUMN, 2.2)
    rows = []
    for lengths, colour, name in ((written, GREY, "people"), (generated, BLUE, "NIC")):
        share = 100 * np.histogram(lengths, edges)[0] / len(lengths)
        axes[0, 0].stairs(share, edges, color=colour, linewidth=1.4, label=name)
        rows += [{"who": name, "words": int(edge + 0.5), "share": value} for edge, value in zip(edges[:-1], share, strict=True)]
    axes[0, 0].set_xlim(0, np.percentile(written, 99.5) + 1)
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_xlabel("words per caption")
    axes[0, 0].set_ylabel("captions (%)")
    axes[0, 0].legend()
    alt = f"People write {written.mean():.1f} words on average, NIC {generated.mean():.1f}."
    return Figure(figure, pd.DataFrame(rows), alt, "Length of captions", (run,))


PUBLISHED_NEIGHBOURS = {
    "car": "van cab suv vehicule jeep",
    "boy": "toddler gentleman daughter son",
    "street": "road streets highway freeway",
    "horse": "pony donkey pig goat mule",
    "computer": "computers pc crt chip compute",
}
"""Table 6 of the paper, as printed (arXiv v2)."""


def word_neighbours(results: Results) -> Figure:
    """Nearest neighbours of word embeddings, seed 0, beside Table 6 of the paper. A dash: the word is not in the vocabulary."""
    run = _run(results, "nic")
    arrays = results.artifacts(run)
    if "neighbours" not in arrays:
        raise NotMeasured(f"needs {run} with neighbours")
    rows = [
        {"word": word, "ours": near or "-", "published": PUBLISHED_NEIGHBOURS.get(word, "")}
        for word, near in zip(arrays["neighbour_words"].tolist(), arrays["neighbours"][0].tolist(), strict=True)
    ]
    figure, axes = canvas(2 * COLUMN, 0.35 + 0.2 * len(rows))
    axes[0, 0].set_axis_off()
    for column, (key, x) in enumerate((("word", 0.0), ("ours", 0.14), ("published", 0.58))):
        axes[0, 0].text(x, 1.0, key, fontsize=8, fontweight="bold", va="top")
        for line, row in enumerate(rows, 1):
            axes[0, 0].text(x, 1 - line / (len(rows) + 1), row[key], fontsize=7.5, va="top", color=GREY if column == 2 else "black")
    axes[0, 0].add_patch(Rectangle((0, 0), 1, 1, fill=False, linewidth=0))
    return Figure(
        figure, pd.DataFrame(rows), f"Nearest words, for example {rows[0]['word']}: {rows[0]['ours']}.", "Neighbours of words", (run,)
    )
