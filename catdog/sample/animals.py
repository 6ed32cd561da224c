"""Cats and dogs: what tells them apart is form, never colour."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from catdog.sample.pen import Colour, Pen, Points, mix, shade

FUR: tuple[Colour, ...] = (
    (46, 42, 44), (92, 90, 94), (150, 146, 144), (204, 128, 62), (222, 176, 118),
    (120, 78, 50), (168, 118, 78), (236, 226, 208), (84, 60, 46), (190, 168, 140),
)  # fmt: skip
IRISES: tuple[Colour, ...] = ((196, 164, 52), (116, 156, 78), (104, 150, 186), (136, 86, 40))
NOSES: tuple[Colour, ...] = ((34, 30, 32), (206, 132, 130), (98, 64, 56))
PINK: Colour = (222, 146, 146)
INK: Colour = (26, 22, 24)


@dataclass(frozen=True)
class Coat:
    """Colours and markings, drawn the same way for cats and dogs."""

    base: Colour
    light: Colour
    dark: Colour
    iris: Colour
    nose: Colour
    marking: str

    @property
    def whiskers(self) -> Colour:
        """Dark on a bright coat, and the other way round."""
        return shade(self.dark, 0.6) if sum(self.base) > 420 else (240, 238, 232)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A random coat."""
        base = shade(FUR[rng.integers(len(FUR))], rng.uniform(0.85, 1.15))
        return cls(
            base=base,
            light=mix(base, (246, 240, 230), rng.uniform(0.25, 0.8)),
            dark=shade(base, rng.uniform(0.55, 0.8)),
            iris=IRISES[rng.integers(len(IRISES))],
            nose=NOSES[rng.integers(len(NOSES))],
            marking=str(rng.choice(["plain", "striped", "patched", "blazed"])),
        )


@dataclass(frozen=True)
class Build:
    """The proportions in which the bodies of cats and dogs differ."""

    shoulder: float
    hip: float
    chest: float
    """Depth of the chest of an animal that stands."""
    leg: float
    """Width of a leg."""
    neck: float
    """Height of the head above the back of an animal that stands."""
    head: float
    tail: float
    """Width of the tail at its root."""
    tail_up: Points
    """Tail of an animal that stands, from its root."""
    tail_round: Points
    """Tail of an animal that sits, from its root."""


CAT = Build(
    shoulder=0.40, hip=0.66, chest=0.27, leg=0.13, neck=0.28, head=0.44, tail=0.13,
    tail_up=((0, 0), (0.28, -0.12), (0.42, -0.5), (0.34, -0.9), (0.5, -1.15)),
    tail_round=((0, 0), (0.42, 0.06), (0.62, -0.25), (0.5, -0.6), (0.66, -0.85)),
)  # fmt: skip
DOG = Build(
    shoulder=0.56, hip=0.62, chest=0.40, leg=0.18, neck=0.46, head=0.48, tail=0.15,
    tail_up=((0, 0), (0.18, -0.1), (0.34, -0.28), (0.38, -0.5)),
    tail_round=((0, 0), (0.2, -0.04), (0.36, -0.16), (0.44, -0.34)),
)  # fmt: skip


def draw_animal(pen: Pen, species: str, pose: str, coat: Coat) -> None:
    """A cat or dog, as a face, sitting or standing, around the pen's (0, 0)."""
    cat, dog = (cat_face, cat_profile, CAT), (dog_face, dog_profile, DOG)
    front, side, build = cat if species == "cat" else dog
    if pose == "face":
        _chest(pen, coat, build)
        front(pen, coat)
        return
    head = side if pose == "standing" and pen.rng.random() < 0.6 else front
    body = _sitting_body if pose == "sitting" else _standing_body
    where = body(pen, coat, build)
    head(pen.at(*where, build.head, pen.rng.normal(0, 0.12)), coat)


def _chest(pen: Pen, coat: Coat, build: Build) -> None:
    wide = build.shoulder + 0.5
    pen.blob([(-0.5, 0.3), (0.5, 0.3), (wide, 1.4), (wide, 2.6), (-wide, 2.6), (-wide, 1.4)],
             coat.dark, 0.02)  # fmt: skip
    pen.oval((0, 1.3), (wide * 0.5, 0.7), coat.light, fuzz=0.04)


def _sitting_body(pen: Pen, coat: Coat, build: Build) -> tuple[float, float]:
    s, h = build.shoulder, build.hip
    pen.at(h * 0.7, 0.85).stroke(build.tail_round, build.tail, coat.dark, tip=0.6)
    pen.blob([(0, -0.55), (s, -0.35), (s * 1.1, 0.2), (h, 0.7), (h * 0.8, 0.98), (-h * 0.8, 0.98),
              (-h, 0.7), (-s * 1.1, 0.2), (-s, -0.35)], coat.base, 0.015)  # fmt: skip
    pen.oval((0, 0.05), (s * 0.55, 0.42), coat.light, fuzz=0.04)
    _body_marks(pen, coat, s)
    for side in (-1, 1):
        pen.oval((side * h * 0.74, 0.9), (0.24, 0.11), coat.dark)
        pen.stroke([(side * s * 0.5, 0.1), (side * s * 0.45, 0.9)], build.leg * 1.4, coat.dark)
        pen.stroke([(side * s * 0.46, 0.1), (side * s * 0.42, 0.88)], build.leg * 1.2, coat.base)
        pen.oval((side * s * 0.44, 0.95), (build.leg * 0.95, 0.09), coat.light)
    return 0.0, -0.55 - build.head * 0.55


def _body_marks(pen: Pen, coat: Coat, half: float) -> None:
    if coat.marking == "striped":
        for y in (-0.15, 0.1, 0.35, 0.6):
            for side in (-1, 1):
                pen.stroke([(side * half, y), (side * half * 0.6, y + 0.06)], 0.06, coat.dark, 0.3)
    elif coat.marking == "patched":
        pen.oval((half * 0.6, 0.45), (0.2, 0.26), coat.dark, fuzz=0.05)


def _standing_body(pen: Pen, coat: Coat, build: Build) -> tuple[float, float]:
    c, leg = build.chest, build.leg
    for x, colour in ((-0.5, coat.dark), (0.62, coat.dark), (-0.66, coat.base), (0.48, coat.base)):
        bend = 0.07 if x > 0 else 0.0
        pen.stroke([(x, 0.1), (x + bend, 0.5), (x, 0.92)], leg * 1.3, colour, tip=0.8)
        pen.oval((x - 0.05, 0.94), (leg * 0.75, 0.07), coat.light)
    pen.at(0.78, -0.12).stroke(build.tail_up, build.tail, coat.base, tip=0.55)
    pen.stroke([(-0.6, 0.0), (-0.95, -build.neck)], c * 1.15, coat.base)
    pen.blob([(-0.85, -0.15), (-0.4, -c * 0.9), (0.3, -c * 0.8), (0.8, -0.2), (0.82, 0.15),
              (0.35, c * 0.45), (-0.3, c * 0.95), (-0.75, c * 0.7)], coat.base, 0.02)  # fmt: skip
    if coat.marking == "striped":
        for x in (-0.4, -0.15, 0.1, 0.35, 0.6):
            pen.stroke([(x, -c * 0.7), (x + 0.05, c * 0.1)], 0.06, coat.dark, 0.3)
    elif coat.marking == "patched":
        pen.oval((pen.rng.uniform(-0.2, 0.4), -0.05), (0.28, c * 0.6), coat.dark, fuzz=0.05)
    return -1.0, -build.neck - 0.16


def _on_side(points: Points, side: int) -> list[tuple[float, float]]:
    return [(side * x, y) for x, y in points]


def cat_face(pen: Pen, coat: Coat) -> None:
    """Pointed ears, a short muzzle, slit pupils and long whiskers."""
    for side in (-1, 1):
        lean = pen.rng.normal(0, 0.06)
        tip = (0.74 + lean, -1.3 + abs(lean))
        pen.patch(_on_side([(0.95, -0.1), tip, (0.12, -0.72)], side), coat.base, 0.012)
        inner = [(0.84, -0.35), (tip[0] - 0.02, tip[1] + 0.2), (0.34, -0.7)]
        pen.patch(_on_side(inner, side), mix(PINK, coat.dark, 0.35), 0.02)
    right = [(0.5, -0.74), (0.88, -0.3), (1.02, 0.25), (0.62, 0.66)]
    _head(pen, coat, -0.74, right, 0.8)
    for side in (-1, 1):
        pen.oval((side * 0.2, 0.4), (0.29, 0.22), coat.light, fuzz=0.03)
    _cat_eyes(pen, coat)
    pen.oval((0, 0.52), (0.2, 0.12), coat.light)
    pen.patch([(-0.13, 0.15), (0.13, 0.15), (0, 0.29)], coat.nose)
    for side in (-1, 1):
        pen.stroke(_on_side([(0, 0.27), (0.05, 0.42), (0.2, 0.44)], side), 0.035, INK)
    _whiskers(pen, coat)


def _cat_eyes(pen: Pen, coat: Coat) -> None:
    slit = pen.rng.uniform(0.035, 0.09)
    for side in (-1, 1):
        pen.oval((side * 0.42, -0.08), (0.25, 0.2), INK, turn=-side * 0.25)
        pen.oval((side * 0.42, -0.08), (0.215, 0.17), coat.iris, turn=-side * 0.25)
        pen.oval((side * 0.42, -0.08), (slit, 0.16), INK)
        pen.oval((side * 0.42 - 0.06, -0.15), (0.035, 0.035), (250, 250, 250))


def _whiskers(pen: Pen, coat: Coat) -> None:
    for side in (-1, 1):
        for rise in (-0.14, 0.0, 0.14):
            droop = rise + pen.rng.normal(0, 0.04)
            line = [(0.3, 0.38 + rise * 0.4), (0.8, 0.36 + droop), (1.3, 0.42 + droop * 2)]
            pen.stroke(_on_side(line, side), 0.026, coat.whiskers, 0.5)


def dog_face(pen: Pen, coat: Coat) -> None:
    """Hanging ears (seldom raised), a long snout with a big nose, round dark eyes, a tongue."""
    raised = pen.rng.random() < 0.15
    if raised:
        for side in (-1, 1):
            ear = [(0.74, -0.3), (0.86, -0.9), (0.7, -1.12), (0.42, -1.0), (0.25, -0.7)]
            pen.blob(_on_side(ear, side), coat.dark, 0.012)
    right = [(0.46, -0.8), (0.74, -0.4), (0.68, 0.15), (0.5, 0.7)]
    _head(pen, coat, -0.86, right, 0.98)
    if not raised:
        low, out = pen.rng.uniform(0.3, 0.75), pen.rng.uniform(-0.08, 0.14)
        ear = [(0.42, -0.82), (0.86, -0.7), (1.1 + out, -0.1), (1.04 + out, low),
               (0.8, low * 0.9), (0.66, -0.1)]  # fmt: skip
        for side in (-1, 1):
            pen.blob(_on_side(ear, side), coat.dark, 0.015)
    _snout(pen, coat)
    for side in (-1, 1):
        pen.oval((side * 0.33, -0.2), (0.155, 0.15), INK)
        pen.oval((side * 0.33, -0.2), (0.125, 0.12), coat.iris)
        pen.oval((side * 0.33, -0.19), (0.09, 0.095), INK)
        pen.oval((side * 0.33 - 0.04, -0.25), (0.032, 0.032), (250, 250, 250))
        pen.oval((side * 0.33, -0.45), (0.13, 0.05), coat.light, turn=side * 0.3)


def _snout(pen: Pen, coat: Coat) -> None:
    if pen.rng.random() < 0.5:
        pen.oval((0.02, 0.95), (0.17, 0.28), (214, 104, 112))
        pen.stroke([(0.02, 0.8), (0.02, 1.1)], 0.03, (176, 76, 88))
    pen.oval((0, 0.45), (0.46, 0.42), coat.light, fuzz=0.02)
    pen.oval((0, 0.2), (0.23, 0.16), coat.nose)
    pen.oval((-0.06, 0.14), (0.07, 0.03), mix(coat.nose, (255, 255, 255), 0.5))
    pen.stroke([(0, 0.34), (0, 0.58)], 0.045, INK)
    for side in (-1, 1):
        pen.stroke(_on_side([(0, 0.58), (0.16, 0.7), (0.36, 0.58)], side), 0.045, INK)


def _head(pen: Pen, coat: Coat, top: float, right: Points, bottom: float) -> None:
    left = _on_side(right[::-1], -1)
    pen.blob([(0, top), *right, (0, bottom), *left], coat.base, 0.02)
    if coat.marking == "striped":
        for x in (-0.24, 0, 0.24):
            pen.stroke([(x, -0.7), (x * 0.7, -0.38)], 0.08, coat.dark, 0.4)
    elif coat.marking == "patched":
        side = 1 if pen.rng.random() < 0.5 else -1
        pen.oval((side * 0.38, -0.2), (0.3, 0.34), coat.dark, fuzz=0.04)
    elif coat.marking == "blazed":
        pen.blob([(0, -0.74), (0.12, -0.3), (0.2, 0.3), (-0.2, 0.3), (-0.12, -0.3)], coat.light)


def cat_profile(pen: Pen, coat: Coat) -> None:
    """A round head with a short muzzle, seen from its left side."""
    pen.patch([(0.0, -0.6), (0.42, -1.3), (0.68, -0.4)], coat.dark, 0.012)
    pen.patch([(-0.5, -0.5), (-0.12, -1.34), (0.3, -0.55)], coat.base, 0.012)
    pen.patch([(-0.32, -0.62), (-0.1, -1.12), (0.1, -0.62)], mix(PINK, coat.dark, 0.35))
    pen.blob([(0.1, -0.8), (0.7, -0.45), (0.8, 0.2), (0.3, 0.72), (-0.4, 0.66), (-0.86, 0.4),
              (-0.92, 0.1), (-0.6, -0.4)], coat.base, 0.02)  # fmt: skip
    pen.oval((-0.66, 0.34), (0.3, 0.22), coat.light, fuzz=0.03)
    pen.oval((-0.4, -0.1), (0.19, 0.19), INK)
    pen.oval((-0.4, -0.1), (0.16, 0.16), coat.iris)
    pen.oval((-0.44, -0.1), (0.05, 0.15), INK)
    pen.patch([(-0.98, 0.08), (-0.8, 0.08), (-0.9, 0.22)], coat.nose)
    pen.stroke([(-0.88, 0.22), (-0.8, 0.4), (-0.6, 0.42)], 0.04, INK)
    for rise in (-0.12, 0.04, 0.2):
        line = [(-0.7, 0.34), (-0.3, 0.3 + rise), (0.15, 0.34 + rise * 2)]
        pen.stroke(line, 0.026, coat.whiskers, 0.5)


def dog_profile(pen: Pen, coat: Coat) -> None:
    """A long snout with the nose at its tip and a hanging ear, seen from its left side."""
    if pen.rng.random() < 0.5:
        pen.oval((-1.0, 0.62), (0.13, 0.28), (214, 104, 112), turn=0.3)
    pen.blob([(0.1, -0.82), (0.66, -0.5), (0.8, 0.2), (0.4, 0.66), (-0.3, 0.6), (-1.1, 0.58),
              (-1.4, 0.36), (-1.36, 0.02), (-0.8, -0.1), (-0.5, -0.5)],
             coat.base, 0.012)  # fmt: skip
    pen.blob([(-0.7, 0.0), (-1.3, 0.06), (-1.36, 0.4), (-1.0, 0.54), (-0.6, 0.46)], coat.light)
    pen.oval((-1.36, 0.05), (0.18, 0.15), coat.nose)
    pen.stroke([(-1.32, 0.36), (-0.95, 0.42), (-0.6, 0.3)], 0.05, INK)
    pen.oval((-0.36, -0.24), (0.14, 0.13), INK)
    pen.oval((-0.37, -0.24), (0.11, 0.1), coat.iris)
    pen.oval((-0.38, -0.24), (0.08, 0.08), INK)
    pen.oval((-0.4, -0.28), (0.03, 0.03), (250, 250, 250))
    ear = [(0.0, -0.7), (0.5, -0.72), (0.72, -0.1), (0.6, 0.6), (0.28, 0.66), (0.12, 0.0)]
    pen.blob(ear, coat.dark, 0.015)
