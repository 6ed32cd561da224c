"""The charts of the models: each a pure function from results to a matplotlib Figure.

`narrow` gives the same chart for a phone. Photos are in `catdog.report.pictures`, charts of the
data in `catdog.report.quality_figures`.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Literal

import numpy as np

from catdog.comparison.answers import Answers
from catdog.comparison.compare import Comparison
from catdog.comparison.learning import LearningCurve
from catdog.comparison.metrics import Metrics
from catdog.comparison.repeats import Repeated, Repeats
from catdog.comparison.scores import ScoredModel
from catdog.metric import BY_ACCURACY, Metric
from catdog.report.style import BLUE, INK, MUTED, PALETTE, PAPER, VERMILLION, look, panels
from catdog.wording import FEW, percent, rate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 120
"""Of the chart of recalls: a page of it is as long as two screens."""
BLUES, DARKEST = "Blues", 1.15
"""The map of the matrices, and the share that would have its darkest colour."""
WHITE_FROM = 0.82207
"""The share from which white has a higher contrast to that map than black (WCAG 2.2)."""


@look()
def accuracies(comparison: Comparison, *, narrow: bool = False) -> "Figure":
    """What models are judged by on test and validation, with 95 % CI; and published accuracies."""
    models = comparison.models
    figure, (axes,) = panels(1, height=1.25 + 0.72 * len(models), narrow=narrow)
    for row, model in enumerate(models):
        _interval(axes, row - 0.17, model.test, filled=True)
        _interval(axes, row + 0.13, model.validation, filled=False)
        value = model.test.score.value
        text, place = percent(value), (100 * value, row - 0.17)
        axes.annotate(text, place, (0, 6), "data", "offset points", ha="center", fontweight="bold")
    test, validation = models[0].test.score.n, models[0].validation.score.n
    axes.plot([], [], "o", color=BLUE, label=f"test ({test:,} photos)")
    axes.plot([], [], "o", color=BLUE, mfc=PAPER, label=f"validation ({validation:,})")
    if comparison.metric.default:
        _published(axes, comparison)
    _majority_line(axes, comparison)
    _name_rows(axes, models)
    axes.set_ylim(len(models) - 0.35, -0.75)
    axes.set_xlim(right=101)
    axes.set_xlabel(f"{comparison.metric.label}, %")
    figure.legend(loc="outside upper left", ncols=2 if narrow else 4, handletextpad=0.2)
    return figure


@look()
def confusion_matrices(models: tuple[ScoredModel, ...], *, narrow: bool = False) -> "Figure":
    """True against predicted classes on test: photos, and their share of the true class.

    Of many classes, the FEW with the most errors of the first model, ordered by these.
    """
    shown = most_errors(models[0].test)
    columns = {2: 4, 3: 3}.get(len(shown), 2) // (2 if narrow else 1)
    columns = min(columns, len(models))
    figure, grid = panels(len(models), columns=columns, aspect=0.92, narrow=narrow)
    for axes, model in zip(grid, models, strict=True):
        _matrix(axes, model.test, shown)
        axes.set_title(model.name)
    grid[0].set_ylabel("true class")
    grid[0].set_xlabel("predicted class")
    return figure


@look()
def class_recalls(model: ScoredModel, *, narrow: bool = False) -> "Figure":
    """Recall of each class on test with its 95 % CI, the lowest first; of very many, the lowest."""
    classes = sorted(model.test.classes, key=lambda scores: (scores.recall, scores.label))[:ROWS]
    figure, (axes,) = panels(1, height=0.8 + 0.17 * len(classes), narrow=narrow)
    for row, scores in enumerate(classes):
        if ends := scores.recall_interval:
            axes.plot([100 * ends.low, 100 * ends.high], [row, row], color=BLUE, lw=1)
        axes.plot(100 * scores.recall, row, "o", color=BLUE, ms=4)
    names = [f"{_short(scores.label, 28)} ({scores.n})" for scores in classes]
    axes.set_yticks(range(len(classes)), names, color=INK, fontsize=7.5)
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.set_xlim(-1, 101)
    axes.set_xlabel("recall, %")
    return figure


@look()
def ranking_curves(models: tuple[ScoredModel, ...], *, narrow: bool = False) -> "Figure":
    """ROC and precision-recall curves on test, all models in one picture."""
    columns = 1 if narrow else 2
    height = 0.2 * (2 + len(models) // 2)
    figure, (roc, precision) = panels(2, columns=columns, height=height, aspect=0.86, narrow=narrow)
    roc.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=":")
    for colour, model in zip(cycle(PALETTE), models, strict=False):
        if model.test.roc and model.test.precision_recall:
            label = f"{model.name}  {model.test.auc:.3f}"
            roc.plot(model.test.roc.x, model.test.roc.y, color=colour, label=label)
            label = f"{model.name}  {model.test.average_precision:.3f}"
            curve = model.test.precision_recall
            precision.plot(curve.x, curve.y, color=colour, label=label)
    roc.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    precision.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    for axes, title in ((roc, "ROC AUC"), (precision, "average precision")):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        style = {"ncols": 2, "alignment": "left", "fontsize": 8.5, "borderpad": 0}
        axes.legend(title=title, loc="upper left", bbox_to_anchor=(-0.02, -0.15), **style)
    return figure


@look()
def reliability(models: tuple[ScoredModel, ...], *, narrow: bool = False) -> "Figure":
    """Reliability diagrams: accuracy by confidence with 95 % CI, on test."""
    columns = 2 if narrow else 4
    figure, grid = panels(
        len(models), columns=columns, height=0.15, aspect=1.02, narrow=narrow, shared=True
    )
    for axes, model in zip(grid, models, strict=True):
        bins = model.test.reliability
        axes.plot([0, 100], [0, 100], color=MUTED, lw=1, ls=":")
        x, y = [100 * b.confidence for b in bins], [100 * b.accuracy for b in bins]
        low, high = ([100 * getattr(b.interval, end) for b in bins] for end in ("low", "high"))
        axes.vlines(x, low, high, color=BLUE, lw=1, clip_on=False)
        sizes = [6 + 300 * b.n / model.test.n for b in bins]
        axes.scatter(x, y, s=sizes, color=BLUE, zorder=3, clip_on=False)
        axes.set_title(model.name, pad=18)
        error = f"ECE {percent(model.test.calibration.error)}"
        axes.annotate(error, (0, 1), (0, 5), "axes fraction", "offset points", fontsize=8.5)
        axes.set(xlim=(-3, 108), ylim=(-3, 108), aspect="equal")
    grid[0].set_ylabel("accuracy, %")
    figure.supxlabel("confidence, %", fontsize=9, color=MUTED)
    return figure


@look()
def answers(found: Answers, *, narrow: bool = False) -> "Figure":
    """Accuracy of the answers by the share of photos that is answered, and what is promised."""
    figure, (axes,) = panels(1, height=2.6, narrow=narrow)
    curves = ("validation", found.validation, MUTED), ("test", found.test, BLUE)
    for split, curve, colour in curves:
        axes.plot(100 * np.array(curve.x), 100 * np.array(curve.y), color=colour, label=split)
        for promise in found.promises:
            t = getattr(promise, split)
            place = 100 * t.answered / t.photos, 100 * (1 - t.wrong / max(t.answered, 1))
            axes.plot(*place, "o", color=colour)
            if split == "test":
                told = rate(promise.risk)
                axes.annotate(told, place, (-6, -11), textcoords="offset points", ha="right")
    axes.set_xlabel("photos answered, %")
    axes.set_ylabel("accuracy of the answers, %")
    axes.set_xlim(0, 101)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@look()
def more_photos(found: LearningCurve, *, narrow: bool = False) -> "Figure":
    """Error by the number of training photos, both logarithmic, and the forecast for twice."""
    from matplotlib.ticker import NullLocator

    figure, (axes,) = panels(1, height=2.8, narrow=narrow)
    for photos, accuracies in zip(found.photos, found.accuracies, strict=True):
        errors = [100 * (1 - each) for each in accuracies]
        axes.plot([photos] * len(errors), errors, "o", color=BLUE, alpha=0.55, ms=5, mew=0)
    means = [100 * (1 - sum(each) / len(each)) for each in found.accuracies]
    axes.plot(found.photos, means, color=BLUE, label="measured")
    ahead, reach = 2 * found.photos[-1], found.forecast.interval
    ends = [100 * (1 - reach.high), 100 * (1 - reach.low)]
    axes.plot([ahead, ahead], ends, color=VERMILLION, label="forecast, 95 % interval")
    axes.plot(ahead, 100 * (1 - found.forecast.twice), "o", color=VERMILLION)
    axes.set(xscale="log", yscale="log", xlabel="training photos", ylabel="error, %")
    axes.set_xticks([*found.photos, ahead], [f"{each:,}" for each in (*found.photos, ahead)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


@look()
def repeated_accuracies(
    repeats: Repeats, metric: Metric = BY_ACCURACY, *, narrow: bool = False
) -> "Figure":
    """Test accuracy, or what else models are judged by: a dot a seed, a line the mean."""
    models = repeats.models
    figure, (axes,) = panels(1, height=0.9 + 0.45 * len(models), narrow=narrow)
    for row, model in enumerate(models):
        values = [100 * accuracy for accuracy in model.accuracies]
        axes.plot(values, [row] * len(values), "o", color=BLUE, alpha=0.55, ms=6, mew=0)
        axes.plot([100 * model.mean] * 2, [row - 0.3, row + 0.3], color=INK)
    _name_rows(axes, models)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_xlabel(f"test {metric.label}, %")
    return figure


def _name_rows(axes: "Axes", models: Sequence[ScoredModel | Repeated]) -> None:
    axes.set_yticks(range(len(models)), [m.name for m in models], color=INK, fontweight="bold")
    axes.grid(visible=False, axis="y")


def _interval(axes: "Axes", y: float, metrics: Metrics, *, filled: bool) -> None:
    low, high = metrics.score.interval.low, metrics.score.interval.high
    width, size, face = (2.4, 8, BLUE) if filled else (1.2, 6, PAPER)
    axes.plot([100 * low, 100 * high], [y, y], color=BLUE, lw=width)
    axes.plot(100 * metrics.score.value, y, "o", color=BLUE, ms=size, mfc=face)


def _published(axes: "Axes", comparison: Comparison) -> None:
    rows = {model.name: row for row, model in enumerate(comparison.models)}
    markers = {"post": ("D", 0.33), "draft": ("s", 0.46)}
    for result in comparison.published:
        if result.model in rows:
            marker, below = markers[result.revision]
            y, ends = rows[result.model] + below, (result.interval.low, result.interval.high)
            axes.plot([100 * end for end in ends], [y, y], color=VERMILLION, lw=1)
            face = VERMILLION if result.split == "test" else PAPER
            axes.plot(result.percent, y, marker, color=VERMILLION, mfc=face, ms=4.5)
    for revision in dict.fromkeys(result.revision for result in comparison.published):
        marker, _ = markers[revision]
        axes.plot([], [], marker, color=VERMILLION, mfc=PAPER, label=f"published ({revision})")


def _majority_line(axes: "Axes", comparison: Comparison) -> None:
    place = (100 * comparison.majority, 1)
    axes.axvline(place[0], color=MUTED, lw=1, ls=":")
    within = ("data", "axes fraction")
    axes.annotate(
        "majority class", place, (3, -1), within, "offset points", va="top", color=MUTED, fontsize=8
    )


@look()
def learning_curves(
    history: "pd.DataFrame",
    models: tuple[ScoredModel, ...],
    measure: Literal["accuracy", "loss"],
    metric: Metric = BY_ACCURACY,
    *,
    narrow: bool = False,
) -> "Figure":
    """Accuracy or, on a logarithmic scale, cross-entropy by epoch, on one scale for all models.

    history: columns model, seed, epoch, phase, and the measure on training and validation photos.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    scale = 100 if measure == "accuracy" else 1
    chosen = measure == "accuracy" and not metric.default
    curves = {measure: VERMILLION, f"val_{measure}": BLUE} | ({"val_metric": INK} if chosen else {})
    columns, height = (2, 1.9) if narrow else (4, 2.5)
    columns = min(columns, len(models))
    figure, grid = panels(len(models), columns=columns, height=height, narrow=narrow, shared=True)
    for axes, model in zip(grid, models, strict=True):
        rows = history[(history["model"] == model.name) & (history["seed"] == model.seed)]
        marker = "o" if len(rows) < 3 else ""
        epochs = rows["epoch"].to_numpy()
        for column, colour in curves.items():
            axes.plot(epochs, scale * rows[column].to_numpy(), color=colour, marker=marker)
        selected = scale * getattr(model.selected, list(curves)[-1])
        axes.plot(model.selected.epoch, selected, "o", color=BLUE, ms=6, clip_on=False, zorder=4)
        for begin in sorted(rows.groupby("phase")["epoch"].min())[1:]:
            axes.axvline(begin - 0.5, color=MUTED, lw=1, ls="--")
        axes.set_title(model.name)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    if history["epoch"].max() == 1:
        grid[0].set_xlim(0.5, 1.5)
        grid[0].set_xticks([1])
    if measure == "loss":
        grid[0].set_yscale("log")
        low, high = grid[0].get_ylim()
        steps = (1, 2, 5) if high < 1_000 * low else (1,)
        grid[0].yaxis.set_major_locator(LogLocator(subs=steps, numticks=9))
        grid[0].yaxis.set_major_formatter("{x:g}")
        grid[0].yaxis.set_minor_locator(NullLocator())
    grid[0].set_ylabel("accuracy, %" if scale == 100 else "loss (log scale)")
    figure.supxlabel("epoch", fontsize=9, color=MUTED)
    grid[0].plot([], [], color=VERMILLION, label="training")
    grid[0].plot([], [], color=BLUE, label="validation")
    if chosen:
        grid[0].plot([], [], color=INK, label=f"validation, {metric.label}")
    grid[0].plot([], [], "o", color=BLUE, label="selected epoch")
    if history["phase"].max() > 1:
        grid[0].plot([], [], color=MUTED, lw=1, ls="--", label="next phase begins")
    figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handlelength=1.4)
    return figure


def most_errors(metrics: Metrics) -> list[int]:
    """The classes of a confusion matrix: all, or of many the FEW in the most errors, in order."""
    cells = np.array(metrics.confusion)
    if len(cells) <= FEW:
        return list(range(len(cells)))
    errors = cells.sum(axis=0) + cells.sum(axis=1) - 2 * cells.diagonal()
    found: list[int] = np.argsort(-errors, kind="stable")[:FEW].tolist()
    return found


def _short(name: str, most: int = 14) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _matrix(axes: "Axes", metrics: Metrics, shown: list[int]) -> None:
    classes = [metrics.classes[index].label for index in shown]
    photos = [sum(metrics.confusion[index]) for index in shown]
    cells = [[metrics.confusion[i][j] for j in shown] for i in shown]
    shares = [[cell / max(n, 1) for cell in row] for row, n in zip(cells, photos, strict=True)]
    axes.imshow(shares, cmap=BLUES, vmin=0, vmax=DARKEST)
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            text = f"{cell}\n{100 * shares[i][j]:.0f} %" if len(classes) <= 6 else f"{cell or ''}"
            colour = "#ffffff" if shares[i][j] >= WHITE_FROM else "#000000"
            axes.text(j, i, text, ha="center", va="center", color=colour)
    ticks, roomy = range(len(classes)), len(classes) <= 3 and max(map(len, classes)) <= 10
    names = list(map(_short, classes))
    axes.set_xticks(ticks, names, rotation=0 if roomy else 45, ha="center" if roomy else "right")
    axes.set_yticks(ticks, names, rotation=90 if roomy else 0, va="center")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
