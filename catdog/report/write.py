"""The report: results as data, and the same told as HTML and Markdown, with all figures."""

import csv
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catdog.comparison.compare import Comparison, Study, compare
from catdog.comparison.groups import Groups
from catdog.comparison.labels import LabelIssue
from catdog.report.charts import Chart, Gallery, charts, galleries
from catdog.report.pictures import Embedded, sheet
from catdog.report.render import render_html, render_markdown, render_model_card, templates
from catdog.report.style import data_uri, jpeg, png, settle, svg
from catdog.store.artifacts import ModelResult, Report, csv_text, write_csv
from catdog.store.digest import make_key
from catdog.store.files import write_json, write_text, writing
from catdog.store.store import Recipe, Store

if TYPE_CHECKING:
    import pandas as pd

LIBRARIES = ("jinja2", "matplotlib", "numpy", "pandas", "pillow", "scikit-learn", "scipy")
MARKDOWN_BYTES = 1_900_000
"""Prefect takes a Markdown artifact of 2 MB; pictures beyond that are left to `figures/`."""


def prepare() -> None:
    """Import what takes seconds to import, for who has them to spare before there are results."""
    import matplotlib.backends.backend_svg  # noqa: F401
    import pandas as pd  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401


def recipe(study: Study) -> Recipe[Report]:
    """How a report is written on these results.

    Files: `comparison.json`, `predictions.csv` and `history.csv` of all models, `classes.csv` with
    precision, recall and F1, `confusion-NAME.csv` for each model, `report.html`, `report.md`,
    `model-card-NAME.md` for each model, and `figures/`. Of a cross-validation, `label-errors.csv`
    instead of the cards, where a model is accurate enough to check labels. Predictions have a
    column `group` where photos of one picture count together.
    To make it raises TrainingError when no model gave predictions.
    """
    photos, changes = study.photos, study.changes
    key = make_key(
        code=(__name__,),
        libraries=LIBRARIES,
        templates=templates(),
        origin=photos.origin,
        photos=photos.inventory,
        archive=photos.archive_sha256,
        note=photos.note,
        manifest=study.manifest.content,
        arrays=study.arrays.content,
        results=[
            (r.identity(), *(a and a.content for a in (r.model, r.predictions)), r.error)
            for r in study.results
        ],
        settings=dict(study.settings),
        comparing=study.comparing.model_dump(),
        changes=changes.model_dump(mode="json") if changes else None,
        evidence=[(each.name, each.content) for each in study.evidence],
    )
    return Recipe(Report, key, lambda folder: _write(folder, study))


def write_report(study: Study, store: Store) -> Report:
    """Compare all results and store the report; each model gets its card.

    Raises TrainingError when no model gave predictions.
    """
    made = store.obtain(recipe(study))
    with writing(store.home):
        for card in made.path.glob("model-card-*.md"):
            (model, _), *_ = study.compared[card.stem.removeprefix("model-card-")]
            write_text(model.file("model-card.md"), card.read_text(encoding="utf-8"))
    return made


def load_comparison(report: Report | Path) -> Comparison:
    """The comparison of a stored report, or of a run's folder."""
    folder = report if isinstance(report, Path) else report.path
    text = (folder / "comparison.json").read_text(encoding="utf-8")
    return Comparison.model_validate_json(text)


def training_history(results: Sequence[ModelResult]) -> "pd.DataFrame":
    """The histories of all trained models, with their names and seeds, one row an epoch."""
    import pandas as pd

    tables = {(r.name, r.seed): r.model.history() for r in results if r.model}
    whole = pd.concat(tables, names=["model", "seed"])
    return whole.reset_index(["model", "seed"]).reset_index(drop=True)


def _write(folder: Path, study: Study) -> Mapping[str, Any]:
    comparison = compare(study)
    history = training_history(study.results)
    write_text(folder / "history.csv", history.to_csv(index=False, lineterminator="\n"))
    _write_results(folder, comparison, study)
    _write_pages(folder, comparison, charts(comparison, history), study)
    return {}


def _write_results(folder: Path, comparison: Comparison, study: Study) -> None:
    write_json(folder / "comparison.json", comparison.model_dump(mode="json"))
    write_text(folder / "predictions.csv", _predictions(study))
    _write_classes(folder, comparison)
    if comparison.labels:
        issues = [issue.model_dump().values() for issue in comparison.labels.issues]
        write_csv(folder / "label-errors.csv", LabelIssue.model_fields, issues)
    for model in comparison.design.to_use(comparison.models):
        (trained, _), *_ = study.compared[model.name]
        card = render_model_card(comparison, model, trained.summary())
        write_text(folder / f"model-card-{model.name}.md", card)


def _write_classes(folder: Path, comparison: Comparison) -> None:
    rows = [(m.name, *s.row().values()) for m in comparison.models for s in m.test.classes]
    columns = comparison.winner.test.classes[0].row()
    write_csv(folder / "classes.csv", ("model", *columns), rows)
    for model in comparison.models:
        matrix = zip(comparison.classes, model.test.confusion, strict=True)
        cells = ((label, *row) for label, row in matrix)
        write_csv(folder / f"confusion-{model.name}.csv", ("true", *comparison.classes), cells)


def _predictions(study: Study) -> str:
    """All predictions; where some of these photos count together, with their groups."""
    files = [predictions.file("predictions.csv") for _, predictions in study.scored]
    first, *others = (file.read_text(encoding="utf-8") for file in files)
    whole = first + "".join(text.partition("\n")[2] for text in others)
    header, *rows = csv.reader(whole.splitlines(keepends=True))
    paths = [row[header.index("path")] for row in rows]
    group_of = study.design.group_of
    if Groups.of(set(paths), group_of).alone:
        return whole
    grouped = ([*row, group_of[path]] for row, path in zip(rows, paths, strict=True))
    return csv_text([*header, "group"], grouped)


def _write_pages(folder: Path, comparison: Comparison, shown: list[Chart], study: Study) -> None:
    figures = folder / "figures"
    figures.mkdir()
    drawn = [_write_chart(figures, chart) for chart in shown]
    photos = galleries(comparison, study)
    sheets = [_write_gallery(figures, gallery) for gallery in photos]
    page = render_html(
        comparison,
        charts=drawn,
        galleries={gallery.name: gallery.pictures for gallery in photos},
    )
    write_text(folder / "report.html", page)
    pictures = _affordable([*drawn, *sheets])
    write_text(folder / "report.md", render_markdown(comparison, pictures=pictures))


def _write_chart(folder: Path, chart: Chart) -> Embedded:
    """Write a chart as PNG and SVG."""
    wide, narrow = chart.draw(), chart.draw(narrow=True)
    settle(wide)
    text, picture = svg(wide, chart.name), png(wide)
    write_text(folder / f"{chart.name}.svg", text)
    (folder / f"{chart.name}.png").write_bytes(picture)
    return Embedded(
        chart.section,
        chart.alt,
        pixels=data_uri(picture, "image/png"),
        caption=chart.caption,
        wide=data_uri(text.encode(), "image/svg+xml"),
        narrow=data_uri(svg(narrow, f"{chart.name}-narrow").encode(), "image/svg+xml"),
    )


def _write_gallery(folder: Path, gallery: Gallery) -> Embedded:
    """Write the photos of a gallery as one JPEG."""
    picture = jpeg(sheet(gallery.pictures, columns=gallery.columns))
    (folder / f"{gallery.name}.jpg").write_bytes(picture)
    alt = "; ".join(picture.alt for picture in gallery.pictures)
    return Embedded(gallery.name, alt, pixels=data_uri(picture, "image/jpeg"))


def _affordable(pictures: Sequence[Embedded]) -> list[Embedded]:
    """As many pictures, in order, as a Markdown report may hold."""
    used = accumulate(len(picture.alt) + len(picture.pixels) for picture in pictures)
    return [p for p, total in zip(pictures, used, strict=True) if total <= MARKDOWN_BYTES]
