"""What the tests of the command line ask of an answer, and small things that they give it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SOURCE = f"/{'a-deep-folder/' * 12}tiny.zip"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


def assert_one_clear_line(answer: Answer, *words: str) -> None:
    assert answer.code != 0
    lines = answer.err.splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]
    assert len(re.findall(r"[.?](?= [A-Z]|$)", lines[0])) >= 2, "it tells no remedy"
    assert "Traceback" not in answer.out


def photo(path: Path, seed: int, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path


def folder(root: Path, **classes: int) -> Path:
    for place, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            photo(root / name / f"{number}.jpg", 1_000 * place + number)
    return root


def empty_folder(root: Path) -> Path:
    return folder(root)


def table(shown: str) -> dict[str, list[str]]:
    """The rows of a table by their first cell."""
    rows = (line.split("│")[1:-1] for line in shown.splitlines() if "│" in line)
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}
