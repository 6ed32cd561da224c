"""How small a p a decision asks for: an error budget for a year, paid out evenly.

Who judges challenger after challenger will promote a lucky one: of 52 equally good ones a year, at
the usual 5 %, in every fourth year or so. Therefore all decisions of a year share an error budget
of ALPHA. It is paid in evenly over the year, at most MOST of it is saved up, and each decision
spends half of what is there. What any 365 days can spend is what was saved before and what is paid
in meanwhile, ALPHA together. So the probability of a useless promotion in them is at most ALPHA,
however often there are decisions, on whichever photos, and whatever the correlation between the
models is: that is Bonferroni's inequality, alpha spending in time. It holds where neither the
challengers nor the times of the decisions were chosen by results on the test photos.

A weekly decision may spend 0.05 / 65, a daily one 0.05 / 456, an hourly one 0.05 / 10,950: of the
discordant photos the challenger must win 11 of 11, 14 of 14 or 18 of 18. The first one, and one
after a quiet quarter, may spend 0.05 / 10, and of several in one afternoon each asks for one won
photo more than the one before.

Why half: less would take budget from those who decide seldom, and more leaves less for the second
try of an afternoon. Why not by the number of decisions (LOND): that spends much at first and leaves
nothing in autumn to a weekly schedule. Why not by photo, so that each new one brings a budget of
its own: with daily decisions and a few new photos a day that promotes a useless model in more years
than it says. `benchmarks/promotions.py` simulates years of all this.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from catdog.comparison.over_photos import ALPHA

YEAR = timedelta(days=365)
MOST = ALPHA / 5
"""That is saved up. With more, the first decisions would be easier, and the weekly ones ask for 12
won photos instead of 11 from 0.05 / 102 on."""
PAID = ALPHA - MOST
"""In a year."""


def levels(times: Iterable[datetime]) -> Iterator[float]:
    """The largest one-sided p that each of these decisions accepts, in their order.

    The clock may have been set back between two of them: nothing is paid in for that.
    """
    saved, last = 2 * MOST, None
    for at in times:
        paid = PAID * max((at - last) / YEAR, 0) if last else 0
        saved, last = min(MOST, saved / 2 + paid), at
        yield saved / 2
