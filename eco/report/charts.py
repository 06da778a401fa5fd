"""The static pictures, drawn by matplotlib from the rows of plots/*.json."""

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eco.errors import extra, reported
from eco.report.labels import label_ends, place_labels
from eco.report.style import STYLE, TEMPLATES, counted, model_colours, spaced

with extra("report"):
    from matplotlib import ticker
    from matplotlib.axes import Axes
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.style import context
    from PIL import Image

if TYPE_CHECKING:  # whose packages a picture of predictions doesn't need
    from eco.workflow.artifacts import Artifact

Rows = Sequence[Mapping[str, Any]]

SOFT = "#56616A"
#: matplotlib's names for Vega's shapes.
MARKERS = {
    "circle": "o",
    "square": "s",
    "cross": "P",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "triangle-right": ">",
}
PERCENT = ticker.PercentFormatter(1, decimals=0)


def draw(name: str, rows: Rows, pool: Sequence[str], kind: str = "png", **options: str) -> bytes:
    """Draw a picture of `PICTURES` from the rows of its plot, as the content of a PNG or PDF file.

    The same rows give the same bytes. Options are those of the picture's function.
    """
    content, smaller = io.BytesIO(), io.BytesIO()
    with context(str(TEMPLATES / "pictures.mplstyle")):
        figure = PICTURES[name](rows, pool, **options)
        if kind == "pdf":
            figure.savefig(content, format="pdf", metadata={"CreationDate": None})
            return content.getvalue()
        figure.savefig(content, format="png")
    with Image.open(content) as image:  # pictures are kept in git: a palette takes half the bytes
        paletted = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    paletted.save(smaller, "PNG", optimize=True)
    return smaller.getvalue()


def accuracy_energy(rows: Rows, pool: Sequence[str], cost: str = "energy") -> Figure:
    """Models, strategies and curves by accuracy and share of the last model's energy, or cost."""
    figure = Figure((11, 6.2))
    axes = figure.subplots()
    families = {row["strategy"] for row in rows}
    curves = [name for name in STYLE["curves"] if name in families]
    for name in curves:
        x, y = _columns(rows, "strategy", name, "energy_share", "accuracy")
        colour, dashes = STYLE["curves"][name]
        dash = "-" if 0 in dashes else (0, tuple(0.8 * length for length in dashes))
        width = 2.4 if name == curves[0] else 1.5
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=width, label=name)
    for name in (name for name in STYLE["points"] if name in families):
        colour, shape = STYLE["points"][name]
        x, y = _columns(rows, "strategy", name, "energy_share", "accuracy")
        intervals = {"color": colour, "alpha": 0.45, "linewidth": 1}
        ends = ("energy_share_low", "energy_share_high", "accuracy_low", "accuracy_high")
        x_low, x_high, y_low, y_high = _columns(rows, "strategy", name, *ends)
        axes.hlines(y, x_low, x_high, **intervals)
        axes.vlines(x, y_low, y_high, **intervals)
        axes.plot(x, y, MARKERS[shape], color=colour, markersize=7, label=name, zorder=4)
    axes.set(
        xscale="log",
        title=f"Accuracy against {cost}: up and left is better (thin lines: 95% intervals)",
        xlabel=f"{cost} of a prediction, share of always running {pool[-1]}",
        ylabel="accuracy on test",
    )
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axes.yaxis.set_major_locator(ticker.MaxNLocator(10, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PERCENT)
    lines = axes.get_lines()
    heads = [Line2D([], [], label=head, linestyle="none") for head in ("curves", "points")]
    handles = [heads[0], *lines[: len(curves)], heads[1], *lines[len(curves) :]]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), handlelength=3)
    labels = [
        (r["energy_share"], r["accuracy"], spaced(r["label"]), STYLE["points"][r["strategy"]][0])
        for r in rows
        if r.get("label")
    ]
    place_labels(axes, [(*label, _dark(colour)) for *label, colour in labels])
    return figure


def shares(rows: Rows, pool: Sequence[str]) -> Figure:
    """How many of the samples each model answers, for every strategy."""
    points = list(dict.fromkeys(row["point"] for row in rows))
    figure = Figure((10, 1.4 + 0.33 * len(points)))
    axes = figure.subplots()
    left = np.zeros(len(points))
    for model, colour in zip(pool, model_colours(pool), strict=True):
        share, accuracy = _columns(rows, "model", model, "share", "accuracy")
        texts = [
            f"{s:.0%}" + (f" ({a:.0%})" if s >= 0.1 else "") if s >= 0.035 else ""
            for s, a in zip(share, accuracy, strict=True)
        ]
        bars = axes.barh(points, share, 0.78, left, color=colour, edgecolor="white", label=model)
        ink = "white" if _luminance(colour) < 0.18 else "black"
        axes.bar_label(bars, texts, label_type="center", fontsize=8, color=ink)
        left += share
    axes.set(
        title="Who answers: share of the test samples (in brackets: accuracy on them)",
        xlim=(0, 1),
        ylim=(len(points) - 0.5, -0.5),
    )
    axes.set_yticks(range(len(points)), map(spaced, points))
    axes.xaxis.set_major_formatter(PERCENT)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(pool))
    return figure


def energy(rows: Rows, pool: Sequence[str]) -> Figure:
    """J of one prediction by the number of samples in a call, with 95 % intervals."""
    figure = Figure((8.5, 5.6))
    axes = figure.subplots()
    routers = [name for name in dict.fromkeys(row["name"] for row in rows) if name not in pool]
    looks = [(colour, "-") for colour in model_colours(pool)]
    looks += [(SOFT, ("--", ":", "-.")[i % 3]) for i in range(len(routers))]
    ends = []
    for name, (colour, dash) in zip([*pool, *routers], looks, strict=True):
        keys = ("batch_size", "energy_j", "energy_j_low", "energy_j_high")
        x, y, low, high = np.array(sorted(zip(*_columns(rows, "name", name, *keys), strict=True))).T
        axes.plot(x, y, color=colour, linestyle=dash, marker="o", markersize=5)
        axes.vlines(x, low, high, color=colour, linewidth=2.5)
        ends.append((x[-1], y[-1], spaced(name), _dark(colour)))
    sizes = sorted({row["batch_size"] for row in rows})
    axes.set(
        xscale="log",
        yscale="log",
        title="Energy of one prediction, with 95% intervals",
        xlabel="samples per call",
        ylabel="energy of a prediction, CPU",
    )
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.EngFormatter("J"))
    label_ends(axes, ends)
    return figure


def reliability(rows: Rows, pool: Sequence[str]) -> Figure:
    """For each model, how often it is right at each confidence."""
    title = "On the dashed line confidence means what it says (bigger: more samples)"
    figure, panels = _panels(pool, 2.3, "confidence", "accuracy on test", title)
    largest = max(row["samples"] for row in rows)
    for model, axes in zip(pool, panels, strict=True):
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--")
        of_model = [row for row in rows if row["model"] == model]
        for when, (colour, shape) in STYLE["when"].items():
            keys = ("confidence", "accuracy", "samples")
            x, y, samples = _columns(of_model, "when", when, *keys)
            axes.plot(x, y, color=colour, linewidth=1.3, zorder=2)
            sizes = 6 + 60 * np.array(samples) / largest
            dots = axes.scatter(x, y, sizes, colour, marker=MARKERS[shape])
            dots.set(label=f"{when} calibration", edgecolor="white", linewidth=0.4, zorder=3)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", xticks=[0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.xaxis.set_major_formatter(PERCENT)
    _legend(figure, panels[0])
    return figure


def violations(rows: Rows, pool: Sequence[str]) -> Figure:  # noqa: ARG001
    """How often certificates prove wrong on draws, by the bound on the loss and on the harm."""
    figure = Figure((10, 4.4))
    measures = list(dict.fromkeys(row["of"] for row in rows))
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    delta = rows[0]["delta"]
    for axes, of in zip(panels, measures, strict=True):
        bounded = [row for row in rows if row["of"] == of]
        for name in dict.fromkeys(row["strategy"] for row in bounded):
            colour, shape = STYLE["families"][spaced(name)]
            x, y = _columns(bounded, "strategy", name, "max_points", "violation_rate")
            axes.plot(x, y, color=colour, marker=MARKERS[shape], clip_on=False, label=spaced(name))
        axes.axhline(delta, color="black", linestyle="--", linewidth=1.2)
        promise = f"promised: at most {delta:.0%} "
        axes.text(1, delta, promise, ha="right", va="bottom", transform=axes.get_yaxis_transform())
        axes.set(title=f"Certified {of}", xlabel=f"bound on the {of}, points")
    highest = max(delta, *(row["violation_rate"] for row in rows))
    panels[0].set(ylabel="certificates that proved wrong", ylim=(0, 1.25 * highest))
    panels[0].yaxis.set_major_formatter(PERCENT)
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def targets(rows: Rows, pool: Sequence[str]) -> Figure:  # noqa: ARG001
    """What tuned cascades lose on fresh samples, by the loss that was allowed."""
    figure = Figure((8.5, 4.4))
    axes = figure.subplots()
    rows = [row for row in rows if row["target"] == "max_accuracy_loss"]
    margins = sorted({row["margin_se"] for row in rows})
    allowed = sorted({row["limit"] for row in rows})
    for place, (margin, colour) in enumerate(zip(margins, ("#D55E00", "#0072B2"), strict=False)):
        columns = ("limit", "accuracy_loss_points", "accuracy_loss_points_low")
        of_margin = _columns(rows, "margin_se", margin, *columns, "accuracy_loss_points_high")
        x, lost, low, high = map(np.array, of_margin)
        axes.errorbar(
            x + 0.02 * (place - 0.5), lost, [lost - low, high - lost], color=colour, marker="o",
            capsize=3, label=f"margin of {counted(margin, 'standard error')}",
        )  # fmt: skip
    axes.plot(allowed, allowed, color="black", linestyle="--", linewidth=1.2, label="as allowed")
    axes.set(
        title="Tuned cascades on fresh samples, over random splits (bars: 95 % of the splits)",
        xlabel="loss of accuracy allowed on the samples tuned on, points",
        ylabel="points lost on fresh samples",
    )
    axes.legend(loc="upper left")
    return figure


def training_curves(rows: Rows, pool: Sequence[str]) -> Figure:
    """Accuracy of each model on what it learns from and on held-out samples, by epoch."""
    title = "Training (one point: no epochs)"
    figure, panels = _panels(pool, 2.1, "epoch", "accuracy", title)
    for model, axes in zip(pool, panels, strict=True):
        of_model = [row for row in rows if row["model"] == model]
        for split, colour, dash in (("train", "#0072B2", "--"), ("held out", "#D55E00", "-")):
            x, y = _columns(of_model, "split", split, "epoch", "accuracy")
            marker = "o" if len(x) == 1 else None
            axes.plot(x, y, color=colour, linestyle=dash, marker=marker, label=split)
    panels[0].xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    _legend(figure, panels[-1])
    return figure


def _columns(rows: Rows, key: str, value: str, *columns: str) -> list[list[Any]]:
    """Columns of the rows whose `key` is `value`."""
    return [[row[column] for row in rows if row[key] == value] for column in columns]


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 has it."""
    return float(np.dot([0.2126, 0.7152, 0.0722], np.array(to_rgb(colour)) ** 2.2))


def _dark(colour: str) -> tuple[float, ...]:
    """The colour, dark enough for text on white."""
    factor = min(1.0, (0.22 / _luminance(colour)) ** (1 / 2.2))
    return tuple(factor * part for part in to_rgb(colour))


def _panels(
    pool: Sequence[str], height: float, xlabel: str, ylabel: str, title: str
) -> tuple[Figure, list[Axes]]:
    """A figure with a small panel for each model, the vertical axis in percent."""
    columns = min(4, len(pool))
    n_rows = -(-len(pool) // columns)
    figure = Figure((2.5 * columns, 0.9 + height * n_rows))
    panels = figure.subplots(n_rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, model in zip(panels, pool, strict=False):
        panel.set_title(model)
    for empty in panels[len(pool) :]:
        empty.set_axis_off()
    for lowest in panels[max(0, len(pool) - columns) : len(pool)]:
        lowest.tick_params(labelbottom=True)
    panels[0].yaxis.set_major_formatter(PERCENT)
    figure.supxlabel(xlabel, color=SOFT)
    figure.supylabel(ylabel, color=SOFT)
    figure.suptitle(title, x=0.01, ha="left")
    return figure, list(panels[: len(pool)])


def _legend(figure: Figure, panel: Axes) -> None:
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower right", ncols=2)


#: The function of each picture.
PICTURES: Mapping[str, Callable[..., Figure]] = {
    "accuracy_energy": accuracy_energy,
    "shares": shares,
    "energy": energy,
    "reliability": reliability,
    "violations": violations,
    "targets": targets,
    "training_curves": training_curves,
}


def rows_file(name: str) -> "Artifact[Any]":
    """The file in plots/ that holds the rows of a picture."""
    from eco.workflow import artifacts

    files: dict[str, Artifact[Any]] = {
        "accuracy_energy": artifacts.POINT_ROWS,
        "shares": artifacts.SHARE_ROWS,
        "energy": artifacts.ENERGY_ROWS,
        "reliability": artifacts.RELIABILITY_ROWS,
        "violations": artifacts.VIOLATION_ROWS,
        "targets": artifacts.TARGET_ROWS,
        "training_curves": artifacts.POOL_TRAINING_ROWS,
    }
    return files[name]


def main(folder: str = "figures") -> None:
    """Write every picture as PDF, for a paper, from the rows in plots/."""
    from eco.atomic import replacing
    from eco.workflow import params

    pool = params.load().pool
    for name in PICTURES:
        with replacing(Path(folder) / f"{name}.pdf") as stream:
            stream.write(draw(name, rows_file(name).load(), pool, "pdf"))
    print(f"{folder}/: {', '.join(PICTURES)} as PDF")


if __name__ == "__main__":
    with reported():
        main(*sys.argv[1:2])
