"""Is one way of training better than another? Cross-validation: folds are tested in turn.

Each photo is tested once, by a model that was trained without its fold, with a seed of its own.
`fold` is the fold of each photo: n integers.
"""

import numpy as np
import numpy.typing as npt

from catdog.comparison.groups import Groups, Values
from catdog.comparison.metrics import Interval
from catdog.comparison.over_photos import Difference, Paired, Student, accuracy_interval_of, cross

Fold = npt.NDArray[np.int64]


class OverFolds(Student):
    """The difference of mean accuracy of two ways of training, in the same folds.

    The corrected resampled t test (Nadeau and Bengio, Machine Learning 52, 2003, 239-281): as the
    folds' models share most of their training photos, the variance of the mean over folds is taken
    to be (1 / folds + test photos / training photos) times that between folds, and no less than
    that over photos with these very models: folds may agree by chance. It is rather too careful,
    as no unbiased estimate exists (Bengio and Grandvalet, JMLR 5, 2004, 1089-1105): see
    `benchmarks/README.md`. Photos that count together are in one fold.
    """

    def __init__(
        self,
        first: Values,
        second: Values,
        fold: Fold,
        groups: Groups | None = None,
        trained: Difference | None = None,
    ) -> None:
        """first, second: whether each photo is classified correctly (n), or another value of it.

        trained: the test of these trained models, where it is not McNemar's.
        """
        groups = groups or Groups()
        difference = first.astype(float) - second
        cases = groups.cases(difference)
        over_photos = float(cases.var(ddof=1)) / len(cases), float(len(cases) - 1)
        folds = len(np.unique(fold))
        self.scope, self.details = f"Over {folds} folds", {"folds": folds}
        self.trained = trained or Paired(cross(*groups.votes(first, second)))
        variance, degrees = max(_between(difference, fold), over_photos)
        super().__init__(float(difference.mean()), variance**0.5 or 1 / len(difference), degrees)


def accuracy_over_folds(correct: Values, fold: Fold, groups: Groups | None = None) -> Interval:
    """95 % CI of the mean accuracy of a way of training; its variance as in `OverFolds`."""
    n, p = (groups or Groups()).number(len(correct)), float(correct.mean())
    over_photos = p * (1 - p) / n, float(n - 1)
    return accuracy_interval_of(p, *max(_between(correct.astype(float), fold), over_photos), n)


def _between(values: npt.NDArray[np.float64], fold: Fold) -> tuple[float, float]:
    """The variance of the mean of the folds' means, and its degrees of freedom."""
    means = [values[fold == each].mean() for each in np.unique(fold)]
    folds = len(means)
    # One fold is tested on, one selects the epoch, the others are trained on.
    return (1 / folds + 1 / (folds - 2)) * float(np.var(means, ddof=1)), float(folds - 1)
