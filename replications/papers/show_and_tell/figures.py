"""Figures of this paper, from results. Free of torch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from replications.papers.show_and_tell.images import GREY, absent_words, caption_grid, draw_image, mosaic_notes
from replications.papers.show_and_tell.settings import Settings
from replications.papers.show_and_tell.variants import DATASETS, VARIANTS, finished_run, main_runs, variant_runs
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import FAR_APART, ON_DARK, ON_LIGHT, PALETTE
from replications.presentation.theme import COLUMN, PUBLISHED, canvas, dots, in_words
from replications.results.reader import NotMeasured, Results

BLUE, ORANGE, GREEN, PINK, AMBER, SKY, BLACK, OLIVE = PALETTE
TRANSFER_TABLES = {"flickr8k": "table-2-flickr8k", "flickr30k": "table-2-flickr30k", "pascal": "table-2-pascal", "sbu": "table-2-sbu"}
"""Data set -> published table of BLEU-1 on its test images."""


def gallery(results: Results) -> Figure:
    """Test images with NIC's caption and, in grey, the first reference caption. The images were drawn by a fixed seed before any caption was
    generated, and none was left out. Bold orange marks nouns of absent objects (known for rendered scenes only). First seed, beam size of the
    headline scores.
    """
    run = finished_run(results, "nic")
    arrays = results.artifacts(run)
    selected = slice(0, 12)
    captions, kinds = arrays["gallery_captions"][0][selected].tolist(), arrays["gallery_kinds"][selected].tolist()
    references = arrays["gallery_references"][selected, 0].tolist()
    figure = caption_grid(arrays["gallery_images"][selected], captions, kinds, references, 4)
    data = pd.DataFrame({"image": arrays["gallery_rows"][selected], "caption": captions, "reference": references, "kinds": kinds})
    data["cider"] = arrays["gallery_cider"][0][selected]
    alt = f"Twelve test images with captions, for example: {captions[0]}."
    return Figure(figure, data, alt, "Randomly drawn captions", (run,), mosaic_notes(arrays["gallery_images"]))


def worst_captions(results: Results) -> Figure:
    """The test images on which NIC has the lowest CIDEr, with its caption and, in grey, the first reference caption. Bold orange marks nouns
    of absent objects. First seed, beam size of the headline scores.
    """
    run = finished_run(results, "nic")
    arrays = results.artifacts(run)
    selected = slice(0, 8)
    captions, kinds = arrays["worst_captions"][0][selected].tolist(), arrays["worst_kinds"][0][selected].tolist()
    references = arrays["worst_references"][0][selected, 0].tolist()
    figure = caption_grid(arrays["worst_images"][0][selected], captions, kinds, references, 4)
    data = pd.DataFrame({"caption": captions, "reference": references, "cider": arrays["worst_cider"][0][selected]})
    alt = f"Eight test images with the lowest CIDEr, for example: {captions[0]}."
    return Figure(figure, data, alt, "Captions with the lowest CIDEr", (run,), mosaic_notes(arrays["worst_images"]))


def missing_company(results: Results) -> Figure:
    """Scenes in which an object lacks the companion that it had in 85 % of the training scenes, with NIC's captions. Bold orange marks nouns
    of absent objects; grey lists the objects in the scene. The first scenes of the split, first seed.
    """
    run = finished_run(results, "nic", ("scenes",))
    arrays = results.artifacts(run)
    selected = slice(0, 8)
    captions, kinds = arrays["broken_captions"][0][selected].tolist(), arrays["broken_kinds"][0][selected].tolist()
    figure = caption_grid(arrays["broken_images"][0][selected], captions, kinds, [f"objects: {text}" for text in kinds], 4)
    data = pd.DataFrame({"caption": captions, "objects": kinds, "absent": arrays["broken_absent"][0][selected]})
    alt = f"Eight scenes without the usual companion, for example: {captions[0]}."
    return Figure(figure, data, alt, "Captions of scenes without the usual companion", (run,))


def scores_by_variant(results: Results) -> Figure:
    """BLEU-4 and CIDEr of every run on the tier's main data set. A dot is a seed."""
    dataset, runs = main_runs(results)
    figure, axes = canvas(2 * COLUMN, 0.9 + 0.23 * len(runs), columns=2, sharey=True)
    rows = []
    published = {row.run: row for row in results.table("table-1").rows if row.run}
    for panel, (metric, label) in zip(axes[0], (("bleu_4", "BLEU-4"), ("cider", "CIDEr")), strict=True):
        for row, (run, name) in enumerate(runs):
            values = results.final(run, metric)
            dots(panel, values, np.full(len(values), row), colour=BLUE)
            rows += [{"run": run, "name": name, "metric": metric, "source": "ours", "seed": s, "value": v} for s, v in values.items()]
            value = published[run].value("v2", metric) if run in published else None
            if value is not None:
                panel.scatter([value], [row], edgecolors=BLACK, marker="D", **PUBLISHED)
                rows.append({"run": run, "name": name, "metric": metric, "source": "published", "seed": -1, "value": value})
        panel.set_xlabel(f"{label}, {DATASETS[dataset]}")
        panel.set_xlim(left=0)
    axes[0, 0].set_yticks(range(len(runs)), [name for _, name in runs])
    axes[0, 0].set_ylim(len(runs) - 0.5, -0.5)
    data = pd.DataFrame(rows)
    means = data[(data["metric"] == "cider") & (data["source"] == "ours")].groupby("name")["value"].mean()
    best = means.idxmax() if means.notna().any() else "none"
    alt = f"Scores of {len(runs)} runs; highest mean CIDEr: {best}."
    notes = ["Open diamonds are published values (MSCOCO, Table 1)."] if (data["source"] == "published").any() else []
    return Figure(figure, data, alt, "Scores of all variants", [run for run, _ in runs], notes)


def scores_by_beam(results: Results) -> Figure:
    """BLEU-4, CIDEr, mean length, and share of captions that occur word for word among the training captions, by beam size. A dot is a seed;
    lines join means.
    """
    run = finished_run(results, "nic")
    if not any(planned.name == run and planned.settings_as(Settings).beam_sizes for planned in results.runs()):
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
    best = f"is highest at a beam of {bleu.idxmax()}" if bleu.notna().any() else "has no value"
    return Figure(figure, data, f"Mean BLEU-4 {best}.", "Effect of the beam size", (run,))


def hallucination(results: Results) -> Figure:
    """Share of object mentions that are of an absent object (CHAIRi), on scenes distributed as in training and on scenes without the usual
    companion. A dot is a seed.
    """
    scene_runs = variant_runs(results, "scenes").items()
    runs = [(run, VARIANTS[variant]) for variant, run in scene_runs if variant != "human" and results.recorded(run, "chair_i", "broken")]
    if not runs:
        raise NotMeasured("needs runs on rendered scenes")
    figure, axes = canvas(2 * COLUMN, 0.9 + 0.25 * len(runs))
    rows = []
    for row, (run, name) in enumerate(runs):
        for split, label, colour, dy in (("test", "usual companion", BLUE, -0.13), ("broken", "companion missing", ORANGE, 0.13)):
            values = results.final(run, "chair_i", split)
            dots(axes[0, 0], values, np.full(len(values), row + dy), colour=colour, label=label if row == 0 else None)
            rows += [{"run": run, "name": name, "split": split, "seed": s, "value": v} for s, v in values.items()]
    axes[0, 0].set_yticks(range(len(runs)), [name for _, name in runs])
    axes[0, 0].set_ylim(len(runs) - 0.5, -0.5)
    axes[0, 0].set_xlim(left=0)
    axes[0, 0].set_xlabel("mentions of absent objects (%)")
    axes[0, 0].legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), handletextpad=0.2, borderaxespad=0.2)
    data = pd.DataFrame(rows)
    where = {"test": "with the usual companion", "broken": "without it"}
    shares = in_words(data.assign(place=data["split"].map(where)), ["name", "place"], form=".0f")
    alt = f"Mean mentions of absent objects in per cent: {shares}."
    return Figure(figure, data, alt, "Mentions of absent objects", [run for run, _ in runs])


def transfer_matrix(results: Results) -> Figure:
    """BLEU-1 on the test images of one data set (columns) by NIC trained on another (rows), mean over seeds."""
    nic = {dataset: variant_runs(results, dataset).get("nic", "") for dataset in DATASETS}
    trained = [dataset for dataset in DATASETS if nic[dataset]]
    bleu: dict[tuple[str, str], float] = {}
    for source in trained:
        for target in (*DATASETS, "pascal", "sbu"):
            split = "test" if target == source else target
            if results.recorded(nic[source], "bleu_1", split):
                bleu[source, target] = float(results.final(nic[source], "bleu_1", split).mean())
    tested = [target for target in (*DATASETS, "pascal", "sbu") if any((source, target) in bleu for source in trained)]
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
            published = _published_bleu(results, nic[source], target)
            text = f"{value:.0f}" + (f"\n({published:g})" if published is not None else "")
            axes[0, 0].text(j, i, text, ha="center", va="center", fontsize=8, color=ON_DARK if value > 64 else ON_LIGHT)
            rows.append({"trained on": source, "tested on": target, "bleu_1": value, "published": published})
    axes[0, 0].set_xticks(range(len(tested)), [DATASETS.get(name, name.upper()) for name in tested], fontsize=7.5)
    axes[0, 0].set_yticks(range(len(trained)), [DATASETS[name] for name in trained], fontsize=7.5)
    axes[0, 0].set_title("BLEU-1")
    axes[0, 0].set_xlabel("tested on")
    axes[0, 0].set_ylabel("trained on")
    axes[0, 0].grid(visible=False)
    alt = "; ".join(f"{row['trained on']} to {row['tested on']} {row['bleu_1']:.0f}" for row in rows)
    bracketed = any(row["published"] is not None for row in rows)
    notes = ["In brackets: the published value (Table 2 and section 4.3.3)."] if bracketed else []
    return Figure(figure, pd.DataFrame(rows), f"BLEU-1: {alt}.", "Transfer between data sets", [nic[name] for name in trained], notes)


def _published_bleu(results: Results, run: str, target: str) -> float | None:
    """Return the published BLEU-1 of a run on the test images of a data set, 0 to 100; None where the paper gives none."""
    if target not in TRANSFER_TABLES:
        return None
    return next((row.value("v2", "bleu_1") for row in results.table(TRANSFER_TABLES[target]).rows if row.run == run), None)


def attention_by_word(results: Results) -> Figure:
    """Weights of soft attention before each word: the paler a place, the smaller its weight, relative to the largest one of the image. The first
    images of the gallery, first seed. Bold orange marks nouns of absent objects.
    """
    run = finished_run(results, "attention")
    arrays = results.artifacts(run)
    if "gallery_attention" not in arrays:
        raise NotMeasured(f"needs attention maps of {run}: set `samples` in its settings")
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
        maximum = maps[: len(words)].max() if words else 1.0
        for position, (word, absent) in enumerate(zip(words[:columns], absent_words(words, kinds), strict=False)):
            panel = axes[row, position + 1]
            draw_image(panel, arrays["gallery_images"][row])
            paleness = 1 - maps[position].reshape(side, side) / maximum
            panel.imshow(
                np.ones((side, side)), cmap="gray", alpha=0.8 * paleness, extent=(0, 1, 0, 1), interpolation="bilinear", vmin=0, vmax=1
            )
            panel.set_title(
                word, fontsize=5.6, pad=1.5, loc="center", color=ORANGE if absent else "black", fontweight="bold" if absent else "normal"
            )
            rows += [{"image": row, "position": position, "word": word, "location": i, "weight": w} for i, w in enumerate(maps[position])]
    alt = "Attention over the image before each word of four captions."
    return Figure(figure, pd.DataFrame(rows), alt, "Attention by word", (run,), mosaic_notes(arrays["gallery_images"]))


def learning_curves(results: Results) -> Figure:
    """Validation perplexity by update of the decoders on the tier's main data set, one line per seed with a dot at every evaluation. Scores are
    those of the weights with the lowest validation perplexity.
    """
    dataset, runs = main_runs(results)
    curves = [(run, name) for run, name in runs if results.recorded(run, "perplexity", "validation")]
    figure, axes = canvas(2 * COLUMN, 2.8)
    rows = []
    for index, (run, name) in enumerate(curves):
        colour, dash = FAR_APART[index % len(FAR_APART)], ("-", "--")[index // len(FAR_APART) % 2]
        curve = results.select(run=run, metric="perplexity", split="validation")
        for number, (_, line) in enumerate(curve.groupby("seed")):
            axes[0, 0].plot(
                line["step"], line["value"], color=colour, linestyle=dash, linewidth=0.9, alpha=0.8, label=None if number else name
            )
            dots(axes[0, 0], line["step"], line["value"], colour=colour)
        rows += curve[["run", "seed", "step", "value"]].to_dict("records")
    axes[0, 0].set_yscale("log")
    axes[0, 0].yaxis.set_major_formatter("{x:g}")
    axes[0, 0].yaxis.set_minor_formatter("{x:g}")
    axes[0, 0].tick_params(axis="y", which="minor", labelsize=7)
    axes[0, 0].set_xlabel("updates")
    axes[0, 0].set_ylabel(f"validation perplexity, {DATASETS[dataset]}")
    axes[0, 0].legend(ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))
    data = pd.DataFrame(rows)
    lowest = data.groupby("run")["value"].min().idxmin()
    alt = f"Validation perplexity by update in {len(curves)} runs; lowest in {lowest}."
    return Figure(figure, data, alt, "Learning curves", [run for run, _ in curves])


def caption_lengths(results: Results) -> Figure:
    """Distribution of words per caption: generated by NIC at the beam size of the headline scores (all seeds), and written by people for the
    same images.
    """
    run = finished_run(results, "nic")
    arrays = results.artifacts(run)
    generated, written = arrays["lengths"].ravel(), arrays["reference_lengths"].ravel()
    edges = np.arange(0, max(generated.max(), written.max()) + 2) - 0.5
    figure, axes = canvas(COLUMN, 2.2)
    rows = []
    for lengths, colour, name in ((written, GREY, "people"), (generated, BLUE, "NIC")):
        share = 100 * np.histogram(lengths, edges)[0] / len(lengths)
        axes[0, 0].stairs(share, edges, color=colour, linewidth=1.4, label=name)
        rows += [{"author": name, "words": int(edge + 0.5), "share": value} for edge, value in zip(edges[:-1], share, strict=True)]
    axes[0, 0].set_xlim(0, np.percentile(written, 99.5) + 1)
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_xlabel("words per caption")
    axes[0, 0].set_ylabel("captions (%)")
    axes[0, 0].legend()
    alt = f"Mean words per caption: people {written.mean():.1f}, NIC {generated.mean():.1f}."
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
    """Nearest neighbours of word embeddings, first seed, beside Table 6 of the paper. A dash: the word is not in the vocabulary."""
    run = finished_run(results, "nic")
    arrays = results.artifacts(run)
    if "neighbours" not in arrays:
        raise NotMeasured(f"needs neighbours of words in {run}: set `neighbours` in its settings")
    rows = [
        {"word": word, "ours": neighbours or "-", "published": PUBLISHED_NEIGHBOURS.get(word, "")}
        for word, neighbours in zip(arrays["neighbour_words"].tolist(), arrays["neighbours"][0].tolist(), strict=True)
    ]
    figure, axes = canvas(2 * COLUMN, 0.35 + 0.2 * len(rows))
    axes[0, 0].set_axis_off()
    for column, (key, x) in enumerate((("word", 0.0), ("ours", 0.14), ("published", 0.58))):
        axes[0, 0].text(x, 1.0, key, fontsize=8, fontweight="bold", va="top")
        for line, row in enumerate(rows, 1):
            colour = GREY if column == 2 else "black"
            axes[0, 0].text(x, 1 - line / (len(rows) + 1), row[key], fontsize=7.5, va="top", color=colour, parse_math=False)
    axes[0, 0].add_patch(Rectangle((0, 0), 1, 1, fill=False, linewidth=0))
    alt = f"Nearest neighbours of {len(rows)} words, for example {rows[0]['word']}: {rows[0]['ours']}."
    return Figure(figure, pd.DataFrame(rows), alt, "Nearest neighbours of words", (run,))
