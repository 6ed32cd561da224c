"""The photos of the report: single thumbnails, and sheets of them as matplotlib Figures."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.report.style import INK, WIDE, look
from catdog.store.artifacts import Arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THUMBNAIL = 192
GAP, LINE = 0.08, 0.15
"""Inches: between two photos of a sheet, and of a line of text below one."""

Image = npt.NDArray[np.uint8]
"""height x width x 3, RGB."""


class Picture(NamedTuple):
    """A photo with what is written below it, and what a screen reader says of it."""

    image: Image
    caption: str
    alt: str


class Embedded(NamedTuple):
    """A chart, or the photos of a gallery in one picture, at addresses that need no network."""

    section: str
    """Of the report; that of a gallery is its name."""
    alt: str
    pixels: str
    """PNG or JPEG."""
    caption: str = ""
    wide: str = ""
    """A chart as SVG for a wide page."""
    narrow: str = ""


class Album:
    """The photos of an arrays artifact, by path."""

    def __init__(self, arrays: Arrays) -> None:
        self._places = {
            path: (images, row)
            for split in arrays.counts
            for images in [arrays.images(split)]
            for row, path in enumerate(arrays.paths(split))
        }

    def image(self, path: str) -> Image:
        """The photo as the models see it."""
        images, row = self._places[path]
        return np.asarray(images[row])


def overlay(image: Image, heat: npt.NDArray[np.float32]) -> Image:
    """Darken a photo (h, w, 3) where its map (any size, 0 to 1) is low, warm it where high."""
    from PIL import Image as Pillow

    height, width = image.shape[:2]
    small = Pillow.fromarray(heat.astype(np.float32), mode=None)
    grown = np.asarray(small.resize((width, height), Pillow.Resampling.BICUBIC))
    weight = np.clip(grown, 0, 1)[..., None]
    warm = np.array([255.0, 176.0, 0.0])
    lit = image * (0.3 + 0.7 * weight)
    mixed = np.clip(lit * (1 - 0.35 * weight) + warm * 0.35 * weight, 0, 255)
    return np.asarray(mixed, dtype=np.uint8)


def thumbnail(image: Image) -> bytes:
    """A photo as a JPEG file of at most `THUMBNAIL` pixels a side."""
    from PIL import Image as Pillow

    photo = Pillow.fromarray(image)
    photo.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=80, optimize=True)
    return buffer.getvalue()


@look()
def sheet(pictures: Sequence[Picture], *, columns: int = 6) -> "Figure":
    """Square photos in rows, each with its caption below."""
    from matplotlib.figure import Figure

    lines = max(picture.caption.count("\n") + 1 for picture in pictures)
    cell, rows = WIDE / columns, -(-len(pictures) // columns)
    side, height = cell - GAP, cell + LINE * lines
    figure = Figure(figsize=(WIDE, rows * height))
    figure.set_layout_engine("none")
    # One axes for all, in inches: with one for each photo the layout takes most of the time.
    axes = figure.add_axes((0, 0, 1, 1))
    for number, picture in enumerate(pictures):
        left, top = number % columns * cell + GAP / 2, number // columns * height + GAP / 2
        place = (left, left + side, top + side, top)
        axes.imshow(picture.image, extent=place, interpolation="bilinear")
        middle, below = left + side / 2, top + side + GAP / 2
        axes.text(middle, below, picture.caption, size=8, color=INK, ha="center", va="top")
    axes.set(xlim=(0, WIDE), ylim=(rows * height, 0))
    axes.set_axis_off()
    return figure
