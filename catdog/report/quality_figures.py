"""The charts of the data: how many photos there are, how large and how bright."""

from collections import Counter
from typing import TYPE_CHECKING

from catdog.photos.quality import DataQuality
from catdog.report.style import GRID, INK, MUTED, SKY, look, panels
from catdog.wording import FEW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@look()
def class_counts(quality: DataQuality, *, narrow: bool = False) -> "Figure":
    """Photos by class and split; where there are many classes, how many have how many photos."""
    if len(quality.classes) > FEW:
        return _class_sizes(quality, narrow=narrow)
    height = 0.9 + 0.3 * len(quality.classes)
    splits = list(quality.counts.items())
    columns = 1 if narrow else 3
    figure, grid = panels(len(splits), columns=columns, height=height, narrow=narrow, shared=True)
    for axes, (split, counts) in zip(grid, splits, strict=True):
        values = [counts.get(label, 0) for label in quality.classes]
        bars = axes.barh(list(quality.classes), values, color=SKY, height=0.7)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set_title(f"{split}: {sum(values):,} photos")
        axes.tick_params(axis="y", labelcolor=INK)
        axes.margins(x=0.18)
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    grid[0].invert_yaxis()
    return figure


def _class_sizes(quality: DataQuality, *, narrow: bool) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    splits = list(quality.counts.items())
    figure, grid = panels(len(splits), columns=1 if narrow else 3, height=2.2, narrow=narrow)
    for axes, (split, counts) in zip(grid, splits, strict=True):
        found = sorted(Counter(counts.values()).items())
        axes.bar(*zip(*found, strict=True), color=SKY)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_title(f"{split}: {sum(counts.values()):,} photos")
        axes.set_xlabel("photos of a class")
    grid[0].set_ylabel("classes")
    return figure


@look()
def spreads(quality: DataQuality, *, narrow: bool = False) -> "Figure":
    """Size and brightness by class: median, middle half, and the range of 90 %."""
    measures = list(dict.fromkeys(spread.measure for spread in quality.spreads))
    rows = len(quality.spreads) // len(measures)
    height = 0.95 + 0.3 * rows
    figure, grid = panels(len(measures), columns=1 if narrow else 2, height=height, narrow=narrow)
    for axes, measure in zip(grid, measures, strict=True):
        _boxes(axes, quality, measure)
    return figure


def _boxes(axes: "Axes", quality: DataQuality, measure: str) -> None:
    found = [spread for spread in quality.spreads if spread.measure == measure]
    scale, unit = (1000, "kB") if measure == "bytes" else (1, found[0].unit)
    parts = ("whislo", "q1", "med", "q3", "whishi")
    boxes = [
        {"label": spread.label}
        | {part: q / scale for part, q in zip(parts, spread.quantiles[1:6], strict=True)}
        for spread in found
    ]
    axes.bxp(
        boxes,
        orientation="horizontal",
        showfliers=False,
        patch_artist=True,
        widths=0.5,
        boxprops={"facecolor": SKY, "edgecolor": SKY},
        medianprops={"color": INK, "linewidth": 2},
        whiskerprops={"color": MUTED},
        capprops={"color": MUTED},
    )
    axes.set_title("file size" if measure == "bytes" else measure)
    axes.set_xlabel(unit)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    axes.spines["bottom"].set_edgecolor(GRID)
