"""A pen that draws smooth, furry shapes in coordinates that turn and scale with their part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]
Points = Sequence[Point]

CIRCLE = np.array([(math.cos(math.tau * i / 36), math.sin(math.tau * i / 36)) for i in range(36)])
EDGE = np.arange(10)[:, None] / 10


@dataclass(frozen=True)
class Pen:
    """Draws in a part's own coordinates (x to the right, y down, about -1 to 1)."""

    canvas: ImageDraw.ImageDraw
    rng: np.random.Generator
    matrix: NDArray[np.float64]
    """2 x 2: from the part's coordinates to pixels."""
    origin: NDArray[np.float64]
    """Pixels of the part's (0, 0)."""

    def at(self, x: float, y: float, scale: float = 1.0, turn: float = 0.0) -> Self:
        """A pen for a part at (x, y), scaled, and turned by so many radians."""
        matrix = self.matrix @ (rotation(turn) * scale)
        origin = self.origin + self.matrix @ np.array([x, y])
        return type(self)(self.canvas, self.rng, matrix, origin)

    def blob(self, points: Points, colour: Colour, fuzz: float = 0.0) -> None:
        """A filled smooth shape through these points, with a furry edge if fuzz > 0."""
        self._fill(_smooth(np.asarray(points, float)), colour, fuzz)

    def patch(self, points: Points, colour: Colour, fuzz: float = 0.0) -> None:
        """A filled shape with sharp corners."""
        corners = np.asarray(points, float)
        following = np.roll(corners, -1, axis=0)
        edges = [a + (b - a) * EDGE for a, b in zip(corners, following, strict=True)]
        self._fill(np.concatenate(edges), colour, fuzz)

    def oval(
        self, centre: Point, radii: Point, colour: Colour, *, turn: float = 0.0, fuzz: float = 0.0
    ) -> None:
        """A filled ellipse with these half axes, turned by so many radians."""
        axes = rotation(turn).T * np.array(radii)[:, None]
        self._fill(CIRCLE @ axes + centre, colour, fuzz)

    def stroke(self, points: Points, width: float, colour: Colour, tip: float = 1.0) -> None:
        """A smooth line whose width goes from `width` to `width * tip`."""
        line = _smooth(np.asarray(points, float), closed=False)
        along = np.diff(line, axis=0, append=2 * line[-1:] - line[-2:-1])
        across = along[:, ::-1] * (-1, 1) / np.linalg.norm(along, axis=1, keepdims=True)
        half = across * (width / 2 * (1 + (tip - 1) * np.arange(len(line))[:, None] / len(line)))
        self._fill(np.concatenate([line + half, (line - half)[::-1]]), colour, 0)
        for end, thick in ((line[0], width), (line[-1], width * tip)):
            self.oval(end, (thick / 2, thick / 2), colour)

    def _fill(self, outline: NDArray[np.float64], colour: Colour, fuzz: float) -> None:
        if fuzz:
            centre = outline.mean(axis=0)
            stretch = 1 + self.rng.normal(0, fuzz, (len(outline), 1))
            outline = centre + (outline - centre) * stretch
        placed = outline @ self.matrix.T + self.origin
        self.canvas.polygon(placed.ravel().tolist(), fill=colour)


def _smooth(points: NDArray[np.float64], closed: bool = True) -> NDArray[np.float64]:
    """A Catmull-Rom spline through the points, eight steps a segment."""
    before, after = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    around = np.concatenate([before, points, after])
    p0, p1, p2, p3 = (around[i : len(around) - 3 + i, None] for i in range(4))
    t = np.arange(8)[None, :, None] / 8
    square = 2 * p0 - 5 * p1 + 4 * p2 - p3
    cube = 3 * (p1 - p2) + p3 - p0
    curve = (p1 + 0.5 * t * (p2 - p0 + t * (square + t * cube))).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def rotation(turn: float) -> NDArray[np.float64]:
    """The matrix that turns by so many radians, 2 x 2."""
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[cos, -sin], [sin, cos]])


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made darker (factor < 1) or brighter."""
    red, green, blue = (min(255, round(value * factor)) for value in colour)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """A colour that has this share (0 to 1) of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
