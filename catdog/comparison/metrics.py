"""How good one model is on one split, from its probabilities per photo.

Every number comes with its n or with a 95 % confidence interval (CI). Positive class: for two
classes the second one, so that curves and areas are those that any tool shows; for more, each
class against the rest, averaged over the classes (macro).
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from catdog.comparison.groups import Groups, Values
from catdog.store.store import Record
from catdog.wording import FEW

if TYPE_CHECKING:
    import pandas as pd

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]

CONFIDENCE = 0.95
BINS = 10
"""Bins of the reliability diagram: on 192 photos, 15 bins as in Guo et al. leave most empty."""
SAMPLES = 1_000
"""Drawn of a perfectly calibrated model: a p value near 0.05 is then known to 0.7 points."""
GRID = 101
"""Points at which the curves of several classes are averaged."""


class Interval(Record):
    """A 95 % confidence interval."""

    low: float
    high: float


class Curve(Record):
    """Points of a curve, x not falling."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class ClassScores(Record):
    """Precision, recall and F1 of one class, of which there are `n` photos."""

    label: str
    n: int
    predicted: int
    """Photos that the model gives this class: the n of its precision."""
    precision: float
    recall: float
    f1: float
    precision_interval: Interval | None
    """95 % CI (Wilson); None where no photo has the class, or is given it."""
    recall_interval: Interval | None

    def row(self) -> dict[str, Any]:
        """The same for a table: limits have columns of their own, empty without an interval."""
        flat: dict[str, Any] = {}
        for name, value in self:
            if name.endswith("_interval"):
                ends = ("", "") if value is None else (value.low, value.high)
                flat |= dict(zip((f"{name[:-9]}_low", f"{name[:-9]}_high"), ends, strict=True))
            else:
                flat[name] = value
        return flat


class ReliabilityBin(Record):
    """Photos whose confidence (highest probability) lies in [low, high): its mean, and accuracy."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    interval: Interval
    """95 % CI of the accuracy (Wilson)."""


class Calibration(Record):
    """How far confidence is from accuracy, and how far it would be by chance alone.

    By chance: of a perfectly calibrated model with the same confidences on as many photos.
    """

    error: float
    """Expected calibration error (ECE): mean |accuracy - confidence| over the bins, by photos.

    It has no interval: chance alone makes it larger than 0, and a percentile bootstrap of it never
    holds the true one of a calibrated model (`benchmarks/calibration.py`).
    """
    by_chance: float
    """The mean ECE by chance."""
    chance_limit: float
    """Its 95 % quantile."""
    p_value: float
    """Of "perfectly calibrated": how likely chance gives such an ECE or a larger one."""
    excess: float
    """Mean confidence less accuracy."""
    excess_p: float
    """How likely chance gives such an excess or a larger one, in either direction."""

    @property
    def direction(self) -> str:
        """Over- or under-confident; empty where that may be chance."""
        if self.excess_p >= 1 - CONFIDENCE:
            return ""
        return "over-confident" if self.excess > 0 else "under-confident"


class Score(Record):
    """What a model is chosen and judged by."""

    value: float
    n: int
    """Photos that it is of."""
    interval: Interval


class Metrics(Record):
    """All numbers of one model on one split."""

    n: int
    correct: int
    accuracy: float
    accuracy_interval: Interval
    log_loss: float
    log_loss_interval: Interval | None
    """95 % CI over photos, as is that of the Brier score; None for a single photo."""
    brier: float
    """Mean squared error of the probabilities, halved so that 0 is perfect and 1 the worst.

    Brier, Monthly Weather Review 78, 1950; for two classes mean (p - y)^2.
    """
    brier_interval: Interval | None
    calibration: Calibration
    reliability: tuple[ReliabilityBin, ...]
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Photos by true class (row) and predicted class (column)."""
    top5: float | None = None
    """Share of the photos with the true class among the five likeliest; None for few classes."""
    auc: float | None = None
    """None where a class has no photo in this split; so are interval, precision and curves."""
    auc_interval: Interval | None = None
    average_precision: float | None = None
    roc: Curve | None = None
    precision_recall: Curve | None = None
    chosen: Score | None = Field(None, exclude_if=lambda value: value is None)
    """By the metric of the run; None where that is the accuracy."""

    @property
    def score(self) -> Score:
        """What the model is chosen and judged by."""
        accuracy = Score(value=self.accuracy, n=self.n, interval=self.accuracy_interval)
        return self.chosen or accuracy


def measure(
    truth: Labels,
    probabilities: Probabilities,
    classes: tuple[str, ...],
    groups: Groups | None = None,
) -> Metrics:
    """Score probabilities (n, k) against the true class indices (n,).

    groups: which photos count together in the intervals; None where each is alone.
    """
    from sklearn import metrics as sk

    every, groups = range(len(classes)), groups or Groups()
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == truth).sum())
    log_losses, brier_scores = _losses(truth, probabilities)
    return Metrics(
        n=len(truth),
        correct=correct,
        accuracy=correct / len(truth),
        accuracy_interval=share_interval(predicted == truth, groups),
        log_loss=float(sk.log_loss(truth, probabilities, labels=every)),
        log_loss_interval=log_loss_interval(groups.cases(log_losses)),
        brier=sk.brier_score_loss(truth, probabilities, labels=every, scale_by_half=True),
        brier_interval=brier_interval(groups.cases(brier_scores)),
        calibration=calibration(truth, probabilities, groups),
        reliability=reliability_bins(truth, probabilities, groups),
        classes=_class_scores(truth, predicted, classes, groups),
        top5=_top5(truth, probabilities),
        confusion=tuple(map(tuple, sk.confusion_matrix(truth, predicted, labels=every).tolist())),
        **_ranking(truth, probabilities, groups),
    )


def _top5(truth: Labels, probabilities: Probabilities) -> float | None:
    if probabilities.shape[1] <= FEW:
        return None
    own = probabilities[np.arange(len(truth)), truth]
    return float(((probabilities > own[:, None]).sum(axis=1) < 5).mean())


def _losses(truth: Labels, probabilities: Probabilities) -> tuple[Probabilities, Probabilities]:
    """Log loss and Brier score of each photo; their means are those of scikit-learn."""
    own = probabilities[np.arange(len(truth)), truth]
    tiny = np.finfo(probabilities.dtype).eps
    wrong = probabilities - (np.arange(probabilities.shape[1]) == truth[:, None])
    return -np.log(np.clip(own, tiny, 1 - tiny)), (wrong**2).sum(axis=1) / 2


def wilson_interval(correct: int, n: int) -> Interval:
    """Wilson's score interval of a proportion (JASA 22, 1927, 209-212)."""
    from scipy.stats import binomtest

    found = binomtest(correct, n).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return Interval(low=max(0.0, float(found.low)), high=min(1.0, float(found.high)))


def score_interval(p: float, n: float, critical: float) -> Interval:
    """Wilson's interval of a share p of an effective number of photos, at this critical value."""
    centre = (p + critical**2 / (2 * n)) / (1 + critical**2 / n)
    reach = critical * math.sqrt(p * (1 - p) / n + (critical / (2 * n)) ** 2)
    reach /= 1 + critical**2 / n
    return Interval(low=max(0.0, centre - reach), high=min(1.0, centre + reach))


def share_interval(hits: npt.NDArray[np.bool_], groups: Groups) -> Interval:
    """95 % CI of a share of photos (Wilson), of which those of a group count together."""
    if groups.alone:
        return wilson_interval(int(hits.sum()), len(hits))
    from scipy.special import ndtri

    return score_interval(
        float(hits.mean()), groups.number(len(hits)), float(ndtri((1 + CONFIDENCE) / 2))
    )


def brier_interval(scores: Values) -> Interval | None:
    """95 % CI of a mean score in 0..1: Wilson's for as many photos as would have its variance.

    scores: of each photo, or of each group.
    """
    if len(scores) < 2:
        return None
    mean, error = float(scores.mean()), float(scores.std(ddof=1)) / math.sqrt(len(scores))
    n = mean * (1 - mean) / error**2 if error else float(len(scores))
    return score_interval(mean, n, _two_sided(len(scores) - 1))


def log_loss_interval(losses: Values) -> Interval | None:
    """95 % CI of a mean loss, by Student's t without its skewness (Hall, JRSS B 54, 1992, 221-228).

    A few confident errors make up most of a good model's loss: the usual symmetric interval then
    covers 89 %. losses: of each photo, or of each group.
    """
    if len(losses) < 2:
        return None
    n, mean, error = len(losses), float(losses.mean()), float(losses.std(ddof=1))
    error /= math.sqrt(n)
    third = float(((losses - mean) ** 3).mean()) / math.sqrt(n)
    skewness = third / float(losses.var()) ** 1.5 if error else 0.0
    reach = _two_sided(n - 1)
    low, high = (mean - _unskewed(t, skewness) * error for t in (reach, -reach))
    return Interval(low=max(0.0, low), high=high)


def _two_sided(degrees: float) -> float:
    """The critical value of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))


def _unskewed(t: float, skewness: float) -> float:
    """What a t value is before Hall's transformation t + a t^2 / 3 + a^2 t^3 / 27 + a / 6."""
    if abs(skewness) < 1e-9:
        return t
    return 3 / skewness * (math.cbrt(1 + skewness * (t - skewness / 6)) - 1)


def reliability_bins(
    truth: Labels, probabilities: Probabilities, groups: Groups | None = None
) -> tuple[ReliabilityBin, ...]:
    """Accuracy by confidence, in equal bins from 1 / classes to 1; empty bins are left out.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    confidence = probabilities.max(axis=1)
    correct, groups = probabilities.argmax(axis=1) == truth, groups or Groups()
    place, edges = _bins(confidence, probabilities.shape[1])
    return tuple(
        ReliabilityBin(
            low=edges[index],
            high=edges[index + 1],
            n=int((place == index).sum()),
            confidence=float(confidence[place == index].mean()),
            accuracy=float(correct[place == index].mean()),
            interval=share_interval(correct[place == index], groups.among(place == index)),
        )
        for index in range(BINS)
        if (place == index).any()
    )


def _bins(confidence: Probabilities, classes: int) -> tuple[npt.NDArray[np.intp], list[float]]:
    """The bin of each confidence and the edges of all: no confidence is below 1 / classes."""
    edges = np.linspace(1 / classes, 1, BINS + 1)
    return np.clip(np.digitize(confidence, edges) - 1, 0, BINS - 1), edges.tolist()


def calibration(
    truth: Labels, probabilities: Probabilities, groups: Groups | None = None
) -> Calibration:
    """Whether probabilities (n, k) mean what they say, against the true class indices (n,).

    Samples are drawn with a fixed seed from the photos in order of confidence, so that their order
    in a table does not matter; for the photos of a group, once.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    order = np.lexsort((correct, confidence))
    confidence, correct, groups = (
        confidence[order],
        correct[order],
        (groups or Groups()).among(order),
    )
    place, _ = _bins(confidence, probabilities.shape[1])
    n, rng = len(truth), np.random.default_rng(0)

    def distance(right: npt.NDArray[np.bool_]) -> tuple[float, float]:
        """The ECE, and the mean excess, with these photos classified correctly."""
        excess = np.bincount(place, weights=confidence - right, minlength=BINS) / n
        return float(np.abs(excess).sum()), float(excess.sum())

    error, excess = distance(correct)
    samples = [distance(groups.each(rng.random(n)) < confidence) for _ in range(SAMPLES)]
    errors, excesses = np.array(samples).T
    return Calibration(
        error=error,
        by_chance=float(errors.mean()),
        chance_limit=float(np.quantile(errors, CONFIDENCE)),
        p_value=_p(errors >= error),
        excess=excess,
        excess_p=_p(np.abs(excesses) >= abs(excess)),
    )


def _p(as_far: npt.NDArray[np.bool_]) -> float:
    """Monte Carlo p value: the observed one is a sample too (Davison and Hinkley, 1997, 4.2)."""
    return float((1 + as_far.sum()) / (1 + len(as_far)))


def auc_standard_error(auc: float, positives: float, negatives: float) -> float:
    """Standard error of an area under the ROC curve (Hanley & McNeil, Radiology 143, 1982)."""
    both_positive, both_negative = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc)
        + (positives - 1) * (both_positive - auc**2)
        + (negatives - 1) * (both_negative - auc**2)
    ) / (positives * negatives)
    return math.sqrt(max(variance, 0.0))


def auc_interval(auc: float, positives: float, negatives: float) -> Interval:
    """The areas whose own standard error makes the observed one likely (score method).

    Unlike area +- 1.96 errors it stays within 0..1 and has a width where the area is 1
    (Newcombe, Statistics in Medicine 25, 2006, 559-573).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = norm.ppf((1 + CONFIDENCE) / 2)

    def excess(true: float) -> float:
        return abs(auc - true) - z * auc_standard_error(true, positives, negatives)

    edge = 1e-9
    low = brentq(excess, edge, auc - edge) if auc > 2 * edge and excess(edge) > 0 else 0.0
    high = (
        brentq(excess, auc + edge, 1 - edge) if auc < 1 - 2 * edge and excess(1 - edge) > 0 else 1.0
    )
    return Interval(low=float(low), high=float(high))


def _class_scores(
    truth: Labels, predicted: Labels, classes: tuple[str, ...], groups: Groups
) -> tuple[ClassScores, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    scores = precision_recall_fscore_support(
        truth, predicted, labels=range(len(classes)), zero_division=0
    )
    return tuple(
        ClassScores(
            label=label,
            n=n,
            predicted=int((predicted == k).sum()),
            precision=precision,
            recall=recall,
            f1=f1,
            precision_interval=_share_of(truth == k, predicted == k, groups),
            recall_interval=_share_of(predicted == k, truth == k, groups),
        )
        for k, (label, precision, recall, f1, n) in enumerate(
            zip(classes, *(values.tolist() for values in scores), strict=True)
        )
    )


def _share_of(
    hits: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_], groups: Groups
) -> Interval | None:
    """95 % CI of the share of hits among the chosen photos; None without any."""
    return share_interval(hits[chosen], groups.among(chosen)) if chosen.any() else None


def _ranking(truth: Labels, probabilities: Probabilities, groups: Groups) -> dict[str, Any]:
    """Areas and curves; those of several classes are averaged, and so are their limits.

    The averaged limits are at least as wide as needed, as they treat the classes' errors as one.
    """
    from sklearn import metrics as sk

    k = probabilities.shape[1]
    if len(np.unique(truth)) < k:
        return {}
    columns = [1] if k == 2 else list(range(k))
    cases = [(truth == column, probabilities[:, column]) for column in columns]
    precision_recall = [sk.precision_recall_curve(*case) for case in cases]
    areas = [float(sk.roc_auc_score(*case)) for case in cases]
    intervals = [
        auc_interval(
            area, *(groups.among(each).number(int(each.sum())) for each in (positive, ~positive))
        )
        for area, (positive, _) in zip(areas, cases, strict=True)
    ]
    return {
        "auc": float(np.mean(areas)),
        "auc_interval": Interval(
            low=float(np.mean([i.low for i in intervals])),
            high=float(np.mean([i.high for i in intervals])),
        ),
        "average_precision": float(np.mean([sk.average_precision_score(*c) for c in cases])),
        "roc": _mean_curve([sk.roc_curve(*case)[:2] for case in cases]),
        "precision_recall": _mean_curve(
            [(recall[::-1], precision[::-1]) for precision, recall, _ in precision_recall]
        ),
    }


def _mean_curve(curves: list[Any]) -> Curve:
    """One curve as it is; several as their mean on a common grid."""
    x, y = curves[0]
    if len(curves) > 1:
        x = np.linspace(0, 1, GRID)
        y = np.mean([np.interp(x, *curve) for curve in curves], axis=0)
    return Curve(x=tuple(x.tolist()), y=tuple(y.tolist()))


def scored(predictions: "pd.DataFrame") -> tuple[Labels, Probabilities, tuple[str, ...]]:
    """What `measure` takes, from a table of predictions; the probabilities of a photo sum to 1.

    The classes are in the order of the table's columns.
    """
    columns = [str(name) for name in predictions.columns if str(name).startswith("p_")]
    classes = tuple(name.removeprefix("p_") for name in columns)
    position = {name: index for index, name in enumerate(classes)}
    truth = np.array([position[name] for name in predictions["label"]], dtype=np.int64)
    raw = predictions[columns].to_numpy(dtype=np.float64)
    return truth, raw / raw.sum(axis=1, keepdims=True), classes
