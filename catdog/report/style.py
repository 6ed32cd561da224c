"""One look for all figures, and how they are written: PNG, or SVG for light and dark pages.

Colours: Okabe & Ito, "Color Universal Design" (2008), which colour-blind readers can tell apart.
"""

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY = "#e69f00", "#56b4e9"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
INK, MUTED, GRID, PAPER = "#1f2328", "#59626c", "#d8dce1", "#fffffe"

# Lines and text keep their contrast on a dark page; fills that carry a value keep their colour.
DARK = {
    INK: "#e6e9ed",
    MUTED: "#a7b0ba",
    GRID: "#3b424b",
    PAPER: "#14171b",
    BLUE: "#4aa9e4",
    VERMILLION: "#f28a45",
    GREEN: "#35c49b",
}

WIDE, NARROW = 9.0, 4.4
"""Inches; at 96 pixels an inch the text of either is as large as that of the page."""

DPI = 110
"""Sharp at 990 pixels wide, and ten figures stay well below 2 MB; SVG serves for more."""

_STYLE: dict[Any, Any] = {
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "text.parse_math": False,
}


@contextmanager
def look(salt: str = "catdog") -> Iterator[None]:
    """Within this context figures are made and written in the common style.

    salt: makes the ids within an SVG file the same at each run, and its own.
    """
    from matplotlib import rc_context

    with rc_context({**_STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        # In SVG the reader's own fonts have the sign; in PNG an empty box is all there is.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
        yield


def panels(
    count: int,
    *,
    columns: int = 1,
    height: float = 0,
    aspect: float = 0,
    narrow: bool = False,
    shared: bool = False,
) -> "tuple[Figure, list[Axes]]":
    """A figure with so many axes in rows of `columns`, as wide as a page or, `narrow`, a phone.

    Each row is `height` inches high and `aspect` times the width of a column. Fewer axes than
    columns leave the rest of the row empty. shared: all have the same scales.
    """
    from matplotlib.figure import Figure

    rows, width = -(-count // columns), NARROW if narrow else WIDE
    figure = Figure(figsize=(width, (height + aspect * width / columns) * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
    axes: list[Axes] = grid.ravel().tolist()
    for spare in axes[count:]:
        spare.remove()
    for lowest in axes[:count][-columns:]:
        lowest.tick_params(labelbottom=True)
    return figure, axes[:count]


def settle(figure: "Figure") -> None:
    """Place everything once, so that writing the figure again costs no new layout."""
    with look():
        if engine := figure.get_layout_engine():
            engine.execute(figure)
    figure.set_layout_engine("none")


def png(figure: "Figure") -> bytes:
    """A figure as a PNG file on white."""
    return _pixels(figure, format="png", metadata={"Software": None})


def jpeg(figure: "Figure") -> bytes:
    """A figure of photos as a JPEG file."""
    return _pixels(figure, format="jpg", pil_kwargs={"quality": 82})


@look()
def _pixels(figure: "Figure", **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, **options)
    return buffer.getvalue()


def svg(figure: "Figure", name: str) -> str:
    """A figure as an SVG file that follows the reader's choice of light or dark."""
    buffer = io.StringIO()
    with look(salt=name):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    light = "".join(f"--{colour[1:]}:{colour};" for colour in DARK)
    dark = "".join(f"--{colour[1:]}:{other};" for colour, other in DARK.items())
    for colour in DARK:
        text = text.replace(f": {colour}", f": var(--{colour[1:]})")
    on_dark = f"@media screen and (prefers-color-scheme:dark){{svg{{{dark}}}}}"
    styles = f"<style>svg{{{light}}}{on_dark}</style>"
    return text.replace("<defs>", f"{styles}<defs>", 1)


def data_uri(content: bytes, mime: str) -> str:
    """Bytes as an address that needs no network."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
