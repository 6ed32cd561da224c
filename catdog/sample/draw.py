"""The sample: photos of cats and dogs that catdog draws itself, for a first run anywhere.

A problem for real, neither trivial nor hopeless: pose, size, place, colours, background, light,
blur and what stands in the way are random and the same for both classes; only form tells.
"""

import math
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from catdog.sample.animals import Coat, draw_animal
from catdog.sample.facts import SPECIES, photo_path
from catdog.sample.pen import Colour, Pen, rotation, shade

POSES = {"face": (0.22, 0.38), "sitting": (0.28, 0.4), "standing": (0.24, 0.34)}
"""The animal's scale in each pose, least and most, as a share of the photo's shorter side."""
SHORTEST, LONGEST = 200, 300
"""Sides of a photo in pixels."""
QUALITY = 85
FINE = 2
"""The animal is drawn so many times larger, then reduced, which smooths its edges."""
COARSE = 2
"""The background is drawn so many times smaller, then enlarged: it is out of focus."""

WALLS: tuple[Colour, ...] = (
    (214, 204, 186), (168, 182, 190), (186, 166, 150), (132, 150, 132), (196, 176, 182),
    (108, 112, 126), (226, 222, 214), (160, 120, 96),
)  # fmt: skip
THINGS: tuple[Colour, ...] = (
    (178, 62, 54), (52, 92, 140), (70, 122, 80), (214, 168, 60), (120, 84, 60), (226, 220, 206),
    (64, 60, 66), (150, 96, 140), (204, 128, 62), (150, 146, 144),
)  # fmt: skip

Pixels = NDArray[np.float32]


def draw(folder: Path, *, train: int, validation: int, seed: int) -> None:
    """Write `train/` and `validation/`, each with `cats/` and `dogs/`, as JPEG files.

    train, validation: photos of both classes together; an odd one is a cat. A photo depends only
    on the seed, its split, its class and its number, so more photos never change the first ones.
    """
    for part, (split, total) in enumerate((("train", train), ("validation", validation))):
        for label, species in enumerate(SPECIES):
            for number in range((total + 1 - label) // 2):
                rng = np.random.default_rng((seed, part, label, number))
                target = folder / photo_path(split, species, number + 1)
                target.parent.mkdir(parents=True, exist_ok=True)
                photo(species, rng).save(target, quality=QUALITY)


def photo(species: str, rng: Generator) -> Image.Image:
    """One RGB photo of a "cat" or a "dog"."""
    size = int(rng.integers(SHORTEST, LONGEST + 1)), int(rng.integers(SHORTEST, LONGEST + 1))
    scene = _background((size[0] // COARSE, size[1] // COARSE), rng).resize(size)
    animal, mask = _animal(species, size, rng)
    scene.paste(_furry(animal, rng), mask=mask)
    if rng.random() < 0.5:
        _obstruct(scene, rng)
    if rng.random() < 0.4:
        scene = scene.filter(ImageFilter.BoxBlur(rng.uniform(0.4, 1.4)))
    return _exposed(scene, rng)


def _animal(species: str, size: tuple[int, int], rng: Generator) -> tuple[Image.Image, Image.Image]:
    """The animal (RGB) and the mask of where it is."""
    coat = Coat.draw(rng)
    canvas = Image.new("RGBA", (size[0] * FINE, size[1] * FINE), (*coat.base, 0))
    pose = str(rng.choice(list(POSES), p=(0.45, 0.3, 0.25)))
    span = min(size) * FINE * rng.uniform(*POSES[pose])
    turn = float(np.clip(rng.normal(0, 0.22), -0.6, 0.6))
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    stretch = rng.uniform(0.88, 1.14)
    matrix = rotation(turn) @ np.diag([mirror * stretch, 1 / stretch]) * span
    centre = np.array(canvas.size) * (rng.uniform(0.38, 0.62), rng.uniform(0.44, 0.62))
    pen = Pen(ImageDraw.Draw(canvas), rng, matrix, centre)
    draw_animal(pen, species, pose, coat)
    return canvas.convert("RGB").reduce(FINE), canvas.getchannel("A").reduce(FINE)


def _furry(animal: Image.Image, rng: Generator) -> Image.Image:
    """The animal with the streaks of its fur and light from one side."""
    fur = _grain(animal.size, (2, 7), rng) * 0.1
    return _scaled(animal, 1 + fur + _light(animal.size, 0.35, rng))


def _background(size: tuple[int, int], rng: Generator) -> Image.Image:
    kind = rng.choice(["room", "grass", "plain", "lights"])
    colour = shade(WALLS[rng.integers(len(WALLS))], rng.uniform(0.6, 1.1))
    scene = Image.new("RGB", size, colour)
    if kind == "room":
        _clutter(scene, rng, int(rng.integers(2, 7)))
        _floor(scene, rng)
    elif kind == "grass":
        _meadow(scene, rng)
    else:
        _clutter(scene, rng, int(rng.integers(0, 12)))
    blur = rng.uniform(2, 5) if kind == "lights" else rng.uniform(0, 1.2)
    scene = scene.filter(ImageFilter.GaussianBlur(blur))
    coarse = _grain(size, (int(rng.integers(1, 15)), int(rng.integers(1, 15))), rng)
    return _scaled(scene, 1 + coarse * 0.08 + _light(size, 0.4, rng))


def _clutter(scene: Image.Image, rng: Generator, count: int) -> None:
    """Boxes, balls, triangles and cords: shapes that an ear or a tail can be taken for."""
    pencil = ImageDraw.Draw(scene)
    for _ in range(count):
        x, y = rng.uniform(0, scene.width), rng.uniform(0, scene.height)
        w, h = rng.uniform(0.05, 0.3, 2) * min(scene.size)
        colour = shade(THINGS[rng.integers(len(THINGS))], rng.uniform(0.6, 1.15))
        match rng.integers(4):
            case 0:
                pencil.rectangle((x, y, x + w, y + h), fill=colour, outline=shade(colour, 0.7))
            case 1:
                pencil.ellipse((x, y, x + w, y + h), fill=colour)
            case 2:
                pencil.polygon([(x, y), (x + w, y + h / 2), (x + w / 3, y + h)], fill=colour)
            case _:
                pencil.arc((x, y, x + 2 * w, y + 2 * h), 20, 200, fill=colour, width=int(3 + w / 9))


def _floor(scene: Image.Image, rng: Generator) -> None:
    pencil, (width, height) = ImageDraw.Draw(scene), scene.size
    top = rng.uniform(0.55, 0.85) * height
    wood = shade(THINGS[rng.integers(len(THINGS))], rng.uniform(0.7, 1.0))
    pencil.rectangle((0, top, width, height), fill=wood)
    pencil.line((0, top, width, top), fill=(232, 228, 220), width=int(rng.integers(2, 7)))
    for x in np.linspace(-width, 2 * width, 14):
        pencil.line((x, height, width / 2 + (x - width / 2) * 0.6, top), fill=shade(wood, 0.8))


def _meadow(scene: Image.Image, rng: Generator) -> None:
    top = rng.uniform(0.0, 0.5) * scene.height
    green = shade((104, 142, 70), rng.uniform(0.6, 1.1))
    ImageDraw.Draw(scene).rectangle((0, top, *scene.size), fill=green)
    _blades(scene, rng, 150, top, green)


def _blades(scene: Image.Image, rng: Generator, count: int, top: float, colour: Colour) -> None:
    """Blades of grass whose feet lie between `top` and the lower edge."""
    pencil, (width, height) = ImageDraw.Draw(scene), scene.size
    feet = rng.uniform((0, top), (width, height + 10), (count, 2))
    tips = feet + rng.normal((0, -0.06 * height), (5, 6), (count, 2))
    for foot, tip, tone in zip(feet, tips, rng.uniform(0.7, 1.3, count), strict=True):
        pencil.line([tuple(foot), tuple(tip)], fill=shade(colour, tone), width=2)


def _obstruct(scene: Image.Image, rng: Generator) -> None:
    """Something between the camera and the animal: grass, a bar, or the edge of a box."""
    pencil, (width, height) = ImageDraw.Draw(scene), scene.size
    colour = shade(THINGS[rng.integers(len(THINGS))], rng.uniform(0.5, 1.1))
    match rng.integers(3):
        case 0:
            _blades(scene, rng, 90, height * 0.82, (96, 132, 66))
        case 1:
            x, thick = rng.uniform(0.1, 0.9) * width, rng.uniform(0.03, 0.08) * width
            lean = rng.normal(0, 0.15) * width
            pencil.line((x, 0, x + lean, height), fill=colour, width=int(thick))
        case _:
            edge = height * (1 - rng.uniform(0.08, 0.24))
            box = [(0, edge), (width, edge + rng.normal(0, 8)), (width, height), (0, height)]
            pencil.polygon(box, fill=colour)


def _exposed(scene: Image.Image, rng: Generator) -> Image.Image:
    """The scene as a camera takes it: brightness, contrast, white balance and sensor noise."""
    levels = np.arange(256) - 128
    contrast = rng.uniform(0.9, 1.8) * rng.normal(1, 0.05, 3)
    curves = np.outer(contrast, levels) + 120 + rng.normal(0, 28)
    noise = rng.standard_normal(scene.size[::-1], np.float32) * np.float32(rng.uniform(1, 9))
    grey = _image(noise + 128)
    developed = scene.point(np.clip(curves, 0, 255).astype(np.uint8).ravel().tolist())
    return ImageChops.add(developed, Image.merge("RGB", (grey, grey, grey)), offset=-128)


def _grain(size: tuple[int, int], cell: tuple[int, int], rng: Generator) -> Pixels:
    """Smooth noise (height x width, mean 0, deviation about 1) with grains of so many pixels."""
    width, height = size
    coarse = rng.standard_normal((height // cell[1] + 2, width // cell[0] + 2), np.float32)
    noise = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(noise, np.float32)


def _light(size: tuple[int, int], most: float, rng: Generator) -> Pixels:
    """A ramp (height x width) in any direction, from about -1 to 1 times so much at the most."""
    angle = rng.uniform(0, math.tau)
    x = np.linspace(-1, 1, size[0], dtype=np.float32) * np.float32(math.cos(angle))
    y = np.linspace(-1, 1, size[1], dtype=np.float32) * np.float32(math.sin(angle))
    return (y[:, None] + x[None, :]) * np.float32(rng.uniform(0, most))


def _scaled(image: Image.Image, factor: Pixels) -> Image.Image:
    return _image(np.asarray(image, np.float32) * factor[..., None])


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
