"""Which figures a report has, in which order, and what they say to those who cannot see them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from catdog.comparison.compare import Comparison, Study
from catdog.comparison.mistakes import SHOWN, JudgedPhoto
from catdog.comparison.scores import ScoredModel
from catdog.report import figures, quality_figures
from catdog.report.pictures import Album, Picture, attention
from catdog.store.artifacts import ModelResult
from catdog.wording import percent, span

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EXAMPLES = 6
"""Photos a class."""
CLASSES_SHOWN = 10


class Chart(NamedTuple):
    """A chart, its file name, and its text alternative."""

    name: str
    alt: str
    draw: "Callable[[bool], Figure]"
    """Makes the figure; True for a narrow page."""


class Gallery(NamedTuple):
    """Photos that belong together; `columns` of them make a row."""

    name: str
    pictures: list[Picture]
    columns: int = 6


def charts(c: Comparison, history: "pd.DataFrame") -> list[Chart]:
    """The charts of a comparison. history: columns model, seed, epoch and the four curves."""
    ms = c.models
    found = [
        Chart("accuracies", _accuracies_alt(c), lambda n: figures.accuracies(c, narrow=n)),
        Chart(
            "learning-curves",
            f"Accuracy by epoch. {_each(c, lambda m: _epochs_text(m.best.epoch, m.epochs))}",
            lambda n: figures.learning_curves(history, ms, narrow=n),
        ),
        Chart(
            "loss-curves",
            "Loss by epoch. "
            + _each(
                c,
                lambda m: (
                    f"from training {m.last.loss:.2f}, validation "
                    f"{m.last.val_loss:.2f} in the last epoch"
                ),
            ),
            lambda n: figures.loss_curves(history, ms, narrow=n),
        ),
        Chart(
            "confusion-matrices",
            f"Confusion matrices on test. {_each(c, _confusion_text)}",
            lambda n: figures.confusion_matrices(ms, narrow=n),
        ),
        Chart(
            "ranking-curves",
            "ROC and precision-recall curves on test. Area under the ROC curve: "
            + _each(c, lambda m: "none" if m.test.auc is None else f"{m.test.auc:.3f}"),
            lambda n: figures.ranking_curves(ms, narrow=n),
        ),
        Chart(
            "reliability",
            "Share right by certainty on test. Expected calibration error: "
            + _each(c, lambda m: percent(m.test.calibration_error)),
            lambda n: figures.reliability(ms, narrow=n),
        ),
        Chart(
            "class-counts",
            "Photos by split and class. "
            + "; ".join(f"{s}: {_counts_text(counts)}" for s, counts in c.quality.counts.items()),
            lambda n: quality_figures.class_counts(c.quality, narrow=n),
        ),
        Chart(
            "spreads",
            "Width, height, file size and brightness of the photos by class; the table below "
            "has the numbers.",
            lambda n: quality_figures.spreads(c.quality, narrow=n),
        ),
    ]
    if repeats := c.repeats:
        alt = "Test accuracy by seed. " + "; ".join(
            f"{m.name}: mean {percent(m.mean)}, {span(m.low, m.high)}" for m in repeats.models
        )
        draw = lambda n: figures.repeated_accuracies(repeats, narrow=n)  # noqa: E731
        found.append(Chart("repeats", alt, draw))
    return found


def galleries(c: Comparison, study: Study) -> list[Gallery]:
    """The photos of a comparison; a gallery without photos is left out."""
    album = Album(study.arrays)
    found = [
        Gallery("worst-errors", _judged(c.worst, album)),
        Gallery("least-certain", _judged(c.uncertain, album)),
        Gallery("attention", _attention(c, study.results, album), columns=4),
        Gallery("doubted-labels", _doubted(c, album)),
        Gallery("examples", _examples(c, album)),
        Gallery("augmentation", _augmented(study.results)),
    ]
    return [gallery for gallery in found if gallery.pictures]


def _judged(photos: tuple[JudgedPhoto, ...], album: Album) -> list[Picture]:
    found = []
    for photo in photos:
        said = f"{photo.predicted} {percent(photo.probabilities[photo.predicted])}"
        caption = f"{photo.label}, said {said}" if photo.predicted != photo.label else said
        alt = f"{photo.path}: labelled {photo.label}, predicted {said}"
        found.append(Picture(album.image(photo.path), caption, alt))
    return found


def _doubted(c: Comparison, album: Album) -> list[Picture]:
    return [
        Picture(
            album.image(photo.path),
            f"labelled {photo.label},\nsaid {photo.predicted} {percent(photo.confidence)}",
            f"{photo.path}: labelled {photo.label}, but every good model says {photo.predicted} "
            f"with at least {percent(photo.confidence)}",
        )
        for photo in c.doubted[:SHOWN]
    ]


def _attention(c: Comparison, results: Sequence[ModelResult], album: Album) -> list[Picture]:
    predictions = next(
        r.predictions
        for r in results
        if r.predictions and r.name == c.winner.name and r.seed == c.winner.seed
    )
    lit = attention(predictions, album)
    found = []
    for photo in c.worst:
        if photo.path in lit:
            text = f"{photo.label}, said {photo.predicted}"
            found.append(Picture(album.image(photo.path), text, f"{photo.path}: {text}"))
            alt = f"{photo.path}: bright where it spoke for {photo.predicted}"
            found.append(Picture(lit[photo.path], f"looked here for {photo.predicted}", alt))
    return found


def _examples(c: Comparison, album: Album) -> list[Picture]:
    return [
        Picture(image, label, f"a training photo of {label}")
        for label in c.classes[:CLASSES_SHOWN]
        for image in album.examples(label, EXAMPLES)
    ]


def _augmented(results: Sequence[ModelResult]) -> list[Picture]:
    found = (r.model.augmented() for r in results if r.model)
    examples = next((augmented for augmented in found if augmented is not None), ())
    return [
        Picture(image, text, f"{text} of training photo {number}")
        for number, row in enumerate(examples, start=1)
        for image, text in zip(row, ["original", *["augmented"] * (len(row) - 1)], strict=True)
    ]


def _each(c: Comparison, say: Callable[[ScoredModel], str]) -> str:
    return "; ".join(f"{model.name}: {say(model)}" for model in c.models)


def _accuracies_alt(c: Comparison) -> str:
    interval = [m.test.accuracy_interval for m in c.models]
    return "Accuracy on test with 95 % intervals. " + "; ".join(
        f"{m.name}: {percent(m.test.accuracy)} ({span(i.low, i.high)}), "
        f"on validation {percent(m.validation.accuracy)}"
        for m, i in zip(c.models, interval, strict=True)
    )


def _epochs_text(best: int, epochs: int) -> str:
    return f"best on validation in epoch {best} of {epochs}"


def _confusion_text(model: ScoredModel) -> str:
    return ", ".join(f"{s.label} {percent(s.recall)} found" for s in model.test.classes)


def _counts_text(counts: dict[str, int]) -> str:
    return ", ".join(f"{label} {n:,}" for label, n in counts.items())
