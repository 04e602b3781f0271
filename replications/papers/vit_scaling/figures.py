"""Figures: every public function returns one figure; its docstring is the caption. `figure_data` selects their data."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter, NullLocator

from replications.papers.vit_scaling import figure_data
from replications.papers.vit_scaling.settings import Settings
from replications.presentation.figure_writer import Figure
from replications.presentation.palette import PALETTE
from replications.presentation.theme import COLUMN, canvas, dots, in_words, label_end, last_rows, published, signed_colours
from replications.presentation.tidy_table import published_and_ours
from replications.results.reader import NotMeasured, Results
from replications.verdicts.estimates import t_interval
from replications.verdicts.trends import crossing

_COLOURS = {"vit": PALETTE[0], "resnet": PALETTE[1], "hybrid": PALETTE[2], "vit-large": PALETTE[3]}
_NAMES = {"vit": "ViT", "resnet": "ResNet", "hybrid": "hybrid", "vit-large": "ViT, twice as deep"}


def _draw(axes: Axes, data: pd.DataFrame, family: str, *, x: str = "n_images", dy: float = 0) -> None:
    """Draw one curve: a dot per seed, a line through the means, its name at the end.

    Args:
        axes: axes to draw on.
        data: columns `x` and value.
        family: key of `_NAMES`.
        x: column of the horizontal axis.
        dy: vertical offset of the name in points.
    """
    colour = _COLOURS[family]
    dots(axes, data[x], data["value"], colour=colour)
    means = data.groupby(x)["value"].mean()
    axes.plot(means.index, means, color=colour)
    label_end(axes, float(means.index[-1]), float(means.iloc[-1]), _NAMES[family], colour, dy=dy)


def _grid(n: int) -> tuple[Canvas, np.ndarray]:
    """Return a drawing with n panels in rows of two, and its axes in order; unused axes are hidden."""
    rows = -(-n // 2)
    figure, axes = canvas(height=2.6 * rows, columns=2, rows=rows)
    for unused in axes.ravel()[n:]:
        unused.axis("off")
    return figure, axes.ravel()


def accuracy_by_training_images(results: Results) -> Figure:
    """Accuracy against the number of training images, at an equal number of updates and equal compute per image (as in the paper's
    Figure 4). Dots are seeds, lines join their means.
    """
    panels = figure_data.measured_panels(results)
    figure, axes = _grid(len(panels))
    tables_drawn = []
    for ax, (title, tables) in zip(axes, panels, strict=False):
        ends = {family: table[table["n_images"] == table["n_images"].max()]["value"].mean() for family, table in tables.items()}
        overlap = abs(ends["vit"] - ends["resnet"]) < 0.08 * np.ptp(np.concatenate([t["value"].to_numpy() for t in tables.values()]))
        for family, table in tables.items():
            dy = (6.0 if ends[family] == max(ends.values()) else -6.0) if overlap else 0.0
            _draw(ax, table, family, dy=dy)
            tables_drawn.append(table.assign(panel=title))
        ax.set(xscale="log", xlabel="training images N", ylabel="accuracy (%)", title=title)
        ax.margins(x=0.12)
    data = pd.concat(tables_drawn, ignore_index=True)
    return Figure(
        figure,
        data,
        alt=f"Mean accuracy in per cent by N: {in_words(data, ['panel', 'family', 'n_images'], form='.1f')}.",
        title="Accuracy by number of training images",
    )


def gap_by_training_images(results: Results) -> Figure:
    """Accuracy of the ViT minus that of the ResNet, per seed; below zero the ResNet is better. Dots are seeds, the line is
    their mean. Each panel gives the number of sign changes per seed.
    """
    panels = figure_data.measured_panels(results)
    figure, axes = _grid(len(panels))
    tables_drawn, notes = [], []
    for ax, (title, tables) in zip(axes, panels, strict=False):
        wide = {family: table.pivot_table(index="seed", columns="n_images", values="value") for family, table in tables.items()}
        gaps = (wide["vit"] - wide["resnet"]).dropna()
        sizes = gaps.columns.to_numpy(dtype=float)
        ax.axhline(0, color="#444444", linewidth=0.8)
        for _, row in gaps.iterrows():
            dots(ax, sizes, row.to_numpy(), colour=PALETTE[6])
        ax.plot(sizes, gaps.mean(), color=PALETTE[6])
        crossings = crossing(sizes, gaps.to_numpy())
        finite = crossings[np.isfinite(crossings)]
        if finite.size > 1:
            low, high = (math.exp(edge) for edge in t_interval(np.log(finite), level=0.90))
            ax.axvspan(max(low, sizes.min()), min(high, sizes.max()), color=PALETTE[5], alpha=0.25, linewidth=0)
            notes = ["Shaded: 90 % interval over seeds of where the curves cross zero."]
        changes = [int((np.diff(np.sign(row[row != 0])) != 0).sum()) for row in gaps.to_numpy()]
        note = f"sign changes per seed: {', '.join(map(str, changes))}"
        ax.text(
            0.02, 0.97, note, transform=ax.transAxes, fontsize=7, va="top", bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        )
        ax.set(xscale="log", xlabel="training images N", ylabel="ViT minus ResNet (points)", title=title)
        ax.margins(x=0.08, y=0.2)
        tables_drawn.append(gaps.melt(ignore_index=False, value_name="gap").reset_index().assign(panel=title))
    data = pd.concat(tables_drawn, ignore_index=True)
    return Figure(
        figure,
        data,
        alt=f"Mean of ViT minus ResNet in points by N: {in_words(data, ['panel', 'n_images'], 'gap', '.1f')}.",
        title="ViT minus ResNet by number of training images",
        notes=notes,
    )


def _compute_axis(axes: Axes) -> None:
    """Set a logarithmic axis with ticks at 1 and 3 of every decade, because a family may span less than a decade."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(np.inf, np.inf)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def accuracy_by_compute(results: Results) -> Figure:
    """Accuracy against counted training compute. Left: our networks and training lengths; dots are seeds, lines are the Pareto frontiers
    of the means. Right: the paper's Table 6 (ImageNet after pre-training on JFT), open markers, with dashed frontiers from the same code.
    """
    ours, published_rows = figure_data.frontier_points(results), figure_data.published_points(results)
    figure, axes = canvas(height=2.9, columns=2)
    for ax, data, unit in ((axes[0, 0], ours, "FLOP"), (axes[0, 1], published_rows, "exaFLOP")):
        for family in sorted(set(data["family"])):
            points, colour = data[data["family"] == family], _COLOURS[family]
            means = points.groupby("model")[["compute", "accuracy"]].mean()
            edge = figure_data.frontier(means)
            ax.plot(edge["compute"], edge["accuracy"], color=colour, linestyle="-" if unit == "FLOP" else "--")
            if unit == "FLOP":
                dots(ax, points["compute"], points["accuracy"], colour=colour, label=_NAMES[family])
            else:
                published(ax, list(points["compute"]), list(points["accuracy"]), colour=colour, label=_NAMES[family])
        _compute_axis(ax)
        ax.set(xlabel=f"training compute ({unit})", ylabel="accuracy (%)")
        ax.legend(loc="lower right")
    axes[0, 0].set_title("Ours")
    axes[0, 1].set_title("Published, Table 6")
    data = pd.concat([ours.assign(source="ours"), published_rows.assign(source="published")], ignore_index=True)
    return Figure(
        figure,
        data,
        alt=f"Our mean accuracy in per cent, by increasing compute: {in_words(ours.sort_values('compute'), 'model', 'accuracy', '.1f')}.",
        title="Accuracy by training compute",
    )


def accuracy_by_updates(results: Results) -> Figure:
    """Accuracy from scratch against the number of updates, which is proportional to training compute: networks of equal size, equal
    multiply-adds and one batch size. Dots are seeds, lines join their means.
    """
    tables = {family: figure_data.accuracy_by_length(results, family) for family in ("vit", "resnet")}
    if any(table["n_steps"].nunique() < 2 for table in tables.values()):
        raise NotMeasured("needs trainings of both families of two lengths or more")
    figure, axes = canvas(width=1.3 * COLUMN, height=2.6)
    ax = axes[0, 0]
    for family, table in tables.items():
        _draw(ax, table, family, x="n_steps")
    data = pd.concat(tables.values(), ignore_index=True)
    lengths = sorted(data["n_steps"].unique())
    ax.set(xscale="log", xlabel="updates", ylabel="CIFAR-10 test accuracy (%)")
    ax.set_xticks(lengths, labels=[f"{length:,}" for length in lengths])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.12)
    alt = f"Mean accuracy in per cent by updates: {in_words(data, ['family', 'n_steps'], form='.1f')}."
    return Figure(figure, data, alt=alt, title="Accuracy from scratch by number of updates")


def compute_ratio_at_equal_accuracy(results: Results) -> Figure:
    """Compute of a ResNet over that of a ViT at equal accuracy, one row per seed: mean (dot) and range (line) along both Pareto
    frontiers. Above 1 the ViT is cheaper. Shaded: the paper's statement, about 2 to 4.
    """
    results.need("frontier")
    if not results.recorded("frontier", "compute_ratio"):
        raise NotMeasured("needs two families whose frontiers overlap in accuracy")
    columns = {name: results.final("frontier", name) for name in ("compute_ratio", "compute_ratio_low", "compute_ratio_high")}
    data = pd.DataFrame(columns).reset_index(names="seed")
    figure, axes = canvas(width=COLUMN * 1.3, height=0.9 + 0.3 * len(data))
    ax = axes[0, 0]
    ax.axvspan(2, 4, color=PALETTE[4], alpha=0.25, linewidth=0, label="published, about 2 to 4")
    ax.axvline(1, color="#444444", linewidth=0.8)
    ax.hlines(data["seed"], data["compute_ratio_low"], data["compute_ratio_high"], color=PALETTE[0])
    dots(ax, data["compute_ratio"], data["seed"], colour=PALETTE[0])
    ax.set(xscale="log", xlabel="compute of ResNet / compute of ViT", ylabel="seed", yticks=data["seed"], ylim=(-0.6, len(data) - 0.4))
    ticks = [
        t for t in (0.25, 0.5, 1, 2, 4, 8) if min(0.5, data["compute_ratio_low"].min()) <= t <= max(4, data["compute_ratio_high"].max())
    ]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.legend(loc="upper left", bbox_to_anchor=(0, 1.22), borderaxespad=0)
    alt = f"Mean ratio, by seed: {in_words(data, 'seed', 'compute_ratio')}; the paper says about 2 to 4."
    return Figure(figure, data, alt=alt, title="Compute at equal accuracy")


def counted_compute(results: Results) -> Figure:
    """Our count of training compute over the value of the paper's Table 6, one open marker per architecture; 1 means equal."""
    results.need("published-sizes")
    rows = published_and_ours(results, "table-6")
    rows = rows[rows["measure"] == "exaflops"]
    first = rows["seed"] == rows.groupby(["row", "version"])["seed"].transform("min")  # counts are the same for every seed
    # pivot and not pivot_table, which drops a column whose values are all not a number
    wide = rows[first].pivot(index="row", columns="version", values="value").reindex(columns=["ours", "v2"]).reset_index()
    wide["ratio"] = wide["ours"] / wide["v2"]
    wide = wide.dropna(subset="ratio").sort_values("ratio", ignore_index=True)
    if wide.empty:
        raise NotMeasured("needs finite counts of the architectures")
    figure, axes = canvas(width=1.5 * COLUMN, height=3.4)
    ax = axes[0, 0]
    ax.axvline(1, color="#444444", linewidth=0.8)
    families = wide["row"].map(figure_data.counted_families(results))
    for family in ("vit", "resnet", "hybrid"):
        part = wide[families == family]
        published(ax, list(part["ratio"]), list(part.index), colour=_COLOURS[family], label=_NAMES[family])
    ax.set(xlabel="our count / published", yticks=wide.index, xlim=(0.94, 1.06))
    ax.set_yticklabels(wide["row"], fontsize=7)
    ax.legend(loc="upper left")
    return Figure(
        figure,
        wide,
        alt=f"Counted over published compute of {len(wide)} architectures, from {wide['ratio'].min():.3f} to {wide['ratio'].max():.3f}.",
        title="Counted against published compute",
    )


_PUBLISHED_SIZES: dict[str, dict[str, float]] = {
    "ViT-B/16": {"ViT-B/16, ImageNet": 1.3e6, "ViT-B/16, ImageNet-21k": 1.4e7, "ViT-B/16, JFT-300M": 3.03e8},
    "ViT-L/16": {"ViT-L/16, ImageNet": 1.3e6, "ViT-L/16, ImageNet-21k": 1.4e7, "ViT-L/16, JFT-300M": 3.03e8},
    "ViT-H/14": {"ViT-H/14, ImageNet-21k": 1.4e7, "ViT-H/14, JFT-300M": 3.03e8},
}
"""Model -> rows of Table 5, with their number of pre-training images."""


def larger_models_need_data(results: Results) -> Figure:
    """Accuracy of smaller and larger ViTs by amount of pre-training data. Left: ours, by depth, fine-tuned on CIFAR-10 after pre-training
    on N formula-driven images. Right: published ImageNet accuracy by pre-training set (Table 5; the paper's Figure 3).
    """
    tables = {series: figure_data.accuracy_by_size(results, figure_data.FINE_TUNED, series) for series in ("vit", "vit-large")}
    if any(table.empty for table in tables.values()):
        raise NotMeasured("needs fine-tuned ViTs of both depths")
    figure, axes = canvas(height=2.8, columns=2)
    for family, table in tables.items():
        _draw(axes[0, 0], table, family, dy=6 if family == "vit-large" else -6)
    axes[0, 0].set(xscale="log", xlabel="pre-training images N", ylabel="accuracy (%)", title="Ours, fine-tuned on CIFAR-10")
    axes[0, 0].margins(x=0.25)
    rows = {row.label: row for row in results.table("table-5").rows}
    for index, (model, sizes) in enumerate(_PUBLISHED_SIZES.items()):
        points = [(n_images, rows[label].value("v2", "imagenet")) for label, n_images in sizes.items()]
        x, y = zip(*points, strict=True)
        axes[0, 1].plot(x, y, color=PALETTE[index], linestyle="--", linewidth=0.9)
        published(axes[0, 1], list(x), list(y), colour=PALETTE[index], label=model)
    axes[0, 1].set(xscale="log", xlabel="pre-training images", ylabel="ImageNet accuracy (%)", title="Published, Table 5")
    axes[0, 1].legend(loc="lower right")
    data = pd.concat(tables.values(), ignore_index=True)
    alt = f"Our mean accuracy in per cent by depth and N: {in_words(data, ['family', 'n_images'], form='.1f')}."
    return Figure(figure, data, alt=alt, title="Larger models need more data")


def components(results: Results) -> Figure:
    """Components of the difference: CIFAR-10 accuracy of every variant at an equal number of updates, sorted; dots are seeds. Vertical
    line: mean of the plain ViT.
    """
    runs = [run for run in results.runs() if run.labels.get("comparison") == "components"]
    if not runs:
        raise NotMeasured("needs the variants on CIFAR-10")
    results.need(*(run.name for run in runs))
    rows = [
        {"family": run.settings_as(Settings).family, "run": run.name, "seed": seed, "value": value}
        for run in runs
        for seed, value in results.final(run.name, "accuracy").items()
    ]
    data = pd.DataFrame(rows)
    order = list(data.groupby("run")["value"].mean().sort_values().index)
    figure, axes = canvas(width=1.6 * COLUMN, height=0.6 + 0.22 * len(order))
    ax = axes[0, 0]
    ax.axvline(results.final("cifar-vit", "accuracy").mean(), color=_COLOURS["vit"], linewidth=0.9)
    for family in ("resnet", "hybrid", "vit"):
        part = data[data["family"] == family]
        dots(ax, part["value"], [order.index(name) for name in part["run"]], colour=_COLOURS[family], label=_NAMES[family])
    ax.set(xlabel="CIFAR-10 test accuracy (%)", yticks=range(len(order)))
    ax.set_yticklabels(order, fontsize=7.5)
    ax.legend(loc="lower right")
    alt = f"Mean accuracy in per cent: {in_words(data, 'run', form='.1f')}."
    return Figure(figure, data, alt=alt, title="Components of the difference")


def attention_distance_by_depth(results: Results) -> Figure:
    """Mean distance between a patch and the patches its heads attend to, by layer (the paper's Figure 7, right). One dot per head and
    seed. Dashed line: attention spread uniformly over the image.
    """
    run = figure_data.run_with_attention(results)
    rows = []
    for seed, (distances,) in results.by_seed(run.name, "attention_distance").items():
        rows += [
            {"seed": seed, "layer": layer + 1, "head": head, "distance": d}
            for layer, heads in enumerate(distances)
            for head, d in enumerate(heads)
        ]
    data = pd.DataFrame(rows)
    settings = run.settings_as(Settings)
    grid = settings.grid
    centres = np.stack(np.meshgrid(np.arange(grid), np.arange(grid)), -1).reshape(-1, 2) * (settings.image_size / grid)
    uniform = float(np.linalg.norm(centres[:, None] - centres[None], axis=-1).mean())
    figure, axes = canvas(width=1.3 * COLUMN, height=2.5)
    ax = axes[0, 0]
    ax.axhline(uniform, color="#444444", linestyle="--", linewidth=0.9)
    label_end(ax, 1, uniform, "uniform attention", "#444444", dx=0, dy=6)
    shift = (data["seed"] - data["seed"].mean()) * 0.12
    dots(ax, data["layer"] + shift, data["distance"], colour=_COLOURS["vit"])
    ax.plot(*zip(*data.groupby("layer")["distance"].mean().items(), strict=True), color=_COLOURS["vit"])
    ax.set(xlabel="layer", ylabel="attention distance (pixels)", xticks=sorted(data["layer"].unique()), ylim=(0, None))
    alt = f"Mean distance in pixels by layer: {in_words(data, 'layer', 'distance', '.1f')}; uniform attention would give {uniform:.1f}."
    return Figure(figure, data, alt=alt, title="Attention distance by depth")


def attention_rollouts(results: Results) -> Figure:
    """Attention rollout (the paper's Figure 6). Top: test images. Bottom: the same images, with each patch dimmed the more, the less it
    contributes to the classifier's input. First seed of the ViT with the largest training set.
    """
    run = figure_data.run_with_attention(results)
    arrays = results.artifacts(run.name)
    images, shares = arrays["rollout_images"][:8], arrays["rollout"][0][:8]
    side, grid = images.shape[1], round(shares.shape[1] ** 0.5)
    figure, axes = canvas(height=1.9, columns=len(images), rows=2)
    for i, (image, share) in enumerate(zip(images, shares, strict=True)):
        light = (share - share.min()) / max(float(np.ptp(share)), 1e-12)
        mask = np.kron(light.reshape(grid, grid), np.ones((side // grid, side // grid)))[..., None]
        for row, pixels in enumerate((image, (image * (0.15 + 0.85 * mask)).astype(np.uint8))):
            axes[row, i].imshow(pixels, interpolation="nearest")
            axes[row, i].axis("off")
    rows = [{"image": i, "patch": p, "share": s} for i, share in enumerate(shares) for p, s in enumerate(share)]
    largest = shares.max(axis=1) * shares.shape[1]
    alt = f"{len(images)} images; the patch with the largest share has {largest.min():.1f} to {largest.max():.1f} times the uniform share."
    return Figure(figure, pd.DataFrame(rows), alt=alt, title="Attention rollout")


def position_embeddings_and_filters(results: Results) -> Figure:
    """Left: cosine similarity of the position embedding of four patches (marked) to all others (the paper's Figure 7, centre). Right:
    first principal components of the filters of the patch embedding (Figure 7, left). First seed of the ViT with the largest training set.
    """
    run = figure_data.run_with_attention(results)
    arrays = results.artifacts(run.name)
    if "position_similarity" not in arrays or "filters" not in arrays:
        raise NotMeasured("needs a ViT with position embeddings and a patch embedding")
    similarity, filters = arrays["position_similarity"][0], arrays["filters"][0][:8]
    grid = round(len(similarity) ** 0.5)
    figure, axes = canvas(height=1.9, columns=8, rows=2)
    patches = [r * grid + c for r in (grid // 4, 3 * grid // 4) for c in (grid // 4, 3 * grid // 4)]
    for cell, patch in zip(axes[:, :2].ravel(), patches, strict=True):
        image = cell.imshow(similarity[patch].reshape(grid, grid), cmap=signed_colours(), vmin=-1, vmax=1, interpolation="nearest")
        cell.plot(patch % grid, patch // grid, marker="s", color="black", markersize=3)
    bar = figure.colorbar(image, ax=list(axes[:, 2]), fraction=0.5, label="similarity", ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=7)
    for cell, pixels in zip(axes[:, 4:].ravel(), filters, strict=False):
        cell.imshow(pixels.transpose(1, 2, 0), interpolation="nearest")
    for cell in axes.ravel():
        cell.axis("off")
    axes[0, 0].set_title("Positions")
    axes[0, 4].set_title("Filters")
    rows = [{"patch": p, "other": q, "similarity": similarity[p, q]} for p in patches for q in range(len(similarity))]
    others = [row["similarity"] for row in rows if row["patch"] != row["other"]]
    alt = f"Similarity of four position embeddings to all others, from {min(others):.2f} to {max(others):.2f}, and eight filters."
    return Figure(figure, pd.DataFrame(rows), alt=alt, title="Position embeddings and patch filters")


def attention_outlines(results: Results) -> Figure:
    """What the class token attends to, beside the object (after Caron et al. 2021, Figure 4). Left, from above: test images; the object; the
    patches that hold 60 % of the attention of the best head, first seed. Right: Jaccard index of these patches with the object over all test
    images, one dot per seed, for trained networks, the same networks before training, and as many patches drawn at random.
    """
    run = "outlines"
    results.need(run)
    arrays = results.artifacts(run)
    images, masks, patches = arrays["outline_images"][:6], arrays["outline_masks"], arrays["outline_patches"][0]
    side, grid = images.shape[1], round(patches.shape[1] ** 0.5)
    figure, axes = canvas(height=2.1, columns=9, rows=3)
    for i, image in enumerate(images):
        selected = np.kron(patches[i].reshape(grid, grid), np.ones((side // grid, side // grid)))
        for row, shown in enumerate((np.ones((side, side)), masks[i], selected)):
            axes[row, i].imshow((image * (0.15 + 0.85 * shown[..., None])).astype(np.uint8), interpolation="nearest")
            axes[row, i].axis("off")
    grid_spec = axes[0, 0].get_gridspec()
    for cell in axes[:, 6:].ravel():
        cell.remove()
    panel = figure.add_subplot(grid_spec[:, 7:])
    models = {"trained": "trained", "untrained": "before", "even": "random"}
    rows = [
        {"model": model, "seed": seed, "jaccard": value}
        for model in models
        for seed, value in results.final(run, "jaccard", model=model).items()
    ]
    data = pd.DataFrame(rows)
    dots(panel, [list(models).index(model) for model in data["model"]], data["jaccard"], colour=_COLOURS["vit"])
    panel.set(ylabel="Jaccard index (%)", ylim=(0, None), xlim=(-0.5, 2.5))
    panel.set_xticks(range(3), list(models.values()), rotation=30, ha="right")
    alt = f"Mean Jaccard index in per cent: {in_words(data, 'model', 'jaccard', '.1f')}."
    return Figure(figure, data, alt=alt, title="What the class token attends to, and the object")


def training_loss(results: Results) -> Figure:
    """Training loss by step for the smallest (dashed) and largest (solid) N of both families; one line per seed. A small training set is
    memorised, a large one is not.
    """
    families = ("vit", "resnet")
    curves = {
        family: figure_data.curve(results, "pre-training", family) or figure_data.curve(results, "scratch", family) for family in families
    }
    ends = [(family, runs[i]) for family, runs in curves.items() if runs for i in (0, -1)]
    if not ends:
        raise NotMeasured("needs both families at several sizes")
    results.need(*(run.name for _, run in ends))
    figure, axes = canvas(width=1.5 * COLUMN, height=2.7)
    parts = []
    for index, (family, run) in enumerate(ends):
        rows = results.select(run=run.name, metric="loss", split="train")
        for _, line in rows.groupby("seed"):
            axes[0, 0].plot(line["step"], line["value"], color=_COLOURS[family], linestyle="--" if index % 2 == 0 else "-", linewidth=0.9)
        size = run.settings_as(Settings).n_images
        axes[0, 0].plot([], [], color=_COLOURS[family], linestyle="--" if index % 2 == 0 else "-", label=f"{_NAMES[family]}, N = {size:,}")
        parts.append(rows[["run", "seed", "step", "value"]])
    axes[0, 0].set(xlabel="step", ylabel="training loss (nats)", ylim=(0, None))
    axes[0, 0].legend(loc="upper left", bbox_to_anchor=(1, 1))
    data = pd.concat(parts, ignore_index=True)
    return Figure(figure, data, alt=f"Loss at the last step: {in_words(last_rows(data, 'step', 'run'), 'run')}.", title="Training loss")
