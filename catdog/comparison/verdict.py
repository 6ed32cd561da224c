"""The answer in a few sentences: which model, by how much, how significant, at what cost.

The winner is chosen on validation; the test set only says how good it is and whether it is
significantly better. Choosing on test would be biased in favour of the winner.
"""

from collections.abc import Mapping, Sequence

from catdog.comparison.collapse import ONE_CLASS
from catdog.comparison.design import Design, Estimate
from catdog.comparison.pairs import PairTest
from catdog.comparison.scores import ScoredModel
from catdog.metric import BY_ACCURACY, Metric
from catdog.store.store import Record
from catdog.wording import ci, counted, duration, listing, percent, plural, size


class Verdict(Record):
    """The winner, and how far that can be trusted."""

    winner: str
    standing: Estimate
    """The winner's."""
    rival: str | None
    """The best of the others on test."""
    significant: bool
    """Whether the winner is significantly better than each other model on test."""
    p: float | None
    """The largest Holm-adjusted p value of the winner's pairs; None where there is none."""
    beats_majority: bool
    """Whether its 95 % CI on test lies above the majority-class baseline."""
    undecided: tuple[str, ...]
    """Models with no significant difference from the winner on test."""
    better: tuple[str, ...]
    """Models that are significantly better than the winner on test."""
    unclaimed: tuple[str, ...] = ()
    """Models of which, next to the winner, no claim is made."""
    pair: PairTest | None
    """The winner and its rival."""
    headline: str
    evidence: str
    caveat: str
    """What the claims are about: these trained models, or the ways of training."""
    cost: str

    @property
    def doubt(self) -> str:
        """Why the winner is not significantly better than each other model; empty where it is."""
        if self.better:
            verb = plural(len(self.better), "is", "are")
            return f"{listing(self.better)} {verb} significantly better"
        found = []
        if self.undecided:
            found.append(f"no significant difference from {listing(self.undecided)}")
        if self.unclaimed:
            found.append(f"no claim about {listing(self.unclaimed)}")
        return "; ".join(found)


def decide(
    models: Sequence[ScoredModel],
    standings: Mapping[str, Estimate],
    pairs: Sequence[PairTest],
    design: Design,
    *,
    majority: float,
    caveat: str,
    metric: Metric = BY_ACCURACY,
) -> Verdict:
    """Choose the winner on validation and judge it on test.

    Ties on validation go to the lower log loss of the first seed, then to the fewer parameters.
    standings: of each model by name. majority: that of the majority-class baseline on test.
    """
    winner = min(
        models, key=lambda m: (-standings[m.name].validation, m.validation.log_loss, m.parameters)
    )
    standing = standings[winner.name]
    others = [model for model in models if model.name != winner.name]
    rival = max((m.name for m in others), key=lambda name: standings[name].test, default=None)
    involved = {_other(p, winner.name): p for p in pairs if winner.name in (p.first, p.second)}
    against = involved[rival] if rival else None
    unclaimed = tuple(name for name, pair in involved.items() if not pair.claim)
    undecided = tuple(
        name for name, pair in involved.items() if pair.claim and not pair.significant
    )
    better = tuple(n for n, pair in involved.items() if pair.significant and pair.first == n)
    verdict = Verdict(
        winner=winner.name,
        standing=standing,
        rival=rival,
        significant=bool(others) and not (undecided or better or unclaimed),
        p=max(
            (p for pair in involved.values() if (p := pair.p_adjusted) is not None), default=None
        ),
        beats_majority=standing.interval.low > majority,
        undecided=undecided,
        better=better,
        unclaimed=unclaimed,
        pair=against,
        headline="",
        evidence=_evidence(winner, standing, against, design.within, metric),
        caveat=caveat,
        cost=_cost(winner, others),
    )
    return verdict.model_copy(
        update={"headline": _headline(verdict, involved, design.where, metric)}
    )


def _other(pair: PairTest, name: str) -> str:
    return pair.second if pair.first == name else pair.first


def _headline(
    verdict: Verdict, involved: Mapping[str, PairTest], where: str, metric: Metric
) -> str:
    name = verdict.winner
    trained = any(pair.of_trained for pair in involved.values())
    of_these = " of these trained models" if trained else ""
    if not metric.default:
        where += f" by {metric.label}"
    if not verdict.beats_majority:
        first = f"{name} ranks first{of_these}, but" if involved else name
        return f"{first} is not shown to be better than always predicting the most frequent class"
    if not involved:
        if not metric.default:
            return f"{name} has a {metric.label} of {percent(verdict.standing.test)} on test"
        return f"{name} classifies {percent(verdict.standing.test)} of the test photos correctly"
    if verdict.better:
        verb = plural(len(verdict.better), "is", "are")
        return (
            f"{name} was best{of_these} on validation, but {listing(verdict.better)} {verb} "
            f"significantly better {where}"
        )
    if verdict.undecided:
        others = listing(verdict.undecided)
        return (
            f"{name} ranks first{of_these}, but is not significantly better than {others} {where}"
        )
    if verdict.unclaimed:
        return _no_claim(verdict, involved, where)
    others = "every other model" if len(involved) > 1 else listing(involved)
    best = f"the best{of_these or ' model'}"
    return f"{name} is {best}: significantly better than {others} {where}"


def _no_claim(verdict: Verdict, involved: Mapping[str, PairTest], where: str) -> str:
    """Where nothing speaks against the winner, but no claim is made next to some of the others."""
    told = f"{verdict.winner} ranks first"
    claimed = [name for name in involved if name not in verdict.unclaimed]
    if claimed:
        told += f" and is significantly better than {listing(claimed)} {where}"
    if not verdict.standing.claim:
        return f"{told}, but no claim is made: some of its trainings give {ONE_CLASS}"
    return f"{told}, but no claim is made about {listing(verdict.unclaimed)}"


def _evidence(
    winner: ScoredModel, standing: Estimate, pair: PairTest | None, within: str, metric: Metric
) -> str:
    test, score = winner.test, winner.test.score
    photos = counted(score.n, "test photo") + (f" of {metric.of_class}" if metric.of_class else "")
    reach = ci(standing.interval.low, standing.interval.high)
    if standing.seeds > 1:
        accuracy = (
            f"The mean {metric.label} of {winner.name} over {standing.seeds} seeds on {photos} is "
            f"{percent(standing.test)} ({reach}, over "
            f"{'seeds and photos' if standing.claim else 'photos alone'})."
        )
    elif metric.averages:
        value = f"{percent(score.value)} ({reach}, its accuracy {percent(test.accuracy)})"
        where = f"{photos} has a {metric.label} of {value}"
        accuracy = f"{within}{winner.name} on {where}."
    else:
        accuracy = (
            f"{within}{winner.name} classifies {round(score.value * score.n):,} of {photos} "
            f"correctly: {metric.noun} {percent(score.value)} ({reach})."
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
