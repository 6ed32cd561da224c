"""The answer in a few sentences: which model, by how much, how certain, at what cost.

The winner is chosen on validation; the test photos only say how good it is and whether its lead
is more than chance. Choosing on test would flatter the winner.
"""

from collections.abc import Sequence

from catdog.comparison.scores import ScoredModel
from catdog.comparison.significance import PairTest, chance
from catdog.store.store import Record
from catdog.wording import duration, listing, percent, size, span


class Verdict(Record):
    """The winner, and how far that can be trusted."""

    winner: str
    rival: str | None
    """The best of the others on test."""
    certain: bool
    """Whether the winner is significantly better than each other model on test."""
    p: float | None
    """The largest corrected p value of the winner's pairs; None without another model."""
    beats_guessing: bool
    equals: tuple[str, ...]
    """Models that cannot be told apart from the winner on test."""
    betters: tuple[str, ...]
    """Models that are significantly better than the winner on test."""
    pair: PairTest | None
    """The winner and its rival."""
    headline: str
    evidence: str
    cost: str


def decide(models: Sequence[ScoredModel], pairs: Sequence[PairTest], *, guessing: float) -> Verdict:
    """Choose the winner on validation and judge it on test.

    Ties on validation go to the lower log loss, then to the fewer parameters.
    guessing: accuracy on test of always naming its largest class.
    """
    winner = min(
        models, key=lambda m: (-m.validation.accuracy, m.validation.log_loss, m.parameters)
    )
    others = [model for model in models if model.name != winner.name]
    rival = max(others, key=lambda model: model.test.accuracy) if others else None
    involved = [pair for pair in pairs if winner.name in (pair.first, pair.second)]
    equals = tuple(_other(p, winner.name) for p in involved if not p.significant)
    betters = tuple(p.first for p in involved if p.significant and p.second == winner.name)
    pair = next((p for p in involved if rival and _other(p, winner.name) == rival.name), None)
    p = max((pair.p_adjusted for pair in involved), default=None)
    beats_guessing = winner.test.accuracy_interval.low > guessing
    return Verdict(
        winner=winner.name,
        rival=rival.name if rival else None,
        certain=bool(others) and not equals and not betters,
        p=p,
        beats_guessing=beats_guessing,
        equals=equals,
        betters=betters,
        pair=pair,
        headline=_headline(winner, equals, betters, p=p, good=beats_guessing),
        evidence=_evidence(winner, pair),
        cost=_cost(winner, others),
    )


def _other(pair: PairTest, name: str) -> str:
    return pair.second if pair.first == name else pair.first


def _headline(
    winner: ScoredModel,
    equals: tuple[str, ...],
    betters: tuple[str, ...],
    *,
    p: float | None,
    good: bool,
) -> str:
    if not good:
        place = "" if p is None else "comes first, but "
        return f"{winner.name} {place}is not shown to be better than guessing"
    if p is None:
        return f"{winner.name} gets {percent(winner.test.accuracy)} of the test photos right"
    if betters:
        return f"{winner.name} was best on validation, but {listing(betters)} is better on test"
    if equals:
        return f"{winner.name} comes first, but cannot be told apart from {listing(equals)}"
    return f"{winner.name} is the best model, and that is {chance(p)}"


def _evidence(winner: ScoredModel, pair: PairTest | None) -> str:
    test, interval = winner.test, winner.test.accuracy_interval
    right = (
        f"{winner.name} names {test.correct} of {test.n:,} test photos rightly: "
        f"{percent(test.accuracy)} (95 % interval {span(interval.low, interval.high)})."
    )
    if pair is None:
        return f"{right} There is no other model to compare it with."
    return f"{right} Against the best of the others: {pair.sentence}"


def _cost(winner: ScoredModel, others: Sequence[ScoredModel]) -> str:
    own = (
        f"Training took {duration(winner.seconds)}; 1,000 photos take "
        f"{duration(winner.seconds_per_1000)}; the file has {size(winner.file_bytes)}."
    )
    if not others:
        return own
    cheapest = min(others, key=lambda model: model.seconds)
    if cheapest.seconds >= winner.seconds:
        return f"{own} No other model trained faster."
    return f"{own} The fastest to train, {cheapest.name}, took {duration(cheapest.seconds)}."
