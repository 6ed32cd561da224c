"""The answer in a few sentences: which model, by how much, how significant, at what cost.

The winner is chosen on validation; the test set only says how good it is and whether it is
significantly better. Choosing on test would be biased in favour of the winner.
"""

from collections.abc import Mapping, Sequence

from catdog.comparison.metrics import Interval
from catdog.comparison.pairs import PairTest
from catdog.comparison.scores import ScoredModel
from catdog.store.store import Record
from catdog.wording import ci, counted, duration, listing, percent, plural, size


class Standing(Record):
    """What a model is ranked by."""

    name: str
    seeds: int
    """The trainings that the means are of; 1 where they are too few for a mean."""
    validation: float
    """Mean accuracy over the seeds."""
    test: float
    interval: Interval
    """95 % CI on test: over photos, and over seeds where there are enough, or over folds."""
    folds: int | None = None
    """Of a cross-validation."""


class Verdict(Record):
    """The winner, and how far that can be trusted."""

    winner: str
    standing: Standing
    """The winner's."""
    rival: str | None
    """The best of the others on test."""
    significant: bool
    """Whether the winner is significantly better than each other model on test."""
    p: float | None
    """The largest Holm-adjusted p value of the winner's pairs; None without another model."""
    beats_majority: bool
    """Whether its 95 % CI on test lies above the majority-class baseline."""
    undecided: tuple[str, ...]
    """Models with no significant difference from the winner on test."""
    better: tuple[str, ...]
    """Models that are significantly better than the winner on test."""
    pair: PairTest | None
    """The winner and its rival."""
    headline: str
    evidence: str
    caveat: str
    """What the claims are about: these trained models, or the ways of training."""
    cost: str


def decide(
    models: Sequence[ScoredModel],
    standings: Mapping[str, Standing],
    pairs: Sequence[PairTest],
    *,
    majority: float,
    caveat: str,
) -> Verdict:
    """Choose the winner on validation and judge it on test.

    Ties on validation go to the lower log loss of the first seed, then to the fewer parameters.
    standings: of each model by name. majority: accuracy on test of the majority-class baseline.
    """
    winner = min(
        models,
        key=lambda m: (-standings[m.name].validation, m.validation.log_loss, m.parameters),
    )
    standing = standings[winner.name]
    others = [model for model in models if model.name != winner.name]
    rival = max(others, key=lambda model: standings[model.name].test) if others else None
    involved = [pair for pair in pairs if winner.name in (pair.first, pair.second)]
    undecided = tuple(_other(p, winner.name) for p in involved if not p.significant)
    better = tuple(p.first for p in involved if p.significant and p.second == winner.name)
    pair = next((p for p in involved if rival and _other(p, winner.name) == rival.name), None)
    beats_majority = standing.interval.low > majority
    return Verdict(
        winner=winner.name,
        standing=standing,
        rival=rival.name if rival else None,
        significant=bool(others) and not undecided and not better,
        p=max((pair.p_adjusted for pair in involved), default=None),
        beats_majority=beats_majority,
        undecided=undecided,
        better=better,
        pair=pair,
        headline=_headline(standing, involved, undecided, better, beats_majority=beats_majority),
        evidence=_evidence(winner, standing, pair),
        caveat=caveat,
        cost=_cost(winner, others),
    )


def _other(pair: PairTest, name: str) -> str:
    return pair.second if pair.first == name else pair.first


def _headline(
    winner: Standing,
    involved: Sequence[PairTest],
    undecided: tuple[str, ...],
    better: tuple[str, ...],
    *,
    beats_majority: bool,
) -> str:
    name = winner.name
    where = f"in {winner.folds}-fold cross-validation" if winner.folds else "on the test set"
    of_these = " of these trained models" if any(pair.table for pair in involved) else ""
    if not beats_majority:
        first = f"{name} ranks first{of_these}, but" if involved else name
        return f"{first} is not shown to be better than always predicting the most frequent class"
    if not involved:
        return f"{name} classifies {percent(winner.test)} of the test photos correctly"
    if better:
        verb = plural(len(better), "is", "are")
        return (
            f"{name} was best{of_these} on validation, but {listing(better)} {verb} significantly "
            f"better {where}"
        )
    if undecided:
        others = listing(undecided)
        return (
            f"{name} ranks first{of_these}, but is not significantly better than {others} {where}"
        )
    others = "every other model" if len(involved) > 1 else _other(involved[0], name)
    best = f"the best{of_these or ' model'}"
    return f"{name} is {best}: significantly better than {others} {where}"


def _evidence(winner: ScoredModel, standing: Standing, pair: PairTest | None) -> str:
    test, reach = winner.test, ci(standing.interval.low, standing.interval.high)
    photos = counted(test.n, "test photo")
    if standing.seeds > 1:
        accuracy = (
            f"The mean accuracy of {winner.name} over {standing.seeds} seeds on {photos} is "
            f"{percent(standing.test)} ({reach}, over seeds and photos)."
        )
    else:
        within = f"In {standing.folds}-fold cross-validation, " if standing.folds else ""
        accuracy = (
            f"{within}{winner.name} classifies {test.correct:,} of {photos} correctly: accuracy "
            f"{percent(test.accuracy)} ({reach})."
        )
    if pair is None:
        return f"{accuracy} There is no other model to compare it with."
    against = pair.sentence[0].lower() + pair.sentence[1:]
    return f"{accuracy} Against the best of the others: {against}"


def _cost(winner: ScoredModel, others: Sequence[ScoredModel]) -> str:
    own = (
        f"Training time {duration(winner.seconds)}; inference time "
        f"{duration(winner.seconds_per_1000)} per 1,000 images; file size "
        f"{size(winner.file_bytes)}."
    )
    if not others:
        return own
    cheapest = min(others, key=lambda model: model.seconds)
    if cheapest.seconds >= winner.seconds:
        return f"{own} No other model trained faster."
    return f"{own} The fastest to train, {cheapest.name}, took {duration(cheapest.seconds)}."
