"""Structure and text of each figure, not its pixels."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from catdog.charts import Chart, charts, galleries
from catdog.comparison import Comparison, compare
from catdog.pictures import Album, overlay, sheet, thumbnail
from catdog.report import load_history
from catdog.style import DARK, INK, jpeg, png, settle, svg


class Drawn(NamedTuple):
    comparison: Comparison
    charts: dict[str, Chart]
    run: Any


@pytest.fixture(scope="module")
def drawn(make_fake_run: Callable[..., Any], tmp_path_factory: Any) -> Drawn:
    run = make_fake_run(
        tmp_path_factory.mktemp("figures"),
        accuracies={"baseline": 0.6, "price $5_a$": 0.97},
        repeats=2,
        origin="official",
    )
    found = compare(run.photos, run.manifest, run.arrays, run.results, settings={})
    made = charts(found, load_history(run.results))
    return Drawn(found, {chart.name: chart for chart in made}, run)


def texts(figure: Figure) -> str:
    from matplotlib.text import Text

    settle(figure)
    return "\n".join(item.get_text() for item in figure.findobj(Text) if item.get_visible())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("accuracies", ["96.9 %", "59.9 %", "test (192 photos)", "validation (120)", "guessing"]),
        ("learning-curves", ["training photos", "validation photos", "accuracy, %", "epoch"]),
        ("loss-curves", ["loss (log scale)", "epoch used"]),
        ("confusion-matrices", ["true class", "predicted class", "cats", "98 %"]),
        ("ranking-curves", ["false positive rate", "recall", "area under the curve"]),
        ("reliability", ["certainty of the model, %", "off by"]),
        ("repeats", ["test photos named rightly, %"]),
        ("class-counts", ["train: 40 photos", "test: 192 photos", "96"]),
        ("spreads", ["width", "px", "file size", "kB", "brightness"]),
    ],
)
def test_each_chart_says_what_it_shows(drawn: Drawn, name: str, said: list[str]) -> None:
    chart = drawn.charts[name]
    wide, narrow = chart.draw(False), chart.draw(True)
    assert wide.get_figwidth() > 2 * narrow.get_figwidth()
    shown = texts(wide)
    for text in said:
        assert text in shown
    if name not in ("class-counts", "spreads"):
        assert "price $5_a$" in shown
        assert "price $5_a$" in chart.alt


def test_svg_is_the_same_each_time_and_follows_light_and_dark(drawn: Drawn) -> None:
    chart = drawn.charts["reliability"]
    one, two = (svg(chart.draw(False), "reliability") for _ in range(2))
    assert one == two
    assert "prefers-color-scheme:dark" in one
    assert f"--{INK[1:]}:{DARK[INK]};" in one
    assert f"fill: {INK}" not in one
    assert "<dc:date>" not in one


def test_png_is_as_wide_as_a_page(drawn: Drawn) -> None:
    with Image.open(io.BytesIO(png(drawn.charts["class-counts"].draw(False)))) as image:
        assert image.width == 990


def test_galleries_hold_the_photos_that_the_comparison_names(drawn: Drawn) -> None:
    album = Album(drawn.run.arrays)
    found = {g.name: g for g in galleries(drawn.comparison, drawn.run.results, album)}
    assert set(found) >= {"worst-errors", "least-certain", "attention", "examples", "augmentation"}
    worst = found["worst-errors"].pictures
    assert [p.alt.split(":")[0] for p in worst] == [p.path for p in drawn.comparison.worst]
    assert all(" %" in picture.caption for picture in worst)
    assert len(found["examples"].pictures) == 12
    assert len(found["augmentation"].pictures) == 12
    photo, lit = found["attention"].pictures[:2]
    assert photo.alt.split(":")[0] == lit.alt.split(":")[0]
    assert photo.image.shape == lit.image.shape
    with Image.open(io.BytesIO(jpeg(sheet(worst)))) as image:
        assert image.format == "JPEG"


def test_overlay_keeps_the_place_of_the_heat() -> None:
    photo = np.full((40, 40, 3), 100, dtype=np.uint8)
    heat = np.zeros((5, 5), dtype=np.float32)
    heat[0, 0] = 1
    lit = overlay(photo, heat)
    assert lit.shape == photo.shape
    assert lit[:4, :4].mean() > 2 * lit[-8:, -8:].mean()


def test_thumbnails_of_large_photos_are_small(tmp_path: Path) -> None:
    made = thumbnail(np.zeros((400, 200, 3), dtype=np.uint8))
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == (96, 192)


@pytest.mark.parametrize("classes", [tuple("abcde"), tuple("abcdefgh")])
def test_many_classes_fit(fake_run: Callable[..., Any], classes: tuple[str, ...]) -> None:
    run = fake_run(classes=classes, counts={"train": 2, "validation": 6, "test": 6})
    found = compare(run.photos, run.manifest, run.arrays, run.results, settings={})
    made = {chart.name: chart for chart in charts(found, load_history(run.results))}
    for name in ("confusion-matrices", "class-counts", "ranking-curves"):
        assert classes[-1] in texts(made[name].draw(False)) or name == "ranking-curves"
