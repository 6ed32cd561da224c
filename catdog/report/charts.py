"""Which figures a report has, where and in which order, and what is said of them.

A new chart is a function in `catdog.report.figures` or `quality_figures`, and an entry here.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from catdog.comparison.answers import Answers
from catdog.comparison.compare import Comparison, Study
from catdog.comparison.labels import LabelIssue
from catdog.comparison.metrics import CONFIDENCE
from catdog.comparison.mistakes import SHOWN, ConfidentError, JudgedPhoto
from catdog.comparison.scores import ScoredModel
from catdog.metric import ACCURACY, Metric
from catdog.report import figures, quality_figures
from catdog.report.pictures import Album, Picture, overlay
from catdog.store.artifacts import Arrays, ModelResult
from catdog.wording import FEW, percent, rate, span

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EXAMPLES = 6
"""Photos a class."""
CLASSES_SHOWN = 10

Judged = JudgedPhoto | ConfidentError | LabelIssue

Section = Literal[
    "scores", "repeats", "training", "classes", "calibration", "answers", "data", "measures",
]  # fmt: skip
"""The places for charts in the report; its templates show all charts of each."""


class Chart(NamedTuple):
    """A chart, its file name, and the text next to it."""

    name: str
    section: Section
    caption: str
    alt: str
    """What it says to those who cannot see it."""
    draw: "Callable[..., Figure]"
    """Makes the figure; with `narrow=True` for a narrow page."""


class Gallery(NamedTuple):
    """Photos that belong together; `columns` of them make a row."""

    name: str
    pictures: list[Picture]
    columns: int = 6


def charts(c: Comparison, history: "pd.DataFrame") -> list[Chart]:
    """The charts of a comparison. history: columns model, seed, epoch, phase and four curves."""
    ms = c.models
    found = [
        Chart(
            "accuracies",
            "scores",
            f"{_caption(c)} {_together(len(ms), c.metric)}"
            "The epoch was selected on validation, before the test photos were read."
            + (" Published accuracies are those of the last epoch." if _published(c) else ""),
            f"{c.metric.title} on the test set with 95 % CI. {_each(c, _accuracy_text)}",
            partial(figures.accuracies, c),
        ),
        Chart(
            "accuracy-curves",
            "training",
            (f"The {c.design.of_epochs}. " if c.design.of_epochs else "")
            + "A gap between training and validation accuracy that widens is overfitting. "
            "Augmentation and dropout act on training only, so validation may lie above.",
            "Accuracy by epoch. "
            + _each(c, lambda m: f"selected epoch {m.selected.epoch} of {m.epochs}"),
            partial(figures.learning_curves, history, ms, "accuracy", _selected_by(ms)),
        ),
        Chart(
            "loss-curves",
            "training",
            "Cross-entropy: 0 is perfect; a confident error costs most.",
            f"Loss by epoch. {_each(c, _loss_text)}",
            partial(figures.learning_curves, history, ms, "loss"),
        ),
        *_by_class(c),
        Chart(
            "ranking-curves",
            "calibration",
            f"Positive class: {c.classes[1]}."
            if len(c.classes) == 2
            else "Each class against the rest, averaged.",
            "ROC and precision-recall curves on the test set. Area under the ROC curve: "
            + _each(c, lambda m: "none" if m.test.auc is None else f"{m.test.auc:.3f}"),
            partial(figures.ranking_curves, ms),
        ),
        Chart(
            "reliability",
            "calibration",
            "Of the photos predicted with 90 % confidence, 90 % should be correct: on the dotted "
            "line. Lines are 95 % CI (Wilson), larger dots more photos; ECE (expected calibration "
            "error) is the mean distance from the dotted line.",
            "Reliability diagrams on the test set: accuracy by confidence. ECE: "
            + _each(c, _reliability_text),
            partial(figures.reliability, ms),
        ),
        Chart(
            "class-counts",
            "data",
            f"Photos by {c.design.part} and class.",
            f"Photos by {c.design.part} and class. "
            + "; ".join(f"{s}: {_counts_text(counts)}" for s, counts in c.quality.counts.items()),
            partial(quality_figures.class_counts, c.quality),
        ),
        Chart(
            "spreads",
            "measures",
            "Box: the middle half with the median; lines: from 5 to 95 % of the photos.",
            "Width, height, file size and brightness of the photos by class. Medians: "
            + "; ".join(
                f"{s.measure} of {s.label} {s.quantiles[3]:,.0f} {s.unit}"
                for s in c.quality.spreads
            ),
            partial(quality_figures.spreads, c.quality),
        ),
    ]
    if c.answers:
        found.append(_answers(c.answers))
    if c.repeats:
        repeated = Chart(
            "repeats",
            "repeats",
            c.design.repeats_caption,
            f"Test {c.metric.label} by {c.repeats.unit}. "
            + "; ".join(
                f"{m.name}: mean {percent(m.mean)}, {span(m.low, m.high)}" for m in c.repeats.models
            ),
            partial(figures.repeated_accuracies, c.repeats, c.metric),
        )
        found.append(repeated)
    return found


def _answers(found: Answers) -> Chart:
    promised = "; ".join(
        f"risk {rate(p.risk)}: {p.test.answered:,} of {p.test.photos:,} answered, "
        f"{p.test.wrong:,} wrong"
        for p in found.promises
    )
    return Chart(
        "answers",
        "answers",
        f"The photos that {found.name} doubts least are answered first. Dots are promises, where "
        "they were found on validation and how they did on test.",
        f"Accuracy of the answers of {found.name} by the share of photos that is answered. "
        f"On the test set, {promised or 'nothing can be promised'}",
        partial(figures.answers, found),
    )


def _by_class(c: Comparison) -> list[Chart]:
    if len(c.classes) <= FEW:
        matrices = Chart(
            "confusion-matrices",
            "classes",
            "Test photos by true and predicted class, and their share of the true class.",
            f"Confusion matrices on the test set. {_each(c, _confusion_text)}",
            partial(figures.confusion_matrices, c.models),
        )
        return [matrices]
    w = c.winner
    recalls = [scores.recall for scores in w.test.classes]
    labels = ", ".join(w.test.classes[index].label for index in figures.most_errors(w.test))
    return [
        Chart(
            "confusion-matrices",
            "classes",
            f"Test photos by true and predicted class: the {FEW} classes with the most errors of "
            f"{w.name}. Errors with the other {len(c.classes) - FEW} are not in it; "
            f"confusion-{w.name}.csv has all.",
            f"Confusion matrix of {w.name} on the test set, of {labels}",
            partial(figures.confusion_matrices, (w,)),
        ),
        Chart(
            "class-recalls",
            "classes",
            f"Dots are recalls of {w.name} on the test set, lines their 95 % CI (Wilson); in "
            "parentheses the test photos of the class. classes.csv has all models.",
            f"Recall by class of {w.name}: from {percent(min(recalls))} to {percent(max(recalls))}",
            partial(figures.class_recalls, w),
        ),
    ]


def galleries(c: Comparison, study: Study) -> list[Gallery]:
    """The photos of a comparison; a gallery without photos is left out."""
    album = Album(study.arrays)
    found = [
        Gallery("highest-loss", _judged(album, c.highest_loss)),
        Gallery("confused-pairs", _confused(album, c)),
        Gallery("least-confident", _judged(album, c.least_confident)),
        Gallery("grad-cam", _grad_cam(c, study, album), columns=4),
        Gallery("high-confidence-errors", _judged(album, c.confident_errors[:SHOWN])),
        Gallery("label-errors", _judged(album, c.labels.issues[:SHOWN] if c.labels else ())),
        Gallery("examples", _examples(study.arrays)),
        Gallery("augmentation", _augmented(study.results)),
    ]
    return [gallery for gallery in found if gallery.pictures]


def _judged(album: Album, photos: Iterable[Judged]) -> list[Picture]:
    """Photos with their labels and the classes that models rather see, with their probability."""
    found = []
    for photo in photos:
        match photo:
            case LabelIssue():
                seen = f"rather {photo.suggested} {percent(photo.suggested_probability)}"
            case ConfidentError():
                seen = f"predicted {photo.predicted} {percent(photo.confidence)}"
            case JudgedPhoto(predicted=label):
                seen = f"predicted {label} {percent(photo.probabilities[label])}"
        alt = f"{photo.path}: labelled {photo.label}, {seen}"
        found.append(Picture(album.image(photo.path), f"{photo.label},\n{seen}", alt))
    return found


def _confused(album: Album, c: Comparison) -> list[Picture]:
    return [
        Picture(
            album.image(pair.path),
            f"{pair.label},\npredicted {pair.predicted}\n{pair.photos:,} of {pair.n:,}",
            f"{pair.path}: {pair.photos:,} of {pair.n:,} {pair.label} predicted {pair.predicted}",
        )
        for pair in c.confused
    ]


def _grad_cam(c: Comparison, study: Study, album: Album) -> list[Picture]:
    winners = study.design.standing_for(study.compared[c.winner.name])
    heat = {path: seen for _, of in winners for path, seen in of.attention().items()}
    found = []
    for photo in c.highest_loss:
        if photo.path in heat:
            image, text = album.image(photo.path), f"{photo.label}, predicted {photo.predicted}"
            found.append(Picture(image, text, f"{photo.path}: {text}"))
            lit = overlay(image, heat[photo.path])
            alt = f"{photo.path}: bright regions support {photo.predicted}"
            found.append(Picture(lit, f"Grad-CAM for {photo.predicted}", alt))
    return found


def _examples(arrays: Arrays) -> list[Picture]:
    first = next(iter(arrays.counts))
    images, labels = arrays.images(first), arrays.labels(first)
    return [
        Picture(images[row], label, f"a photo of {label}")
        for index, label in enumerate(arrays.classes[:CLASSES_SHOWN])
        for row in np.flatnonzero(labels == index)[:EXAMPLES]
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


def _accuracy_text(model: ScoredModel) -> str:
    test, validation = model.test.score, model.validation.score
    return (
        f"{percent(test.value)} ({span(test.interval.low, test.interval.high)}), "
        f"on validation {percent(validation.value)}"
    )


def _caption(c: Comparison) -> str:
    if c.metric.default:
        return c.design.caption
    return f"Dots are {c.metric.plural}, lines their 95 % CI."


def _selected_by(models: Sequence[ScoredModel]) -> Metric:
    """What the epochs were selected by."""
    return Metric(models[0].facts.get("metric", ACCURACY))


def _published(c: Comparison) -> bool:
    return bool(c.published) and c.metric.default


def _loss_text(model: ScoredModel) -> str:
    last = model.last
    return f"from training {last.loss:.2f}, validation {last.val_loss:.2f} in the last epoch"


def _confusion_text(model: ScoredModel) -> str:
    return ", ".join(
        f"recall of {s.label} {percent(s.recall)}"
        + (f" ({span(s.recall_interval.low, s.recall_interval.high)})" if s.recall_interval else "")
        for s in model.test.classes
    )


def _reliability_text(model: ScoredModel) -> str:
    bins = ", ".join(
        f"{percent(b.confidence)}: {percent(b.accuracy)} of {b.n}" for b in model.test.reliability
    )
    return f"{percent(model.test.calibration.error)} ({bins})"


def _together(models: int, metric: Metric) -> str:
    """How often the intervals of so many models hold at once, if they were independent."""
    if models == 1:
        return ""
    share = f"{100 * CONFIDENCE**models:.0f} %"
    return (
        f"Each CI is of one {metric.label}: all {models} hold at once in about {share} of cases. "
    )


def _counts_text(counts: dict[str, int]) -> str:
    if len(counts) > FEW:
        return f"{min(counts.values()):,} to {max(counts.values()):,} of a class"
    return ", ".join(f"{label} {n:,}" for label, n in counts.items())
