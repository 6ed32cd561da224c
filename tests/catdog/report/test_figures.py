"""Structure and text of each figure, not its pixels."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from catdog.comparison.compare import Comparison, compare
from catdog.report.charts import Chart, charts, galleries
from catdog.report.figures import learning_curves
from catdog.report.pictures import overlay, sheet, thumbnail
from catdog.report.style import DARK, INK, jpeg, panels, png, settle, svg
from catdog.report.write import training_history


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
    found = compare(run.study())
    made = charts(found, training_history(run.results))
    return Drawn(found, {chart.name: chart for chart in made}, run)


def texts(figure: Figure) -> str:
    from matplotlib.text import Text

    settle(figure)
    return "\n".join(item.get_text() for item in figure.findobj(Text) if item.get_visible())


def test_every_chart_is_drawn_for_a_page_and_for_a_phone(drawn: Drawn) -> None:
    for chart in drawn.charts.values():
        wide, narrow = chart.draw(), chart.draw(narrow=True)
        assert wide.get_figwidth() > 2 * narrow.get_figwidth()
        of_models = chart.section not in ("data", "measures")
        assert ("price $5_a$" in texts(wide)) == of_models
        assert ("price $5_a$" in chart.alt) == of_models


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("scores", ["96.9 %", "59.9 %", "test (192 photos)", "validation (120)", "majority class"]),
        ("training", ["training", "validation", "accuracy, %", "epoch"]),
        ("training", ["loss (log scale)", "selected epoch"]),
        ("classes", ["true class", "predicted class", "cats", "98 %"]),
        ("calibration", ["false positive rate", "recall", "ROC AUC"]),
        ("calibration", ["confidence, %", "ECE"]),
        ("repeats", ["test accuracy, %"]),
        ("data", ["train: 40 photos", "test: 192 photos", "96"]),
        ("measures", ["width", "px", "file size", "kB", "brightness"]),
    ],
)
def test_a_section_has_a_chart_that_says_this(drawn: Drawn, section: str, said: list[str]) -> None:
    shown = [texts(c.draw()) for c in drawn.charts.values() if c.section == section]
    assert any(all(words in text for words in said) for text in shown)


def test_a_single_epoch_is_named_1(drawn: Drawn) -> None:
    history = training_history(drawn.run.results)
    first = [
        model.model_copy(update={"selected": model.selected.model_copy(update={"epoch": 1})})
        for model in drawn.comparison.models
    ]
    made = learning_curves(history[history["epoch"] == 1], tuple(first), "accuracy")
    settle(made)
    assert [label.get_text() for label in made.axes[0].get_xticklabels()] == ["1"]


def test_a_line_shows_where_a_phase_begins(drawn: Drawn) -> None:
    history = training_history(drawn.run.results)
    history.loc[(history["model"] != "baseline") & (history["epoch"] > 4), "phase"] = 2
    made = learning_curves(history, drawn.comparison.models, "loss")
    for model, axes in zip(drawn.comparison.models, made.axes, strict=True):
        lines = {tuple(line.get_xdata()) for line in axes.lines}
        assert ((4.5, 4.5) in lines) == (model.name != "baseline")
    assert "next phase begins" in texts(made)
    assert "next phase begins" not in texts(drawn.charts["loss-curves"].draw())


@pytest.mark.parametrize("worst", [0.9, 90, 1e5])
def test_losses_of_any_size_have_a_few_numbers_beside_them(drawn: Drawn, worst: float) -> None:
    history = training_history(drawn.run.results)
    history.loc[history["epoch"] == 1, "loss"] = worst
    made = learning_curves(history, drawn.comparison.models, "loss")
    settle(made)
    low, high = made.axes[0].get_ylim()
    assert 2 <= sum(low <= tick <= high for tick in made.axes[0].get_yticks()) <= 10


@pytest.mark.parametrize("narrow", [False, True])
def test_legends_of_curves_lie_beside_the_curves(drawn: Drawn, narrow: bool) -> None:
    made = drawn.charts["ranking-curves"].draw(narrow=narrow)
    settle(made)
    page = made.bbox
    for axes in made.axes:
        legend = axes.get_legend()
        assert legend is not None
        box = legend.get_window_extent()
        assert not box.overlaps(axes.bbox)
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0


def test_numbers_on_a_matrix_can_be_read(drawn: Drawn) -> None:
    made = drawn.charts["confusion-matrices"].draw()
    for axes in made.axes:
        picture = axes.images[0]
        for text in axes.texts:
            column, row = (round(place) for place in text.get_position())
            fill = picture.to_rgba(picture.get_array())[row, column]
            assert contrast(to_rgb(text.get_color()), fill[:3]) >= 4.5


def contrast(one: Iterable[float], other: Iterable[float]) -> float:
    """WCAG 2.2, contrast ratio."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Iterable[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_svg_is_the_same_each_time_and_follows_light_and_dark(drawn: Drawn) -> None:
    chart = drawn.charts["reliability"]
    one, two = (svg(chart.draw(), "reliability") for _ in range(2))
    assert one == two
    assert "prefers-color-scheme:dark" in one
    assert f"--{INK[1:]}:{DARK[INK]};" in one
    assert f"fill: {INK}" not in one
    assert "<dc:date>" not in one


def test_png_is_as_wide_as_a_page(drawn: Drawn) -> None:
    with Image.open(io.BytesIO(png(drawn.charts["class-counts"].draw()))) as image:
        assert image.width == 990


def test_the_lowest_panel_of_each_column_has_numbers_on_its_axis() -> None:
    _, axes = panels(5, columns=3, height=1, shared=True)
    numbered = [any(tick.label1.get_visible() for tick in a.xaxis.get_major_ticks()) for a in axes]
    assert numbered == [False, False, True, True, True]


def test_galleries_hold_the_photos_that_the_comparison_names(drawn: Drawn) -> None:
    found = {g.name: g for g in galleries(drawn.comparison, drawn.run.study())}
    assert set(found) >= {"highest-loss", "least-confident", "grad-cam", "examples", "augmentation"}
    worst = found["highest-loss"].pictures
    assert [p.alt.split(":")[0] for p in worst] == [p.path for p in drawn.comparison.highest_loss]
    assert all(" %" in picture.caption for picture in worst)
    assert len(found["examples"].pictures) == 12
    assert len(found["augmentation"].pictures) == 12
    plain, lit = found["grad-cam"].pictures[:2]
    assert plain.alt.split(":")[0] == lit.alt.split(":")[0]
    assert plain.image.shape == lit.image.shape
    made = sheet(worst)
    (axes,) = made.axes
    for photo, caption in zip(axes.get_images(), axes.texts, strict=True):
        below = caption.get_window_extent()
        assert below.y1 <= photo.get_window_extent().y0
        assert below.y0 > -0.5
    with Image.open(io.BytesIO(jpeg(made))) as image:
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
    found = compare(run.study())
    made = {chart.name: chart for chart in charts(found, training_history(run.results))}
    for name in ("confusion-matrices", "class-counts", "ranking-curves"):
        assert classes[-1] in texts(made[name].draw()) or name == "ranking-curves"
